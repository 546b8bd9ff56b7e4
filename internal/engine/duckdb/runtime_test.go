//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

const testCluster = "11111111-2222-4333-8444-555555555555"

// watched remembers the children that were launched.
type watched struct {
	engine.Process
	mu       sync.Mutex
	launched engine.Child
}

// last is the youngest child.
func (w *watched) last() engine.Child {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.launched
}

func (w *watched) Launch(ctx context.Context, cfg engine.Config) (engine.Child, error) {
	c, err := w.Process.Launch(ctx, cfg)
	if err == nil {
		w.mu.Lock()
		w.launched = c
		w.mu.Unlock()
	}
	return c, err
}

// site is a data folder with a runtime over real children and a real store.
type site struct {
	t      testing.TB
	dir    string
	store  store.Store
	engine *watched
	r      *cluster.Runtime
}

func openSite(t testing.TB, dir string) *site {
	t.Helper()
	return openSiteWith(t, dir, func(*cluster.Config) {})
}

func openSiteWith(t testing.TB, dir string, change func(*cluster.Config)) *site {
	t.Helper()
	return openSiteOver(t, dir, func(s store.Store) store.Store { return s }, change)
}

func openSiteOver(t testing.TB, dir string, wrap func(store.Store) store.Store, change func(*cluster.Config)) *site {
	t.Helper()
	ctx := context.Background()
	st, err := sqlstore.Open(ctx, filepath.Join(dir, "state.db"))
	must(t, err)
	st = wrap(st)
	platform, err := envelope.NewPlatform(ctx, st)
	must(t, err)
	s := &site{t: t, dir: dir, store: st, engine: &watched{Process: engine.Process{Stderr: os.Stderr, Log: slog.New(slog.DiscardHandler)}}}
	cfg := cluster.Config{
		Dir: dir, Store: st, Engine: s.engine, Wrappers: envelope.Wrappers{Platform: platform},
		EngineConfig: engine.Config{MemoryLimit: 256 << 20, Threads: 2, Prelude: []string{"CREATE MACRO twice(x) AS x * 2"}},
	}
	change(&cfg)
	s.r, err = cluster.Open(ctx, cfg)
	must(t, err)
	t.Cleanup(s.close)
	must(t, s.r.StartAll(ctx))
	return s
}

func (s *site) close() {
	s.r.Close()
	s.store.Close()
}

// newSite makes a running cluster with database db and table E of every type.
func newSite(t testing.TB) *site {
	t.Helper()
	s := openSite(t, t.TempDir())
	s.create(t)
	return s
}

func (s *site) create(t testing.TB) { s.createWith(t, false) }

// createWith is create for a cluster with or without a second layer.
func (s *site) createWith(t testing.TB, double bool) {
	t.Helper()
	ctx := context.Background()
	must(t, s.store.Update(ctx, func(tx store.Tx) error {
		return s.r.Create(ctx, tx, cluster.Spec{ID: testCluster, Name: "demo", URI: "https://demo.westeurope.kusto.windows.net", DoubleEncryption: double})
	}))
	must(t, s.r.Start(ctx, testCluster))
	must(t, s.r.CreateDatabase(ctx, testCluster, catalog.Database{Name: "db"}))
	_, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "E", Columns: columnsOf(everyType...)})
	must(t, err)
}

func columnsOf(types ...catalog.Type) []catalog.Column {
	var out []catalog.Column
	for _, typ := range types {
		out = append(out, catalog.Column{Name: string(typ), Type: typ})
	}
	return out
}

func (s *site) table(name string) catalog.Table {
	s.t.Helper()
	meta, err := s.r.Table(context.Background(), testCluster, "db", name)
	must(s.t, err)
	return meta
}

func (s *site) query(sql, table string, params ...any) ([]string, error) {
	rows, err := s.r.Query(context.Background(), testCluster, s.statement(sql, table, params...))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		out = append(out, lines(rows.RecordBatch())...)
	}
	return out, rows.Err()
}

func (s *site) statement(sql, table string, params ...any) cluster.Query {
	return cluster.Query{Database: "db", SQL: sql, Params: params, Tables: []cluster.TableRef{{Placeholder: "{{table:0}}", TableID: s.table(table).ID}}}
}

func (s *site) want(sql, table string, want ...string) {
	s.t.Helper()
	got, err := s.query(sql, table)
	must(s.t, err)
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Fatalf("%s (-want +got):\n%s", sql, diff)
	}
}

func (s *site) ingest(table string, batch arrow.RecordBatch) error {
	return s.r.Ingest(context.Background(), testCluster, "db", table, batch)
}

// reseal makes every buffer an extent, by stopping and starting the cluster.
func (s *site) reseal() {
	s.t.Helper()
	must(s.t, s.r.Stop(context.Background(), testCluster))
	must(s.t, s.r.Start(context.Background(), testCluster))
}

