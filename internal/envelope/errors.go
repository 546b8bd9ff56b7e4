package envelope

import (
	"errors"
	"fmt"
)

var (
	// ErrRevoked: the KEK's owner refuses, definitively: the key, its version,
	// the vault or the permission is gone. Always a *RevokedError.
	ErrRevoked = errors.New("key is revoked")
	// ErrUnavailable: nobody could say (network, 5xx, 429). Try again.
	ErrUnavailable = errors.New("key vault is unavailable")
	// ErrLocked: the keyring holds no key; Unlock first.
	ErrLocked = errors.New("keyring is locked")
	// ErrWrongKey: the KEK unwrapped something that is not this cluster's key.
	ErrWrongKey = errors.New("unwrapped key is not the cluster's key")
	// ErrExists: the cluster has a key already.
	ErrExists = errors.New("cluster key exists already")
	// ErrNotFound: the cluster or the database has no key, or not this version.
	ErrNotFound = errors.New("no such key")
	// ErrConflict: another ChangeKEK finished first; nothing was changed.
	ErrConflict = errors.New("the KEK was changed meanwhile")
	// ErrDatabaseKEK: a database's record contradicts itself about a KEK of its own.
	ErrDatabaseKEK = errors.New("the record does not fit a database with a KEK of its own")
	// ErrDatabaseLocked: the database has a KEK of its own and is not unlocked. It is ErrLocked too.
	ErrDatabaseLocked = fmt.Errorf("the key of the database is not there: %w", ErrLocked)
	// ErrLayerKey: a cluster's record contradicts itself about a second layer.
	ErrLayerKey = errors.New("the record does not fit a doubly encrypted cluster")
	// ErrNewerFormat: a record or wrap was written by a newer version.
	ErrNewerFormat = errors.New("written by a newer version of kustos")
)

// RevokedError says why a KEK refuses. It is ErrRevoked to errors.Is.
type RevokedError struct {
	Code     string // an azerr code: "KeyNotFound", "IdentityDoesNotHaveAccessToKeyVault" …
	VaultURI string
	Reason   string // a sentence for people, without secrets
	Cause    error  // for the log; may be nil
}

func (e *RevokedError) Error() string {
	return fmt.Sprintf("key is revoked: %s (%s, %s)", e.Reason, e.Code, e.VaultURI)
}

// Is makes errors.Is(err, ErrRevoked) true.
func (e *RevokedError) Is(target error) bool { return target == ErrRevoked }

// Unwrap is Cause.
func (e *RevokedError) Unwrap() error { return e.Cause }
