package scope

import (
	"errors"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const lockBucket = "arm.locks"

// ErrNoLock is returned for a lock that does not exist.
var ErrNoLock = errors.New("no such lock")

// LockLevel is what a lock forbids.
type LockLevel string

// The levels. ReadOnly forbids deletion as well.
const (
	CanNotDelete LockLevel = "CanNotDelete"
	ReadOnly     LockLevel = "ReadOnly"
)

// Lock forbids changes of a subscription, a group or a resource, and of
// everything below it.
type Lock struct {
	// Scope is the id of what is locked, as the caller wrote it.
	Scope  string
	Name   string
	Level  LockLevel
	Notes  string
	Owners []string // application ids
}

// ID is the lock's own resource id.
func (l Lock) ID() string { return l.Scope + "/providers/Microsoft.Authorization/locks/" + l.Name }

func lockKey(at ids.ID, name string) string { return at.Key() + "|" + strings.ToLower(name) }

// FindLock returns the lock of that name at exactly that scope, or ErrNoLock.
func FindLock(tx store.Tx, at ids.ID, name string) (Lock, error) {
	l, err := store.GetJSON[Lock](tx, lockBucket, lockKey(at, name))
	if errors.Is(err, store.ErrNotFound) {
		return Lock{}, ErrNoLock
	}
	return l, err
}

// PutLock inserts or replaces a lock at its scope.
func PutLock(tx store.Tx, at ids.ID, l Lock) error {
	return store.PutJSON(tx, lockBucket, lockKey(at, l.Name), l)
}

// DeleteLock removes a lock, or returns ErrNoLock.
func DeleteLock(tx store.Tx, at ids.ID, name string) error {
	if _, err := FindLock(tx, at, name); err != nil {
		return err
	}
	return tx.Delete(lockBucket, lockKey(at, name))
}

// LocksAbove lists the locks at a scope and at everything it is in, from the
// outermost to the innermost.
func LocksAbove(tx store.Tx, at ids.ID) ([]Lock, error) {
	var found []Lock
	for _, scope := range Chain(at) {
		some, err := store.ListJSON[Lock](tx, lockBucket, scope.Key()+"|")
		if err != nil {
			return nil, err
		}
		found = append(found, some...)
	}
	return found, nil
}

// LocksBelow lists the locks below a scope, not at it.
func LocksBelow(tx store.Tx, at ids.ID) ([]Lock, error) {
	return store.ListJSON[Lock](tx, lockBucket, strings.TrimSuffix(at.Key(), "/")+"/")
}

// Chain lists the scopes that reach an id, from the outermost inward and with
// the id itself: subscription, group, the resource extended, parents. The
// tenant is left out.
func Chain(id ids.ID) []ids.ID {
	var chain []ids.ID
	for {
		if id.Namespace == "" {
			if id.ResourceGroup != "" {
				chain = append(chain, ids.ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup})
			}
			if id.Subscription != "" {
				chain = append(chain, ids.ID{Subscription: id.Subscription})
			}
			slices.Reverse(chain)
			return chain
		}
		chain = append(chain, id)
		if parent, ok := id.ParentResource(); ok {
			id = parent
		} else {
			id = id.Scope()
		}
	}
}

// Locked lists the scopes whose locks forbid a change of the resource or scope
// at: a write by a ReadOnly lock at or above it; a deletion by any lock at or
// above, and by one on something inside, which would go too.
func Locked(tx store.Tx, at ids.ID, deletion bool) ([]string, error) {
	locks, err := LocksAbove(tx, at)
	if err != nil {
		return nil, err
	}
	if deletion {
		below, err := LocksBelow(tx, at)
		if err != nil {
			return nil, err
		}
		locks = append(locks, below...)
	}
	var scopes []string
	for _, l := range locks {
		if (deletion || l.Level == ReadOnly) && !slices.ContainsFunc(scopes, func(s string) bool { return strings.EqualFold(s, l.Scope) }) {
			scopes = append(scopes, l.Scope)
		}
	}
	return scopes, nil
}
