package envelope_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

var ctx = context.Background()

// fakeVault holds one AES key per version, can refuse, and counts calls.
type fakeVault struct {
	mu       sync.Mutex
	versions map[string]aead.Key
	newest   string
	fail     map[string]error // "wrap", "unwrap" or a version
	wraps    int
	unwraps  int
	onUnwrap func()
}

func newVault(versions ...string) *fakeVault {
	v := &fakeVault{versions: map[string]aead.Key{}, fail: map[string]error{}}
	for _, name := range versions {
		v.versions[name] = aead.NewKey()
		v.newest = name
	}
	return v
}

func (v *fakeVault) For(_ context.Context, kek envelope.KEK) (envelope.KeyWrapper, error) {
	return &fakeWrapper{v, kek}, nil
}

func (v *fakeVault) set(what string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fail[what] = err
}

type fakeWrapper struct {
	vault *fakeVault
	kek   envelope.KEK
}

func (w *fakeWrapper) Wrap(_ context.Context, key []byte) (envelope.Wrapped, error) {
	v := w.vault
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wraps++
	version := w.kek.KeyVersion
	if version == "" {
		version = v.newest
	}
	if err := errors.Join(v.fail["wrap"], v.fail[version]); err != nil {
		return envelope.Wrapped{}, err
	}
	sealed, err := v.versions[version].Seal(nil, key)
	return envelope.Wrapped{KEK: w.kek, KeyVersion: version, Algorithm: "fake", Ciphertext: sealed}, err
}

func (w *fakeWrapper) Unwrap(_ context.Context, wrapped envelope.Wrapped) ([]byte, error) {
	v := w.vault
	if v.onUnwrap != nil {
		v.onUnwrap()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unwraps++
	if err := errors.Join(v.fail["unwrap"], v.fail[wrapped.KeyVersion]); err != nil {
		return nil, err
	}
	return v.versions[wrapped.KeyVersion].Open(nil, wrapped.Ciphertext)
}

func customer(version string) envelope.KEK {
	return envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k", KeyVersion: version,
		Identity: envelope.Identity{ObjectID: "o"}}
}

func revoked() error {
	return &envelope.RevokedError{Code: "KeyNotFound", VaultURI: "https://v.vault.azure.net", Reason: "the key is disabled"}
}

type fixture struct {
	store store.Store
	vault *fakeVault
	ring  *envelope.Keyring
	cfg   envelope.Config
	db    string
}

// newFixture is an unlocked cluster with one database.
func newFixture(t testing.TB, s store.Store) *fixture {
	t.Helper()
	return makeFixture(t, s, (*envelope.Keyring).Create)
}

// newLayered is newFixture with a doubly encrypted cluster.
func newLayered(t testing.TB) *fixture {
	t.Helper()
	return makeFixture(t, memstore.New(), (*envelope.Keyring).CreateLayered)
}

func makeFixture(t testing.TB, s store.Store, create func(*envelope.Keyring, context.Context, store.Tx) error) *fixture {
	t.Helper()
	platform, err := envelope.NewPlatform(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{store: s, vault: newVault("v1", "v2"), db: ids.NewGUID()}
	f.cfg = envelope.Config{ClusterID: ids.NewGUID(), Store: s, Wrappers: envelope.Wrappers{Platform: platform, Customer: f.vault}}
	if f.ring, err = envelope.New(f.cfg); err != nil {
		t.Fatal(err)
	}
	must(t, s.Update(ctx, func(tx store.Tx) error { return create(f.ring, ctx, tx) }))
	if !f.ring.Locked() {
		t.Error("unlocked by Create")
	}
	must(t, f.ring.Unlock(ctx))
	must(t, s.Update(ctx, func(tx store.Tx) error { _, err := f.ring.NewDatabaseKey(tx, f.db); return err }))
	return f
}

// restarted is a second keyring over the same records, locked.
func (f *fixture) restarted(t testing.TB) *envelope.Keyring {
	t.Helper()
	ring, err := envelope.New(f.cfg)
	must(t, err)
	return ring
}

func (f *fixture) rotateDatabase(t testing.TB) {
	t.Helper()
	must(t, f.store.Update(ctx, func(tx store.Tx) error { _, err := f.ring.NewDatabaseKey(tx, f.db); return err }))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: got %v, want %v", what, err, target)
	}
}

