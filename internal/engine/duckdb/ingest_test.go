//go:build cgo

package duckdb

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	duck "github.com/duckdb/duckdb-go-bindings"
	"golang.org/x/sync/errgroup"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

var (
	ingestRows   = flag.Int("ingest.rows", 40_000, "rows of each way of TestIngestionBesideDuckDB; the published figures are those of 1000000")
	ingestRounds = flag.Int("ingest.rounds", 1, "rounds of it, of which the median counts")
)

const ingestBatch = 20_000

// logTypes are the types of taxRow's columns.
var logTypes = []catalog.Type{"long", "string", "string", "string", "real", "int", "string", "string", "long", "string", "string", "bool"}

func logColumns() (out []catalog.Column) {
	for i, typ := range logTypes {
		out = append(out, catalog.Column{Name: fmt.Sprintf("f%d", i+1), Type: typ})
	}
	return out
}

// logBatches are rows of taxRow in batches, and their size in memory.
func logBatches(t *testing.T, child engine.Child, schema *arrow.Schema, rows int) (out []arrow.RecordBatch, bytes int64) {
	t.Helper()
	for from := 0; from < rows; from += ingestBatch {
		result, err := child.Query(t.Context(), engine.Statement{SQL: fmt.Sprintf(taxRow, from, min(from+ingestBatch, rows))})
		must(t, err)
		parts := make([][]arrow.Array, schema.NumFields())
		for result.Next() {
			for i, column := range result.RecordBatch().Columns() {
				column.Retain()
				parts[i] = append(parts[i], column)
			}
		}
		must(t, result.Err())
		columns := make([]arrow.Array, len(parts))
		for i, p := range parts {
			columns[i], err = array.Concatenate(p, memory.DefaultAllocator)
			must(t, err)
			for _, b := range columns[i].Data().Buffers() {
				if b != nil {
					bytes += int64(b.Len())
				}
			}
		}
		must(t, result.Close())
		out = append(out, array.NewRecordBatch(schema, columns, int64(columns[0].Len())))
	}
	return out, bytes
}

// plainDuckDB is DuckDB without anything of ours: no child, no walls, no key.
func plainDuckDB(t *testing.T, path string) (c duck.Connection, end func()) {
	t.Helper()
	var db duck.Database
	if duck.Open(path, &db) == duck.StateError || duck.Connect(db, &c) == duck.StateError {
		t.Fatal("DuckDB does not open")
	}
	return c, func() { duck.Disconnect(&c); duck.Close(&db) }
}

func appendAll(t *testing.T, c duck.Connection, batches []arrow.RecordBatch) {
	t.Helper()
	sql, names := "CREATE TABLE L (", map[string]bool{}
	for i, typ := range logTypes {
		if i > 0 {
			sql += ", "
		}
		name := fmt.Sprintf("c%d", i+1)
		sql, names[name] = sql+name+" "+typ.Storage(), true
	}
	must(t, execOn(c, sql+")"))
	for _, batch := range batches {
		stream, err := engine.EncodeBatch(batch)
		must(t, err)
		must(t, execOn(c, "BEGIN TRANSACTION"))
		_, err = appendStreams(c, "L", names, stream)
		must(t, err)
		must(t, execOn(c, "COMMIT")) // a table of a file is durable from here on
	}
}

// What keeping rows costs beside DuckDB alone, in one run: batches through its
// Appender, into memory and into a file of its own, against batches that are
// acknowledged when they are encrypted in the log, synced and to be queried; and
// its COPY of a query to a Parquet file against an extent made of the same query.
// Ours in one layer of encryption, and in two.
func TestIngestionBesideDuckDB(t *testing.T) {
	ctx := context.Background()
	rows := *ingestRows
	source := fmt.Sprintf(taxRow, 0, rows)
	var batches []arrow.RecordBatch
	var bytes int64
	tables := 0
	fresh := func(s *site) string {
		tables++
		name := fmt.Sprintf("L%d", tables)
		meta, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: name, Columns: logColumns()})
		must(t, err)
		if batches == nil {
			batches, bytes = logBatches(t, s.engine.last(), meta.Schema(), rows)
		}
		return name
	}
	open := func(double bool) *site {
		s := openSiteWith(t, t.TempDir(), func(c *cluster.Config) {
			c.Seal.Rows, c.Seal.Bytes, c.MaintainInterval = 1<<40, 1<<40, 24*time.Hour
			c.EngineConfig.MemoryLimit = 3 << 30
		})
		s.createWith(t, double)
		fresh(s)
		return s
	}
	one, two := open(false), open(true)
	full := func(s *site, table string) {
		t.Helper()
		s.want("SELECT count(*) FROM {{table:0}}", table, fmt.Sprint(rows))
		must(t, s.r.DropTable(ctx, testCluster, "db", table))
	}
	ingest := func(s *site, writers int) func() time.Duration {
		return func() time.Duration {
			table := fresh(s)
			began := time.Now()
			var group errgroup.Group
			group.SetLimit(writers)
			for _, b := range batches {
				group.Go(func() error { return s.ingest(table, b) })
			}
			must(t, group.Wait())
			took := time.Since(began)
			full(s, table)
			return took
		}
	}
	extent := func(s *site) func() time.Duration {
		return func() time.Duration {
			table := fresh(s)
			began := time.Now()
			n, err := s.r.IngestQuery(ctx, testCluster, "db", table, cluster.Query{Database: "db", SQL: source})
			must(t, err)
			took := time.Since(began)
			if n != int64(rows) {
				t.Fatalf("%d rows of %d", n, rows)
			}
			full(s, table)
			return took
		}
	}
	appender := func(path func() string) func() time.Duration {
		return func() time.Duration {
			c, end := plainDuckDB(t, path())
			defer end()
			began := time.Now()
			appendAll(t, c, batches)
			return time.Since(began)
		}
	}
	ways := []struct {
		name string
		run  func() time.Duration
		took []time.Duration
	}{
		{name: "Appender, table in memory, nothing durable", run: appender(func() string { return "" })},
		{name: "Appender, table in a file in clear, a commit each batch", run: appender(func() string { return filepath.Join(t.TempDir(), "l.duckdb") })},
		{name: "acknowledged batches, one writer", run: ingest(one, 1)},
		{name: "the same, two layers", run: ingest(two, 1)},
		{name: "acknowledged batches, four writers", run: ingest(one, 4)},
		{name: "the same, two layers", run: ingest(two, 4)},
		{name: "COPY of a query to a Parquet file in clear, synced", run: func() time.Duration {
			c, end := plainDuckDB(t, "")
			defer end()
			path := filepath.Join(t.TempDir(), "l.parquet")
			began := time.Now()
			must(t, execOn(c, "COPY ("+source+") TO '"+path+"' "+parquet))
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			must(t, err)
			must(t, f.Sync())
			must(t, f.Close())
			return time.Since(began)
		}},
		{name: "an extent of the same query, encrypted, synced, in the catalogue", run: extent(one)},
		{name: "the same, two layers", run: extent(two)},
	}
	for range *ingestRounds {
		for i := range ways {
			ways[i].took = append(ways[i].took, ways[i].run())
		}
	}
	t.Logf("%d rows of 12 columns, %.0f MB as Arrow, batches of %d, %d rounds", rows, float64(bytes)/1e6, ingestBatch, *ingestRounds)
	t.Log("| Way | rows/s | MB/s |")
	t.Log("|---|---|---|")
	for _, w := range ways {
		took := median(w.took).Seconds()
		t.Logf("| %s | %.0f | %.0f |", w.name, float64(rows)/took, float64(bytes)/1e6/took)
	}
}
