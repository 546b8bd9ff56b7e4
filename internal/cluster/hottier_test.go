package cluster

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
)

// hotWorld is a world with a hot tier, inside a bubble whose time is the
// cluster's clock.
func hotWorld(t *testing.T, p HotPolicy, change ...func(*Config)) *world {
	t.Helper()
	if p.Rows == 0 {
		p.Rows = 1
	}
	return newWorldWith(t, func(c *Config) {
		c.Hot = p
		for _, f := range change {
			f(c)
		}
	})
}

func (w *world) hot() HotState {
	w.t.Helper()
	synctest.Wait()
	s, err := w.r.State(context.Background(), testCluster)
	w.must(err)
	return s.Hot
}

// settled is the hot tier when it has nothing to do. It polls, since nobody
// outside is told.
func (w *world) settled() HotState {
	w.t.Helper()
	for range 5000 {
		s, err := w.r.State(context.Background(), testCluster)
		w.must(err)
		if !s.Hot.Busy {
			return s.Hot
		}
		<-time.After(100 * time.Microsecond)
	}
	w.t.Fatal("the hot tier does not come to rest")
	return HotState{}
}

// tablesOf are the hot tables that the child has.
func (w *world) tablesOf() (n int) {
	for _, c := range w.engine.alive() {
		c.mu.Lock()
		n += len(c.loaded)
		c.mu.Unlock()
	}
	return n
}

// later lets the clock of the bubble go on.
func later(d time.Duration) { <-time.After(d) }

func TestHotTierAdmitsWhatIsReadOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 3, Window: 10 * time.Minute})
		want := w.extents(0, 3)
		for range 4 { // too far apart
			w.want("T", want...)
			later(6 * time.Minute)
			if st := w.hot(); st.Tables != 0 {
				t.Fatalf("admitted after queries that were far apart: %+v", st)
			}
		}
		later(time.Hour)
		for range 3 {
			if st := w.hot(); st.Tables != 0 {
				t.Fatalf("admitted before the third query: %+v", st)
			}
			w.want("T", want...)
		}
		got := w.hot()
		if got.Tables != 1 || got.Extents != 3 || got.Rows != 3 || got.Queries != 0 || got.Bytes <= 0 || got.Bytes > got.Budget {
			t.Fatalf("after the third query: %+v", got)
		}
		opened := w.engine.alive()[0].opened
		w.must(w.ingest("T", 3)) // the buffer is read beside it
		w.want("T", append(want, "3")...)
		if st := w.hot(); st.Queries != 1 {
			t.Fatalf("the hot table was not read: %+v", st)
		}
		if now := w.engine.alive()[0].opened; now != opened {
			t.Fatal("a query over hot extents opened a file")
		}
		// A restart begins cold.
		w.must(w.r.Close())
		w.reopen()
		if st := w.hot(); st.Tables != 0 || st.Queries != 0 {
			t.Fatalf("after a restart: %+v", st)
		}
		w.want("T", append(want, "3")...)
	})
}

// Extents that come one after the other do not make one table each.
func TestHotTierHasFewTables(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1}, func(c *Config) { c.Merge.Extents = 1000 })
		for i := range 40 {
			w.want("T", w.extents(i, 1)...)
			if st := w.hot(); st.Extents != i+1 || st.Tables > 5 || w.tablesOf() != st.Tables {
				t.Fatalf("%d extents: %+v, %d tables in the child", i+1, st, w.tablesOf())
			}
		}
	})
}