func TestLockWipes(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: ids.NewGUID()}
	_, wrapped, version, err := f.ring.WrapDEK(object)
	must(t, err)
	sealed, err := f.ring.SealDatabase(f.db, "stats", []byte("min"))
	must(t, err)
	f.ring.Lock()
	f.ring.Lock()
	if !f.ring.Locked() {
		t.Error("not locked")
	}
	_, _, _, err = f.ring.WrapDEK(object)
	wantErr(t, "wrap dek", err, envelope.ErrLocked)
	_, err = f.ring.UnwrapDEK(object, version, wrapped)
	wantErr(t, "unwrap dek", err, envelope.ErrLocked)
	_, err = f.ring.SealDatabase(f.db, "stats", nil)
	wantErr(t, "seal", err, envelope.ErrLocked)
	_, err = f.ring.OpenDatabase(f.db, "stats", sealed)
	wantErr(t, "open", err, envelope.ErrLocked)
	err = f.store.Update(ctx, func(tx store.Tx) error { _, err := f.ring.NewDatabaseKey(tx, ids.NewGUID()); return err })
	wantErr(t, "new database key", err, envelope.ErrLocked)

	must(t, f.ring.Unlock(ctx))
	if got, err := f.ring.OpenDatabase(f.db, "stats", sealed); err != nil || string(got) != "min" {
		t.Errorf("after unlock: %q, %v", got, err)
	}
}

func TestCreateTwiceAndDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	err := f.store.Update(ctx, func(tx store.Tx) error { return f.ring.Create(ctx, tx) })
	wantErr(t, "second create", err, envelope.ErrExists)
	must(t, f.store.Update(ctx, f.ring.Delete))
	must(t, f.store.Update(ctx, f.ring.Delete))
	wantErr(t, "unlock", f.ring.Unlock(ctx), envelope.ErrNotFound)
	wantErr(t, "probe", f.ring.Probe(ctx), envelope.ErrNotFound)
	wantErr(t, "change", f.ring.ChangeKEK(ctx, customer("")), envelope.ErrNotFound)
	_, err = f.ring.SealDatabase(f.db, "", nil)
	wantErr(t, "seal", err, envelope.ErrNotFound)
}

func TestBadClusterID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"", "demo", "0B1F6471-1BF0-4DDA-AEC3-111122223333"} {
		if _, err := envelope.New(envelope.Config{ClusterID: id}); err == nil {
			t.Errorf("%q was taken", id)
		}
	}
}

func TestPlatformBindsTheCluster(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	p, err := envelope.NewPlatform(ctx, s)
	must(t, err)
	again, err := envelope.NewPlatform(ctx, s)
	must(t, err)
	a, b := p.ForCluster("a"), p.ForCluster("b")
	w, err := a.Wrap(ctx, []byte("key"))
	must(t, err)
	if got, err := again.ForCluster("a").Unwrap(ctx, w); err != nil || string(got) != "key" {
		t.Errorf("same cluster: %q, %v", got, err)
	}
	_, err = b.Unwrap(ctx, w)
	wantErr(t, "other cluster", err, aead.ErrAuthentication)
	if _, err := p.Wrap(ctx, []byte("key")); err == nil {
		t.Error("wrapped for no cluster")
	}
	w.KeyVersion = "2"
	if _, err := a.Unwrap(ctx, w); err == nil {
		t.Error("unwrapped with a version that does not exist")
	}
	p.Close()
	_, err = a.Wrap(ctx, []byte("key"))
	wantErr(t, "after close", err, aead.ErrWiped)
	if _, err := (envelope.Wrappers{Platform: again}).For(ctx, customer("")); err == nil {
		t.Error("a customer's KEK was found where there is none")
	}
}

