package arm

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// checkLocks refuses what a management lock forbids: every change below a
// ReadOnly lock, and the deletion of anything that is locked or that holds
// something locked. Locks themselves are changed freely: whoever has the right
// to take one away may do it.
func (f *Front) checkLocks(ctx context.Context, req *provider.Request, t target) error {
	deletion := req.Method == http.MethodDelete
	if !deletion && !isWrite(req) || t.subscription == "" || changesNothing(req) {
		return nil
	}
	if is(req.ID.Type(), "Microsoft.Authorization/locks") {
		return nil
	}
	return f.view(ctx, func(tx store.Tx) error {
		locked, err := scope.Locked(tx, t.scope, deletion)
		if err != nil || len(locked) == 0 {
			return err
		}
		operation := "write"
		if deletion {
			operation = "delete"
		}
		return azerr.ScopeLocked(t.scope.String(), operation, strings.Join(locked, ","))
	})
}

// changesNothing tells the POSTs that only look. A ReadOnly lock stops all
// others, as the service does: an action may hand out a key.
func changesNothing(req *provider.Request) bool {
	action := strings.ToLower(req.Action)
	if req.Method != http.MethodPost {
		return false
	}
	if strings.HasPrefix(action, "check") {
		return true
	}
	switch action {
	case "validate", "whatif", "exporttemplate", "calculatetemplatehash", "validatemoveresources":
		return is(req.ID.Namespace, namespace)
	}
	return false
}
