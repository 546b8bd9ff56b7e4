package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
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
	"github.com/kustos-io/kustos/internal/engine"
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

// await waits for a phase. It polls, since nobody outside is told.
func (w *world) await(want Phase) State {
	w.t.Helper()
	for range 2000 {
		s, err := w.r.State(context.Background(), testCluster)
		w.must(err)
		if s.Phase == want {
			return s
		}
		<-time.After(time.Millisecond)
	}
	s, _ := w.r.State(context.Background(), testCluster)
	w.t.Fatalf("the cluster is %+v, not %s", s, want)
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

func TestIngestSealReopen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1, 2))
	w.want("T", "1", "2")
	w.seal("T")
	w.want("T", "1", "2")
	w.must(w.ingest("T", 3))
	w.want("T", "1", "2", "3")
	if n := len(w.files(".kxt")); n != 1 {
		t.Fatalf("%d extents", n)
	}
	w.must(w.r.Close())
	if n := len(w.files(".kwl")); n != 0 {
		t.Fatalf("%d log segments after everything was sealed", n)
	}
	if n := len(w.engine.alive()); n != 0 {
		t.Fatalf("%d children after Close", n)
	}
	w.reopen()
	w.want("T", "1", "2", "3")
}

func TestCrashKeepsAcknowledgedRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	w.must(w.ingest("T", 3))
	w.r.crash()
	w.reopen()
	w.want("T", "1", "2", "3")
	w.r.crash()
	w.reopen()
	w.seal("T")
	w.want("T", "1", "2", "3")
	w.must(w.ingest("T", 4))
	w.want("T", "1", "2", "3", "4")
}

func TestChildDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	// in the middle of an ingestion: the rows are in the log, so they count
	var once sync.Once
	w.engine.onAppend = func(c *fakeChild) error {
		once.Do(func() { c.Close() })
		return nil
	}
	w.must(w.ingest("T", 3))
	w.want("T", "1", "2", "3")
	// in the middle of a query
	w.engine.onQuery = func(c *fakeChild) error {
		w.engine.onQuery = nil
		c.Close()
		return nil
	}
	if _, err := w.rows("T"); !errors.Is(err, ErrEngine) {
		t.Fatalf("query of a dying child: %v", err)
	}
	w.eventually("T", "1", "2", "3")
	// in the middle of a seal
	w.engine.onExport = func(c *fakeChild) error {
		w.engine.onExport = nil
		c.Close()
		return nil
	}
	n, _ := w.r.node(context.Background(), testCluster)
	s, _ := n.running()
	live, _ := s.table("db", "T")
	if err := live.seal(context.Background()); !errors.Is(err, engine.ErrGone) {
		t.Fatalf("seal with a dying child: %v", err)
	}
	w.eventually("T", "1", "2", "3")
	w.seal("T")
	w.want("T", "1", "2", "3")
}

// eventually allows a query to meet a child that is being replaced.
func (w *world) eventually(table string, values ...string) {
	w.t.Helper()
	for range 1000 {
		if _, err := w.rows(table); !errors.Is(err, ErrEngine) {
			break
		}
	}
	w.want(table, values...)
}

// A child that dies before it has made the buffer has put nothing into the log:
// the ingestion is refused and not acknowledged.
func TestDeathBeforeTheBufferIsARefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var once sync.Once
	w.engine.onCreate = func(c *fakeChild) (err error) {
		once.Do(func() { c.Close(); err = engine.ErrGone })
		return err
	}
	if err := w.ingest("T", 1); !errors.Is(err, ErrEngine) {
		t.Errorf("ingestion under which the child died: %v", err)
	}
	w.eventually("T")
	w.must(w.ingest("T", 2))
	w.want("T", "2")
}

// A seal between the death of a child and its replacement must not take a row
// that is in the log, and in no buffer, for one that was given up.
func TestSealOfATornBufferLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	live, err := s.table("db", "T")
	w.must(err)
	meta := w.table("T")
	var once sync.Once
	held := make(chan engine.Child, 1)
	w.engine.onAppend = func(c *fakeChild) (err error) {
		once.Do(func() {
			child, _, acquired := s.engine.acquire() // no replacement before release
			w.must(acquired)
			c.Close()
			err = engine.ErrGone
			held <- child
		})
		return err
	}
	acknowledged := make(chan error, 1)
	go func() { acknowledged <- w.r.Ingest(ctx, testCluster, "db", "T", batchOf(meta, 1)) }()
	child := <-held
	if err := live.sealFrozen(ctx, child); !errors.Is(err, ErrEngine) {
		t.Errorf("seal of a torn buffer: %v", err)
	}
	s.engine.release()
	w.must(<-acknowledged)
	w.want("T", "1")
}

func TestRefusedIngestionLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.engine.onAppend = func(*fakeChild) error { return &engine.Fault{Kind: engine.OutOfMemory, Message: "full"} }
	var refused *QueryError
	if err := w.ingest("T", 2); !errors.As(err, &refused) || !refused.Memory {
		t.Fatalf("ingestion without memory: %v", err)
	}
	w.engine.onAppend = nil
	other := batchOf(catalog.Table{Columns: []catalog.Column{{ID: 1, Type: catalog.String}}}, 3)
	if err := w.r.Ingest(context.Background(), testCluster, "db", "T", other); !errors.Is(err, ErrSchema) {
		t.Fatalf("ingestion of another schema: %v", err)
	}
	w.r.crash()
	w.reopen()
	w.want("T", "1")
}

func TestOrphansAreCollected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	kept := w.files(".kxt")[0]
	orphan := filepath.Join(filepath.Dir(kept), "99999999-2222-4333-8444-555555555555.kxt")
	w.must(os.WriteFile(orphan, []byte("never committed"), 0o600))
	stranger := filepath.Join(w.dir, "clusters", "99999999-2222-4333-8444-555555555555", "extents")
	w.must(os.MkdirAll(stranger, 0o700))
	w.r.crash()
	w.reopen()
	w.want("T", "1")
	if diff := gocmp.Diff([]string{kept}, w.files(".kxt")); diff != "" {
		t.Fatal(diff)
	}
	if _, err := os.Stat(stranger); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("files of a cluster that is not: %v", err)
	}
}

func TestDropAndDelete(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	old := w.table("T").ID
	w.must(w.r.DropTable(ctx, testCluster, "db", "T"))
	if n := len(w.files(".kxt")) + len(w.files(".kwl")); n != 0 {
		t.Fatalf("%d files after the drop", n)
	}
	_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "T", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
	if w.table("T").ID == old {
		t.Fatal("a table id was used twice")
	}
	w.want("T")
	w.must(w.ingest("T", 3))
	w.seal("T")

	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "T", catalog.PolicyStreamingIngestion, []byte(`{"IsEnabled":true}`)))
	w.must(w.r.DeleteDatabase(ctx, testCluster, "DB"))
	if n := len(w.files(".kxt")) + len(w.files(".kwl")); n != 0 {
		t.Fatalf("%d files after the database went", n)
	}
	if _, err := w.r.Database(ctx, testCluster, "db"); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("dropped database: %v", err)
	}
	w.vault.set(errRevoked)
	w.must(w.r.Stop(ctx, testCluster))
	w.must(w.r.Delete(ctx, testCluster)) // never needs the key
	if entries, err := os.ReadDir(filepath.Join(w.dir, "clusters")); err != nil || len(entries) != 0 {
		t.Fatalf("%v, %v after the cluster went", entries, err)
	}
	if _, err := w.r.State(ctx, testCluster); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("deleted cluster: %v", err)
	}
	if _, ok := w.r.ByName("demo"); ok {
		t.Fatal("a deleted cluster is found by name")
	}
	for _, bucket := range []string{"catalog.databases", "catalog.tables", "catalog.extents", "catalog.positions", "catalog.policies", "envelope.clusters", "envelope.databases", recordBucket} {
		err := w.store.View(ctx, func(tx store.Tx) error {
			for e := range tx.Scan(bucket, "", "") {
				t.Errorf("%s still holds %s", bucket, e.Key)
			}
			return nil
		})
		w.must(err)
	}
}

func TestAlterTable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	meta := w.table("T")
	meta.Columns = append(meta.Columns, catalog.Column{Name: "s", Type: catalog.String})
	meta, err := w.r.AlterTable(ctx, testCluster, "db", meta)
	w.must(err)
	if meta.Columns[1].ID != 2 {
		t.Fatalf("columns %v", meta.Columns)
	}
	w.must(w.ingest("T", 2))
	w.want("T", "1", "2")
	w.seal("T")
	w.want("T", "1", "2")
	w.r.crash()
	w.reopen()
	w.want("T", "1", "2")
	meta.Columns[0].Type = catalog.String
	if _, err := w.r.AlterTable(ctx, testCluster, "db", meta); !errors.Is(err, catalog.ErrTypeChange) {
		t.Fatalf("change of a type: %v", err)
	}
}