// sameDEK compares the keys of all layers.
func sameDEK(t testing.TB, a, b envelope.DEK) bool {
	t.Helper()
	if len(a.Keys()) != len(b.Keys()) {
		return false
	}
	same := true
	for i, key := range a.Keys() {
		must(t, key.Reveal(func(raw []byte) error { same = same && b.Keys()[i].Equal(raw); return nil }))
	}
	return same
}

func TestDatabaseKeyVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: ids.NewGUID()}
	dek1, wrapped1, v1, err := f.ring.WrapDEK(object)
	must(t, err)
	f.rotateDatabase(t)
	dek2, wrapped2, v2, err := f.ring.WrapDEK(object)
	must(t, err)
	if v1 != 1 || v2 != 2 || len(wrapped1.Key) != envelope.WrappedDEKSize || wrapped1.Layer != nil {
		t.Errorf("versions %d, %d, wrap of %d bytes", v1, v2, len(wrapped1.Key))
	}
	for _, c := range []struct {
		version int
		wrapped envelope.WrappedDEK
		dek     envelope.DEK
	}{{v1, wrapped1, dek1}, {v2, wrapped2, dek2}} {
		got, err := f.ring.UnwrapDEK(object, c.version, c.wrapped)
		must(t, err)
		if !sameDEK(t, got, c.dek) {
			t.Errorf("version %d: another dek", c.version)
		}
	}
	other := object
	other.ID = ids.NewGUID()
	asWAL := object
	asWAL.Kind = envelope.WALSegment
	for name, c := range map[string]struct {
		o       envelope.Object
		version int
		wrapped envelope.WrappedDEK
		want    error
	}{
		"wrong version":  {object, 2, wrapped1, aead.ErrAuthentication},
		"no version":     {object, 3, wrapped1, envelope.ErrNotFound},
		"version 0":      {object, 0, wrapped1, envelope.ErrNotFound},
		"other object":   {other, 1, wrapped1, aead.ErrAuthentication},
		"other kind":     {asWAL, 1, wrapped1, aead.ErrAuthentication},
		"other database": {envelope.Object{DatabaseID: ids.NewGUID(), Kind: envelope.Extent, ID: object.ID}, 1, wrapped1, envelope.ErrNotFound},
		"empty":          {object, 1, envelope.WrappedDEK{}, aead.ErrAuthentication},
		"newer wrap":     {object, 1, envelope.WrappedDEK{Key: append([]byte{2}, wrapped1.Key[1:]...)}, envelope.ErrNewerFormat},
	} {
		_, err := f.ring.UnwrapDEK(c.o, c.version, c.wrapped)
		wantErr(t, name, err, c.want)
	}
}

// TestUncommittedKeyIsNotUsed: a rotation that is rolled back must leave no
// DEK behind that nobody can unwrap.
func TestUncommittedKeyIsNotUsed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: ids.NewGUID()}
	var sealed []byte
	refused := errors.New("refused")
	err := f.store.Update(ctx, func(tx store.Tx) error {
		version, err := f.ring.NewDatabaseKey(tx, f.db)
		must(t, err)
		sealer := f.ring.Sealer(tx, f.db)
		sealed, err = sealer.Seal("c", []byte("v"))
		must(t, err)
		if got, err := sealer.Open("c", sealed); version != 2 || err != nil || string(got) != "v" {
			t.Errorf("inside the transaction: version %d, %q, %v", version, got, err)
		}
		return refused
	})
	wantErr(t, "update", err, refused)
	_, err = f.ring.OpenDatabase(f.db, "c", sealed)
	wantErr(t, "value of the rolled back key", err, envelope.ErrNotFound)
	if _, _, version, err := f.ring.WrapDEK(object); err != nil || version != 1 {
		t.Errorf("version %d, %v", version, err)
	}
}