func TestHotTierFollowsTheCatalogue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1})
		want := w.extents(0, 8)
		w.want("T", want...)
		if st := w.hot(); st.Extents != 8 {
			t.Fatalf("before the merge: %+v", st)
		}
		// A query that reads the hot table goes on with it while it is given up.
		open, err := w.r.Query(ctx, testCluster, Query{
			Database: "db", SQL: "SELECT c1 FROM {{table:0}}", Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}},
		})
		w.must(err)
		w.must(w.r.Maintain(ctx, testCluster))
		if st := w.hot(); st.Tables != 0 || st.Stale != 1 || w.tablesOf() != 1 {
			t.Fatalf("after the merge, under a query: %+v, %d tables in the child", st, w.tablesOf())
		}
		open.Close()
		if st := w.hot(); st.Bytes != 0 || w.tablesOf() != 0 {
			t.Fatalf("after the merge: %+v, %d tables in the child", st, w.tablesOf())
		}
		w.want("T", want...)
		if st := w.hot(); st.Extents != 1 {
			t.Fatalf("the merged extent is not hot: %+v", st)
		}
		// A column that comes later is null in the table.
		meta := w.table("T")
		meta.Columns = append(meta.Columns, catalog.Column{Name: "x", Type: catalog.Long})
		_, err = w.r.AlterTable(ctx, testCluster, "db", meta)
		w.must(err)
		before := w.hot().Queries
		w.want("T", want...)
		if st := w.hot(); st.Queries != before+1 {
			t.Fatalf("a new column made the table cold: %+v", st)
		}
		w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "T", catalog.PolicyRetention, []byte(`{"SoftDeletePeriod":"1.00:00:00"}`)))
		later(25 * time.Hour)
		w.must(w.r.Maintain(ctx, testCluster))
		w.want("T")
		if st := w.hot(); st.Tables != 0 || st.Bytes != 0 || w.tablesOf() != 0 {
			t.Fatalf("after retention: %+v", st)
		}
	})
}

// A re-encryption changes keys and files, not rows: what is in memory of these stays.
func TestHotTierOutlivesReencryption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1})
		want := w.extents(0, 3)
		w.want("T", want...)
		before := w.hot()
		if before.Tables != 1 || before.Extents != 3 {
			t.Fatalf("not hot: %+v", before)
		}
		files, opened := w.files(".kxt"), w.engine.alive()[0].opened
		_, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{})
		w.must(err)
		after := w.hot() // when all has come to rest
		if diff := cmp.Diff(before, after); diff != "" {
			t.Fatalf("the hot tier (-before +after):\n%s", diff)
		}
		for _, f := range w.files(".kxt") {
			if slices.Contains(files, f) {
				t.Fatalf("%s was not rewritten", f)
			}
		}
		w.want("T", want...)
		if st := w.hot(); st.Queries != before.Queries+1 || w.engine.alive()[0].opened != opened {
			t.Fatalf("the hot table was not read: %+v", st)
		}
		w.must(w.r.DropTable(ctx, testCluster, "db", "T"))
		if st := w.hot(); st.Tables != 0 || st.Bytes != 0 || w.tablesOf() != 0 {
			t.Fatalf("after the end of the table: %+v, %d tables in the child", st, w.tablesOf())
		}
	})
}

// A table that is being loaded from a file that goes is given up, and loaded again.
func TestHotTierLoadsAgainAfterReencryption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1})
		want := w.extents(0, 2)
		goOn := make(chan struct{})
		w.engine.mu.Lock()
		w.engine.onLoad = func(*fakeChild) error { <-goOn; return nil }
		w.engine.mu.Unlock()
		w.want("T", want...)
		if st := w.hot(); !st.Busy || st.Tables != 0 {
			t.Fatalf("a load is under way: %+v", st)
		}
		_, err := w.r.Reencrypt(context.Background(), testCluster, ReencryptionRequest{})
		w.must(err)
		synctest.Wait() // until it is done
		w.want("T", want...)
		close(goOn)
		if st := w.hot(); st.Stale != 1 {
			t.Fatalf("what was being loaded was not given up: %+v", st)
		}
		later(time.Minute)
		w.want("T", want...)
		if st := w.hot(); st.Tables != 1 || st.Extents != 2 || w.tablesOf() != 1 {
			t.Fatalf("not loaded again: %+v, %d tables in the child", st, w.tablesOf())
		}
	})
}

