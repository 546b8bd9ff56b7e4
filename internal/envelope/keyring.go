package envelope

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Config makes a Keyring. All but Log and Audit is required.
type Config struct {
	ClusterID string // GUID in lower case
	Store     store.Store
	Wrappers  KeyWrappers
	Log       *slog.Logger // nil: silent
	Audit     Auditor      // nil keeps no record
}

// Keyring is the key chain of one cluster. Its records are in the store; the
// cluster key is in memory from Unlock to Lock, database keys only while one
// call uses them. It is safe for concurrent use.
type Keyring struct {
	id       string
	store    store.Store
	wrappers KeyWrappers
	log      *slog.Logger
	audit    Auditor

	change sync.Mutex // serialises ChangeKEK

	mu    sync.RWMutex
	key   aead.Key // the cluster key; zero while locked
	layer aead.Key // the layer key; zero while locked, and in a cluster of one layer
	epoch int      // +1 with every Lock: an Unlock under way then installs nothing
	gates map[string]*gate
}

// New returns the locked keyring of a cluster. It reads nothing.
func New(cfg Config) (*Keyring, error) {
	if !ids.IsGUID(cfg.ClusterID) || cfg.ClusterID != strings.ToLower(cfg.ClusterID) {
		return nil, fmt.Errorf("cluster id %q is not a lower-case guid", cfg.ClusterID)
	}
	log := cfg.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Keyring{id: cfg.ClusterID, store: cfg.Store, wrappers: cfg.Wrappers, log: log, audit: cfg.Audit, gates: make(map[string]*gate)}, nil
}

// wrapper finds the KEK's wrapper, bound to this cluster when it can be.
func (k *Keyring) wrapper(ctx context.Context, kek KEK) (KeyWrapper, error) {
	w, err := k.wrappers.For(ctx, kek)
	if err != nil {
		return nil, fmt.Errorf("find wrapper of KEK: %w", err)
	}
	if b, ok := w.(clusterBound); ok {
		return b.ForCluster(k.id), nil
	}
	return w, nil
}

// Create makes the cluster key under the platform KEK inside the caller's
// transaction; the keyring stays locked. ErrExists when there is one. A
// customer's KEK is put over it by ChangeKEK afterwards: a vault is never
// called inside a transaction.
func (k *Keyring) Create(ctx context.Context, tx store.Tx) error {
	return k.create(ctx, tx, clusterRecord{Format: recordFormat, Generation: 1})
}

// CreateLayered is Create for a doubly encrypted cluster: it has a layer key
// beside the cluster key, which stays under the platform KEK for good. That
// cannot be changed later.
func (k *Keyring) CreateLayered(ctx context.Context, tx store.Tx) error {
	layer, err := k.newLayer(ctx)
	if err != nil {
		return err
	}
	return k.create(ctx, tx, clusterRecord{Format: layeredFormat, Generation: 1, Layer: layer})
}

