package cluster

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// fakeVault is a customer's key that can be taken away.
type fakeVault struct {
	mu      sync.Mutex
	err     error  // what every call answers
	newest  string // version that wraps; "" = "1"
	disable string // version that is refused
	wrapErr error  // what Wrap answers
	asked   int
	// onAnswer runs between an unwrap's answer and its arrival; nil in peace.
	onAnswer func()
}

func (v *fakeVault) set(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func (v *fakeVault) ask() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	return v.err
}

func (v *fakeVault) For(context.Context, envelope.KEK) (envelope.KeyWrapper, error) { return v, nil }

// The wrap is a mask: the tests are not about cryptography.
func (v *fakeVault) Wrap(_ context.Context, key []byte) (envelope.Wrapped, error) {
	v.mu.Lock()
	version, err := cmp.Or(v.newest, "1"), v.wrapErr
	v.mu.Unlock()
	if err != nil {
		return envelope.Wrapped{}, err
	}
	return envelope.Wrapped{KeyVersion: version, Algorithm: "mask", Ciphertext: mask(key)}, v.ask()
}

func (v *fakeVault) Unwrap(_ context.Context, w envelope.Wrapped) ([]byte, error) {
	v.mu.Lock()
	disabled := w.KeyVersion == v.disable
	v.mu.Unlock()
	if disabled {
		return nil, errRevoked
	}
	err := v.ask()
	v.mu.Lock()
	late := v.onAnswer
	v.mu.Unlock()
	if late != nil {
		late()
	}
	return mask(w.Ciphertext), err
}

func mask(b []byte) []byte {
	out := slices.Clone(b)
	for i := range out {
		out[i] ^= 0x5a
	}
	return out
}

var (
	errRevoked     = &envelope.RevokedError{Code: "KeyNotFound", VaultURI: "https://v.vault.azure.net", Reason: "the key is gone"}
	errUnavailable = fmt.Errorf("dial: %w", envelope.ErrUnavailable)
)

const testCluster = "11111111-2222-4333-8444-555555555555"

// world is a data folder with everything outside the runtime.
type world struct {
	t      testing.TB
	dir    string
	store  store.Store
	vault  *fakeVault
	engine *fakeLauncher
	cfg    Config
	r      *Runtime
}

// newWorld makes a cluster "demo" with database "db" and table "T", running.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOf(t, false)
}

// newWorldOf is newWorld with or without double encryption.
func newWorldOf(t testing.TB, double bool) *world {
	t.Helper()
	return makeWorld(t, double, func(*Config) {})
}

// newWorldWith is newWorld of another configuration.
func newWorldWith(t testing.TB, change func(*Config)) *world {
	t.Helper()
	return makeWorld(t, false, change)
}

func makeWorld(t testing.TB, double bool, change func(*Config)) *world {
	t.Helper()
	ctx := context.Background()
	s := memstore.New()
	platform, err := envelope.NewPlatform(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), store: s, vault: &fakeVault{}, engine: &fakeLauncher{}}
	w.cfg = Config{
		Dir: w.dir, Store: s, Engine: w.engine,
		Wrappers:      envelope.Wrappers{Platform: platform, Customer: w.vault},
		ProbeInterval: time.Hour,
	}
	change(&w.cfg)
	w.open()
	err = s.Update(ctx, func(tx store.Tx) error {
		return w.r.Create(ctx, tx, Spec{ID: testCluster, Name: "demo", Location: "westeurope", URI: "https://demo.westeurope.kusto.windows.net", DoubleEncryption: double})
	})
	w.must(err)
	w.must(w.r.Start(ctx, testCluster))
	w.must(w.r.CreateDatabase(ctx, testCluster, catalog.Database{Name: "db"}))
	_, err = w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "T", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	r, err := Open(context.Background(), w.cfg)
	w.must(err)
	w.r = r
	w.t.Cleanup(func() { r.Close() })
	w.must(r.StartAll(context.Background()))
}

// reopen opens the folder again and waits until the cluster runs.
func (w *world) reopen() {
	w.t.Helper()
	w.open()
	w.await(Running)
}

// await waits for a phase.
func (w *world) await(want Phase) State {
	w.t.Helper()
	return w.awaitState(string(want), func(s State) bool { return s.Phase == want })
}

// awaitState waits for a state. It polls, since nobody outside is told.
func (w *world) awaitState(what string, is func(State) bool) State {
	w.t.Helper()
	for range 2000 {
		s, err := w.r.State(context.Background(), testCluster)
		w.must(err)
		if is(s) {
			return s
		}
		<-time.After(time.Millisecond)
	}
	s, _ := w.r.State(context.Background(), testCluster)
	w.t.Fatalf("the cluster is %+v, not %s", s, what)
	return State{}
}

func (w *world) table(name string) catalog.Table {
	w.t.Helper()
	meta, err := w.r.Table(context.Background(), testCluster, "db", name)
	w.must(err)
	return meta
}

func batchOf(meta catalog.Table, values ...int64) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, meta.Schema())
	defer b.Release()
	for _, v := range values {
		for i := range meta.Columns {
			switch f := b.Field(i).(type) {
			case *array.Int64Builder:
				f.Append(v)
			case *array.StringBuilder:
				f.Append(fmt.Sprint(v))
			}
		}
	}
	return b.NewRecordBatch()
}

func (w *world) ingest(table string, values ...int64) error {
	return w.r.Ingest(context.Background(), testCluster, "db", table, batchOf(w.table(table), values...))
}

// rows reads column c1 of a table, sorted.
func (w *world) rows(table string, prune ...Range) ([]string, error) {
	rows, err := w.r.Query(context.Background(), testCluster, Query{
		Database: "db", SQL: "SELECT c1 FROM {{table:0}}",
		Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table(table).ID, Prune: prune}},
	})
	if err != nil {
		return nil, err
	}
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

func (w *world) want(table string, values ...string) {
	w.t.Helper()
	got, err := w.rows(table)
	w.must(err)
	if diff := gocmp.Diff(values, got); diff != "" {
		w.t.Fatalf("rows of %s (-want +got):\n%s", table, diff)
	}
}

func (w *world) seal(table string) {
	w.t.Helper()
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	live, err := s.table("db", table)
	w.must(err)
	w.must(live.seal(context.Background()))
}

// files lists the data files of the cluster by suffix.
func (w *world) files(suffix string) []string {
	w.t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(w.dir, "clusters"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, suffix) {
			out = append(out, path)
		}
		return err
	})
	w.must(err)
	return out
}
