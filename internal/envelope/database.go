package envelope

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	valueVersion  = 1
	layeredValue  = 2     // of a doubly encrypted cluster
	valueHeader   = 1 + 4 // version, database key version
	valueAAD      = "kustos database value v1\x00"
	layerValueAAD = "kustos layer value v1\x00"
)

// NewDatabaseKey adds a key for the database inside the caller's transaction
// and returns its version: 1 for a new database, the next one for a rotation.
// New DEKs and values use it once the transaction is committed; older ones
// keep theirs. The keyring must be unlocked.
func (k *Keyring) NewDatabaseKey(tx store.Tx, databaseID string) (version int, err error) {
	cluster, err := k.held()
	if err != nil {
		return 0, err
	}
	record, err := loadDatabase(tx, k.id, databaseID)
	if errors.Is(err, ErrNotFound) {
		record = databaseRecord{Format: recordFormat}
	} else if err != nil {
		return 0, err
	}
	version = 1
	if n := len(record.Keys); n > 0 {
		version = record.Keys[n-1].Version + 1 // older ones may be gone: no version comes twice
	}
	key := aead.NewKey()
	defer key.Wipe()
	gate, err := k.gateFor(record, databaseID)
	if err != nil {
		return 0, err
	}
	wrapped, err := k.wrapDatabaseKey(cluster, gate, databaseID, version, key)
	if errors.Is(err, aead.ErrWiped) {
		err = ErrLocked // Lock came in between
	}
	if err != nil {
		return 0, fmt.Errorf("wrap key of database %s: %w", databaseID, err)
	}
	record.Keys = append(record.Keys, databaseKey{Version: version, Wrapped: wrapped})
	return version, store.PutJSON(tx, databaseBucket, k.id+"/"+databaseID, record)
}

