package envelope

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	gatedVersion = 2

	gateAAD      = "kustos database gate v1\x00"
	gatedAAD     = "kustos gated database key v1\x00"
	gateCheckAAD = "kustos database gate check v1\x00"
)

// gate is what stands before the keys of a database with a KEK of its own: a
// random key that only this KEK unwraps. A database key is sealed by the gate
// first and by the cluster key then, so it takes both KEKs to open it.
type gate struct {
	change sync.Mutex // one change of the database's KEK at a time

	// guarded by Keyring.mu
	key   aead.Key // zero while locked
	epoch int      // +1 with every locking
}

func (g *gate) shut() {
	g.key.Wipe()
	g.key = aead.Key{}
	g.epoch++
}

func (k *Keyring) gate(databaseID string) *gate {
	k.mu.Lock()
	defer k.mu.Unlock()
	g, ok := k.gates[databaseID]
	if !ok {
		g = &gate{}
		k.gates[databaseID] = g
	}
	return g
}

func (k *Keyring) gateSubject(databaseID string) subject {
	return subject{operations: "databasekey", name: "database " + databaseID, check: []byte(gateCheckAAD + k.id + "/" + databaseID)}
}

// gateFor is the gate that a record needs, zero when it needs none.
func (k *Keyring) gateFor(r databaseRecord, databaseID string) (aead.Key, error) {
	if r.KEK == nil {
		return aead.Key{}, nil
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if g, ok := k.gates[databaseID]; ok && !g.key.Wiped() {
		return g.key, nil
	}
	return aead.Key{}, fmt.Errorf("database %s: %w", databaseID, ErrDatabaseLocked)
}

// wrapDatabaseKey wraps by the cluster key: version byte 1 | nonce | ciphertext
// | tag; with a gate what is sealed is the key sealed by it, and the byte is 2.
func (k *Keyring) wrapDatabaseKey(cluster, gate aead.Key, databaseID string, version int, key aead.Key) ([]byte, error) {
	if gate == (aead.Key{}) { // not Wiped: a key that was locked away must not count as none
		aad, err := databaseKeyAAD(k.id, databaseID, version)
		if err != nil {
			return nil, err
		}
		return wrapKey(cluster, aad, key)
	}
	inner, err := bindDatabase(gateAAD, k.id, databaseID, version)
	if err != nil {
		return nil, err
	}
	outer, err := bindDatabase(gatedAAD, k.id, databaseID, version)
	if err != nil {
		return nil, err
	}
	var sealed []byte
	err = key.Reveal(func(raw []byte) (err error) {
		sealed, err = gate.Seal(inner, raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	if sealed, err = cluster.Seal(outer, sealed); err != nil {
		return nil, err
	}
	return append([]byte{gatedVersion}, sealed...), nil
}

// unwrapDatabaseKey reverses wrapDatabaseKey. With a gate it takes nothing that
// could be opened without.
func (k *Keyring) unwrapDatabaseKey(cluster, gate aead.Key, databaseID string, entry databaseKey) (aead.Key, error) {
	if gate == (aead.Key{}) {
		aad, err := databaseKeyAAD(k.id, databaseID, entry.Version)
		if err != nil {
			return aead.Key{}, err
		}
		return unwrapKey(cluster, aead.AES256GCM, aad, entry.Wrapped)
	}
	if len(entry.Wrapped) == 0 || entry.Wrapped[0] != gatedVersion {
		return aead.Key{}, aead.ErrAuthentication
	}
	inner, err := bindDatabase(gateAAD, k.id, databaseID, entry.Version)
	if err != nil {
		return aead.Key{}, err
	}
	outer, err := bindDatabase(gatedAAD, k.id, databaseID, entry.Version)
	if err != nil {
		return aead.Key{}, err
	}
	sealed, err := cluster.Open(outer, entry.Wrapped[1:])
	if err != nil {
		return aead.Key{}, err
	}
	raw, err := gate.Open(inner, sealed)
	if err != nil {
		return aead.Key{}, err
	}
	defer clear(raw)
	return aead.KeyFrom(raw)
}

func (k *Keyring) databaseRecord(ctx context.Context, databaseID string) (r databaseRecord, err error) {
	err = k.store.View(ctx, func(tx store.Tx) error { r, err = loadDatabase(tx, k.id, databaseID); return err })
	return r, err
}

// DatabaseWrapped returns the wrap by a database's own KEK; own is false when
// the database follows the cluster's.
func (k *Keyring) DatabaseWrapped(ctx context.Context, databaseID string) (w Wrapped, own bool, err error) {
	r, err := k.databaseRecord(ctx, databaseID)
	if err != nil || r.KEK == nil {
		return Wrapped{}, false, err
	}
	return *r.KEK, true, nil
}

// OwnKEKs returns the wraps of all databases that have a KEK of their own, by
// database id. It needs no key.
func (k *Keyring) OwnKEKs(ctx context.Context) (map[string]Wrapped, error) {
	out := make(map[string]Wrapped)
	err := k.store.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan(databaseBucket, k.id+"/", "") {
			if err != nil {
				return err
			}
			id := strings.TrimPrefix(e.Key, k.id+"/")
			r, err := loadDatabase(tx, k.id, id)
			if err != nil {
				return err
			}
			if r.KEK != nil {
				out[id] = *r.KEK
			}
		}
		return nil
	})
	return out, err
}

// UnlockDatabase asks the database's own KEK, always, and lets its keys be used
// until LockDatabase or Lock. The keyring must be unlocked. It does nothing for a
// database that follows the cluster. Errors as for Unlock.
func (k *Keyring) UnlockDatabase(ctx context.Context, databaseID string) error {
	g := k.gate(databaseID)
	k.mu.RLock()
	epoch := g.epoch
	k.mu.RUnlock()
	r, err := k.databaseRecord(ctx, databaseID)
	if err != nil || r.KEK == nil {
		return err
	}
	key, err := k.unwrapBy(ctx, k.gateSubject(databaseID), r.KEK.KEK, *r.KEK, r.Check)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if g.epoch != epoch || k.key.Wiped() {
		key.Wipe()
		return fmt.Errorf("locked while unlocking database %s: %w", databaseID, ErrLocked)
	}
	g.key.Wipe()
	g.key = key
	return nil
}

// LockDatabase wipes what opens the keys of a database with a KEK of its own.
func (k *Keyring) LockDatabase(databaseID string) {
	g := k.gate(databaseID)
	k.mu.Lock()
	defer k.mu.Unlock()
	g.shut()
}

// DatabaseLocked reports whether the keys of a database cannot be used now.
func (k *Keyring) DatabaseLocked(databaseID string) bool {
	if k.Locked() {
		return true
	}
	r, err := k.databaseRecord(context.Background(), databaseID)
	if err != nil {
		return true
	}
	_, err = k.gateFor(r, databaseID)
	return err != nil
}

// ProbeDatabase unwraps the wrap by the database's own KEK again and compares.
func (k *Keyring) ProbeDatabase(ctx context.Context, databaseID string) error {
	r, err := k.databaseRecord(ctx, databaseID)
	if err != nil || r.KEK == nil {
		return err
	}
	key, err := k.unwrapBy(ctx, k.gateSubject(databaseID), r.KEK.KEK, *r.KEK, r.Check)
	if err != nil {
		return err
	}
	defer key.Wipe()
	return key.Reveal(func(raw []byte) error {
		held, err := k.gateFor(r, databaseID)
		if err != nil {
			return nil // nothing is held that could be another
		}
		if !held.Equal(raw) && !held.Wiped() { // in this order: it may be locked in between
			return fmt.Errorf("probe key of database %s: %w", databaseID, ErrWrongKey)
		}
		return nil
	})
}

// ChangeDatabaseKEK gives a database a KEK of its own, another one, or, with
// PlatformKEK, the cluster's again. As with ChangeKEK the data is not touched, one
// transaction replaces the record, and on any error the old one stays in force.
// The old KEK is asked whenever there is one, and the keyring must be unlocked
// when the first comes or the last goes: the database's keys are sealed anew then.
func (k *Keyring) ChangeDatabaseKEK(ctx context.Context, databaseID string, kek KEK) error {
	g := k.gate(databaseID)
	g.change.Lock()
	defer g.change.Unlock()
	old, err := k.databaseRecord(ctx, databaseID)
	if err != nil {
		return err
	}
	subject := k.gateSubject(databaseID)
	off := kek.Kind != KindCustomer
	young := databaseRecord{Format: gatedFormat, Generation: old.Generation + 1, Check: old.Check}
	var key aead.Key
	defer func() { key.Wipe() }()
	switch {
	case old.KEK == nil && off:
		return nil
	case old.KEK == nil:
		key = aead.NewKey()
		if young.Check, err = key.Seal(subject.check, nil); err != nil {
			return err
		}
	default:
		if key, err = k.unwrapOld(ctx, subject, *old.KEK, old.Check, kek); err != nil {
			return err
		}
	}
	version := ""
	if off {
		young = databaseRecord{Format: recordFormat}
	} else {
		wrapped, err := k.rewrap(ctx, subject, kek, key, young.Check)
		if err != nil {
			return err
		}
		young.KEK, version = &wrapped, wrapped.KeyVersion
	}
	if err := k.replaceDatabase(ctx, databaseID, g, old, young, key); err != nil {
		err = k.note(ctx, subject, "rewrap", kek, version, err)
		return fmt.Errorf("replace wrap of database %s: %w", databaseID, err)
	}
	if err := k.note(ctx, subject, "rewrap", kek, version, nil); err != nil {
		k.log.ErrorContext(ctx, "a change of key is not in the audit log", "cluster", k.id, "database", databaseID, "error", err)
	}
	k.scrub(ctx, subject, kek, version)
	return nil
}

// replaceDatabase commits a changed record. When the gate is new it is put into
// the keyring before, so that no reader of the new record misses it.
func (k *Keyring) replaceDatabase(ctx context.Context, databaseID string, g *gate, old, young databaseRecord, key aead.Key) error {
	fresh := old.KEK == nil
	if fresh {
		err := key.Reveal(func(raw []byte) error {
			held, err := aead.KeyFrom(raw)
			if err != nil {
				return err
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.key.Wiped() {
				held.Wipe()
				return ErrLocked
			}
			g.key.Wipe()
			g.key = held
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := k.store.Update(ctx, func(tx store.Tx) error {
		now, err := loadDatabase(tx, k.id, databaseID)
		if err != nil {
			return err
		}
		if now.Generation != old.Generation || (now.KEK == nil) != (old.KEK == nil) {
			return ErrConflict
		}
		young.Keys = now.Keys
		if (now.KEK == nil) != (young.KEK == nil) {
			if young.Keys, err = k.resealKeys(databaseID, now, young, key); err != nil {
				return err
			}
		}
		return store.PutJSON(tx, databaseBucket, k.id+"/"+databaseID, young)
	})
	if (err != nil) == fresh { // a first KEK that did not come, or a last one that went
		if err != nil || young.KEK == nil {
			k.LockDatabase(databaseID)
		}
	}
	return err
}

// resealKeys puts a database's keys behind the gate, or takes them out.
func (k *Keyring) resealKeys(databaseID string, now, young databaseRecord, gate aead.Key) ([]databaseKey, error) {
	cluster, err := k.held()
	if err != nil {
		return nil, err
	}
	before, after := gate, aead.Key{}
	if young.KEK != nil {
		before, after = aead.Key{}, gate
	}
	out := make([]databaseKey, len(now.Keys))
	for i, entry := range now.Keys {
		key, err := k.unwrapDatabaseKey(cluster, before, databaseID, entry)
		if err != nil {
			if errors.Is(err, aead.ErrWiped) {
				err = ErrLocked
			}
			return nil, fmt.Errorf("unwrap key version %d: %w", entry.Version, err)
		}
		wrapped, err := k.wrapDatabaseKey(cluster, after, databaseID, entry.Version, key)
		key.Wipe()
		if err != nil {
			return nil, err
		}
		out[i] = databaseKey{Version: entry.Version, Wrapped: wrapped}
	}
	return out, nil
}
