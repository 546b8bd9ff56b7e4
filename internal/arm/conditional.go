package arm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
)

// A resource without an ETag of its provider's has one made of its content, so
// that If-Match protects every resource from lost updates.

// conditional tells the requests to which If-Match and If-None-Match apply.
func conditional(req *provider.Request, t target) bool {
	return !t.own && req.ID.IsResource() && req.Action == ""
}

// etagOf is the ETag of a resource as a response shows it: the header, the
// member "etag", or a sum over the body.
func etagOf(resp *provider.Response) (string, error) {
	if tag := resp.Header.Get("ETag"); tag != "" {
		return tag, nil
	}
	body, err := resp.JSON()
	if err != nil || len(body) == 0 {
		return "", err
	}
	var own struct {
		ETag string `json:"etag"`
	}
	if json.Unmarshal(body, &own) == nil && own.ETag != "" {
		return `"` + strings.Trim(own.ETag, `"`) + `"`, nil
	}
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:12]) + `"`, nil
}

// setETag adds the header to what shows a resource.
func setETag(req *provider.Request, t target, resp *provider.Response) error {
	shown := req.Method == http.MethodGet || req.Method == http.MethodPut || req.Method == http.MethodPatch
	if !shown || !conditional(req, t) || resp.Status != http.StatusOK && resp.Status != http.StatusCreated || resp.Header.Get("ETag") != "" {
		return nil
	}
	tag, err := etagOf(resp)
	if err != nil || tag == "" {
		return err
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Header.Set("ETag", tag)
	return nil
}

// checkConditions refuses a write whose If-Match or If-None-Match does not hold.
func (f *Front) checkConditions(ctx context.Context, req *provider.Request, t target) error {
	match, noneMatch := req.Header.Get("If-Match"), req.Header.Get("If-None-Match")
	write := req.Method == http.MethodPut || req.Method == http.MethodPatch || req.Method == http.MethodDelete
	if !write || !conditional(req, t) || t.typ.ChecksETag || match == "" && noneMatch == "" {
		return nil
	}
	read := *req
	read.Method, read.Body = http.MethodGet, nil
	read.Principal = authz.Principal{FirstParty: namespace, TenantID: f.tenantID, Name: namespace}
	read.Header = http.Header{}
	resp, err := f.call(ctx, &read, t)
	var refused *azerr.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		if match != "" {
			return azerr.PreconditionFailed("If-Match", match, req.ID.String())
		}
		return nil
	}
	if err != nil {
		return err
	}
	tag, err := etagOf(resp)
	if err != nil {
		return err
	}
	if match != "" && !matchesETag(match, tag) {
		return azerr.PreconditionFailed("If-Match", match, req.ID.String())
	}
	if noneMatch != "" && matchesETag(noneMatch, tag) {
		return azerr.PreconditionFailed("If-None-Match", noneMatch, req.ID.String())
	}
	return nil
}

// matchesETag compares a header's list with a tag; quotes may be left out, as
// clients do.
func matchesETag(header, tag string) bool {
	for item := range strings.SplitSeq(header, ",") {
		item = strings.Trim(strings.TrimPrefix(strings.TrimSpace(item), "W/"), `"`)
		if item == "*" || item == strings.Trim(tag, `"`) {
			return true
		}
	}
	return false
}

// turns lets one write of a resource run at a time: what a condition was
// checked against is what the write changes.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	free    chan struct{} // holds one token while nobody has the turn
	waiting int
}

// take waits for the turn of a key; the caller must call leave.
func (t *turns) take(ctx context.Context, key string) (leave func(), err error) {
	t.mu.Lock()
	if t.held == nil {
		t.held = map[string]*turn{}
	}
	mine, ok := t.held[key]
	if !ok {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.held[key] = mine
	}
	mine.waiting++
	t.mu.Unlock()
	done := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.waiting--; mine.waiting == 0 {
			delete(t.held, key)
		}
	}
	select {
	case <-mine.free:
		return func() { mine.free <- struct{}{}; done() }, nil
	case <-ctx.Done():
		done()
		return nil, ctx.Err()
	}
}

// takeTurn holds back other writes of the same resource.
func (f *Front) takeTurn(ctx context.Context, req *provider.Request, t target) (leave func(), err error) {
	if !conditional(req, t) || req.Method == http.MethodGet || req.Method == http.MethodHead {
		return func() {}, nil
	}
	return f.turns.take(ctx, req.ID.Key())
}
