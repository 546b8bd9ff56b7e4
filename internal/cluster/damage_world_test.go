package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/wal"
)

// newTwoWorld is newWorld with a second database "own" with a table "T" and,
// sealed and in the log, the rows 1 and 2; the row 7 is in the log of "db".
func newTwoWorld(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.second("own")
	w.must(w.ingestOwn(1))
	w.sealOwn()
	w.must(w.ingestOwn(2))
	w.must(w.ingest("T", 7))
	return w
}

func (w *world) second(name string) {
	w.t.Helper()
	ctx := context.Background()
	w.must(w.r.CreateDatabase(ctx, testCluster, catalog.Database{Name: name}))
	_, err := w.r.CreateTable(ctx, testCluster, name, catalog.Table{Name: "T", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
}

// segmentsOf lists the log of a database, the oldest first. Its headers must be whole.
func (w *world) segmentsOf(database string) (out []wal.Segment) {
	w.t.Helper()
	db, err := w.r.Database(context.Background(), testCluster, database)
	w.must(err)
	out, err = wal.Segments(filepath.Join(w.dir, "clusters", testCluster, "wal"), db.ID)
	w.must(err)
	return out
}

// spoil changes the byte of a file at an offset, from the end when it is below
// zero. It returns what takes the change back.
func (w *world) spoil(path string, at int64) (restore func()) {
	w.t.Helper()
	flip := func() {
		raw, err := os.ReadFile(path)
		w.must(err)
		i := at
		if i < 0 {
			i += int64(len(raw))
		}
		raw[i] ^= 0x10
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // in place, as a disk would
		w.must(err)
		_, err = f.WriteAt(raw[i:i+1], i)
		w.must(errors.Join(err, f.Close()))
	}
	flip()
	return flip
}

// replace puts other bytes in the place of a file.
func (w *world) replace(path string, raw []byte) (restore func()) {
	w.t.Helper()
	before, err := os.ReadFile(path)
	w.must(err)
	w.must(os.WriteFile(path, raw, 0o600))
	return func() { w.must(os.WriteFile(path, before, 0o600)) }
}

// hide takes a file away.
func (w *world) hide(path string) (restore func()) {
	w.t.Helper()
	w.must(os.Rename(path, path+".aside"))
	return func() { w.must(os.Rename(path+".aside", path)) }
}

// content is every file of the cluster that belongs to a database: its extents
// and the segments named.
func (w *world) content(database string, segments []wal.Segment) map[string]string {
	w.t.Helper()
	db, err := w.r.Database(context.Background(), testCluster, database)
	w.must(err)
	out := make(map[string]string)
	for _, path := range append(w.files(extentSuffix), w.files(wal.Suffix)...) {
		mine := strings.Contains(path, db.ID) || slices.ContainsFunc(segments, func(s wal.Segment) bool { return s.Path == path })
		if mine {
			raw, err := os.ReadFile(path)
			w.must(err)
			out[path] = string(raw)
		}
	}
	return out
}

// refusals are the answers of everything one can ask of a database.
func (w *world) refusals(database string) map[string]error {
	ctx := context.Background()
	db, err := w.r.Database(ctx, testCluster, database)
	w.must(err)
	batch := batchOf(oneColumn, 99)
	_, tables := w.r.Tables(ctx, testCluster, database)
	_, table := w.r.Table(ctx, testCluster, database, "T")
	_, stats := w.r.TableStats(ctx, testCluster, database, "T")
	_, query := w.query(database, db.ID)
	_, policy := w.r.TablePolicy(ctx, testCluster, database, "", catalog.PolicyRetention)
	_, made := w.r.CreateTable(ctx, testCluster, database, catalog.Table{Name: "U"})
	_, altered := w.r.AlterTable(ctx, testCluster, database, catalog.Table{Name: "T"})
	_, parquet := w.r.IngestParquet(ctx, testCluster, database, "T", strings.NewReader("[]"), 2, nil)
	return map[string]error{
		"ingest": w.r.Ingest(ctx, testCluster, database, "T", batch), "tables": tables, "table": table, "stats": stats, "query": query,
		"policy": policy, "make a table": made, "alter a table": altered, "import": parquet,
		"set a policy": w.r.SetTablePolicy(ctx, testCluster, database, "", catalog.PolicyRetention, []byte(`{}`)),
		"drop a table": w.r.DropTable(ctx, testCluster, database, "T"),
	}
}

// wantDamaged: everything of the database is refused because of its log, and
// the state says so.
func (w *world) wantDamaged(database string) *LogError {
	w.t.Helper()
	ctx := context.Background()
	var damaged *LogError
	for what, err := range w.refusals(database) {
		if !errors.As(err, &damaged) || damaged.Database != database || damaged.Segment == "" || damaged.Since.IsZero() {
			w.t.Errorf("%s of %s: %v", what, database, err)
		}
	}
	state, err := w.r.DatabaseState(ctx, testCluster, database)
	w.must(err)
	if state.Damage == nil || state.Suspended {
		w.t.Errorf("state of %s: %+v", database, state)
	}
	of, err := w.r.State(ctx, testCluster)
	w.must(err)
	if of.Phase != Running || !strings.Contains(of.Reason, "database "+database+" is closed because its log is damaged") {
		w.t.Errorf("%+v", of)
	}
	return damaged
}

// awaitDamage waits until a database is closed because of its log, or is open.
func (w *world) awaitDamage(database string, want bool) {
	w.t.Helper()
	for range 5000 {
		s, err := w.r.DatabaseState(context.Background(), testCluster, database)
		w.must(err)
		if (s.Damage != nil) == want && !s.Suspended {
			return
		}
		<-time.After(time.Millisecond)
	}
	w.t.Fatalf("the log of %s counts as damaged: %v", database, !want)
}

func (w *world) session() *session {
	w.t.Helper()
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	return s
}
