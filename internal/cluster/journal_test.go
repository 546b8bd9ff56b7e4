package cluster

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/kustos-io/kustos/internal/catalog"
)

// A prune must not take a table that is made, and gets its first rows, beside it
// for one that was dropped.
func TestPruneBesideNewTables(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	s := w.session()
	db, err := s.database("db")
	w.must(err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if err := s.pruneLog(db); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	live, err := s.table("db", "T")
	w.must(err)
	const tables = 100
	for i := range tables {
		name := fmt.Sprintf("U%d", i)
		live.mu.Lock() // a prune that asks for T's position waits, as beside a change of its columns
		runtime.Gosched()
		_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: name, Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
		w.must(err)
		w.must(w.ingest(name, int64(i)))
		live.mu.Unlock()
	}
	close(stop)
	<-stopped
	w.r.crash()
	w.reopen()
	for i := range tables {
		w.want(fmt.Sprintf("U%d", i), fmt.Sprint(i))
	}
}

// What a closed database's journal ended is not for a prune that comes late.
func TestPruneOfAClosedDatabaseRemovesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	s := w.session()
	db, err := s.database("db")
	w.must(err)
	if !s.suspendDatabase(db.id, errRevoked) {
		t.Fatal("the database was not closed")
	}
	w.must(s.pruneLog(db))
	w.r.crash()
	w.reopen()
	w.want("T", "1")
}

func FuzzEntry(f *testing.F) {
	for _, e := range []entry{{kindRows, testCluster, 1, []byte("rows")}, {kindAbort, testCluster, 1 << 40, nil}} {
		b, err := e.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := e.encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x was read as %+v, which is written as %x, %v", b, e, again, err)
		}
	})
}
