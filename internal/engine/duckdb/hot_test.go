//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

func taxColumns() []engine.Column {
	types := []string{"BIGINT", "VARCHAR", "VARCHAR", "VARCHAR", "DOUBLE", "INTEGER", "VARCHAR", "VARCHAR", "BIGINT", "VARCHAR", "VARCHAR", "BOOLEAN"}
	out := make([]engine.Column, len(types))
	for i, typ := range types {
		out[i] = engine.Column{Name: fmt.Sprintf("c%d", i+1), Type: typ}
	}
	return out
}

// A hot table gives what the file gives, also to those who read while it grows,
// shrinks and goes, and beside buffers that take rows.
func TestHotTables(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{MemoryLimit: 512 << 20, HotBytes: 256 << 20, Threads: 2})
	const rows = 130_000
	file := memfd(t)
	_, err := child.Export(ctx, engine.Statement{SQL: fmt.Sprintf(taxRow, 0, rows)}, file)
	must(t, err)
	must(t, child.OpenExtent(ctx, "e", file))
	extent := engine.Statement{SQL: "SELECT * FROM read_parquet(['{{extent:e}}'])", Extents: []string{"e"}}

	must(t, child.CreateBuffer(ctx, "b", []engine.Column{{Name: "c1", Type: "BIGINT"}, {Name: "c2", Type: "VARCHAR", NotNull: true}}))
	var g errgroup.Group
	g.Go(func() error { // a checkpoint of hot tables is none of buffers
		for i := range 50 {
			stream, err := engine.EncodeBatch(numbers(i*10, 10))
			if err != nil {
				return err
			}
			if err := child.Append(ctx, "b", stream); err != nil {
				return err
			}
		}
		return nil
	})
	got, err := child.Load(ctx, "h_1", taxColumns(), extent, 1<<30)
	must(t, err)
	must(t, g.Wait())
	if got.Rows != rows || got.Bytes <= 0 {
		t.Fatalf("loaded %+v", got)
	}
	for _, q := range append(taxQueries(rows), taxQuery{"all", "", "SELECT count(*), sum(hash(t)) FROM T AS t"}) {
		want, err := all(t, child, engine.Statement{SQL: strings.Replace(q.sql, " T", " read_parquet(['{{extent:e}}'])", 1), Extents: []string{"e"}})
		must(t, err)
		have, err := all(t, child, engine.Statement{SQL: strings.Replace(q.sql, " T", " "+engine.HotTable("h_1"), 1)})
		must(t, err)
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("%s (-file +table):\n%s", q.name, diff)
		}
	}

	open, err := child.Query(ctx, engine.Statement{SQL: "SELECT c1 FROM " + engine.HotTable("h_1")})
	must(t, err)
	defer open.Close()
	if !open.Next() {
		t.Fatal(open.Err())
	}
	n := open.RecordBatch().NumRows()
	_, err = child.Load(ctx, "h_2", taxColumns(), extent, 1<<30)
	must(t, err)
	must(t, child.Unload(ctx, "h_1"))
	for open.Next() {
		n += open.RecordBatch().NumRows()
	}
	if must(t, open.Err()); n != rows {
		t.Fatalf("a query that had begun before the table went got %d rows", n)
	}
	if _, err := all(t, child, engine.Statement{SQL: "SELECT c1 FROM " + engine.HotTable("h_1")}); err == nil {
		t.Fatal("the table is still there")
	}

	// A load that is given up leaves a table to be dropped, and a child that works.
	cancelled, cancel := context.WithCancel(ctx)
	stop := time.AfterFunc(20*time.Millisecond, cancel)
	defer stop.Stop()
	if _, err := child.Load(cancelled, "h_3", taxColumns(), extent, 1<<30); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("a load that was given up: %v", err)
	}
	must(t, child.Unload(ctx, "h_3"))
	must(t, child.Unload(ctx, "h_4")) // was never there
	again, err := child.Load(ctx, "h_3", taxColumns(), extent, 1<<30)
	must(t, err)
	if again.Rows != rows {
		t.Fatalf("loaded %+v", again)
	}
}

func TestHotTablesThatDoNotFit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{MemoryLimit: 64 << 20, Threads: 2})
	var fault *engine.Fault
	if _, err := child.Load(ctx, "h_1", taxColumns(), engine.Statement{SQL: fmt.Sprintf(taxRow, 0, 10)}, 1<<30); !errors.As(err, &fault) || fault.Kind != engine.BadCommand {
		t.Fatalf("a load without a budget: %v", err)
	}
	child = launch(t, engine.Config{MemoryLimit: 1 << 20, HotBytes: 1 << 20, Threads: 2})
	column := []engine.Column{{Name: "c1", Type: "VARCHAR"}}
	text := func(rows int) engine.Statement {
		return engine.Statement{SQL: fmt.Sprintf("SELECT md5(range::VARCHAR) || md5((range + 1)::VARCHAR) AS c1 FROM range(%d)", rows)}
	}
	for name, most := range map[string]int64{"the table's limit": 1 << 20, "the engine's limit": 1 << 30} {
		if _, err := child.Load(ctx, "h_1", column, text(5_000_000), most); !errors.As(err, &fault) || fault.Kind != engine.OutOfMemory {
			t.Fatalf("a load beyond %s: %v", name, err)
		}
		must(t, child.Unload(ctx, "h_1"))
		got, err := child.Load(ctx, "h_2", column, text(1000), 1<<20)
		must(t, err)
		if got.Rows != 1000 {
			t.Fatalf("%+v", got)
		}
		must(t, child.Unload(ctx, "h_2"))
	}
}