func TestDatabaseValues(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	rapid.Check(t, func(t *rapid.T) {
		where, plain := rapid.String().Draw(t, "context"), rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed, err := f.ring.SealDatabase(f.db, where, plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := f.ring.OpenDatabase(f.db, where, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("open: %x, %v", got, err)
		}
		if _, err := f.ring.OpenDatabase(f.db, where+"x", sealed); !errors.Is(err, aead.ErrAuthentication) {
			t.Fatalf("other context: %v", err)
		}
		sealed[rapid.IntRange(0, len(sealed)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := f.ring.OpenDatabase(f.db, where, sealed); err == nil {
			t.Fatal("a flipped bit opened")
		}
	})
	for _, short := range [][]byte{nil, {1}, {1, 0, 0, 0, 1}, {1, 0, 0, 0, 0}, {0, 0, 0, 0, 1}} {
		if _, err := f.ring.OpenDatabase(f.db, "", short); !errors.Is(err, aead.ErrAuthentication) {
			t.Errorf("%v: %v", short, err)
		}
	}
}

func TestDatabaseKEKIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	key := f.cfg.ClusterID + "/" + f.db
	must(t, f.store.Update(ctx, func(tx store.Tx) error {
		r, err := store.GetJSON[map[string]any](tx, "envelope.databases", key)
		must(t, err)
		r["kek"] = envelope.Wrapped{KEK: customer("")}
		return store.PutJSON(tx, "envelope.databases", key, r)
	}))
	_, err := f.ring.SealDatabase(f.db, "", nil)
	wantErr(t, "database with its own KEK", err, envelope.ErrDatabaseKEK)
}

// TestOldWrapIsGone: after a change of KEK nothing on the disk can be unwrapped
// with the old one any more; the store is not sealed here so that it can be seen.
func TestOldWrapIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := sqlstore.Open(ctx, filepath.Join(dir, "state.db"))
	must(t, err)
	t.Cleanup(func() { _ = s.Close() })
	f := newFixture(t, s)
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	old, err := f.ring.Wrapped(ctx)
	must(t, err)
	must(t, f.ring.ChangeKEK(ctx, customer("v2")))
	now, err := f.ring.Wrapped(ctx)
	must(t, err)
	find := func(w envelope.Wrapped) (n int) {
		needle, err := json.Marshal(w.Ciphertext)
		must(t, err)
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		must(t, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			must(t, err)
			n += bytes.Count(data, needle)
		}
		return n
	}
	if n := find(old); n != 0 {
		t.Errorf("the old wrap is %d times on the disk", n)
	}
	if n := find(now); n != 1 {
		t.Errorf("the new wrap is %d times on the disk", n)
	}
}

func ExampleKeyring() {
	s := memstore.New() // store.Sealed(sqlstore, barrier) in earnest
	platform, _ := envelope.NewPlatform(ctx, s)
	cluster, database, extent := ids.NewGUID(), ids.NewGUID(), ids.NewGUID()
	ring, _ := envelope.New(envelope.Config{ClusterID: cluster, Store: s, Wrappers: envelope.Wrappers{Platform: platform}})
	_ = s.Update(ctx, func(tx store.Tx) error { return ring.Create(ctx, tx) })
	_ = ring.Unlock(ctx)
	_ = s.Update(ctx, func(tx store.Tx) error { _, err := ring.NewDatabaseKey(tx, database); return err })
	dek, wrapped, version, _ := ring.WrapDEK(envelope.Object{DatabaseID: database, Kind: envelope.Extent, ID: extent})
	fmt.Println(dek, len(wrapped.Key), version)
	// Output: REDACTED 61 1
}

func TestRevokedErrorText(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("unwrap: %w", revoked())
	var r *envelope.RevokedError
	if !errors.As(err, &r) || !errors.Is(err, envelope.ErrRevoked) || errors.Is(err, envelope.ErrUnavailable) {
		t.Errorf("not recognised: %v", err)
	}
	if diff := cmp.Diff("unwrap: key is revoked: the key is disabled (KeyNotFound, https://v.vault.azure.net)", err.Error()); diff != "" {
		t.Error(diff)
	}
}
