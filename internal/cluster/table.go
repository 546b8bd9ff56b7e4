package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// table is one table of a running cluster: immutable extents, one buffer that
// takes new rows, and buffers that are on their way to become extents.
type table struct {
	s  *session
	db *database
	id string

	sealing sync.Mutex // one seal at a time, and none during a change of columns

	// mu guards the rest. An ingestion holds it for reading from the moment it
	// takes its sequence number until its rows are in the buffer: whoever holds
	// it for writing knows that every number given out is in the buffers.
	mu       sync.RWMutex
	meta     catalog.Table
	extents  []catalog.Extent
	active   *buffer   // nil until there is a row
	frozen   []*buffer // oldest first
	position uint64    // sequence number up to which the log's rows are in extents
	dropped  bool
	// unmergeable are damaged extents, by id.
	unmergeable map[string]bool
}

func newTable(s *session, db *database, meta catalog.Table) *table {
	return &table{s: s, db: db, id: meta.ID, meta: meta, unmergeable: make(map[string]bool)}
}

// buffer is an in-memory table of the child.
type buffer struct {
	name    string
	child   engine.Child
	columns []catalog.Column
	born    time.Time // when the first row came
	last    atomic.Uint64
	rows    atomic.Int64
	bytes   atomic.Int64
	// torn says that the child died under an append: last is above rows that
	// are in the log only, and that its successor will get.
	torn atomic.Bool

	mu      sync.Mutex
	users   int  // queries that name it
	retired bool // drop it in the child when the last user has ended
}

// saw notes a sequence number whose rows are in the buffer, or given up.
func (b *buffer) saw(seq uint64) {
	for {
		now := b.last.Load()
		if seq <= now || b.last.CompareAndSwap(now, seq) {
			return
		}
	}
}

// use keeps the buffer in the child until release.
func (b *buffer) use() {
	b.mu.Lock()
	b.users++
	b.mu.Unlock()
}

func (b *buffer) release(s *session) {
	b.mu.Lock()
	b.users--
	drop := b.retired && b.users == 0
	b.mu.Unlock()
	if drop {
		b.drop(s)
	}
}

// retire drops the buffer in the child as soon as no query names it.
func (b *buffer) retire(s *session) {
	b.mu.Lock()
	b.retired = true
	drop := b.users == 0
	b.mu.Unlock()
	if drop {
		b.drop(s)
	}
}

func (b *buffer) drop(s *session) {
	// An error means that the child is gone, and the buffer with it.
	_ = b.child.DropBuffer(s.ctx, b.name)
}

// newBuffer makes an empty buffer in a child for the table's columns. The
// caller holds t.mu for writing.
func (t *table) newBuffer(child engine.Child) (*buffer, error) {
	b := &buffer{
		name:  fmt.Sprintf("b_%s_%d", strings.ReplaceAll(t.id, "-", ""), t.s.engine.buffers.Add(1)),
		child: child, columns: slices.Clone(t.meta.Columns), born: t.s.cfg.Now(),
	}
	columns := make([]engine.Column, len(b.columns))
	for i, c := range b.columns {
		columns[i] = engine.Column{Name: c.Physical(), Type: c.Type.Storage(), NotNull: !c.Type.Nullable()}
	}
	// A cancelled creation might leave a table that nobody knows.
	return b, child.CreateBuffer(t.s.ctx, b.name, columns)
}

// view is what one query sees of a table.
type view struct {
	columns []catalog.Column
	extents []catalog.Extent
	buffers []*buffer
}

// snapshot takes a view; its buffers must be released. Every row is in exactly
// one of its parts.
func (t *table) snapshot() (view, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if why := t.db.lease.closed(); why != nil {
		return view{}, why // its buffers may be gone already
	}
	if t.dropped {
		return view{}, fmt.Errorf("table %s: %w", t.meta.Name, catalog.ErrNotFound)
	}
	v := view{columns: slices.Clone(t.meta.Columns), extents: slices.Clone(t.extents), buffers: slices.Clone(t.frozen)}
	if t.active != nil {
		v.buffers = append(v.buffers, t.active)
	}
	for _, b := range v.buffers {
		b.use()
	}
	return v, nil
}

func (v view) release(s *session) {
	for _, b := range v.buffers {
		b.release(s)
	}
}

// stats sums the table up.
func (t *table) stats() catalog.TableStats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	st := catalog.TableStats{Extents: len(t.extents)}
	seen := func(at time.Time) {
		if st.MinIngested.IsZero() || at.Before(st.MinIngested) {
			st.MinIngested = at
		}
		if at.After(st.MaxIngested) {
			st.MaxIngested = at
		}
	}
	for _, e := range t.extents {
		st.Rows += e.Stats.Rows
		st.StoredBytes += e.FileSize
		st.OriginalSize += e.Stats.ParquetSize
		seen(e.Created)
	}
	buffers := slices.Clone(t.frozen)
	if t.active != nil {
		buffers = append(buffers, t.active)
	}
	for _, b := range buffers {
		st.BufferedRows += b.rows.Load()
		seen(b.born)
	}
	st.Rows += st.BufferedRows
	return st
}