// hotSite is a site whose every extent is loaded after its first query.
func hotSite(t *testing.T, bytes int64) *site {
	t.Helper()
	s := openSiteWith(t, t.TempDir(), func(c *cluster.Config) {
		if bytes > 0 {
			c.Hot = cluster.HotPolicy{Bytes: bytes, Touches: 1, Rows: 1}
		}
		c.Merge.Extents, c.Merge.Rows = 4, 400
		c.Seal.Rows = 40
	})
	s.create(t)
	return s
}

// settled waits until the hot tier has nothing to do. It polls, since nobody
// outside is told.
func (s *site) settled() cluster.HotState {
	s.t.Helper()
	for range 5000 {
		st, err := s.r.State(context.Background(), testCluster)
		must(s.t, err)
		if !st.Hot.Busy {
			return st.Hot
		}
		<-time.After(time.Millisecond)
	}
	s.t.Fatal("the hot tier does not come to rest")
	return cluster.HotState{}
}

// The same rows in the same order of events, with and without a hot tier: every
// answer is the same.
func TestHotTierAnswersAlike(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	cold, warm := hotSite(t, 0), hotSite(t, 64<<20)
	both := []*site{cold, warm}
	asked := []string{
		"SELECT c1,c2,c3,c4,c5,c6,c7,c8,c9,c10 FROM {{table:0}} ORDER BY ALL",
		"SELECT c6, count(*), min(c5), max(c4) FROM {{table:0}} GROUP BY 1 ORDER BY ALL",
		"SELECT c3, c4 FROM {{table:0}} ORDER BY c3 DESC NULLS LAST, c4 NULLS FIRST LIMIT 7",
		"SELECT count(*), count(DISTINCT c9), count(c8) FROM {{table:0}} WHERE c1 OR c4 > 0 OR contains(lower(c6), 'a')",
		"SELECT c2, c7 FROM {{table:0}} WHERE c3 BETWEEN -1000 AND 1000000000000000000 ORDER BY ALL",
	}
	added, steps, read := 0, 0, uint64(0)
	each := func(do func(s *site)) {
		for _, s := range both {
			do(s)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		if steps++; steps > 60 {
			return
		}
		switch rapid.IntRange(0, 11).Draw(rt, "event") {
		case 0, 1, 2, 3, 4:
			meta := cold.table("E")
			b := array.NewRecordBuilder(memory.DefaultAllocator, meta.Schema())
			defer b.Release()
			for range rapid.IntRange(1, 20).Draw(rt, "rows") {
				appendRandom(rt, b)
				for i := len(everyType); i < len(meta.Columns); i++ {
					b.Field(i).AppendNull()
				}
			}
			batch := b.NewRecordBatch()
			each(func(s *site) { must(t, s.ingest("E", batch)) })
		case 5:
			each(func(s *site) { must(t, s.r.Maintain(ctx, testCluster)) })
		case 6, 7:
			read += warm.settled().Queries
			each((*site).reseal)
		case 8:
			added++
			each(func(s *site) {
				meta := s.table("E")
				meta.Columns = append(meta.Columns, catalog.Column{Name: fmt.Sprintf("x%d", added), Type: catalog.Long})
				_, err := s.r.AlterTable(ctx, testCluster, "db", meta)
				must(t, err)
			})
		case 9:
			warm.kill()
			awaitAnswer(t, warm)
		case 10:
			each(func(s *site) {
				_, err := s.r.IngestQuery(ctx, testCluster, "db", "E", s.statement("SELECT c1,c2,c3,c4,c5,c6,c7,c8,c9,c10"+strings.Repeat(",NULL::BIGINT", len(s.table("E").Columns)-10)+" FROM {{table:0}} WHERE c2 % 7 = 0", "E"))
				must(t, err)
			})
		case 11:
			each(func(s *site) {
				must(t, s.r.DropTable(ctx, testCluster, "db", "E"))
				_, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "E", Columns: columnsOf(everyType...)})
				must(t, err)
			})
		}
		sql := rapid.SampledFrom(asked).Draw(rt, "query")
		for range 2 { // perhaps cold, then hot
			want, err := cold.query(sql, "E")
			must(t, err)
			got, err := warm.query(sql, "E")
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-without +with the hot tier):\n%s", sql, diff)
			}
			warm.settled()
		}
	})
	st := warm.settled()
	t.Logf("%d queries read a hot table; %+v", read+st.Queries, st)
	if read+st.Queries == 0 {
		t.Fatal("no query read a hot table")
	}
}