// DeleteDatabase removes the database's keys inside the caller's transaction:
// what they encrypted is lost. It needs no key, and none need be there.
func (k *Keyring) DeleteDatabase(tx store.Tx, databaseID string) error {
	err := tx.Delete(databaseBucket, k.id+"/"+databaseID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// databaseKey unwraps one version (0: the newest) with the cluster key. The
// caller wipes it.
func (k *Keyring) databaseKey(tx store.Tx, databaseID string, version int) (aead.Key, int, error) {
	cluster, err := k.held()
	if err != nil {
		return aead.Key{}, 0, err
	}
	record, err := loadDatabase(tx, k.id, databaseID)
	if err != nil {
		return aead.Key{}, 0, err
	}
	entry, err := record.pick(databaseID, version)
	if err != nil {
		return aead.Key{}, 0, err
	}
	gate, err := k.gateFor(record, databaseID)
	if err != nil {
		return aead.Key{}, 0, err
	}
	key, err := k.unwrapDatabaseKey(cluster, gate, databaseID, entry)
	if err != nil {
		if errors.Is(err, aead.ErrWiped) {
			err = ErrLocked // Lock came in between
		}
		return aead.Key{}, 0, fmt.Errorf("unwrap key of database %s, version %d: %w", databaseID, entry.Version, err)
	}
	return key, entry.Version, nil
}

// withDatabaseKey runs fn with one version of a database's key (0: the newest
// committed one) and wipes it after.
func (k *Keyring) withDatabaseKey(databaseID string, version int, fn func(key aead.Key, version int) error) error {
	err := k.withDatabaseKeyOnce(databaseID, version, fn)
	if errors.Is(err, ErrDatabaseLocked) && !k.DatabaseLocked(databaseID) {
		// Its own KEK was put off, or on, between the reading of the record and of the gate.
		err = k.withDatabaseKeyOnce(databaseID, version, fn)
	}
	return err
}

func (k *Keyring) withDatabaseKeyOnce(databaseID string, version int, fn func(key aead.Key, version int) error) error {
	return k.store.View(context.Background(), func(tx store.Tx) error {
		key, version, err := k.databaseKey(tx, databaseID, version)
		if err != nil {
			return err
		}
		defer key.Wipe()
		return fn(key, version)
	})
}

// SealDatabase seals a value of the catalogue (statistics, policies, function
// bodies, query text) under the database's newest key, bound to context. It
// reads the store: inside a transaction use Sealer.
func (k *Keyring) SealDatabase(databaseID, context string, plaintext []byte) (sealed []byte, err error) {
	layer, err := k.heldLayer()
	if err != nil {
		return nil, err
	}
	err = k.withDatabaseKey(databaseID, 0, func(key aead.Key, version int) (err error) {
		sealed, err = sealValue(key, layer, databaseID, version, context, plaintext)
		return err
	})
	return sealed, err
}

// OpenDatabase reverses SealDatabase, whatever the key's version.
func (k *Keyring) OpenDatabase(databaseID, context string, sealed []byte) (plaintext []byte, err error) {
	version, err := ValueKeyVersion(sealed)
	if err != nil {
		return nil, err
	}
	layer, err := k.heldLayer()
	if err != nil {
		return nil, err
	}
	err = k.withDatabaseKey(databaseID, version, func(key aead.Key, _ int) (err error) {
		plaintext, err = openValue(key, layer, databaseID, context, sealed)
		return err
	})
	return plaintext, err
}

// Sealer seals and opens values of a database inside tx, with keys as tx sees
// them (one that tx just made included). It is valid as long as tx.
func (k *Keyring) Sealer(tx store.Tx, databaseID string) store.Sealer {
	return &txSealer{k, tx, databaseID}
}

type txSealer struct {
	ring     *Keyring
	tx       store.Tx
	database string
}

func (s *txSealer) Seal(context string, plaintext []byte) ([]byte, error) {
	layer, err := s.ring.heldLayer()
	if err != nil {
		return nil, err
	}
	key, version, err := s.ring.databaseKey(s.tx, s.database, 0)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return sealValue(key, layer, s.database, version, context, plaintext)
}

func (s *txSealer) Open(context string, sealed []byte) ([]byte, error) {
	version, err := ValueKeyVersion(sealed)
	if err != nil {
		return nil, err
	}
	layer, err := s.ring.heldLayer()
	if err != nil {
		return nil, err
	}
	key, _, err := s.ring.databaseKey(s.tx, s.database, version)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	return openValue(key, layer, s.database, context, sealed)
}

// ValueKeyVersion is the version of the database key that a sealed value names.
// Nothing of it is authenticated before the value is opened.
func ValueKeyVersion(sealed []byte) (int, error) {
	if len(sealed) < valueHeader || sealed[0] == 0 {
		return 0, fmt.Errorf("open database value: %w", aead.ErrAuthentication)
	}
	if sealed[0] > layeredValue {
		return 0, fmt.Errorf("database value has format %d, this binary knows up to %d: %w", sealed[0], layeredValue, ErrNewerFormat)
	}
	version := int(binary.BigEndian.Uint32(sealed[1:]))
	if version == 0 {
		return 0, fmt.Errorf("open database value: %w", aead.ErrAuthentication)
	}
	return version, nil
}

// valueBinding: label | header | database id, 16 bytes | context.
func valueBinding(label string, header []byte, databaseID, context string) ([]byte, error) {
	d, err := ids.ParseGUID(databaseID)
	if err != nil {
		return nil, fmt.Errorf("database id: %w", err)
	}
	aad := append([]byte(label), header...)
	aad = append(aad, d[:]...)
	return append(aad, context...), nil
}

// sealValue: version byte, 2 with a layer key | database key version, 4 | nonce
// | ciphertext | tag, the last three sealed once more by the layer key.
func sealValue(key, layer aead.Key, databaseID string, version int, context string, plaintext []byte) ([]byte, error) {
	format := byte(valueVersion)
	if layer != (aead.Key{}) {
		format = layeredValue
	}
	header := binary.BigEndian.AppendUint32([]byte{format}, uint32(version))
	aad, err := valueBinding(valueAAD, header, databaseID, context)
	if err != nil {
		return nil, err
	}
	sealed, err := key.Seal(aad, plaintext)
	if err == nil && format == layeredValue {
		if aad, err = valueBinding(layerValueAAD, header, databaseID, context); err == nil {
			sealed, err = layer.Seal(aad, sealed)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("seal value of database %s: %w", databaseID, lockedIfWiped(err))
	}
	return append(header, sealed...), nil
}

func openValue(key, layer aead.Key, databaseID, context string, sealed []byte) ([]byte, error) {
	header, sealed := sealed[:valueHeader], sealed[valueHeader:]
	if (header[0] == layeredValue) != (layer != aead.Key{}) {
		return nil, fmt.Errorf("open value of database %s: %w", databaseID, ErrLayers)
	}
	if header[0] == layeredValue {
		aad, err := valueBinding(layerValueAAD, header, databaseID, context)
		if err != nil {
			return nil, err
		}
		if sealed, err = layer.Open(aad, sealed); err != nil {
			return nil, fmt.Errorf("open second layer of a value of database %s: %w", databaseID, lockedIfWiped(err))
		}
	}
	aad, err := valueBinding(valueAAD, header, databaseID, context)
	if err != nil {
		return nil, err
	}
	plaintext, err := key.Open(aad, sealed)
	if err != nil {
		return nil, fmt.Errorf("open value of database %s: %w", databaseID, lockedIfWiped(err))
	}
	return plaintext, nil
}