func (s *site) kill() {
	s.t.Helper()
	p, err := os.FindProcess(s.engine.last().Info().PID)
	must(s.t, err)
	must(s.t, p.Kill())
	<-s.engine.last().Done()
}

// image copies the folder as a power cut would leave it, and opens the copy.
func (s *site) image() *site {
	s.t.Helper()
	dir := s.t.TempDir()
	must(s.t, os.CopyFS(dir, os.DirFS(s.dir)))
	must(s.t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	}))
	return openSite(s.t, dir)
}

// Random rows of every type through log, buffer, extent and restarts.
func TestRowsOfEveryType(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const all = "SELECT c1,c2,c3,c4,c5,c6,c7,c8,c9,c10 FROM {{table:0}}"
	var sent []string
	check := func(when string) {
		t.Helper()
		got, err := s.query(all, "E")
		must(t, err)
		want := slices.Clone(sent)
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-sent +got):\n%s", when, diff)
		}
	}
	rounds := 0
	rapid.Check(t, func(rt *rapid.T) {
		if rounds++; rounds > 30 {
			return
		}
		b := array.NewRecordBuilder(memory.DefaultAllocator, s.table("E").Schema())
		defer b.Release()
		for range rapid.IntRange(1, 5).Draw(rt, "rows") {
			appendRandom(rt, b)
		}
		batch := b.NewRecordBatch()
		must(t, s.ingest("E", batch))
		sent = append(sent, lines(batch)...)
		check("in the buffer")
		switch rapid.IntRange(0, 9).Draw(rt, "then") {
		case 0:
			s.reseal()
			check("after a stop and a start")
		case 1:
			s.kill()
			awaitAnswer(t, s)
			check("after the child was killed")
		case 2:
			s = s.image()
			check("after a power cut")
		}
	})
	s.reseal()
	check("at the end")
	st, err := s.r.TableStats(context.Background(), testCluster, "db", "E")
	must(t, err)
	if st.Rows != int64(len(sent)) || st.BufferedRows != 0 {
		t.Fatalf("stats %+v for %d rows", st, len(sent))
	}
}

// awaitAnswer asks until the child's successor answers.
func awaitAnswer(t testing.TB, s *site) {
	t.Helper()
	for range 200 {
		_, err := s.query("SELECT count(*) FROM {{table:0}}", "E")
		if err == nil {
			return
		}
		if !errors.Is(err, cluster.ErrEngine) {
			t.Fatal(err)
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("no child answers")
}

func TestKilledInTheMiddleOfAQuery(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, err := s.r.CreateTable(context.Background(), testCluster, "db", catalog.Table{Name: "N", Columns: columnsOf(catalog.Long, catalog.String)})
	must(t, err)
	must(t, s.ingest("N", numbers(0, 1000)))
	s.reseal()
	must(t, s.ingest("N", numbers(1000, 1000)))
	for range 3 {
		rows, err := s.r.Query(context.Background(), testCluster, s.statement("SELECT a.c1 FROM {{table:0}} a, range(1000000) b", "N"))
		must(t, err)
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		s.kill()
		for rows.Next() {
		}
		if !errors.Is(rows.Err(), cluster.ErrEngine) {
			t.Fatalf("the query ended with %v", rows.Err())
		}
		rows.Close()
		awaitAnswer(t, s)
		s.want("SELECT count(*), sum(twice(c1))::BIGINT FROM {{table:0}}", "N", "2000|3998000")
	}
}

func TestDirectIngestion(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newSite(t)
	_, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "N", Columns: columnsOf(catalog.Long, catalog.String)})
	must(t, err)
	file := memfd(t)
	_, err = s.engine.last().Export(ctx, engine.Statement{SQL: "SELECT range::INTEGER AS i, 'x' || range AS t FROM range(10)"}, file)
	must(t, err)
	info, err := file.Stat()
	must(t, err)
	n, err := s.r.IngestParquet(ctx, testCluster, "db", "N", io.NewSectionReader(file, 0, info.Size()), info.Size(), map[string]string{"long": "i", "string": "t"})
	must(t, err)
	if n != 10 {
		t.Fatalf("%d rows", n)
	}
	n, err = s.r.IngestQuery(ctx, testCluster, "db", "N", s.statement("SELECT c1 + $1 AS r0, NULL AS r1 FROM {{table:0}} WHERE c1 < 3", "N", int64(100)))
	must(t, err)
	if n != 3 {
		t.Fatalf("%d rows", n)
	}
	n, err = s.r.IngestQuery(ctx, testCluster, "db", "N", s.statement("SELECT c1, c2 FROM {{table:0}} WHERE false", "N"))
	if n != 0 || err != nil {
		t.Fatalf("a query without rows gave %d, %v", n, err)
	}
	s.want("SELECT c1, c2 FROM {{table:0}} ORDER BY c1 DESC, c2 LIMIT 4", "N", "102|", "101|", "100|", "9|x9")
	for name, bad := range map[string]struct {
		file    string
		columns map[string]string
	}{
		"no Parquet":     {"PAR1 geheim PAR1", nil},
		"unknown column": {"", map[string]string{"other": "i"}},
		"missing column": {"", map[string]string{"long": "nowhere"}},
	} {
		reader, size := io.Reader(io.NewSectionReader(file, 0, info.Size())), info.Size()
		if bad.file != "" {
			reader, size = strings.NewReader(bad.file), int64(len(bad.file))
		}
		_, err := s.r.IngestParquet(ctx, testCluster, "db", "N", reader, size, bad.columns)
		if !errors.Is(err, cluster.ErrSchema) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.want("SELECT count(*) FROM {{table:0}}", "N", "13")
}

func TestQueryRefusals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var q *cluster.QueryError
	if _, err := s.query("SELECT 9223372036854775807::BIGINT + 1::BIGINT FROM range(1), {{table:0}} UNION ALL SELECT 9223372036854775807::BIGINT + 1::BIGINT", "E"); !errors.As(err, &q) || q.Kind != engine.Overflow {
		t.Errorf("overflow: %v", err)
	}
	if _, err := s.query("SELECT x FROM range(200000000) t(x) WHERE x NOT IN (SELECT c3 FROM {{table:0}} WHERE c3 IS NOT NULL) ORDER BY hash(x)", "E"); !errors.As(err, &q) || !q.Memory {
		t.Errorf("too much memory: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	rows, err := s.r.Query(ctx, testCluster, s.statement("SELECT a.range FROM range(100000000) a, range(1000) b WHERE a.range NOT IN (SELECT c3 FROM {{table:0}} WHERE c3 IS NOT NULL)", "E"))
	must(t, err)
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	cancel()
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), context.Canceled) {
		t.Errorf("cancelled: %v", rows.Err())
	}
	rows.Close()
}