// A load holds nobody up, and ends when its table goes.
func TestHotTierLoadsInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1})
		want := w.extents(0, 2)
		goOn := make(chan struct{})
		w.engine.mu.Lock()
		w.engine.onLoad = func(*fakeChild) error { <-goOn; return nil }
		w.engine.mu.Unlock()
		w.want("T", want...)
		if st := w.hot(); !st.Busy || st.Tables != 0 {
			t.Fatalf("a load is under way: %+v", st)
		}
		w.want("T", want...)
		w.must(w.ingest("T", 9))
		w.seal("T")
		w.must(w.r.DropTable(ctx, testCluster, "db", "T"))
		close(goOn)
		if st := w.hot(); st.Busy || st.Tables != 0 || st.Bytes != 0 || w.tablesOf() != 0 {
			t.Fatalf("after the end of the table: %+v, %d tables in the child", st, w.tablesOf())
		}
	})
}

// The budget holds, and what is read is not given up for what is read as often.
func TestHotTierEvictsTheLeastRecentlyUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := hotWorld(t, HotPolicy{Bytes: 14_000, Touches: 1, Window: time.Minute})
		values := []int64{}
		for i := range 300 {
			values = append(values, int64(i))
		}
		names := []string{"A", "B", "C", "D"}
		read := func(names ...string) {
			t.Helper()
			for _, name := range names {
				got, err := w.rows(name)
				w.must(err)
				if len(got) != len(values) {
					t.Fatalf("%s has %d rows", name, len(got))
				}
				if st := w.hot(); st.Bytes > st.Budget || w.tablesOf() != st.Tables {
					t.Fatalf("beyond the budget: %+v, %d tables in the child", st, w.tablesOf())
				}
				later(time.Second)
			}
		}
		for _, name := range names {
			_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: name, Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
			w.must(err)
			w.must(w.ingest(name, values...))
			w.seal(name)
		}
		read("A", "B", "C", "D")
		st := w.hot()
		if st.Tables == 0 || st.Tables == 4 || st.Evicted != 0 {
			t.Fatalf("all are read as often: %+v", st)
		}
		later(2 * time.Minute)
		read("B")
		read("A")
		later(70 * time.Second)
		read("A", "D")
		if now := w.hot(); now.Evicted == 0 || now.Tables != st.Tables {
			t.Fatalf("what nobody reads was not given up: %+v, before %+v", now, st)
		}
		queries := w.hot().Queries
		read("A", "D")
		if now := w.hot(); now.Queries != queries+2 {
			t.Fatalf("what is read is not hot: %+v", now)
		}
	})
}

// A damaged extent is no reason for others not to be loaded.
func TestHotTierPassesOverDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1})
		w.extents(0, 1)
		w.must(w.r.Close())
		bad := w.files(".kxt")[0]
		body, err := os.ReadFile(bad)
		w.must(err)
		body[len(body)-1] ^= 1
		w.must(os.Chmod(bad, 0o600))
		w.must(os.WriteFile(bad, body, 0o600))
		w.reopen()
		w.extents(1, 2)
		var damaged *ExtentError
		if _, err := w.rows("T"); !errors.As(err, &damaged) {
			t.Fatalf("a damaged extent gave %v", err)
		}
		if st := w.hot(); st.Extents != 2 {
			t.Fatalf("the others are not hot: %+v", st)
		}
	})
}

// When a database's own key goes, so do its hot tables, with the child.
func TestHotTierGoesWithItsDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := hotWorld(t, HotPolicy{Bytes: 1 << 30, Touches: 1})
		want := w.extents(0, 2)
		w.want("T", want...)
		if st := w.hot(); st.Tables != 1 {
			t.Fatalf("not hot: %+v", st)
		}
		before := w.engine.alive()[0]
		n, err := w.r.node(context.Background(), testCluster)
		w.must(err)
		s, err := n.running()
		w.must(err)
		db, err := s.database("db")
		w.must(err)
		if !s.suspendDatabase(db.id, &SuspendedError{Database: "db", Code: "KeyNotFound"}) {
			t.Fatal("nothing was suspended")
		}
		st := w.hot()
		if st.Tables != 0 || st.Bytes != 0 || w.tablesOf() != 0 || before.gone() == nil {
			t.Fatalf("after the suspension: %+v, %d tables in the child, %v", st, w.tablesOf(), before.gone())
		}
	})
}
