//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

var (
	manyExtents = flag.Int("many.extents", 600, "extents of one table that TestManyExtents asks at once; 10000 takes minutes")
	manyRows    = flag.Int("many.rows", 1, "rows of each of them; with 20000 they are decrypted on read")
)

// scattered makes a table of n extents with so many rows each, counted from 0.
func scattered(t *testing.T, s *site, n, rows int) {
	t.Helper()
	_, err := s.r.CreateTable(t.Context(), testCluster, "db", catalog.Table{Name: "Many", Columns: []catalog.Column{{Name: "id", Type: "long"}}})
	must(t, err)
	var group errgroup.Group
	group.SetLimit(8)
	for i := range n {
		group.Go(func() error {
			_, err := s.r.IngestQuery(context.Background(), testCluster, "db", "Many", cluster.Query{Database: "db", SQL: fmt.Sprintf("SELECT range FROM range(%d, %d)", i*rows, (i+1)*rows)})
			return err
		})
	}
	must(t, group.Wait())
}

// A query over more unmerged extents than the child may have descriptors at
// first killed it: one that did not fit was a message that broke.
func TestManyExtents(t *testing.T) {
	n := *manyExtents
	s := openSiteWith(t, t.TempDir(), func(c *cluster.Config) {
		c.Merge.Extents = n + 1
		c.MaintainInterval = 24 * time.Hour
	})
	s.create(t)
	scattered(t, s, n, *manyRows)
	s.reseal() // nothing is in memory
	child := s.engine.last()
	all := n * *manyRows
	sum := fmt.Sprintf("%d|%d", all, all*(all-1)/2)
	for range 3 {
		began := time.Now()
		s.want("SELECT count(*), sum(c1)::BIGINT FROM {{table:0}}", "Many", sum)
		t.Logf("%d extents: %s", n, time.Since(began).Round(time.Millisecond))
	}
	if s.engine.last() != child {
		t.Error("the child died")
	}
}

// A query over more extents than the child can have open is refused by what it
// is; one over fewer is answered, and extents nobody reads make room.
func TestMoreExtentsThanFit(t *testing.T) {
	s := openSiteWith(t, t.TempDir(), func(c *cluster.Config) {
		c.Merge.Extents = 1 << 20
		c.MaintainInterval = 24 * time.Hour
		c.EngineConfig.MaxOpen = 532 // 20 extents and what is kept for the rest
	})
	s.create(t)
	scattered(t, s, 30, 1)
	s.reseal()
	child := s.engine.last()
	var refused *cluster.QueryError
	if _, err := s.query("SELECT count(*) FROM {{table:0}}", "Many"); !errors.As(err, &refused) || refused.Kind != engine.TooMany {
		t.Fatalf("30 extents of %d: %v", child.Info().MaxExtents, err)
	}
	id := s.table("Many").ID
	for from := 0; from < 30; from += 10 {
		q := cluster.Query{Database: "db", SQL: "SELECT count(*) FROM {{table:0}}", Tables: []cluster.TableRef{{
			Placeholder: "{{table:0}}", TableID: id, Prune: []cluster.Range{{Column: "c1", Min: int64(from), Max: int64(from + 9)}}}}}
		rows, err := s.r.Query(t.Context(), testCluster, q)
		must(t, err)
		var got []string
		for rows.Next() {
			got = append(got, lines(rows.RecordBatch())...)
		}
		must(t, errors.Join(rows.Err(), rows.Close()))
		if diff := cmp.Diff([]string{"10"}, got); diff != "" {
			t.Fatal(diff)
		}
	}
	if s.engine.last() != child {
		t.Error("the child died")
	}
}

// Files that a child has no descriptor for are a refusal of that message.
func TestChildOutOfDescriptors(t *testing.T) {
	t.Parallel()
	child := launch(t, engine.Config{MaxOpen: 64})
	ctx := t.Context()
	parquet := memfd(t)
	_, err := child.Export(ctx, engine.Statement{SQL: "SELECT 1 AS c1"}, parquet)
	must(t, err)
	opened := 0
	for err == nil && opened < 64 {
		opened++
		err = child.OpenExtent(ctx, fmt.Sprintf("x%d", opened), parquet)
	}
	var fault *engine.Fault
	if !errors.As(err, &fault) {
		t.Fatalf("extent %d of a child with 64 descriptors: %v", opened, err)
	}
	for i := 1; i < opened; i++ {
		must(t, child.CloseExtent(ctx, fmt.Sprintf("x%d", i)))
	}
	must(t, child.OpenExtent(ctx, "again", parquet))
	got, err := all(t, child, engine.Statement{SQL: "SELECT c1 FROM read_parquet(['{{extent:again}}'])", Extents: []string{"again"}})
	must(t, err)
	if diff := cmp.Diff([]string{"1"}, got); diff != "" {
		t.Error(diff)
	}
}