func (k *Keyring) create(ctx context.Context, tx store.Tx, record clusterRecord) error {
	if _, err := tx.Get(clusterBucket, k.id); err == nil {
		return fmt.Errorf("cluster %s: %w", k.id, ErrExists)
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	w, err := k.wrapper(ctx, PlatformKEK())
	if err != nil {
		return err
	}
	key := aead.NewKey()
	defer key.Wipe()
	if record.Check, err = key.Seal(k.checkAAD(), nil); err != nil {
		return err
	}
	err = key.Reveal(func(raw []byte) (err error) {
		record.Wrapped, err = w.Wrap(ctx, raw)
		return k.note(ctx, k.self(), "wrap", PlatformKEK(), record.Wrapped.KeyVersion, err)
	})
	if err != nil {
		return fmt.Errorf("wrap key of cluster %s: %w", k.id, err)
	}
	return store.PutJSON(tx, clusterBucket, k.id, record)
}

// Delete removes the cluster's key and all its database keys: what they
// encrypted is lost. It needs no key. Lock is the caller's to call.
func (k *Keyring) Delete(tx store.Tx) error {
	if err := tx.Delete(clusterBucket, k.id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var doomed []string
	for e, err := range tx.Scan(databaseBucket, k.id+"/", "") {
		if err != nil {
			return err
		}
		doomed = append(doomed, e.Key)
	}
	for _, key := range doomed {
		if err := tx.Delete(databaseBucket, key); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keyring) checkAAD() []byte { return []byte(checkAAD + k.id) }

func (k *Keyring) record(ctx context.Context) (r clusterRecord, err error) {
	err = k.store.View(ctx, func(tx store.Tx) error { r, err = loadCluster(tx, k.id); return err })
	return r, err
}

// Wrapped returns the wrap in force: the KEK and the version that wrapped.
func (k *Keyring) Wrapped(ctx context.Context) (Wrapped, error) {
	r, err := k.record(ctx)
	return r.Wrapped, err
}

// subject is a key that a KEK wraps: the cluster key, or the gate of a database.
type subject struct {
	operations string // of the audit log: "clusterkey"
	name       string // "cluster 1a2b…"
	check      []byte // AAD of the record's check
}

func (k *Keyring) self() subject {
	return subject{operations: "clusterkey", name: "cluster " + k.id, check: k.checkAAD()}
}

// unwrap asks the KEK in force for the cluster key and checks that it is it.
func (k *Keyring) unwrap(ctx context.Context, r clusterRecord) (aead.Key, error) {
	return k.unwrapBy(ctx, k.self(), r.Wrapped.KEK, r.Wrapped, r.Check)
}

func (k *Keyring) unwrapBy(ctx context.Context, s subject, kek KEK, wrapped Wrapped, check []byte) (aead.Key, error) {
	w, err := k.wrapper(ctx, kek)
	if err != nil {
		return aead.Key{}, err
	}
	return k.unwrapWith(ctx, s, w, wrapped, check)
}

// unwrapOld unwraps with the KEK in force for a change to next. When the
// identity that reached the key is refused, and next is the same key reached by
// another, that one may unwrap instead: the vault says yes to it, and what comes
// out is checked as ever.
func (k *Keyring) unwrapOld(ctx context.Context, s subject, wrapped Wrapped, check []byte, next KEK) (aead.Key, error) {
	key, err := k.unwrapBy(ctx, s, wrapped.KEK, wrapped, check)
	if err == nil {
		return key, nil
	}
	err = fmt.Errorf("with the KEK in force: %w", err)
	if !errors.Is(err, ErrRevoked) || !wrapped.KEK.OtherWayTo(next) {
		return aead.Key{}, err
	}
	wrapped.KEK = next
	key, again := k.unwrapBy(ctx, s, next, wrapped, check)
	if again != nil {
		return aead.Key{}, fmt.Errorf("%w; as the new identity: %w", err, again)
	}
	return key, nil
}

func (k *Keyring) unwrapWith(ctx context.Context, s subject, w KeyWrapper, wrapped Wrapped, check []byte) (aead.Key, error) {
	raw, err := w.Unwrap(ctx, wrapped)
	if err = k.note(ctx, s, "unwrap", wrapped.KEK, wrapped.KeyVersion, err); err != nil {
		clear(raw)
	}
	if err != nil {
		return aead.Key{}, fmt.Errorf("unwrap key of %s: %w", s.name, err)
	}
	defer clear(raw)
	key, err := aead.KeyFrom(raw)
	if err != nil {
		return aead.Key{}, fmt.Errorf("unwrap key of %s: %w: %w", s.name, ErrWrongKey, err)
	}
	if _, err := key.Open(s.check, check); err != nil {
		key.Wipe()
		return aead.Key{}, fmt.Errorf("unwrap key of %s: %w", s.name, ErrWrongKey)
	}
	return key, nil
}

// rewrap wraps key with kek and unwraps it again to see that it works.
func (k *Keyring) rewrap(ctx context.Context, s subject, kek KEK, key aead.Key, check []byte) (wrapped Wrapped, err error) {
	next, err := k.wrapper(ctx, kek)
	if err != nil {
		return Wrapped{}, err
	}
	err = key.Reveal(func(raw []byte) (err error) {
		wrapped, err = next.Wrap(ctx, raw)
		return k.note(ctx, s, "wrap", kek, wrapped.KeyVersion, err)
	})
	if err != nil {
		return Wrapped{}, fmt.Errorf("wrap key of %s with the new KEK: %w", s.name, err)
	}
	wrapped.KEK = kek // as asked for: "" stays the newest version
	if wrapped.KeyVersion == "" {
		return Wrapped{}, fmt.Errorf("wrap key of %s: the wrapper does not say which key version wrapped", s.name)
	}
	verified, err := k.unwrapWith(ctx, s, next, wrapped, check)
	if err != nil {
		return Wrapped{}, fmt.Errorf("verify the new KEK: %w", err)
	}
	verified.Wipe()
	return wrapped, nil
}

// scrub overwrites what remains of a replaced record in the store's log now
// rather than at the store's next convenience. The new one is in force already.
func (k *Keyring) scrub(ctx context.Context, s subject, kek KEK, version string) {
	if err := store.Scrub(ctx, k.store); err != nil {
		k.log.WarnContext(ctx, "old wrap is not scrubbed from the store's log yet", "cluster", k.id, "key_of", s.name, "error", err)
	}
	k.log.InfoContext(ctx, "key wrapped anew", "cluster", k.id, "key_of", s.name, "kind", kek.Kind, "vault", kek.VaultURI, "key", kek.KeyName, "key_version", version)
}

// Unlock asks the KEK for the cluster key, always, and keeps it until Lock. It
// returns ErrRevoked, ErrUnavailable or ErrWrongKey with the keyring as it was,
// and ErrLocked when Lock was called meanwhile.
func (k *Keyring) Unlock(ctx context.Context) error {
	k.mu.RLock()
	epoch := k.epoch
	k.mu.RUnlock()
	r, err := k.record(ctx)
	if err != nil {
		return err
	}
	key, err := k.unwrap(ctx, r)
	if err != nil {
		return err
	}
	layer, err := k.unwrapLayer(ctx, r)
	if err != nil {
		key.Wipe()
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch != epoch {
		key.Wipe()
		layer.Wipe()
		return fmt.Errorf("locked while unlocking cluster %s: %w", k.id, ErrLocked)
	}
	k.key.Wipe()
	k.layer.Wipe()
	k.key, k.layer = key, layer
	return nil
}

// Lock wipes the cluster key, the layer key and what opens databases with a KEK of their own.
// DEKs that were handed out are their holders' to wipe. Locking twice is fine.
func (k *Keyring) Lock() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range k.gates {
		g.shut()
	}
	k.key.Wipe()
	k.layer.Wipe()
	k.key, k.layer = aead.Key{}, aead.Key{}
	k.epoch++
}

// Locked reports whether the cluster key is not in memory.
func (k *Keyring) Locked() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.key.Wiped()
}

// Probe unwraps the stored wrap again and compares. nil means the KEK still
// gives the cluster's key; the keyring is not changed either way.
func (k *Keyring) Probe(ctx context.Context) error {
	r, err := k.record(ctx)
	if err != nil {
		return err
	}
	key, err := k.unwrap(ctx, r)
	if err != nil {
		return err
	}
	defer key.Wipe()
	return key.Reveal(func(raw []byte) error {
		k.mu.RLock()
		held := k.key
		k.mu.RUnlock()
		if !held.Equal(raw) && !held.Wiped() { // in this order: Lock may come in between
			return fmt.Errorf("probe key of cluster %s: %w", k.id, ErrWrongKey)
		}
		return nil
	})
}

// ChangeKEK puts the cluster key under another KEK, or under the newest
// version of the same: one unwrap with the old, one wrap with the new, one
// unwrap with the new to see that it works, one durable transaction that
// replaces the old wrap. On any error, and on a crash at any point before that
// transaction, the old wrap stays in force. It needs the old KEK, or the same
// key reached by another identity, and works whether or not the keyring is
// unlocked; data is not touched.
func (k *Keyring) ChangeKEK(ctx context.Context, kek KEK) error {
	k.change.Lock()
	defer k.change.Unlock()
	old, err := k.record(ctx)
	if err != nil {
		return err
	}
	key, err := k.unwrapOld(ctx, k.self(), old.Wrapped, old.Check, kek)
	if err != nil {
		return err
	}
	defer key.Wipe()
	young := clusterRecord{Format: old.Format, Generation: old.Generation + 1, Check: old.Check, Layer: old.Layer}
	if young.Wrapped, err = k.rewrap(ctx, k.self(), kek, key, young.Check); err != nil {
		return err
	}
	err = k.store.Update(ctx, func(tx store.Tx) error {
		now, err := loadCluster(tx, k.id)
		if err != nil {
			return err
		}
		if now.Generation != old.Generation {
			return ErrConflict
		}
		return store.PutJSON(tx, clusterBucket, k.id, young)
	})
	if err = k.note(ctx, k.self(), "rewrap", kek, young.Wrapped.KeyVersion, err); err != nil {
		return fmt.Errorf("replace wrap of cluster %s: %w", k.id, err)
	}
	k.scrub(ctx, k.self(), kek, young.Wrapped.KeyVersion)
	return nil
}

// held returns the cluster key, or ErrLocked.
func (k *Keyring) held() (aead.Key, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.key.Wiped() {
		return aead.Key{}, fmt.Errorf("cluster %s: %w", k.id, ErrLocked)
	}
	return k.key, nil
}
