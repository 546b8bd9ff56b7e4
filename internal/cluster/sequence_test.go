package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

var sequenceLength = flag.Int("sequence.length", 10, "the most deeds of a sequence")

// seqTable is a table and what must be in it.
type seqTable struct {
	database, name string
	rows           []string
	maybe          []string // of a batch in flight when the current failed: all or none
	maybeGone      bool     // a drop or a retention was in flight
}

// seqKey is a KEK that is in force as acknowledged, and what a change that was
// in flight when the current failed would have made of it.
type seqKey struct {
	kek   envelope.KEK
	maybe *envelope.KEK
	was   *envelope.RevokedError // the refusal heard last, nil after a yes
	dark  bool                   // nobody has answered since it was needed
}

// seqWorld is a folder, the vaults beside it, and the model of both.
type seqWorld struct {
	*world
	rt    *rapid.T
	keys  *keys
	power *power
	base  string
	dirs  int
	sql   store.Store
	clock *seqClock

	tables   map[string]*seqTable // by database.name
	next     int64
	wanted   bool
	maybeRun *bool // a Start or Stop was in flight
	cluster  seqKey
	own      seqKey
	up       bool // as far as was looked: the cluster runs
	expires  bool // rows of R are beyond their retention, dropped or not
	log      bugs
	trace    []string
}

type seqClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *seqClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *seqClock) advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// Random sequences of everything that happens to keys, rows, processes and the
// current, over the real store, log and extents: an acknowledged row is read back
// exactly, or refused for the true reason; never lost, never there twice, never wrong.
// -rapid.checks says how many sequences each half has, 100 unless given.
func TestSequences(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"platform", "customer"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { sequence(t, rt, first == "customer") })
		})
	}
}

