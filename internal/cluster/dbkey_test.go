package cluster

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// vaults are several customers' keys, each of which can be taken away, by the
// vault's address.
type vaults struct {
	mu  sync.Mutex
	own map[string]*fakeVault
}

func (v *vaults) at(uri string) *fakeVault {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.own[uri] == nil {
		v.own[uri] = &fakeVault{}
	}
	return v.own[uri]
}

func (v *vaults) For(ctx context.Context, kek envelope.KEK) (envelope.KeyWrapper, error) {
	return v.at(kek.VaultURI).For(ctx, kek)
}

const otherVault = "https://other.vault.azure.net"

func otherKEK(version string) envelope.KEK {
	return envelope.KEK{Kind: envelope.KindCustomer, VaultURI: otherVault, KeyName: "k", KeyVersion: version}
}

// newOwnWorld is newWorld with a second database "own" with a table "T" and,
// sealed and in the log, the rows 1 and 2, under a key of its own.
func newOwnWorld(t *testing.T, change ...func(*Config)) (*world, *fakeVault) {
	t.Helper()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.r.Close())
	all := &vaults{own: map[string]*fakeVault{"https://v.vault.azure.net": w.vault}}
	w.cfg.Wrappers = envelope.Wrappers{Platform: w.cfg.Wrappers.(envelope.Wrappers).Platform, Customer: all}
	for _, c := range change {
		c(&w.cfg)
	}
	w.reopen()
	w.must(w.r.CreateDatabase(ctx, testCluster, catalog.Database{Name: "own"}))
	_, err := w.r.CreateTable(ctx, testCluster, "own", catalog.Table{Name: "T", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
	w.must(w.ingestOwn(1))
	w.sealOwn()
	w.must(w.ingestOwn(2))
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", otherKEK("")))
	return w, all.at(otherVault)
}

func (w *world) ingestOwn(values ...int64) error {
	batch := batchOf(catalog.Table{Columns: []catalog.Column{{ID: 1, Name: "n", Type: catalog.Long}}}, values...)
	return w.r.Ingest(context.Background(), testCluster, "own", "T", batch)
}

func (w *world) sealOwn() {
	w.t.Helper()
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	live, err := s.table("own", "T")
	w.must(err)
	w.must(live.seal(context.Background()))
}

func (w *world) query(database, tableID string) (engine.Rows, error) {
	return w.r.Query(context.Background(), testCluster, Query{Database: database, SQL: "SELECT c1 FROM {{table:0}}", Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: tableID}}})
}

func (w *world) wantOwn(want ...string) {
	w.t.Helper()
	meta, err := w.r.Table(context.Background(), testCluster, "own", "T")
	w.must(err)
	rows, err := w.query("own", meta.ID)
	w.must(err)
	got, err := drain(rows)
	w.must(err)
	if diff := gocmp.Diff(want, got); diff != "" {
		w.t.Fatalf("rows (-want +got)\n%s", diff)
	}
}

// awaitOwn waits until the database is suspended, or is not.
func (w *world) awaitOwn(suspended bool) DatabaseState {
	w.t.Helper()
	var s DatabaseState
	for range 2000 {
		var err error
		s, err = w.r.DatabaseState(context.Background(), testCluster, "own")
		w.must(err)
		if s.Suspended == suspended && slices.Contains([]envelope.KeyState{envelope.KeyCluster, envelope.KeyCustomer, envelope.KeySuspended}, s.Key) {
			return s
		}
		<-time.After(time.Millisecond)
	}
	w.t.Fatalf("the database is %+v", s)
	return s
}

// The loss of a database's own key suspends that database and nothing else.
func TestDatabaseSuspendsAlone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	w.must(w.ingest("T", 7))
	w.wantOwn("1", "2")
	meta, err := w.r.Table(ctx, testCluster, "own", "T")
	w.must(err)
	open, err := w.query("own", meta.ID)
	w.must(err)
	defer open.Close()
	before := w.engine.alive()

	vault.set(errUnavailable)
	w.r.ProbeNow(testCluster)
	w.wantOwn("1", "2") // network trouble is not revocation
	vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	state := w.awaitOwn(true)
	if state.Code != "KeyNotFound" || state.Reason != "the key is gone" || state.Since.IsZero() || state.Key != envelope.KeySuspended {
		t.Errorf("%+v", state)
	}
	if slices.Equal(before, w.engine.alive()) {
		t.Error("the child that held rows of the database lives")
	}
	var suspended *SuspendedError
	if open.Next(); !errors.As(open.Err(), &suspended) || suspended.Database != "own" {
		t.Errorf("running query ended with %v", open.Err())
	}
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	for id, h := range s.cache.hot {
		if h.db == meta.DatabaseID {
			t.Errorf("extent %s is still in memory", id)
		}
	}
	if !n.ring.DatabaseLocked(meta.DatabaseID) {
		t.Error("the database's key is still in memory")
	}
	for name, err := range map[string]error{
		"ingest":                      w.ingestOwn(3),
		"query":                       func() error { _, err := w.query("own", meta.ID); return err }(),
		"query from another database": func() error { _, err := w.query("db", meta.ID); return err }(),
		"tables":                      func() error { _, err := w.r.Tables(ctx, testCluster, "own"); return err }(),
		"policy":                      w.r.SetTablePolicy(ctx, testCluster, "own", "", catalog.PolicyRetention, []byte(`{}`)),
		"make a table":                func() error { _, err := w.r.CreateTable(ctx, testCluster, "own", catalog.Table{Name: "U"}); return err }(),
	} {
		if !errors.As(err, &suspended) || suspended.Database != "own" || suspended.Code != "KeyNotFound" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.want("T", "7") // from the log, in another child
	w.must(w.ingest("T", 8))
	w.seal("T")
	w.want("T", "7", "8")
	w.must(w.r.Maintain(ctx, testCluster))

	// a restart without its key: the cluster starts, the database does not
	w.must(w.r.Close())
	w.reopen()
	if again := w.awaitOwn(true); !again.Since.Equal(state.Since) {
		t.Errorf("suspended since %v, before the restart since %v", again.Since, state.Since)
	}
	w.want("T", "7", "8")

	vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(false)
	w.wantOwn("1", "2")
	w.must(w.ingestOwn(3))
	w.sealOwn()
	w.wantOwn("1", "2", "3")
	w.r.crash()
	w.reopen()
	w.wantOwn("1", "2", "3")
}

