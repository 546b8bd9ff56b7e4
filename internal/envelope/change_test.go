package envelope_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

func TestChangeKEK(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	sealed, err := f.ring.SealDatabase(f.db, "c", []byte("v"))
	must(t, err)
	steps := []struct {
		kek     envelope.KEK
		version string
	}{{customer("v1"), "v1"}, {customer("v2"), "v2"}, {customer(""), "v2"}, {envelope.PlatformKEK(), "1"}, {customer("v1"), "v1"}}
	for _, step := range steps {
		must(t, f.ring.ChangeKEK(ctx, step.kek))
		w, err := f.ring.Wrapped(ctx)
		must(t, err)
		if diff := cmp.Diff(step.kek, w.KEK); diff != "" || w.KeyVersion != step.version {
			t.Errorf("in force: version %s (-want +got)\n%s", w.KeyVersion, diff)
		}
		must(t, f.ring.Probe(ctx))
		ring := f.restarted(t)
		must(t, ring.Unlock(ctx))
		if got, err := ring.OpenDatabase(f.db, "c", sealed); err != nil || string(got) != "v" {
			t.Errorf("after change to %v: %q, %v", step.kek, got, err)
		}
	}
}

// TestChangeKEKCosts: one unwrap of the old, one wrap of the new, one unwrap
// to verify, whatever the cluster holds.
func TestChangeKEKCosts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	for range 20 {
		f.rotateDatabase(t)
	}
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	f.vault.wraps, f.vault.unwraps = 0, 0
	must(t, f.ring.ChangeKEK(ctx, customer("v2")))
	if f.vault.wraps != 1 || f.vault.unwraps != 2 {
		t.Errorf("%d wraps and %d unwraps", f.vault.wraps, f.vault.unwraps)
	}
}

// TestChangeKEKWhileLocked: a stopped cluster can change its KEK and stays locked.
func TestChangeKEKWhileLocked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	f.ring.Lock()
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	if !f.ring.Locked() {
		t.Error("ChangeKEK unlocked the keyring")
	}
	must(t, f.ring.Unlock(ctx))
}

// failingStore fails the n-th Update from now on.
type failingStore struct {
	store.Store
	fail error
}

func (s *failingStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.fail != nil {
		return s.fail
	}
	return s.Store.Update(ctx, fn)
}

func TestFailedChangeLeavesTheOldInForce(t *testing.T) {
	t.Parallel()
	disk := errors.New("disk full")
	for name, c := range map[string]struct {
		arrange func(*fixture, *failingStore)
		want    error
	}{
		"old revoked":     {func(f *fixture, _ *failingStore) { f.vault.set("v1", revoked()) }, envelope.ErrRevoked},
		"old unavailable": {func(f *fixture, _ *failingStore) { f.vault.set("unwrap", envelope.ErrUnavailable) }, envelope.ErrUnavailable},
		"new refuses":     {func(f *fixture, _ *failingStore) { f.vault.set("wrap", revoked()) }, envelope.ErrRevoked},
		"new unavailable": {func(f *fixture, _ *failingStore) { f.vault.set("v2", envelope.ErrUnavailable) }, envelope.ErrUnavailable},
		"new cannot unwrap": {func(f *fixture, _ *failingStore) {
			calls := 0
			f.vault.onUnwrap = func() {
				if calls++; calls == 2 {
					f.vault.set("v2", revoked())
				}
			}
		}, envelope.ErrRevoked},
		"store fails": {func(_ *fixture, s *failingStore) { s.fail = disk }, disk},
		"changed meanwhile": {func(f *fixture, _ *failingStore) {
			calls := 0
			f.vault.onUnwrap = func() {
				if calls++; calls == 2 { // another process's keyring
					other, err := envelope.New(f.cfg)
					if err == nil {
						err = other.ChangeKEK(ctx, customer("v1"))
					}
					if err != nil {
						panic(err)
					}
				}
			}
		}, envelope.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &failingStore{Store: memstore.New()}
			f := newFixture(t, s)
			must(t, f.ring.ChangeKEK(ctx, customer("v1")))
			sealed, err := f.ring.SealDatabase(f.db, "c", []byte("v"))
			must(t, err)
			c.arrange(f, s)
			wantErr(t, "change", f.ring.ChangeKEK(ctx, customer("v2")), c.want)
			f.vault.onUnwrap = nil
			w, err := f.ring.Wrapped(ctx)
			must(t, err)
			if w.KeyVersion != "v1" {
				t.Errorf("version %s is in force", w.KeyVersion)
			}
			if _, err := f.ring.OpenDatabase(f.db, "c", sealed); err != nil {
				t.Errorf("the running cluster: %v", err)
			}
			clear(f.vault.fail)
			ring := f.restarted(t)
			must(t, ring.Unlock(ctx))
			if _, err := ring.OpenDatabase(f.db, "c", sealed); err != nil {
				t.Errorf("after restart: %v", err)
			}
		})
	}
}

