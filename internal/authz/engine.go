package authz

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Config is what an Engine is made of.
type Config struct {
	Store store.Store
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger
	// Audit gets the refusals of actions; those of data actions are the vault's
	// to record, which knows the operation. nil keeps no record.
	Audit Auditor
}

// Auditor keeps a record of refusals.
type Auditor interface {
	Record(ctx context.Context, e audit.Event) error
}

// Engine is the Authorizer of every plane. It is safe for concurrent use.
type Engine struct {
	store     store.Store
	now       func() time.Time
	log       *slog.Logger
	audit     Auditor
	roles     map[string]RoleDefinition // the built-in ones, by id
	hierarchy Hierarchy
}

// Hierarchy tells which management groups a scope is in; scope.Hierarchy is one.
type Hierarchy interface {
	// Above lists them, from the innermost to the root.
	Above(tx store.Tx, scope ids.ID) ([]ids.ID, error)
}

// SetHierarchy makes roles at management groups reach what is in them. Without
// it there are no management groups. It must not be called once decisions are
// asked for.
func (e *Engine) SetHierarchy(h Hierarchy) { e.hierarchy = h }

var _ Authorizer = (*Engine)(nil)

// New returns an engine over the assignments in the store.
func New(cfg Config) *Engine {
	e := &Engine{store: cfg.Store, now: cfg.Now, log: cfg.Log, audit: cfg.Audit, roles: map[string]RoleDefinition{}}
	for _, role := range Roles() {
		e.roles[role.ID] = role
	}
	if e.now == nil {
		e.now = time.Now
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	return e
}

// Authorize decides over an action at a scope (an ARM id). Actions of
// "microsoft.directory" are decided by directory roles alone, all others by
// role assignments alone. A first-party caller may read and nothing else.
func (e *Engine) Authorize(ctx context.Context, p Principal, action, scope string) (Decision, error) {
	return e.logged(ctx, p, action, scope, false)
}

// AuthorizeData decides over a data action ("Microsoft.KeyVault/vaults/keys/read")
// at a scope, which for a key is the vault's id and "/keys/{name}".
func (e *Engine) AuthorizeData(ctx context.Context, p Principal, dataAction, scope string) (Decision, error) {
	return e.logged(ctx, p, dataAction, scope, true)
}

func (e *Engine) logged(ctx context.Context, p Principal, action, scope string, data bool) (Decision, error) {
	decision, err := e.decide(ctx, p, action, scope, data)
	if err != nil {
		return Decision{Rule: "no decision could be made"}, fmt.Errorf("authorise %s: %w", action, err)
	}
	e.log.DebugContext(ctx, "authorisation decision", "principal", p.ObjectID, "first_party", p.FirstParty, "action", action, "data", data,
		"scope", scope, "allowed", decision.Allowed, "rule", decision.Rule)
	if !decision.Allowed && !data && e.audit != nil {
		event := audit.Event{Operation: action, Result: audit.Refused, Scope: scope, Rule: decision.Rule,
			Actor: audit.Actor{ObjectID: p.ObjectID, AppID: p.Application(), TenantID: p.TenantID, Identity: p.Identity, FirstParty: p.FirstParty}}
		if err := e.audit.Record(ctx, event); err != nil {
			e.log.ErrorContext(ctx, "a refusal is not in the audit log", "error", err) // it stays a refusal
		}
	}
	return decision, nil
}

const (
	directoryActions = "microsoft.directory/"
	readRoles        = "Microsoft.Authorization/roleDefinitions/read"
	// readSubscription is the right to see that a subscription is there. As in
	// Azure, a role on anything in it is enough: without it nobody with a role on
	// one vault could sign in with az.
	readSubscription = "Microsoft.Resources/subscriptions/read"
)

func (e *Engine) decide(ctx context.Context, p Principal, action, scope string, data bool) (Decision, error) {
	asked, err := scopeKey(scope)
	switch {
	case err != nil:
		return Decision{Rule: "the scope is not a resource id"}, nil
	case action == "":
		return Decision{Rule: "no action was named"}, nil
	case p.FirstParty != "":
		if !data && strings.HasSuffix(strings.ToLower(action), "/read") {
			return Decision{Allowed: true, Rule: "first party " + p.FirstParty + " may read"}, nil
		}
		return Decision{Rule: "first party " + p.FirstParty + " may only read"}, nil
	case p.ObjectID == "":
		return Decision{Rule: "the caller has no object id"}, nil
	case strings.HasPrefix(strings.ToLower(action), directoryActions):
		return e.decideDirectory(ctx, p)
	case !data && strings.EqualFold(action, readRoles) && (asked == "/" || strings.HasPrefix(asked, "/providers/")):
		// Clients resolve a role's name before they know a scope.
		return Decision{Allowed: true, Rule: "built-in role definitions are public"}, nil
	}
	decision := Decision{Rule: "no role assignment grants it"}
	err = e.store.View(ctx, func(tx store.Tx) error {
		if !data && strings.EqualFold(action, readSubscription) {
			below, err := assignmentBelow(tx, p, asked)
			if err != nil {
				return err
			}
			if below != "" {
				decision = Decision{Allowed: true, Rule: "the subscription is visible by role assignment " + below}
				return nil
			}
		}
		return e.eachAt(tx, p, asked, func(a Assignment, role RoleDefinition) bool {
			if !role.Permission.allows(action, data) {
				return true
			}
			decision = Decision{Allowed: true, Rule: fmt.Sprintf("role assignment %s: %s at %s", a.Name, role.Name, a.Scope)}
			if !strings.EqualFold(a.PrincipalID, p.ObjectID) {
				decision.Rule += " through group " + a.PrincipalID
			}
			return false
		})
	})
	return decision, err
}

// assignmentsOf lists what is assigned to a principal and to its groups.
func assignmentsOf(tx store.Tx, p Principal) ([]Assignment, error) {
	var all []Assignment
	for _, id := range p.objects() {
		some, err := store.ListJSON[Assignment](tx, bucketAssignments, strings.ToLower(id)+"/")
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// eachAt calls fn with every assignment of a principal, or of a group it is in,
// that reaches the scope of that key, until fn returns false.
func (e *Engine) eachAt(tx store.Tx, p Principal, asked string, fn func(Assignment, RoleDefinition) bool) error {
	all, err := assignmentsOf(tx, p)
	if err != nil {
		return err
	}
	for _, a := range all {
		at, err := scopeKey(a.Scope)
		if err != nil {
			return err
		}
		reached, err := e.reaches(tx, at, asked)
		if err != nil {
			return err
		}
		if !reached {
			continue
		}
		role, err := e.role(tx, a.RoleID)
		if errors.Is(err, ErrRoleNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if !fn(a, role) {
			return nil
		}
	}
	return nil
}

// assignmentBelow names an assignment of a principal below a subscription, ""
// when there is none or the key is not a subscription's.
func assignmentBelow(tx store.Tx, p Principal, asked string) (name string, err error) {
	if rest, ok := strings.CutPrefix(asked, "/subscriptions/"); !ok || strings.Contains(rest, "/") {
		return "", nil
	}
	all, err := assignmentsOf(tx, p)
	if err != nil {
		return "", err
	}
	for _, a := range all {
		at, err := scopeKey(a.Scope)
		if err != nil {
			return "", err
		}
		if covers(asked, at) {
			return a.Name, nil
		}
	}
	return "", nil
}

// Permissions lists what the roles of a principal and of its groups grant at a scope.
func (e *Engine) Permissions(ctx context.Context, p Principal, scope string) ([]Permission, error) {
	asked, err := scopeKey(scope)
	if err != nil {
		return nil, err
	}
	var found []Permission
	err = e.store.View(ctx, func(tx store.Tx) error {
		return e.eachAt(tx, p, asked, func(_ Assignment, role RoleDefinition) bool {
			found = append(found, role.Permission)
			return true
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list permissions: %w", err)
	}
	return found, nil
}

// once runs fn in a transaction unless it has been done under that key before.
func (e *Engine) once(ctx context.Context, key string, fn func(tx store.Tx) error) (done bool, err error) {
	key = strings.ToLower(key)
	err = e.store.Update(ctx, func(tx store.Tx) error {
		_, err := tx.Get(bucketGrants, key)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		done = true
		return store.PutJSON(tx, bucketGrants, key, e.now().UTC())
	})
	return done && err == nil, err
}

// GrantOwner makes a service principal Owner of a subscription. It does so
// once: an assignment that was deleted later does not come back at the next start.
func (e *Engine) GrantOwner(ctx context.Context, subscriptionID, objectID string) error {
	return e.grantOwner(ctx, "owner/"+subscriptionID+"/"+objectID, "/subscriptions/"+subscriptionID, objectID)
}

// GrantTenantOwner makes a principal Owner of the whole tenant, once: of its
// management groups, and of what is made in it later.
func (e *Engine) GrantTenantOwner(ctx context.Context, objectID string) error {
	return e.grantOwner(ctx, "tenantowner/"+objectID, "/", objectID)
}

func (e *Engine) grantOwner(ctx context.Context, key, scope, objectID string) error {
	done, err := e.once(ctx, key, func(tx store.Tx) error { return e.AssignOwner(tx, scope, objectID, "ServicePrincipal") })
	if err != nil {
		return fmt.Errorf("grant owner: %w", err)
	}
	if done {
		e.log.InfoContext(ctx, "role assigned", "principal", objectID, "role", "Owner", "scope", scope)
	}
	return nil
}

// AssignOwner makes a principal Owner of a scope in the caller's transaction:
// who makes a subscription owns it.
func (e *Engine) AssignOwner(tx store.Tx, scope, objectID, principalType string) error {
	now := e.now().UTC()
	return putAssignment(tx, Assignment{Name: ids.NewGUID(), Scope: scope, RoleID: RoleOwner,
		PrincipalID: strings.ToLower(objectID), PrincipalType: principalType, Created: now, Updated: now})
}
