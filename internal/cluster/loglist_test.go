package cluster

import (
	"bytes"
	"context"
	"os"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// listed is what the catalogue lists of a database's log.
func (w *world) listed(database string) (out []string) {
	w.t.Helper()
	ctx := context.Background()
	db, err := w.r.Database(ctx, testCluster, database)
	w.must(err)
	w.must(w.store.View(ctx, func(tx store.Tx) error {
		all, _, err := w.r.nodes[testCluster].cat.Segments(tx, db.ID)
		for id := range all {
			out = append(out, id)
		}
		return err
	}))
	slices.Sort(out)
	return out
}

// wantListed checks that the list of a log is what the folder holds of it.
func (w *world) wantListed(database string) {
	w.t.Helper()
	var there []string
	for _, s := range w.segmentsOf(database) {
		there = append(there, s.ID)
	}
	slices.Sort(there)
	if diff := gocmp.Diff(there, w.listed(database)); diff != "" {
		w.t.Errorf("segments of %s (-there +listed):\n%s", database, diff)
	}
}

func TestSegmentsAreListed(t *testing.T) {
	t.Parallel()
	w := newTwoWorld(t)
	w.wantListed("own")
	w.wantListed("db")
	for v := range int64(3) {
		w.must(w.ingestOwn(10 + v))
		w.wantListed("own")
		w.sealOwn()
		w.wantListed("own")
		w.r.crash()
		w.reopen()
		w.wantListed("own")
	}
	if left := w.listed("own"); len(left) != 0 {
		t.Errorf("still listed: %v", left)
	}
	db, err := w.r.Database(context.Background(), testCluster, "db")
	w.must(err)
	w.must(w.r.DeleteDatabase(context.Background(), testCluster, "db"))
	w.must(w.store.View(context.Background(), func(tx store.Tx) error {
		all, _, err := w.r.nodes[testCluster].cat.Segments(tx, db.ID)
		if len(all) != 0 {
			t.Errorf("of a dropped database: %v", all)
		}
		return err
	}))
}

// What of a segment nobody can read whose it is, or that is not there at all, closes
// its own database, which is known by the list, and no other.
func TestListedSegmentIsMissed(t *testing.T) {
	t.Parallel()
	header := func(change func(head []byte) []byte) func(*world, wal.Segment) func() {
		return func(w *world, s wal.Segment) func() {
			raw, err := os.ReadFile(s.Path)
			w.must(err)
			return w.replace(s.Path, change(raw))
		}
	}
	for name, damage := range map[string]func(*world, wal.Segment) func(){
		"gone":      func(w *world, s wal.Segment) func() { return w.hide(s.Path) },
		"empty":     header(func([]byte) []byte { return nil }),
		"cut":       header(func(b []byte) []byte { return b[:40] }),
		"zeros":     header(func(b []byte) []byte { return make([]byte, len(b)) }),
		"other":     header(func(b []byte) []byte { return bytes.Repeat([]byte("kustos"), len(b)/6) }),
		"no one's":  header(func(b []byte) []byte { id := [16]byte{1}; copy(b[32:], id[:]); return b }),
		"a newer's": header(func(b []byte) []byte { b[8], b[9] = 9, 9; copy(b[32:], make([]byte, 16)); return b }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTwoWorld(t)
			w.r.crash()
			segments := w.segmentsOf("own")
			newest := segments[len(segments)-1]
			restore := damage(w, newest)
			for range 2 {
				w.reopen()
				if e := w.wantDamaged("own"); e.Segment != newest.ID {
					t.Errorf("%+v", e)
				}
				w.want("T", "7")
				w.r.crash()
			}
			w.reopen()
			w.must(w.ingest("T", 8))
			w.want("T", "7", "8")
			restore()
			w.r.ProbeNow(testCluster)
			w.awaitDamage("own", false)
			w.wantOwn("1", "2")
			w.must(w.ingestOwn(3))
			w.sealOwn()
			w.wantListed("own")
			w.r.crash()
			w.reopen()
			w.wantOwn("1", "2", "3")
		})
	}
}

// What is not listed is listed when it was found: of a log from before there was a list.
func TestUnlistedSegment(t *testing.T) {
	t.Parallel()
	w := newTwoWorld(t)
	ctx := context.Background()
	db, err := w.r.Database(ctx, testCluster, "own")
	w.must(err)
	listed := w.listed("own")
	w.must(w.store.Update(ctx, func(tx store.Tx) error {
		return w.r.nodes[testCluster].cat.RemoveSegments(tx, db.ID, append(listed, ids.NewGUID()))
	}))
	w.r.crash()
	w.reopen()
	w.wantListed("own")
	w.wantOwn("1", "2")
}

// A database opens without segments that were given up, wherever they were among the
// others, and what verifies its log does not miss them.
func TestGivenUpSegment(t *testing.T) {
	t.Parallel()
	for lost := range 3 {
		w := newTwoWorld(t)
		ctx := context.Background()
		for v := range int64(2) { // a segment each, beside the one that is there
			w.r.crash()
			w.reopen()
			w.must(w.ingestOwn(10 + v))
		}
		db, err := w.r.Database(ctx, testCluster, "own")
		w.must(err)
		w.r.crash()
		segments := w.segmentsOf("own")
		if len(segments) < 3 {
			t.Fatalf("%d segments", len(segments))
		}
		segments = segments[len(segments)-3:]
		w.hide(segments[lost].Path)
		w.reopen()
		w.wantDamaged("own")
		w.r.crash()
		w.must(w.store.Update(ctx, func(tx store.Tx) error {
			return w.r.nodes[testCluster].cat.GiveUpSegment(tx, db.ID, segments[lost].ID)
		}))
		w.reopen()
		rows := []string{"1", "10", "11", "2"}
		gone := []string{"2", "10", "11"}[lost]
		rows = slices.DeleteFunc(rows, func(r string) bool { return r == gone })
		w.wantOwn(rows...)
		if v, _ := w.verify(1 << 20); len(v.Damage) != 0 {
			t.Errorf("%d: %+v", lost, v.Damage)
		}
		w.must(w.ingestOwn(12))
		w.r.crash()
		// Another is damaged, and mended: what was given up is not missed then either.
		restore := w.spoil(w.segmentsOf("own")[0].Path, 20)
		w.reopen()
		w.wantDamaged("own")
		restore()
		w.r.ProbeNow(testCluster)
		w.awaitDamage("own", false)
		w.sealOwn()
		rows = append(rows, "12")
		slices.Sort(rows)
		w.wantOwn(rows...)
	}
}
