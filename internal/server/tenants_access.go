package server

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// What follows is how the services that tenants share ask the right tenant:
// tokens are verified by the tenant that they say they are from, rights are
// those of the tenant whose the resource is.

// ofToken is the tenant whose directory verifies a token: the one that it says
// it is from, or the first one, which refuses it.
func (ts *tenants) ofToken(token string) *tenant {
	if all := ts.all(); len(all) > 1 {
		if t := ts.byID(directory.ClaimedTenant(token)); t != nil {
			return t
		}
	}
	return ts.first()
}

// Verify checks a token of any tenant; which one it is of stands in the principal.
func (ts *tenants) Verify(ctx context.Context, token string, audiences ...string) (authz.Principal, error) {
	return ts.ofToken(token).directory.Verify(ctx, token, audiences...)
}

// Authorize decides over an action in a subscription or below.
func (ts *tenants) Authorize(ctx context.Context, p authz.Principal, action, scope string) (authz.Decision, error) {
	t, refusal, err := ts.engine(ctx, p, scope)
	if t == nil {
		return refusal, err
	}
	return t.access.Authorize(ctx, p, action, scope)
}

// AuthorizeData decides over a data action in a subscription or below.
func (ts *tenants) AuthorizeData(ctx context.Context, p authz.Principal, dataAction, scope string) (authz.Decision, error) {
	t, refusal, err := ts.engine(ctx, p, scope)
	if t == nil {
		return refusal, err
	}
	return t.access.AuthorizeData(ctx, p, dataAction, scope)
}

// engine is the tenant that decides over a scope; nil, and the refusal, when the
// principal is not of that tenant: a role at the root of one tenant must not
// reach into another.
func (ts *tenants) engine(ctx context.Context, p authz.Principal, scope string) (*tenant, authz.Decision, error) {
	t, err := ts.ofScope(ctx, scope)
	switch {
	case err != nil:
		return nil, authz.Decision{Rule: "no decision could be made"}, err
	case t == nil:
		return nil, authz.Decision{Rule: "no tenant has the subscription"}, nil
	case p.TenantID != "" && !strings.EqualFold(p.TenantID, t.ID):
		return nil, authz.Decision{Rule: "the subscription is in another tenant than the caller"}, nil
	}
	return t, authz.Decision{}, nil
}

// ofScope finds the tenant of the subscription in a resource id, nil when no
// tenant has it.
func (ts *tenants) ofScope(ctx context.Context, scope string) (*tenant, error) {
	all := ts.all()
	if len(all) == 1 {
		return all[0], nil
	}
	return ts.owner(ctx, subscriptionOf(scope))
}

// subscriptionOf is the subscription of a resource id, or of what is below one, "" when it has none.
func subscriptionOf(scope string) string {
	segments := strings.SplitN(strings.TrimPrefix(scope, "/"), "/", 3)
	if len(segments) < 2 || !strings.EqualFold(segments[0], "subscriptions") || !ids.IsGUID(segments[1]) {
		return ""
	}
	return segments[1]
}

// RemoveScope removes the role assignments at and below a scope, in the
// transaction of whoever deletes what was there. Only the tenant whose the scope
// is can have any.
func (ts *tenants) RemoveScope(tx store.Tx, scope string) error {
	for _, t := range ts.all() {
		if err := t.access.RemoveScope(t.part.Tx(tx), scope); err != nil {
			return err
		}
	}
	return nil
}

// IdentityToken signs a token of a managed identity of any tenant.
func (ts *tenants) IdentityToken(ctx context.Context, objectID, resource string) (token string, expires time.Time, err error) {
	for _, t := range ts.all() {
		token, expires, err = t.directory.IdentityToken(ctx, objectID, resource)
		if !errors.Is(err, directory.ErrNotFound) {
			break
		}
	}
	return token, expires, err
}

// IdentityTokenAt is IdentityToken of a clock that is off.
func (ts *tenants) IdentityTokenAt(ctx context.Context, objectID, resource string, at time.Time) (token string, err error) {
	for _, t := range ts.all() {
		token, err = t.directory.IdentityTokenAt(ctx, objectID, resource, at)
		if !errors.Is(err, directory.ErrNotFound) {
			break
		}
	}
	return token, err
}