func TestRevocationAndReturn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	for _, refusal := range []error{revoked(), envelope.ErrUnavailable} {
		f.vault.set("v1", refusal)
		if err := f.ring.Probe(ctx); !errors.Is(err, refusal) {
			t.Errorf("probe: %v", err)
		}
		if f.ring.Locked() {
			t.Error("a probe locks by itself")
		}
		f.ring.Lock()
		if err := f.ring.Unlock(ctx); !errors.Is(err, refusal) || !f.ring.Locked() {
			t.Errorf("unlock: %v", err)
		}
		f.vault.set("v1", nil)
		must(t, f.ring.Probe(ctx))
		must(t, f.ring.Unlock(ctx))
	}
}

// TestWrongKey: a vault that answers with another key is not believed.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	f, other := newFixture(t, memstore.New()), newFixture(t, memstore.New())
	other.vault.versions = f.vault.versions
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	must(t, other.ring.ChangeKEK(ctx, customer("v1")))
	foreign, err := other.ring.Wrapped(ctx)
	must(t, err)
	must(t, f.store.Update(ctx, func(tx store.Tx) error {
		r, err := store.GetJSON[map[string]any](tx, "envelope.clusters", f.cfg.ClusterID)
		must(t, err)
		r["wrapped"] = foreign
		return store.PutJSON(tx, "envelope.clusters", f.cfg.ClusterID, r)
	}))
	wantErr(t, "probe", f.ring.Probe(ctx), envelope.ErrWrongKey)
	wantErr(t, "change", f.ring.ChangeKEK(ctx, customer("v2")), envelope.ErrWrongKey)
	wantErr(t, "unlock", f.ring.Unlock(ctx), envelope.ErrWrongKey)
}

// TestLockBeatsUnlock: a revocation that comes while Unlock waits for the
// vault must not end with the key in memory.
func TestLockBeatsUnlock(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	f.vault.onUnwrap = f.ring.Lock
	wantErr(t, "unlock", f.ring.Unlock(ctx), envelope.ErrLocked)
	if !f.ring.Locked() {
		t.Error("unlocked")
	}
}

func TestNewerRecordIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	must(t, f.store.Update(ctx, func(tx store.Tx) error {
		for bucket, key := range map[string]string{"envelope.clusters": f.cfg.ClusterID, "envelope.databases": f.cfg.ClusterID + "/" + f.db} {
			r, err := store.GetJSON[map[string]any](tx, bucket, key)
			must(t, err)
			r["format"] = 3
			must(t, store.PutJSON(tx, bucket, key, r))
		}
		return nil
	}))
	wantErr(t, "unlock", f.ring.Unlock(ctx), envelope.ErrNewerFormat)
	_, err := f.ring.SealDatabase(f.db, "", nil)
	wantErr(t, "seal", err, envelope.ErrNewerFormat)
}

// TestRotationsNeverLoseADEK: any mix of KEK changes, refusals, database key
// rotations and restarts leaves every DEK ever made unwrappable.
func TestRotationsNeverLoseADEK(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t, memstore.New())
		type made struct {
			object  envelope.Object
			version int
			wrapped envelope.WrappedDEK
			dek     envelope.DEK
		}
		var all []made
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0:
				o := envelope.Object{DatabaseID: f.db, Kind: envelope.WALSegment, ID: ids.NewGUID()}
				dek, wrapped, version, err := f.ring.WrapDEK(o)
				must(t, err)
				all = append(all, made{o, version, wrapped, dek})
			case 1:
				f.rotateDatabase(t)
			case 2:
				must(t, f.ring.ChangeKEK(ctx, rapid.SampledFrom([]envelope.KEK{envelope.PlatformKEK(), customer(""), customer("v1")}).Draw(rt, "kek")))
			case 3:
				f.vault.set("wrap", revoked())
				if f.ring.ChangeKEK(ctx, customer("v1")) == nil {
					rt.Fatal("a refused change succeeded")
				}
				f.vault.set("wrap", nil)
			case 4:
				f.ring.Lock()
				f.ring = f.restarted(t)
				must(t, f.ring.Unlock(ctx))
			}
		}
		for _, m := range all {
			got, err := f.ring.UnwrapDEK(m.object, m.version, m.wrapped)
			must(t, err)
			if !sameDEK(t, got, m.dek) {
				rt.Fatal("another dek")
			}
		}
	})
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	var wg sync.WaitGroup
	fine := func(err error) {
		if err != nil && !errors.Is(err, envelope.ErrLocked) {
			t.Error(err)
		}
	}
	for range 3 {
		wg.Go(func() {
			for range 50 {
				_, _, _, err := f.ring.WrapDEK(envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: ids.NewGUID()})
				fine(err)
				fine(f.ring.Probe(ctx))
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			fine(f.ring.ChangeKEK(ctx, []envelope.KEK{customer("v1"), customer("v2")}[i%2]))
			f.ring.Lock()
			fine(f.ring.Unlock(ctx))
		}
	})
	wg.Wait()
}
