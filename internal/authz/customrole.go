package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const bucketRoles = "authz.roles" // id → CustomRole

var (
	// ErrRoleName: another role of the tenant has that name.
	ErrRoleName = errors.New("role name is taken")
	// ErrRoleBuiltIn: built-in roles can be neither changed nor deleted.
	ErrRoleBuiltIn = errors.New("role is built in")
	// ErrRoleInUse: the role is assigned to somebody.
	ErrRoleInUse = errors.New("role is assigned")
	// ErrRoleScope: the scope is none in which the role can be assigned.
	ErrRoleScope = errors.New("scope is not assignable for the role")
)

// CustomRole is a role definition that was made by a person. It can be assigned
// at and below its assignable scopes only.
type CustomRole struct {
	RoleDefinition
	AssignableScopes     []string
	Created, Updated     time.Time
	CreatedBy, UpdatedBy string
}

// role finds a definition, built in or custom, or returns ErrRoleNotFound.
func (e *Engine) role(tx store.Tx, id string) (RoleDefinition, error) {
	if role, ok := e.roles[strings.ToLower(id)]; ok {
		return role, nil
	}
	custom, err := customRole(tx, id)
	return custom.RoleDefinition, err
}

func customRole(tx store.Tx, id string) (CustomRole, error) {
	r, err := store.GetJSON[CustomRole](tx, bucketRoles, strings.ToLower(id))
	if errors.Is(err, store.ErrNotFound) {
		return r, fmt.Errorf("role %s: %w", id, ErrRoleNotFound)
	}
	return r, err
}

// assignable refuses a custom role outside of its assignable scopes.
func (e *Engine) assignable(tx store.Tx, roleID, scope string) error {
	if _, builtIn := e.roles[roleID]; builtIn {
		return nil
	}
	r, err := customRole(tx, roleID)
	if err != nil {
		return err
	}
	return e.within(tx, r.AssignableScopes, scope)
}

func (e *Engine) within(tx store.Tx, assignable []string, scope string) error {
	for _, s := range assignable {
		key, err := scopeKey(s)
		if err != nil {
			return err
		}
		if reached, err := e.reaches(tx, key, scope); err != nil || reached {
			return err
		}
	}
	return ErrRoleScope
}

// PutRole stores a custom role; the times are set here. Its id must be a GUID.
// Errors: ErrRoleBuiltIn, ErrRoleName, and ErrRoleInUse when an assignment of
// it would be left outside of the new assignable scopes.
func (e *Engine) PutRole(ctx context.Context, r CustomRole) (stored CustomRole, created bool, err error) {
	r.ID = strings.ToLower(r.ID)
	if !ids.IsGUID(r.ID) {
		return CustomRole{}, false, errors.New("role definition id must be a GUID")
	}
	if _, builtIn := e.roles[r.ID]; builtIn {
		return CustomRole{}, false, ErrRoleBuiltIn
	}
	err = e.store.Update(ctx, func(tx store.Tx) error {
		all, err := store.ListJSON[CustomRole](tx, bucketRoles, "")
		if err != nil {
			return err
		}
		for _, other := range Roles() {
			all = append(all, CustomRole{RoleDefinition: other})
		}
		if slices.ContainsFunc(all, func(o CustomRole) bool { return o.ID != r.ID && strings.EqualFold(o.Name, r.Name) }) {
			return ErrRoleName
		}
		now := e.now().UTC()
		old, err := customRole(tx, r.ID)
		created = errors.Is(err, ErrRoleNotFound)
		if err != nil && !created {
			return err
		}
		stored = r
		stored.Created, stored.Updated = now, now
		if !created {
			stored.Created, stored.CreatedBy = old.Created, old.CreatedBy
			if err := e.eachAssignment(tx, r.ID, func(scope string) error {
				if err := e.within(tx, r.AssignableScopes, scope); errors.Is(err, ErrRoleScope) {
					return ErrRoleInUse
				} else if err != nil {
					return err
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return store.PutJSON(tx, bucketRoles, r.ID, stored)
	})
	if err != nil {
		return CustomRole{}, false, fmt.Errorf("store role definition %s: %w", r.ID, err)
	}
	e.log.InfoContext(ctx, "role definition stored", "role", r.Name, "principal", r.UpdatedBy)
	return stored, created, nil
}

// eachAssignment calls fn with the scope of every assignment of a role.
func (e *Engine) eachAssignment(tx store.Tx, roleID string, fn func(scope string) error) error {
	all, err := store.ListJSON[Assignment](tx, bucketAssignments, "")
	if err != nil {
		return err
	}
	for _, a := range all {
		if !strings.EqualFold(a.RoleID, roleID) {
			continue
		}
		key, err := scopeKey(a.Scope)
		if err == nil {
			err = fn(key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteRole removes a custom role and returns it. Errors: ErrRoleNotFound,
// ErrRoleBuiltIn, ErrRoleInUse.
func (e *Engine) DeleteRole(ctx context.Context, id string) (r CustomRole, err error) {
	if _, builtIn := e.roles[strings.ToLower(id)]; builtIn {
		return CustomRole{}, ErrRoleBuiltIn
	}
	err = e.store.Update(ctx, func(tx store.Tx) error {
		if r, err = customRole(tx, id); err != nil {
			return err
		}
		if err := e.eachAssignment(tx, id, func(string) error { return ErrRoleInUse }); err != nil {
			return err
		}
		return tx.Delete(bucketRoles, strings.ToLower(id))
	})
	if err != nil {
		return CustomRole{}, fmt.Errorf("delete role definition: %w", err)
	}
	e.log.InfoContext(ctx, "role definition deleted", "role", r.Name)
	return r, nil
}

// CustomRole returns a custom role, or ErrRoleNotFound.
func (e *Engine) CustomRole(ctx context.Context, id string) (r CustomRole, err error) {
	err = e.store.View(ctx, func(tx store.Tx) error {
		r, err = customRole(tx, id)
		return err
	})
	if err != nil {
		return CustomRole{}, fmt.Errorf("read role definition: %w", err)
	}
	return r, nil
}

// CustomRoles lists the custom roles that can be assigned at a scope, by id;
// with below also those of scopes below it.
func (e *Engine) CustomRoles(ctx context.Context, scope string, below bool) (found []CustomRole, err error) {
	key, err := scopeKey(scope)
	if err != nil {
		return nil, err
	}
	err = e.store.View(ctx, func(tx store.Tx) error {
		all, err := store.ListJSON[CustomRole](tx, bucketRoles, "")
		if err != nil {
			return err
		}
		for _, r := range all {
			err := e.within(tx, r.AssignableScopes, key)
			if errors.Is(err, ErrRoleScope) && below {
				err = e.someBelow(tx, key, r.AssignableScopes)
			}
			switch {
			case err == nil:
				found = append(found, r)
			case !errors.Is(err, ErrRoleScope):
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list role definitions: %w", err)
	}
	return found, nil
}

func (e *Engine) someBelow(tx store.Tx, scope string, assignable []string) error {
	for _, s := range assignable {
		key, err := scopeKey(s)
		if err != nil {
			return err
		}
		if reached, err := e.reaches(tx, scope, key); err != nil || reached {
			return err
		}
	}
	return ErrRoleScope
}