func sequence(t *testing.T, rt *rapid.T, customer bool) {
	w := newSeqWorld(t, rt)
	defer w.end()
	if customer {
		known, _ := w.changeKEK(envelope.KEK{Kind: envelope.KindCustomer, VaultURI: vaultA, KeyName: "k", Identity: envelope.Identity{ObjectID: "x"}})
		known()
	}
	w.settle()
	names := []string{}
	for name, d := range seqDeeds() {
		for range d.weight {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for range rapid.IntRange(3, *sequenceLength).Draw(rt, "length") {
		w.act(rapid.SampledFrom(names).Draw(rt, "deed"))
		w.settle()
	}
}

// act does a deed that is possible now, in one of three ways.
func (w *seqWorld) act(name string) {
	d := seqDeeds()[name]
	if d.able != nil && !d.able(w) {
		return
	}
	w.trace = append(w.trace, name)
	if d.crashes == nil {
		if known, _ := d.do(w); known != nil {
			known()
		}
		return
	}
	d.crashes(w)
}

func newSeqWorld(t *testing.T, rt *rapid.T) *seqWorld {
	ctx := context.Background()
	base, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	w := &seqWorld{world: &world{t: t, engine: &fakeLauncher{}}, rt: rt, keys: newKeys(), power: &power{}, base: base,
		clock: &seqClock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}, wanted: true, tables: map[string]*seqTable{},
		cluster: seqKey{kek: envelope.PlatformKEK()}, own: seqKey{kek: envelope.PlatformKEK()}}
	w.dir = filepath.Join(base, "0")
	w.must(os.Mkdir(w.dir, 0o700))
	w.boot()
	w.must(w.store.Update(ctx, func(tx store.Tx) error {
		return w.r.Create(ctx, tx, Spec{ID: testCluster, Name: "demo", Location: "westeurope", URI: "https://demo.westeurope.kusto.windows.net",
			DoubleEncryption: rapid.Bool().Draw(rt, "double encryption")})
	}))
	w.must(w.r.Start(ctx, testCluster))
	for _, name := range []string{"db", "own"} {
		w.must(w.r.CreateDatabase(ctx, testCluster, catalog.Database{Name: name}))
	}
	for _, name := range []string{"db.T", "db.R", "own.T"} {
		database, table, _ := strings.Cut(name, ".")
		tab := &seqTable{database: database, name: table}
		w.tables[name] = tab
		w.makeTable(tab)
	}
	return w
}

func (w *seqWorld) makeTable(t *seqTable) {
	ctx := context.Background()
	_, err := w.r.CreateTable(ctx, testCluster, t.database, catalog.Table{Name: t.name, Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
	if t.name == "R" {
		w.must(w.r.SetTablePolicy(ctx, testCluster, t.database, t.name, catalog.PolicyRetention, json.RawMessage(`{"SoftDeletePeriod":"1.00:00:00"}`)))
	}
}

// boot opens the folder in a process that was just born.
func (w *seqWorld) boot() {
	ctx := context.Background()
	var err error
	w.sql, err = sqlstore.Open(ctx, filepath.Join(w.dir, "state.db"))
	w.must(err)
	w.store = poweredStore{w.sql, w.power}
	platform, err := envelope.NewPlatform(ctx, w.store)
	w.must(err)
	w.cfg = Config{Dir: w.dir, Store: w.store, Engine: w.engine, Disk: w.power, Now: w.clock.Now, Log: slog.New(&w.log), ProbeInterval: time.Hour, GracePeriod: 1000 * time.Hour,
		Wrappers: envelope.Wrappers{Platform: platform, Customer: w.keys}}
	w.cluster.was, w.cluster.dark = nil, true
	w.own.was, w.own.dark = nil, true
	w.up = false
	w.r, err = Open(ctx, w.cfg)
	w.must(err)
	w.must(w.r.StartAll(ctx))
}

func (w *seqWorld) end() {
	if w.rt.Failed() {
		w.rt.Log(strings.Join(w.trace, ", "))
	}
	_ = w.r.Close()
	_ = w.sql.Close()
	_ = os.RemoveAll(w.base)
}

// crashIn lets a deed run until the current fails in it, and goes on with what
// the disk held then. When the deed ends before, the current fails after it.
func (w *seqWorld) crashIn(do func() (known, unknown func())) {
	w.dirs++
	to := filepath.Join(w.base, strconv.Itoa(w.dirs))
	w.power.take = func() { w.must(copyFolder(w.dir, to)) }
	w.power.lock.Lock()
	w.power.left, w.power.where = rapid.IntRange(1, 12).Draw(w.rt, "writes"), ""
	w.power.lock.Unlock()
	known, unknown := do()
	w.power.lock.Lock()
	w.power.left = 0
	where := w.power.where
	w.power.lock.Unlock()
	if where == "" {
		where = "after it"
		w.power.fail()
		unknown = known
	}
	w.trace = append(w.trace, "("+where+")")
	w.r.crash()
	w.must(w.sql.Close())
	w.must(os.RemoveAll(w.dir))
	w.dir = to
	if unknown != nil {
		unknown()
	}
	w.boot()
}

// table is a live table, nil when its database is not open.
func (w *seqWorld) live(t *seqTable) *table {
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	s, err := n.running()
	if err != nil {
		return nil
	}
	live, err := s.table(t.database, t.name)
	if err != nil {
		return nil
	}
	return live
}

// why is the reason for which a table must be refused; nil when it must answer.
func (w *seqWorld) why(t *seqTable) error {
	own := t.database == "own"
	said := func(database string, r *envelope.RevokedError) error {
		return &SuspendedError{Database: database, Code: r.Code, VaultURI: r.VaultURI, Reason: r.Reason}
	}
	switch {
	case !w.wanted:
		return ErrNotRunning
	case w.cluster.was != nil:
		return said("", w.cluster.was)
	case w.cluster.dark:
		return ErrNotRunning // it is starting
	case own && w.own.was != nil:
		return said("own", w.own.was)
	case own && w.own.dark:
		return &SuspendedError{Database: "own", Code: "KeyVaultUnavailable", Reason: "the key of the database cannot be reached"}
	}
	return nil
}

// refused says what is wrong with a refusal.
func (w *seqWorld) judge(what string, t *seqTable, err error) {
	var want, got *SuspendedError
	why := w.why(t)
	switch {
	case why == nil:
		w.rt.Fatalf("%s of %s.%s: %v, and nothing is away", what, t.database, t.name, err)
	case errors.As(why, &want):
		if !errors.As(err, &got) || *got != *want {
			w.rt.Fatalf("%s of %s.%s was refused with %v; the reason is %v", what, t.database, t.name, err, why)
		}
	case !errors.Is(err, ErrNotRunning) || errors.As(err, &got):
		w.rt.Fatalf("%s of %s.%s of a stopped cluster: %v", what, t.database, t.name, err)
	}
}

// settle makes everybody ask, waits for what must come of it, and looks at all rows.
func (w *seqWorld) settle() {
	ctx := context.Background()
	w.r.ProbeNow(testCluster)
	for tries := 0; ; tries++ {
		wrong := w.states()
		if wrong == "" {
			break
		}
		if tries == 5000 {
			w.rt.Fatalf("%s", wrong)
		}
		if tries%200 == 199 {
			w.r.ProbeNow(testCluster)
		}
		<-time.After(time.Millisecond)
	}
	if w.expires && w.live(w.tables["db.R"]) != nil {
		w.finishExpiry()
	}
	for _, t := range w.tables {
		for {
			got, err := w.read(t)
			if errors.Is(err, ErrEngine) {
				continue // the child is being replaced
			}
			if err != nil {
				w.judge("a query", t, err)
				break
			}
			if why := w.why(t); why != nil {
				w.rt.Fatalf("%s.%s answers, though %v", t.database, t.name, why)
			}
			w.compare(t, got)
			break
		}
	}
	w.log.mu.Lock()
	if len(w.log.said) > 0 {
		w.rt.Fatalf("%s", w.log.said)
	}
	w.log.mu.Unlock()
	if dbs, err := w.r.Databases(ctx, testCluster); err != nil || len(dbs) != 2 {
		w.rt.Fatalf("databases %v, %v", dbs, err)
	}
}

func (w *seqWorld) compare(t *seqTable, got []string) {
	slices.Sort(t.rows)
	if t.maybeGone && len(got) == 0 {
		t.rows = nil
	}
	if len(t.maybe) > 0 && slices.Contains(got, t.maybe[0]) {
		t.rows = append(t.rows, t.maybe...)
		slices.Sort(t.rows)
	}
	t.maybe, t.maybeGone = nil, false
	if diff := gocmp.Diff(t.rows, got); diff != "" && len(t.rows)+len(got) > 0 {
		w.rt.Fatalf("rows of %s.%s (-acknowledged +answered):\n%s", t.database, t.name, diff)
	}
}

func (w *seqWorld) read(t *seqTable) ([]string, error) {
	meta, err := w.r.Table(context.Background(), testCluster, t.database, t.name)
	if errors.Is(err, catalog.ErrNotFound) && t.maybeGone {
		w.makeTable(t) // dropped, and the current failed before it was made again
		t.rows = nil
		meta, err = w.r.Table(context.Background(), testCluster, t.database, t.name)
	}
	if err != nil {
		return nil, err
	}
	open, err := w.query(t.database, meta.ID)
	if err != nil {
		return nil, err
	}
	return drain(open)
}
