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

// Buckets. An assignment lies under its principal, so that a decision is one
// scan; the index finds it by its name, which is unique in the tenant.
const (
	bucketAssignments = "authz.assignments" // {object id}/{name}
	bucketNames       = "authz.names"       // name → {object id}/{name}
	bucketGrants      = "authz.grants"      // grants made once at first start
	bucketDirectory   = "authz.directory"   // object id → directory role
)

var (
	// ErrAssignmentNotFound: there is no assignment of that name at that scope.
	ErrAssignmentNotFound = errors.New("role assignment not found")
	// ErrAssignmentImmutable: the name is taken by an assignment of another
	// scope, principal or role.
	ErrAssignmentImmutable = errors.New("role assignment cannot be changed")
	// ErrRoleNotFound: no role definition has that id.
	ErrRoleNotFound = errors.New("role definition not found")
	// ErrLastOwner: a subscription keeps at least one Owner.
	ErrLastOwner = errors.New("last owner of the subscription")
)

// AssignmentExistsError means that the principal has the role at the scope
// already, by the assignment of that name.
type AssignmentExistsError struct{ Name string }

// Error names the other assignment.
func (e *AssignmentExistsError) Error() string {
	return "role assignment " + e.Name + " says the same"
}

// Assignment gives a role to a principal at a scope and everything below it.
type Assignment struct {
	Name          string    `json:"name"` // GUID
	Scope         string    `json:"scope"`
	RoleID        string    `json:"roleId"` // GUID
	PrincipalID   string    `json:"principalId"`
	PrincipalType string    `json:"principalType"`
	Description   string    `json:"description,omitempty"`
	Created       time.Time `json:"created"`
	Updated       time.Time `json:"updated"`
	CreatedBy     string    `json:"createdBy,omitempty"`
	UpdatedBy     string    `json:"updatedBy,omitempty"`
}

func assignmentKey(principalID, name string) string {
	return strings.ToLower(principalID + "/" + name)
}

// Create stores an assignment; created is false when the very same was there,
// of which only the description may change. Name, Scope, RoleID, PrincipalID,
// PrincipalType and CreatedBy are the caller's; the times are set here.
// Errors: ErrRoleNotFound, ErrAssignmentImmutable, *AssignmentExistsError.
func (e *Engine) Create(ctx context.Context, a Assignment) (stored Assignment, created bool, err error) {
	scope, err := scopeKey(a.Scope)
	if err != nil {
		return Assignment{}, false, err
	}
	if !ids.IsGUID(a.Name) || !ids.IsGUID(a.PrincipalID) {
		return Assignment{}, false, errors.New("role assignment name and principal must be GUIDs")
	}
	a.RoleID, a.Name, a.PrincipalID = strings.ToLower(a.RoleID), strings.ToLower(a.Name), strings.ToLower(a.PrincipalID)
	var role RoleDefinition
	err = e.store.Update(ctx, func(tx store.Tx) error {
		now := e.now().UTC()
		if role, err = e.role(tx, a.RoleID); err != nil {
			return err
		}
		if err := e.assignable(tx, a.RoleID, scope); err != nil {
			return err
		}
		old, err := assignmentByName(tx, a.Name)
		switch {
		case err == nil:
			oldScope, err := scopeKey(old.Scope)
			if err != nil {
				return err
			}
			if oldScope != scope || old.RoleID != a.RoleID || old.PrincipalID != a.PrincipalID {
				return ErrAssignmentImmutable
			}
			stored = old
			if old.Description == a.Description {
				return nil
			}
			stored.Description, stored.Updated, stored.UpdatedBy = a.Description, now, a.CreatedBy
			return putAssignment(tx, stored)
		case !errors.Is(err, ErrAssignmentNotFound):
			return err
		}
		if err := notAssigned(tx, a, scope); err != nil {
			return err
		}
		stored, created = a, true
		stored.Created, stored.Updated, stored.UpdatedBy = now, now, a.CreatedBy
		return putAssignment(tx, stored)
	})
	if err != nil {
		return Assignment{}, false, fmt.Errorf("create role assignment %s: %w", a.Name, err)
	}
	if created {
		e.log.InfoContext(ctx, "role assigned", "principal", a.PrincipalID, "role", role.Name, "scope", a.Scope, "assignment", a.Name)
	}
	return stored, created, nil
}

// notAssigned refuses a role that the principal has at the scope of that key
// under another name.
func notAssigned(tx store.Tx, a Assignment, scope string) error {
	same, err := store.ListJSON[Assignment](tx, bucketAssignments, a.PrincipalID+"/")
	if err != nil {
		return err
	}
	for _, other := range same {
		otherScope, err := scopeKey(other.Scope)
		if err != nil {
			return err
		}
		if otherScope == scope && other.RoleID == a.RoleID {
			return &AssignmentExistsError{Name: other.Name}
		}
	}
	return nil
}

// Get returns the assignment of that name at that scope, or ErrAssignmentNotFound.
func (e *Engine) Get(ctx context.Context, scope, name string) (a Assignment, err error) {
	err = e.store.View(ctx, func(tx store.Tx) error {
		a, err = assignmentAt(tx, scope, name)
		return err
	})
	if err != nil {
		return Assignment{}, fmt.Errorf("read role assignment: %w", err)
	}
	return a, nil
}