func TestDirectAndPrune(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	file := `[{"c1":"10"},{"c1":"20"}]`
	n, err := w.r.IngestParquet(ctx, testCluster, "db", "T", strings.NewReader(file), int64(len(file)), map[string]string{"n": "c1"})
	w.must(err)
	if n != 2 {
		t.Fatalf("%d rows", n)
	}
	n, err = w.r.IngestQuery(ctx, testCluster, "db", "T", Query{Database: "db", SQL: "SELECT c1 FROM {{table:0}}",
		Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}}})
	w.must(err)
	if n != 2 {
		t.Fatalf("%d rows", n)
	}
	if _, err := w.r.IngestParquet(ctx, testCluster, "db", "T", strings.NewReader("no"), 2, nil); !errors.Is(err, ErrSchema) {
		t.Fatalf("a file that is none: %v", err)
	}
	w.must(w.ingest("T", 5))
	w.seal("T")
	w.want("T", "10", "10", "20", "20", "5")
	got, err := w.rows("T", Range{Column: "c1", Min: 6, Max: 11})
	w.must(err)
	if diff := gocmp.Diff([]string{"10", "10", "20", "20"}, got); diff != "" {
		t.Fatal(diff)
	}
	st, err := w.r.TableStats(ctx, testCluster, "db", "T")
	w.must(err)
	if st.Rows != 5 || st.Extents != 3 || st.StoredBytes == 0 {
		t.Fatalf("stats %+v", st)
	}
}

// A cache that is far too small changes no answer and keeps no surplus.
func TestSmallCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.r.Close())
	w.cfg.CacheBytes = 1
	w.reopen()
	for i := range 5 {
		w.must(w.ingest("T", int64(i)))
		w.seal("T")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if got, err := w.rows("T"); err != nil || len(got) != 5 {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	if s.cache.bytes != 0 || len(s.cache.hot) != 0 {
		t.Fatalf("%d bytes in %d extents are kept", s.cache.bytes, len(s.cache.hot))
	}
}

// Damage to one extent is that extent's error.
func TestDamagedExtent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	path := w.files(".kxt")[0]
	raw, err := os.ReadFile(path)
	w.must(err)
	raw[len(raw)-1] ^= 1
	w.must(os.WriteFile(path, raw, 0o600))
	w.r.crash()
	w.reopen()
	var damaged *ExtentError
	if _, err := w.rows("T"); !errors.As(err, &damaged) || !strings.Contains(path, damaged.ID) {
		t.Fatalf("damaged extent: %v", err)
	}
	w.must(w.ingest("T", 2))
}

// What lies on the disk and in the store says nothing of a row.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "S", Columns: []catalog.Column{{Name: "s", Type: catalog.String}, {Name: "n", Type: catalog.Long}}})
	w.must(err)
	var r [4]byte
	_, _ = rand.Read(r[:])
	secret := int64(4_000_000_000_000_000) + int64(r[0])<<16 + int64(r[1])<<8 + int64(r[2])
	w.must(w.ingest("S", secret))
	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "S", catalog.PolicyRetention, fmt.Appendf(nil, `{"x":%d}`, secret)))
	needle := fmt.Sprint(secret)
	look := func(when string) {
		for _, suffix := range []string{".kxt", ".kwl"} {
			for _, f := range w.files(suffix) {
				raw, err := os.ReadFile(f)
				w.must(err)
				if strings.Contains(string(raw), needle) {
					t.Errorf("%s: %s holds the value in clear", when, f)
				}
			}
		}
		err := w.store.View(ctx, func(tx store.Tx) error {
			for _, bucket := range []string{"catalog.databases", "catalog.tables", "catalog.extents", "catalog.policies"} {
				for e := range tx.Scan(bucket, "", "") {
					if strings.Contains(string(e.Value), needle) {
						t.Errorf("%s: %s/%s holds the value in clear", when, bucket, e.Key)
					}
				}
			}
			return nil
		})
		w.must(err)
	}
	look("in the log")
	w.seal("S")
	look("in an extent")
	body, err := w.r.TablePolicy(ctx, testCluster, "db", "S", catalog.PolicyRetention)
	w.must(err)
	if !strings.Contains(string(body), needle) {
		t.Fatalf("policy %s", body)
	}
}
