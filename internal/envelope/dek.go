package envelope

import (
	"encoding/binary"
	"fmt"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/ids"
)

// DEK encrypts one extent or one WAL segment. It prints as REDACTED; its
// holder must Wipe it.
type DEK = aead.Key

// WrappedDEKSize is the length of a wrapped DEK in bytes.
const WrappedDEKSize = 1 + aead.Overhead + aead.KeySize

const dekAAD = "kustos dek v1\x00"

// ObjectKind says what a DEK encrypts.
type ObjectKind byte

// The kinds; the numbers are part of the format.
const (
	Extent     ObjectKind = 1
	WALSegment ObjectKind = 2
)

// Object names what a DEK encrypts; both ids are GUIDs in lower case.
type Object struct {
	DatabaseID string
	Kind       ObjectKind
	ID         string
}

// aad: label | database id, 16 bytes | key version, 4 | kind, 1 | object id, 16.
func (o Object) aad(version int) ([]byte, error) {
	d, err := ids.ParseGUID(o.DatabaseID)
	if err != nil {
		return nil, fmt.Errorf("database id: %w", err)
	}
	id, err := ids.ParseGUID(o.ID)
	if err != nil {
		return nil, fmt.Errorf("object id: %w", err)
	}
	aad := append([]byte(dekAAD), d[:]...)
	aad = binary.BigEndian.AppendUint32(aad, uint32(version))
	aad = append(aad, byte(o.Kind))
	return append(aad, id[:]...), nil
}

// WrapDEK makes a fresh DEK for an object and wraps it with the database's
// newest key, whose version goes into the object's header beside the wrap. It
// reads the store: call it outside transactions. ErrLocked, ErrNotFound.
func (k *Keyring) WrapDEK(o Object) (dek DEK, wrapped []byte, keyVersion int, err error) {
	err = k.withDatabaseKey(o.DatabaseID, 0, func(key aead.Key, version int) error {
		dek = aead.NewKey()
		wrapped, err = WrapDEKWith(key, o, version, dek)
		keyVersion = version
		return err
	})
	if err != nil {
		dek.Wipe()
		return DEK{}, nil, 0, err
	}
	return dek, wrapped, keyVersion, nil
}

// UnwrapDEK opens the DEK of an object with the database key version its header
// names. It fails with aead.ErrAuthentication when wrap, version or object do
// not belong together. It reads the store: call it outside transactions.
func (k *Keyring) UnwrapDEK(o Object, keyVersion int, wrapped []byte) (dek DEK, err error) {
	if keyVersion < 1 {
		return DEK{}, fmt.Errorf("database %s, key version %d: %w", o.DatabaseID, keyVersion, ErrNotFound)
	}
	err = k.withDatabaseKey(o.DatabaseID, keyVersion, func(key aead.Key, version int) error {
		dek, err = UnwrapDEKWith(key, o, version, wrapped)
		return err
	})
	return dek, err
}

// WrapDEKWith is the wrap itself: version byte | nonce | ciphertext | tag.
func WrapDEKWith(databaseKey aead.Key, o Object, keyVersion int, dek DEK) ([]byte, error) {
	aad, err := o.aad(keyVersion)
	if err != nil {
		return nil, err
	}
	wrapped, err := wrapKey(databaseKey, aad, dek)
	if err != nil {
		return nil, fmt.Errorf("wrap dek of %s: %w", o.ID, err)
	}
	return wrapped, nil
}

// UnwrapDEKWith reverses WrapDEKWith.
func UnwrapDEKWith(databaseKey aead.Key, o Object, keyVersion int, wrapped []byte) (DEK, error) {
	aad, err := o.aad(keyVersion)
	if err != nil {
		return DEK{}, err
	}
	dek, err := unwrapKey(databaseKey, aad, wrapped)
	if err != nil {
		return DEK{}, fmt.Errorf("unwrap dek of %s with version %d of the key of database %s: %w", o.ID, keyVersion, o.DatabaseID, err)
	}
	return dek, nil
}