// Delete removes the assignment of that name at that scope and returns it.
// Errors: ErrAssignmentNotFound, ErrLastOwner.
func (e *Engine) Delete(ctx context.Context, scope, name string) (a Assignment, err error) {
	err = e.store.Update(ctx, func(tx store.Tx) error {
		if a, err = assignmentAt(tx, scope, name); err != nil {
			return err
		}
		if last, err := isLastOwner(tx, a); err != nil {
			return err
		} else if last {
			return ErrLastOwner
		}
		return deleteAssignment(tx, a)
	})
	if err != nil {
		return Assignment{}, fmt.Errorf("delete role assignment: %w", err)
	}
	e.log.InfoContext(ctx, "role assignment deleted", "principal", a.PrincipalID, "scope", a.Scope, "assignment", a.Name)
	return a, nil
}

// Filter chooses assignments for List.
type Filter struct {
	Scope string
	// PrincipalIDs limits to these principals (one, or one and its groups); none for all.
	PrincipalIDs []string
	// AtScope leaves out what lies below Scope.
	AtScope bool
}

// List returns the assignments at, above and (unless AtScope) below a scope,
// ordered by principal and name.
func (e *Engine) List(ctx context.Context, f Filter) ([]Assignment, error) {
	scope, err := scopeKey(f.Scope)
	if err != nil {
		return nil, err
	}
	prefixes := []string{""}
	if len(f.PrincipalIDs) > 0 {
		prefixes = nil
		for _, id := range f.PrincipalIDs {
			prefixes = append(prefixes, strings.ToLower(id)+"/")
		}
		slices.Sort(prefixes)
		prefixes = slices.Compact(prefixes)
	}
	var found []Assignment
	err = e.store.View(ctx, func(tx store.Tx) error {
		var all []Assignment
		for _, prefix := range prefixes {
			some, err := store.ListJSON[Assignment](tx, bucketAssignments, prefix)
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
		for _, a := range all {
			at, err := scopeKey(a.Scope)
			if err != nil {
				return err
			}
			shown, err := e.reaches(tx, at, scope)
			if err == nil && !shown && !f.AtScope {
				shown, err = e.reaches(tx, scope, at)
			}
			if err != nil {
				return err
			}
			if shown {
				found = append(found, a)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list role assignments: %w", err)
	}
	return found, nil
}

// RemoveScope removes every assignment at or below scope, inside the caller's
// transaction. Whoever deletes a resource or a group must call it: a new
// resource of the same name must not inherit the old one's rights.
func (e *Engine) RemoveScope(tx store.Tx, scope string) error {
	key, err := scopeKey(scope)
	if err != nil {
		return err
	}
	all, err := store.ListJSON[Assignment](tx, bucketAssignments, "")
	if err != nil {
		return fmt.Errorf("remove role assignments of %s: %w", scope, err)
	}
	for _, a := range all {
		at, err := scopeKey(a.Scope)
		if err != nil {
			return err
		}
		if covers(key, at) {
			if err := deleteAssignment(tx, a); err != nil {
				return fmt.Errorf("remove role assignments of %s: %w", scope, err)
			}
		}
	}
	return nil
}

func putAssignment(tx store.Tx, a Assignment) error {
	key := assignmentKey(a.PrincipalID, a.Name)
	if err := store.PutJSON(tx, bucketAssignments, key, a); err != nil {
		return err
	}
	return store.PutJSON(tx, bucketNames, a.Name, key)
}

func deleteAssignment(tx store.Tx, a Assignment) error {
	return errors.Join(tx.Delete(bucketAssignments, assignmentKey(a.PrincipalID, a.Name)), tx.Delete(bucketNames, a.Name))
}

func assignmentByName(tx store.Tx, name string) (Assignment, error) {
	key, err := store.GetJSON[string](tx, bucketNames, strings.ToLower(name))
	if errors.Is(err, store.ErrNotFound) {
		return Assignment{}, ErrAssignmentNotFound
	}
	if err != nil {
		return Assignment{}, err
	}
	return store.GetJSON[Assignment](tx, bucketAssignments, key)
}

func assignmentAt(tx store.Tx, scope, name string) (Assignment, error) {
	want, err := scopeKey(scope)
	if err != nil {
		return Assignment{}, err
	}
	a, err := assignmentByName(tx, name)
	if err != nil {
		return Assignment{}, err
	}
	if at, err := scopeKey(a.Scope); err != nil || at != want {
		return Assignment{}, errors.Join(err, ErrAssignmentNotFound)
	}
	return a, nil
}

// isLastOwner reports whether a is a subscription's only Owner assignment.
func isLastOwner(tx store.Tx, a Assignment) (bool, error) {
	id, err := ids.Parse(a.Scope)
	if err != nil {
		return false, err
	}
	if a.RoleID != RoleOwner || id.Subscription == "" || id.ResourceGroup != "" || id.Namespace != "" {
		return false, nil
	}
	all, err := store.ListJSON[Assignment](tx, bucketAssignments, "")
	if err != nil {
		return false, err
	}
	for _, other := range all {
		if other.RoleID == RoleOwner && other.Name != a.Name && strings.EqualFold(other.Scope, a.Scope) {
			return false, nil
		}
	}
	return true, nil
}