// A change of a database's key is not felt by its queries; the key that is not
// in force any more is not asked.
func TestDatabaseKeyChanges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	vault.mu.Lock()
	vault.newest = "2"
	vault.mu.Unlock()
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	n.databaseKeys()[0].probeNow() // follows
	if s, err := w.r.DatabaseState(ctx, testCluster, "own"); err != nil || s.KeyVersion != "2" || s.KEK.KeyVersion != "" {
		t.Errorf("%+v %v", s, err)
	}
	vault.set(errRevoked)
	if err := w.r.ChangeDatabaseKEK(ctx, testCluster, "own", envelope.PlatformKEK()); !errors.Is(err, envelope.ErrRevoked) {
		t.Errorf("away from a lost key: %v", err)
	}
	vault.set(nil)
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(false) // a probe may have been refused while the key was lost
	w.wantOwn("1", "2")
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", envelope.PlatformKEK()))
	w.vault.set(errRevoked)
	w.must(w.r.Close())
	w.reopen()
	w.wantOwn("1", "2")
	if s, err := w.r.DatabaseState(ctx, testCluster, "own"); err != nil || s.Own || s.Key != envelope.KeyCluster {
		t.Errorf("%+v %v", s, err)
	}
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", envelope.PlatformKEK())) // nothing to do
	if err := w.r.ChangeDatabaseKEK(ctx, testCluster, "own", otherKEK("")); !errors.Is(err, envelope.ErrRevoked) {
		t.Errorf("to a key that refuses: %v", err)
	}
	w.wantOwn("1", "2")
}

// Deleting a database never needs its key.
func TestDeleteDatabaseWithoutItsKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	meta, err := w.r.Table(ctx, testCluster, "own", "T")
	w.must(err)
	vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(true)
	w.must(w.r.DeleteDatabase(ctx, testCluster, "own"))
	if _, err := w.query("db", meta.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a table of a deleted database: %v", err)
	}
	var left []string
	w.must(w.store.View(ctx, func(tx store.Tx) error {
		for _, bucket := range []string{"envelope.databases", "catalog.databases", "catalog.extents", suspensionBucket} {
			for e, err := range tx.Scan(bucket, "", "") {
				if err != nil {
					return err
				}
				if strings.Contains(e.Key, meta.DatabaseID) {
					left = append(left, bucket)
				}
			}
		}
		return nil
	}))
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	if _, err := os.Stat(s.extentDir(meta.DatabaseID)); !errors.Is(err, os.ErrNotExist) {
		left = append(left, "extents")
	}
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// The cluster's key closes all its databases, those with a key of their own
// included, and a vault that is slow for one database is no trouble to the rest.
func TestClusterKeyClosesDatabasesToo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var mu sync.Mutex
	var told []envelope.KeyState
	w, vault := newOwnWorld(t, func(c *Config) {
		c.OnDatabaseKey = func(_ Spec, _ string, _, to envelope.KeyState, _ error) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, to)
		}
	})
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	w.vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.await(Suspended)
	var suspended *SuspendedError
	if err := w.ingestOwn(9); !errors.As(err, &suspended) || suspended.Database != "" {
		t.Errorf("%v", err)
	}
	vault.set(errUnavailable)
	w.vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.await(Running)
	if err := w.ingestOwn(9); !errors.As(err, &suspended) || suspended.Code != "KeyVaultUnavailable" {
		t.Errorf("%v", err)
	}
	vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(false)
	w.wantOwn("1", "2")
	vault.set(errRevoked)
	w.r.HintVault("other.vault.azure.net")
	w.awaitOwn(true)
	vault.set(nil)
	w.r.HintVault("other.vault.azure.net")
	w.awaitOwn(false)
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", envelope.PlatformKEK()))
	want := []envelope.KeyState{envelope.KeyCustomer, envelope.KeySuspending, envelope.KeySuspended, envelope.KeyRestoring, envelope.KeyCustomer, envelope.KeyCluster}
	mu.Lock()
	defer mu.Unlock()
	if diff := gocmp.Diff(want, told); diff != "" {
		t.Errorf("states (-want +got)\n%s", diff)
	}
}

func drain(rows engine.Rows) ([]string, error) {
	defer rows.Close()
	var out []string
	for rows.Next() {
		b := rows.RecordBatch()
		for i := range int(b.NumRows()) {
			out = append(out, strings.Clone(b.Column(0).ValueStr(i)))
		}
	}
	slices.Sort(out)
	return out, rows.Err()
}
