package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

func TestRevocationSuspendsAndResumes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	open, err := w.r.Query(ctx, testCluster, Query{Database: "db", SQL: "SELECT c1 FROM {{table:0}}",
		Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}}})
	w.must(err)
	defer open.Close()

	w.vault.set(errUnavailable)
	w.r.ProbeNow(testCluster)
	w.want("T", "1", "2") // network trouble is not revocation

	w.vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	state := w.await(Suspended)
	if state.Code != "KeyNotFound" || state.VaultURI != "https://v.vault.azure.net" || state.Reason != "the key is gone" {
		t.Fatalf("state %+v", state)
	}
	w.awaitNoChild()
	var suspended *SuspendedError
	if open.Next(); !errors.As(open.Err(), &suspended) {
		t.Fatalf("running query ended with %v", open.Err())
	}
	batch := batchOf(catalog.Table{Columns: []catalog.Column{{ID: 1, Type: catalog.Long}}}, 3)
	if err := w.r.Ingest(ctx, testCluster, "db", "T", batch); !errors.As(err, &suspended) || !errors.Is(err, ErrNotRunning) {
		t.Fatalf("ingestion while suspended: %v", err)
	}
	if _, err := w.r.Tables(ctx, testCluster, "db"); !errors.As(err, &suspended) {
		t.Fatalf("catalogue while suspended: %v", err)
	}
	if dbs, err := w.r.Databases(ctx, testCluster); err != nil || len(dbs) != 1 {
		t.Fatalf("databases while suspended: %v, %v", dbs, err)
	}
	if err := w.r.Start(ctx, testCluster); !errors.Is(err, envelope.ErrRevoked) {
		t.Fatalf("start while the key is away: %v", err)
	}
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	if !n.ring.Locked() {
		t.Fatal("the keyring is not locked")
	}

	w.vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.await(Running)
	w.want("T", "1", "2")

	// a user's own stop is never undone
	w.must(w.r.Stop(ctx, testCluster))
	w.r.ProbeNow(testCluster)
	w.await(Stopped)
	if _, err := w.r.Tables(ctx, testCluster, "db"); !errors.Is(err, ErrNotRunning) || errors.As(err, &suspended) {
		t.Fatalf("catalogue while stopped: %v", err)
	}
}

// The listener hears the key's states in order, those of a start without the
// key and of a restoration that goes wrong included.
func TestKeyStatesAreTold(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var mu sync.Mutex
	var told []envelope.KeyState
	w.must(w.r.Close())
	w.cfg.OnKey = func(_ Spec, from, to envelope.KeyState, _ error) {
		mu.Lock()
		defer mu.Unlock()
		if len(told) > 0 && told[len(told)-1] != from {
			t.Errorf("from %s after %s", from, told[len(told)-1])
		}
		told = append(told, to)
	}
	w.reopen()
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	w.vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.await(Suspended)
	w.engine.mu.Lock()
	w.engine.refuse = errors.New("no child today")
	w.engine.mu.Unlock()
	w.vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.await(Starting)
	if s, err := w.r.State(ctx, testCluster); err != nil || s.Key != envelope.KeyFailed {
		t.Errorf("%+v, %v", s, err)
	}
	w.engine.mu.Lock()
	w.engine.refuse = nil
	w.engine.mu.Unlock()
	w.await(Running)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.PlatformKEK()))
	want := []envelope.KeyState{envelope.KeyCustomer, envelope.KeySuspending, envelope.KeySuspended, envelope.KeyRestoring, envelope.KeyFailed, envelope.KeyRestoring, envelope.KeyCustomer, envelope.KeyPlatform}
	mu.Lock()
	defer mu.Unlock()
	got := slices.Clone(told)
	for len(got) > len(want) && got[4] == envelope.KeyFailed && got[6] == envelope.KeyFailed { // more than one attempt may have failed
		got = slices.Delete(got, 5, 7)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got)\n%s", diff)
	}
}

