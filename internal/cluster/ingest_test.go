package cluster

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

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
