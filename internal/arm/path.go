package arm

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
)

// namespace is the one that ARM itself serves.
const namespace = "Microsoft.Resources"

// errPath is returned for a path that is no route of ARM.
var errPath = errors.New("path is no resource manager route")

// parsePath reads the escaped path of a request. Empty segments are dropped,
// and keywords compare without case. The id of a route that ARM owns is in
// Microsoft.Resources (see the package's text). The last segment of a POST
// that would be a type without a name is the action.
func parsePath(escaped, method string) (id ids.ID, action string, err error) {
	segs, err := splitPath(escaped)
	if err != nil {
		return ids.ID{}, "", err
	}
	id, err = parseSegments(segs)
	if err != nil {
		return ids.ID{}, "", err
	}
	last := len(id.Segments) - 1
	if method == http.MethodPost && last >= 0 && id.Segments[last].Name == "" {
		action, id.Segments = id.Segments[last].Type, id.Segments[:last]
	}
	return id, action, nil
}

// SubscriptionOf is the GUID of the subscription that a request is in, "" when it
// is in none, or is no request that a Front serves.
func SubscriptionOf(r *http.Request) string {
	id, _, err := parsePath(r.URL.EscapedPath(), r.Method)
	if err != nil {
		return ""
	}
	subscription, _ := home(id)
	if !ids.IsGUID(subscription) {
		return ""
	}
	return subscription
}

// splitPath unescapes the segments one by one. An escaped slash inside a
// segment is refused: the id would name something else than the caller meant.
func splitPath(escaped string) ([]string, error) {
	var segs []string
	parts := strings.Split(strings.TrimRight(escaped, "/"), "/")
	for i, s := range parts {
		if s == "" {
			if len(segs) == 3 && is(parts[i-1], "resourceGroups") { // no name: what follows is none
				return nil, errPath
			}
			continue
		}
		s, err := url.PathUnescape(s)
		if err != nil || strings.ContainsAny(s, "/\x00") {
			return nil, errPath
		}
		segs = append(segs, s)
	}
	return segs, nil
}

func parseSegments(segs []string) (ids.ID, error) {
	switch {
	case len(segs) == 0:
		return ids.ID{}, errPath
	case len(segs) <= 2 && is(segs[0], "providers"): // the registration documents
		return own(segs), nil
	case is(segs[0], "providers"):
		return general(segs)
	case !is(segs[0], "subscriptions"):
		return own(segs), nil
	case len(segs) == 4 && is(segs[2], "providers"): // one registration document
		return own(segs), nil
	case len(segs) == 5 && is(segs[2], "providers") && isRegistration(segs[4]):
		return own(segs), nil
	case len(segs) > 3 && is(segs[2], "providers"):
		return general(segs)
	case len(segs) > 5 && is(segs[2], "resourceGroups") && is(segs[4], "providers"):
		return general(segs)
	case len(segs) > 5 && is(segs[2], "resourceGroups") && is(segs[4], "deployments"):
		// the operations of a deployment, without its provider
		return general(slices.Insert(slices.Clone(segs), 4, "providers", namespace))
	}
	return own(segs), nil
}

// own makes the id of a route that ARM itself owns.
func own(segs []string) ids.ID {
	id := ids.ID{Namespace: namespace}
	for i := 0; i < len(segs); i += 2 {
		s := ids.Segment{Type: segs[i]}
		if i+1 < len(segs) {
			s.Name = segs[i+1]
		}
		id.Segments = append(id.Segments, s)
	}
	return id
}

func general(segs []string) (ids.ID, error) {
	id, err := ids.Parse("/" + strings.Join(segs, "/"))
	if err != nil || id.Namespace == "" {
		return ids.ID{}, errPath
	}
	return canonical(id), nil
}

// canonical turns a scope, and the template form of a resource group
// (/subscriptions/{s}/providers/Microsoft.Resources/resourceGroups/{g}), into
// the id of ARM's own route.
func canonical(id ids.ID) ids.ID {
	if id.Parent != nil {
		return id
	}
	scope := []string{"subscriptions", id.Subscription}
	switch {
	case id.Namespace == "" && id.Subscription == "":
		return ids.ID{Namespace: namespace, Segments: []ids.Segment{{Type: "tenants"}}}
	case id.Namespace == "" && id.ResourceGroup != "":
		return own(append(scope, "resourceGroups", id.ResourceGroup))
	case id.Namespace == "":
		return own(scope)
	case is(id.Namespace, namespace) && id.Subscription != "" && id.ResourceGroup == "" && len(id.Segments) > 0 && is(id.Segments[0].Type, "resourceGroups"):
		group := own(scope)
		group.Segments = append(group.Segments, id.Segments...)
		return group
	}
	return id
}

func isRegistration(segment string) bool {
	return is(segment, "register") || is(segment, "unregister")
}

func is(a, b string) bool { return strings.EqualFold(a, b) }