// A key outside nbf..exp unwraps and does not wrap: a warning, no suspension,
// and nothing can be put under it.
func TestExpiredKeyIsAWarning(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]string{"newest": "", "pinned": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testExpiredKey(t, version)
		})
	}
}

func testExpiredKey(t *testing.T, version string) {
	ctx := context.Background()
	w := newWorld(t)
	kek := envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k", KeyVersion: version}
	w.must(w.r.ChangeKEK(ctx, testCluster, kek))
	w.vault.mu.Lock()
	w.vault.wrapErr = &envelope.RevokedError{Code: "IdentityDoesNotHaveAccessToKeyVault", VaultURI: kek.VaultURI, Reason: "the key is expired"}
	w.vault.mu.Unlock()
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	n.probe() // whose answer may count for nothing when the keeper asked later: its own is on its way then
	warned := func(s State) bool { return s.Reason != "" }
	if s := w.awaitState("warned", warned); s.Phase != Running || s.Key != envelope.KeyCustomer || !strings.Contains(s.Reason, "expired") || s.Code != "" {
		t.Errorf("state %+v", s)
	} else if strings.Contains(s.Reason, "revoked") {
		t.Errorf("nothing is revoked: %s", s.Reason)
	}
	other := kek
	other.KeyName = "l"
	if err := w.r.ChangeKEK(ctx, testCluster, other); !errors.Is(err, envelope.ErrRevoked) {
		t.Errorf("a key that cannot wrap was put in force: %v", err)
	}
	w.must(w.ingest("T", 1))
	w.want("T", "1")
	w.vault.mu.Lock()
	w.vault.wrapErr = nil
	w.vault.mu.Unlock()
	n.probe()
	w.awaitState("without a warning", func(s State) bool { return s.Phase == Running && !warned(s) })
}

// A query that was begun before a change of key ends after it, for every kind
// of change, and each costs the vault the same few calls.
func TestQueriesRunThroughChangesOfKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	kek := func(vault, key, version, identity string) envelope.KEK {
		return envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://" + vault + ".vault.azure.net", KeyName: key, KeyVersion: version, Identity: envelope.Identity{ObjectID: identity}}
	}
	changes := []struct {
		name  string
		to    envelope.KEK
		calls int // of vaults: wrap, verifying unwrap, and the old key's unwrap when it is in a vault
	}{
		{"platform to customer", kek("v", "k", "1", "a"), 2},
		{"version to version", kek("v", "k", "2", "a"), 3},
		{"key to key", kek("v", "l", "2", "a"), 3},
		{"vault to vault", kek("w", "l", "2", "a"), 3},
		{"identity to identity", kek("w", "l", "2", "b"), 3},
		{"customer to platform", envelope.PlatformKEK(), 1},
	}
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	for _, c := range changes {
		open, err := w.r.Query(ctx, testCluster, Query{Database: "db", SQL: "SELECT c1 FROM {{table:0}}", Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}}})
		w.must(err)
		w.vault.mu.Lock()
		w.vault.newest, w.vault.asked = c.to.KeyVersion, 0
		w.vault.mu.Unlock()
		w.must(n.ring.ChangeKEK(ctx, c.to)) // not the runtime's, whose probe afterwards asks too
		w.vault.mu.Lock()
		asked := w.vault.asked
		w.vault.mu.Unlock()
		if asked != c.calls {
			t.Errorf("%s: %d calls, want %d", c.name, asked, c.calls)
		}
		rows := 0
		for open.Next() {
			rows += int(open.RecordBatch().NumRows())
		}
		if err := errors.Join(open.Err(), open.Close()); err != nil || rows != 2 {
			t.Errorf("%s: the query ended with %d rows, %v", c.name, rows, err)
		}
		w.want("T", "1", "2")
	}
}