// An extent with fewer columns, a dropped column, and a column that came later.
func TestColumnsComeAndGo(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := newSite(t)
	meta, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "N", Columns: columnsOf(catalog.Long, catalog.String)})
	must(t, err)
	must(t, s.ingest("N", numbers(1, 1)))
	s.reseal()
	meta.Columns = append(meta.Columns[:1], catalog.Column{Name: "later", Type: catalog.String}, catalog.Column{Name: "when", Type: catalog.Datetime})
	meta, err = s.r.AlterTable(ctx, testCluster, "db", meta)
	must(t, err)
	b := array.NewRecordBuilder(memory.DefaultAllocator, meta.Schema())
	b.Field(0).(*array.Int64Builder).Append(2)
	b.Field(1).(*array.StringBuilder).Append("new")
	b.Field(2).(*array.Int64Builder).Append(7)
	must(t, s.ingest("N", b.NewRecordBatch()))
	const all = "SELECT c1, c3, c4 FROM {{table:0}} ORDER BY c1"
	s.want(all, "N", "1||∅", "2|new|7")
	s.reseal()
	s.want(all, "N", "1||∅", "2|new|7")
	s.kill()
	awaitAnswer(t, s)
	s.want(all, "N", "1||∅", "2|new|7")
	got, err := s.query("SELECT c2 FROM {{table:0}}", "N")
	if err == nil {
		t.Fatalf("a dropped column answers %v", got)
	}
}

func benchSite(b *testing.B) *site {
	s := newSite(b)
	_, err := s.r.CreateTable(context.Background(), testCluster, "db", catalog.Table{Name: "N", Columns: columnsOf(catalog.Long, catalog.String)})
	must(b, err)
	return s
}

func BenchmarkIngest(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("rows=%d", n), func(b *testing.B) {
			s := benchSite(b)
			batch := numbers(0, n)
			b.ResetTimer()
			for b.Loop() {
				must(b, s.ingest("N", batch))
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

func BenchmarkIngestConcurrent(b *testing.B) {
	s := benchSite(b)
	batch := numbers(0, 100)
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			must(b, s.ingest("N", batch))
		}
	})
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkQuery(b *testing.B) {
	s := benchSite(b)
	for i := range 4 {
		must(b, s.ingest("N", numbers(i*100_000, 100_000)))
		s.reseal()
	}
	for name, sql := range map[string]string{
		"count":  "SELECT count(*) FROM {{table:0}}",
		"needle": "SELECT c2 FROM {{table:0}} WHERE c1 = 77",
		"all":    "SELECT c1, c2 FROM {{table:0}}",
	} {
		b.Run(name, func(b *testing.B) {
			q := s.statement(sql, "N")
			for b.Loop() {
				rows, err := s.r.Query(context.Background(), testCluster, q)
				must(b, err)
				for rows.Next() {
				}
				must(b, rows.Err())
				rows.Close()
			}
		})
	}
}

func BenchmarkStart(b *testing.B) {
	p := &engine.Process{Stderr: os.Stderr}
	for b.Loop() {
		c, err := p.Launch(context.Background(), engine.Config{})
		must(b, err)
		c.Close()
	}
}
