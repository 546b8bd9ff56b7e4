package arm

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
)

// authorize asks whether the caller may do t.action at t.scope.
//
// A first-party principal is made by our own code only, never from a token. It
// may read everything, and the one that is ARM itself may delete and tag: that
// is how the deletion of a group, which its caller was allowed, removes what is
// in it, and how the right to tags needs none to the resource.
func (f *Front) authorize(ctx context.Context, req *provider.Request, t target) error {
	if t.action == "" {
		return nil
	}
	if req.Principal.FirstParty != "" {
		read := req.Method == http.MethodGet || req.Method == http.MethodHead
		if read || req.Principal.FirstParty == namespace && (req.Method == http.MethodDelete || tagsOnly(req)) {
			return nil
		}
	}
	scope := t.scope.String()
	d, err := f.authorizer.Authorize(ctx, req.Principal, t.action, scope)
	if err != nil {
		return fmt.Errorf("authorize %s at %s: %w", t.action, scope, err)
	}
	if !d.Allowed {
		p := req.Principal
		return azerr.AuthorizationFailed(cmp.Or(p.AppID, p.Name, p.ObjectID), p.ObjectID, t.action, scope)
	}
	return nil
}

// tagsOnly tells a PATCH of nothing but the tags of a resource.
func tagsOnly(req *provider.Request) bool {
	var members map[string]json.RawMessage
	if req.Method != http.MethodPatch || json.Unmarshal(req.Body, &members) != nil {
		return false
	}
	_, tags := members["tags"]
	return tags && len(members) == 1
}
