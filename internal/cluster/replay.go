package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/wal"
)

// replay fills a new child with the rows of the logs that are not in extents.
// Nobody else touches child or tables meanwhile.
func (s *session) replay(ctx context.Context, child engine.Child) error {
	s.names.RLock()
	defer s.names.RUnlock()
	for _, t := range s.byID {
		t.forgetBuffers()
	}
	for _, db := range s.dbs {
		err := s.replayDatabase(ctx, child, db)
		var damaged *LogError
		if errors.As(err, &damaged) {
			s.shutDamaged(db, damaged) // and nothing else
		} else if err != nil {
			return fmt.Errorf("database %s: %w", db.id, err)
		}
	}
	return nil
}

func (s *session) replayDatabase(ctx context.Context, child engine.Child, db *database) error {
	if db.lease.closed() != nil || !db.journal.holdsRows(s) {
		return nil
	}
	type number struct {
		table string
		seq   uint64
	}
	aborted := make(map[number]bool)
	err := db.journal.read(ctx, func(_ wal.Segment, e entry) error {
		if e.kind == kindAbort {
			aborted[number{e.tableID, e.seq}] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	db.lease.touch()
	loaders := make(map[string]*loader)
	err = db.journal.read(ctx, func(_ wal.Segment, e entry) error {
		t, ok := s.byID[e.tableID]
		if !ok || e.kind != kindRows || aborted[number{e.tableID, e.seq}] {
			return nil
		}
		l := loaders[e.tableID]
		if l == nil {
			l = &loader{t: t, child: child}
			loaders[e.tableID] = l
		}
		return l.add(ctx, e)
	})
	if err != nil {
		return err
	}
	for _, l := range loaders {
		if err := l.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// forgetBuffers lets the buffers of a dead child go.
func (t *table) forgetBuffers() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active, t.frozen = nil, nil
}

// loader collects a table's replayed rows, so that many small ones make few
// appends.
type loader struct {
	t       *table
	child   engine.Child
	pending []byte
	rows    int64
	last    uint64
}

const loadBytes = 8 << 20

func (l *loader) add(ctx context.Context, e entry) error {
	l.t.mu.RLock()
	done := e.seq <= l.t.position
	l.t.mu.RUnlock()
	if done {
		return nil
	}
	n, err := engine.CountRows(e.payload)
	if err != nil {
		return fmt.Errorf("rows %d of table %s: %w: %w", e.seq, e.tableID, errRecord, err)
	}
	l.pending = append(l.pending, e.payload...)
	l.rows += n
	l.last = max(l.last, e.seq)
	if len(l.pending) < loadBytes {
		return nil
	}
	return l.flush(ctx)
}

func (l *loader) flush(ctx context.Context) error {
	if len(l.pending) == 0 {
		return nil
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.t.active == nil {
		b, err := l.t.newBuffer(l.child)
		if err != nil {
			return err
		}
		l.t.active = b
	}
	b := l.t.active
	if err := l.child.Append(ctx, b.name, l.pending); err != nil {
		return fmt.Errorf("table %s: %w", l.t.id, err)
	}
	b.rows.Add(l.rows)
	b.bytes.Add(int64(len(l.pending)))
	b.saw(l.last)
	l.pending, l.rows = nil, 0
	return nil
}