// A hint about the cluster's vault makes it look; one about another does not.
func TestHint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.r.ChangeKEK(context.Background(), testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://V.vault.azure.net/", KeyName: "k"}))
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	if inVault("https://v.vault.azure.net/", "w.vault.azure.net") || inVault("", "v.vault.azure.net") {
		t.Error("a hint about another vault is taken for one about this")
	}
	w.vault.set(errRevoked)
	w.r.HintVault("v.vault.azure.net")
	w.await(Suspended)
	w.awaitState("without its keys", func(State) bool { return n.keyState() == envelope.KeySuspended })
	if !n.ring.Locked() {
		t.Error("the keyring is not locked")
	}
	w.vault.set(nil)
	w.r.HintVault("v.vault.azure.net")
	w.await(Running)
}

func TestServerStartsWithoutTheKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	w.must(w.ingest("T", 1))
	w.r.crash()
	before := w.files(".kwl")
	w.vault.set(errRevoked)
	w.open()
	w.await(Suspended)
	if diff := gocmp.Diff(before, w.files(".kwl")); diff != "" || len(before) == 0 {
		t.Fatalf("log segments were touched:\n%s", diff)
	}
	w.vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.await(Running)
	w.want("T", "1")

	// a vault that is not up yet: Starting, then Running by itself
	w.r.crash()
	w.vault.set(errUnavailable)
	w.open()
	w.await(Starting)
	w.vault.set(nil)
	w.await(Running)
	w.want("T", "1")
}

func TestSilentVaultSuspendsAfterGrace(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.r.Close())
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var clock sync.Mutex
	w.cfg.Now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	w.reopen()
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	w.vault.set(errUnavailable)
	n.probe()
	if s := w.await(Running); s.Reason == "" {
		t.Fatal("the state does not say that the vault is silent")
	}
	clock.Lock()
	now = now.Add(31 * time.Minute)
	clock.Unlock()
	n.probe()
	if s := w.await(Suspended); s.Code != "KeyVaultUnavailable" || s.VaultURI != "https://v.vault.azure.net" ||
		!strings.Contains(s.Reason, "vault https://v.vault.azure.net has not answered for 31m0s") {
		t.Fatalf("state %+v", s)
	}
	w.vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.await(Running)

	// time in which nobody asked is no silence
	clock.Lock()
	now = now.Add(90 * 24 * time.Hour)
	clock.Unlock()
	w.vault.set(errUnavailable)
	n.probe()
	if s := w.await(Running); s.Reason == "" {
		t.Fatal("the state does not say that the vault is silent")
	}
}

// A KEK without a version follows the vault's newest; a pinned one does not.
func TestVersionlessKeyFollows(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	for _, pinned := range []string{"", "1"} {
		w.vault.mu.Lock()
		w.vault.newest, w.vault.disable = "1", ""
		w.vault.mu.Unlock()
		w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k", KeyVersion: pinned}))
		w.vault.mu.Lock()
		w.vault.newest = "2"
		w.vault.mu.Unlock()
		n.probe()
		state, err := w.r.State(ctx, testCluster)
		w.must(err)
		if want := cmp.Or(pinned, "2"); state.KeyVersion != want || state.KEK.KeyVersion != pinned || state.Reason != "" {
			t.Fatalf("pinned %q: %+v", pinned, state)
		}
		w.vault.mu.Lock()
		w.vault.disable = "1"
		w.vault.mu.Unlock()
		n.probe()
		want := Running
		if pinned != "" {
			want = Suspended
		}
		w.await(want)
	}
	w.vault.mu.Lock()
	w.vault.disable = ""
	w.vault.mu.Unlock()
	w.r.ProbeNow(testCluster)
	w.await(Running)
	w.want("T", "1")
}

func (w *world) awaitNoChild() {
	w.t.Helper()
	for range 2000 {
		if len(w.engine.alive()) == 0 {
			return
		}
		<-time.After(time.Millisecond)
	}
	w.t.Fatal("the child is still there")
}
