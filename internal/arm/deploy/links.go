package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
)

// Links reads linked templates and parameter files. An address it does not
// serve is ErrNoLink; it must never reach out to the network.
type Links interface {
	Fetch(ctx context.Context, uri string) ([]byte, error)
}

// ErrNoLink is returned for an address that is not served.
var ErrNoLink = errors.New("address is not served")

// TemplateHost is the host under which a TemplateRoot answers.
const TemplateHost = "templates.localhost"

// maxLinked is the largest linked file, in bytes.
const maxLinked = 4 << 20

// TemplateRoot serves the files of a folder as https://templates.localhost/….
// The file system decides what lies below it; give it one that does not follow
// links out of the folder (os.Root.FS).
type TemplateRoot struct{ FS fs.FS }

// Fetch implements Links.
func (r TemplateRoot) Fetch(_ context.Context, uri string) ([]byte, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" || !strings.EqualFold(u.Host, TemplateHost) || u.User != nil {
		return nil, ErrNoLink
	}
	f, err := r.FS.Open(strings.TrimPrefix(path.Clean("/"+u.Path), "/"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	defer func() { _ = f.Close() }() // read only
	data, err := io.ReadAll(io.LimitReader(f, maxLinked+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLink, err)
	}
	if len(data) > maxLinked {
		return nil, azerr.RequestContentTooLarge(maxLinked)
	}
	return data, nil
}

// link is a templateLink or parametersLink.
type link struct {
	URI            string
	ContentVersion string
	Query          string
}

func readLink(n *relaxed.Node) link {
	var l link
	l.URI, _ = n.Get("uri").Text()
	l.ContentVersion, _ = n.Get("contentVersion").Text()
	l.Query, _ = n.Get("queryString").Text()
	return l
}

// shown is the link as deployment() and GET show it: without its query, which
// often holds a signature.
func (l link) shown() *value.Object {
	o := value.Of(m("uri", l.URI))
	if l.ContentVersion != "" {
		o.Set("contentVersion", l.ContentVersion)
	}
	return o
}

// fetch reads what a link leads to.
func (e *Engine) fetch(ctx context.Context, l link, tracking string) ([]byte, *relaxed.Node, error) {
	if e.links == nil || l.URI == "" {
		return nil, nil, azerr.InvalidContentLink(l.URI, tracking)
	}
	uri := l.URI
	if l.Query != "" {
		uri += "?" + strings.TrimPrefix(l.Query, "?")
	}
	data, err := e.links.Fetch(ctx, uri)
	if errors.Is(err, ErrNoLink) {
		return nil, nil, azerr.InvalidContentLink(l.URI, tracking).Because(err)
	}
	if err != nil {
		return nil, nil, err
	}
	n, err := relaxed.Parse(data)
	if err != nil {
		return nil, nil, azerr.InvalidTemplateParse(err.Error()).Because(err)
	}
	return data, n, nil
}

// checkVersion compares a link's content version with that of what it led to.
func (l link) checkVersion(n *relaxed.Node) error {
	got, _ := n.Get("contentVersion").Text()
	if l.ContentVersion == "" || l.ContentVersion == got {
		return nil
	}
	return azerr.InvalidTemplate(fmt.Sprintf("The content version '%s' of the link '%s' does not match the content version '%s' of what it leads to. Please see https://aka.ms/arm-deploy for usage details.", l.ContentVersion, l.URI, got), 0, 0, "")
}
