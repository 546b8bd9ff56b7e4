package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// Ingest appends a batch whose schema is the table's Schema. When it returns
// nil the rows are durable and every later query sees them.
func (r *Runtime) Ingest(ctx context.Context, id, database, table string, batch arrow.RecordBatch) error {
	s, err := r.session(ctx, id)
	if err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	t, err := s.table(database, table)
	if err != nil {
		return err
	}
	if err := t.db.lease.enter(); err != nil {
		return err
	}
	defer t.db.lease.leave()
	return t.db.ended(s.ended(fullDisk(t.ingest(ctx, batch))))
}

func (t *table) ingest(ctx context.Context, batch arrow.RecordBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if batch.NumRows() == 0 {
		return nil
	}
	stream, err := engine.EncodeBatch(batch)
	if err != nil {
		return err
	}
	child, changed, err := t.s.engine.acquire()
	if err != nil {
		return err
	}
	seq, full, err := t.add(ctx, child, batch, stream)
	t.s.engine.release()
	if errors.Is(err, engine.ErrGone) && seq > 0 {
		return t.afterCrash(changed, seq) // without a number nothing is in the log: that is a refusal
	}
	var refused *QueryError
	if full {
		t.s.sealSoon(t)
	} else if errors.As(err, &refused) && refused.Memory {
		// All buffers share the child's memory.
		for _, other := range t.s.allTables() {
			t.s.sealSoon(other)
		}
	}
	return err
}

// add writes a batch to the log and then to the buffer. It reports whether the
// buffer is due to be sealed. ErrGone means that the rows are in the log under
// seq and will be in the next child's buffer.
func (t *table) add(ctx context.Context, child engine.Child, batch arrow.RecordBatch, stream []byte) (seq uint64, full bool, err error) {
	b, err := t.lockedBuffer(child)
	if err != nil {
		return 0, false, err
	}
	defer t.mu.RUnlock()
	if err := fits(t.meta, batch.Schema()); err != nil {
		return 0, false, err
	}
	// From here on the outcome must be known, so a caller that goes away
	// changes nothing.
	ctx = context.WithoutCancel(ctx)
	j := t.db.journal
	seq = j.next()
	b.saw(seq)
	if err := j.rows(ctx, t.id, seq, stream); err != nil {
		return seq, false, err
	}
	if err := child.Append(ctx, b.name, stream); errors.Is(err, engine.ErrGone) {
		b.torn.Store(true)
		return seq, false, err
	} else if err != nil {
		// What was refused must not come back at the next start.
		return seq, false, errors.Join(t.s.refusal(ctx, err), j.abort(ctx, t.id, seq))
	}
	rows := b.rows.Add(batch.NumRows())
	bytes := b.bytes.Add(int64(len(stream)))
	return seq, rows >= t.s.cfg.Seal.Rows || bytes >= t.s.cfg.Seal.Bytes, nil
}

// lockedBuffer returns the active buffer with t.mu held for reading.
func (t *table) lockedBuffer(child engine.Child) (*buffer, error) {
	for {
		t.mu.RLock()
		if t.dropped {
			t.mu.RUnlock()
			return nil, fmt.Errorf("table %s: %w", t.meta.Name, catalog.ErrNotFound)
		}
		if t.active != nil {
			return t.active, nil
		}
		t.mu.RUnlock()
		if err := t.makeBuffer(child); err != nil {
			return nil, t.s.refusal(t.s.ctx, err)
		}
	}
}

func (t *table) makeBuffer(child engine.Child) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.active != nil || t.dropped {
		return nil
	}
	b, err := t.newBuffer(child)
	if err != nil {
		return err
	}
	t.active = b
	return nil
}

// fits checks that a batch has the table's columns, by name, type and order.
func fits(meta catalog.Table, schema *arrow.Schema) error {
	want := meta.Schema()
	if len(want.Fields()) == 0 {
		return fmt.Errorf("table %s has no columns: %w", meta.Name, ErrSchema)
	}
	if len(want.Fields()) != len(schema.Fields()) {
		return fmt.Errorf("%d columns for a table of %d: %w", len(schema.Fields()), len(want.Fields()), ErrSchema)
	}
	for i, f := range want.Fields() {
		got := schema.Field(i)
		if got.Name != f.Name || !arrow.TypeEqual(got.Type, f.Type) {
			return fmt.Errorf("column %d is %s %s, not %s %s: %w", i, got.Name, got.Type, f.Name, f.Type, ErrSchema)
		}
	}
	return nil
}

// afterCrash waits for the child's successor, into which the log was replayed:
// then the rows are as visible as if nothing had happened. When there is none
// the rows are given up, so that the refusal is true.
func (t *table) afterCrash(changed <-chan struct{}, seq uint64) error {
	var refused error
	select {
	case <-changed:
		// While this is held no log is replayed.
		t.s.engine.mu.RLock()
		defer t.s.engine.mu.RUnlock()
		if why := t.db.lease.closed(); why != nil {
			refused = why // the log was not replayed
			break
		}
		if t.s.engine.child != nil {
			return nil
		}
		refused = ErrEngine
	case <-t.s.ctx.Done():
		refused = context.Cause(t.s.ctx)
	case <-t.db.lease.ctx.Done():
		refused = context.Cause(t.db.lease.ctx)
	}
	return errors.Join(refused, t.db.journal.abort(context.WithoutCancel(t.s.ctx), t.id, seq))
}
