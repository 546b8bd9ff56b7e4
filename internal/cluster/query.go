package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"golang.org/x/sync/errgroup"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// Query starts a statement and returns its rows as they come.
func (r *Runtime) Query(ctx context.Context, id string, q Query) (engine.Rows, error) {
	s, err := r.session(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	for {
		kills := s.engine.kills.Load()
		rows, err := s.query(ctx, q)
		if errors.Is(err, ErrEngine) && s.engine.kills.Load() != kills {
			continue // the child went because of another database's key
		}
		return rows, err
	}
}

// bound is a statement with what it holds: pinned extents, used buffers and hot tables.
type bound struct {
	s         *session
	q         Query
	parts     [][]part // of each table of q
	statement engine.Statement
	views     []view
	slices    []*slice
	pinned    []*hot
	failed    []uint64 // requests for plaintext of each that had failed before
	once      sync.Once
}

func (b *bound) release() {
	b.once.Do(func() {
		for _, h := range b.pinned {
			b.s.cache.unpin(h)
		}
		for _, v := range b.views {
			v.release(b.s)
		}
		b.s.hot.release(b.slices)
	})
}

// bind replaces the placeholders of a query by what stands behind them in the
// child: decrypted extents and buffers. The result must be released.
func (s *session) bind(ctx context.Context, child engine.Child, q Query) (*bound, error) {
	b := &bound{s: s, q: q, statement: engine.Statement{Params: q.Params}}
	if err := b.fill(ctx, child); err != nil {
		b.release()
		return nil, err
	}
	return b, nil
}

func (b *bound) fill(ctx context.Context, child engine.Child) error {
	b.s.opening.RLock()
	defer b.s.opening.RUnlock()
	for _, ref := range b.q.Tables {
		t, err := b.s.tableByID(ref.TableID)
		if err != nil {
			return err
		}
		v, err := t.snapshot()
		if err != nil {
			return err
		}
		b.views = append(b.views, v)
		hot, rest := b.s.hot.cover(child, t, v, prune(slices.Clone(v.extents), ref.Prune))
		b.slices = append(b.slices, hot...)
		v.extents = rest
		if err := openable(child, len(v.extents)); err != nil {
			return err
		}
		hots, err := b.s.pinAll(ctx, child, v.extents)
		b.pin(hots)
		if err != nil {
			return err
		}
		b.parts = append(b.parts, source(v, hot, hots))
	}
	named := make(map[string]bool, len(b.pinned))
	for _, h := range b.pinned {
		if !named[h.name] {
			named[h.name] = true
			b.statement.Extents = append(b.statement.Extents, h.name)
		}
	}
	b.write(nil)
	return nil
}

// pin takes extents over that are pinned.
func (b *bound) pin(hots []*hot) {
	for _, h := range hots {
		b.pinned, b.failed = append(b.pinned, h), append(b.failed, h.failures())
	}
}

// damaged finds the extent because of which the statement could not be
// answered, nil when it was not for any.
func (b *bound) damaged() error {
	for i, h := range b.pinned {
		if h.failures() == b.failed[i] {
			continue
		}
		if _, cause := h.sparse.Failure(); !errors.Is(cause, engine.ErrDenied) {
			return extentError(h.id, cause)
		}
	}
	return nil
}

// explain is what a statement's error means: that of the session, of an
// extent, or of the statement itself.
func (b *bound) explain(ctx context.Context, err error) error {
	var fault *engine.Fault
	if b.s.ctx.Err() == nil && errors.As(err, &fault) && fault.Kind == engine.BadData {
		if damage := b.damaged(); damage != nil {
			return damage
		}
	}
	return b.s.refusal(ctx, err)
}

// pinsAtOnce is how many extents are opened at a time: mostly that is waiting for
// the child's answer, so more than there are processors.
const pinsAtOnce = 8

// pinAll pins extents, several at a time. What it returns is pinned, also beside
// an error.
func (s *session) pinAll(ctx context.Context, child engine.Child, extents []catalog.Extent) ([]*hot, error) {
	hots := make([]*hot, len(extents))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(pinsAtOnce)
	for i, e := range extents {
		g.Go(func() (err error) {
			hots[i], err = s.cache.pin(ctx, child, e)
			return err
		})
	}
	err := g.Wait()
	if err != nil {
		hots = slices.DeleteFunc(hots, func(h *hot) bool { return h == nil })
	}
	return hots, err
}

// prune leaves out extents that hold no wanted row.
func prune(extents []catalog.Extent, ranges []Range) []catalog.Extent {
	return slices.DeleteFunc(extents, func(e catalog.Extent) bool {
		for _, r := range ranges {
			if !mayHold(e, r) {
				return true
			}
		}
		return false
	})
}

func mayHold(e catalog.Extent, r Range) bool {
	column, ok := columnID(r.Column)
	if !ok {
		return true
	}
	// No range means that the column is null in every row, or not there: no
	// value lies in the range that is wanted.
	have, ok := e.Stats.Ranges[column]
	return ok && have.Min <= r.Max && r.Min <= have.Max
}

// columnID is the id of a column by its physical name.
func columnID(physical string) (id int, ok bool) {
	_, err := fmt.Sscanf(physical, "c%d", &id)
	return id, err == nil
}

// query runs a statement. Rows that come hold what the statement uses until
// they are closed.
func (s *session) query(ctx context.Context, q Query) (engine.Rows, error) {
	dbs, err := s.concerned(q)
	if err != nil {
		return nil, err
	}
	leave, err := admit(dbs)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, end := s.during(ctx, dbs...)
	child, err := s.engine.live(ctx)
	if err != nil {
		err = s.refusal(ctx, s.ended(err))
		end()
		return nil, err
	}
	b, err := s.bind(ctx, child, q)
	if err != nil {
		err = s.refusal(ctx, err)
		end()
		return nil, err
	}
	var inner engine.Rows
	if err = b.narrow(ctx, child); err == nil {
		inner, err = child.Query(ctx, b.statement)
	}
	if err != nil {
		err = b.explain(ctx, err)
		b.release()
		end()
		return nil, err
	}
	s.busy.Add(1)
	return &rows{Rows: inner, b: b, ctx: ctx, dbs: dbs, done: func() { s.busy.Add(-1); b.release(); end() }}, nil
}

// refusal translates what the child or the cache said for the caller.
func (s *session) refusal(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	var suspended *SuspendedError
	if errors.As(context.Cause(ctx), &suspended) {
		return suspended // of a database
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	var fault *engine.Fault
	switch {
	case errors.Is(err, engine.ErrGone):
		s.engine.noticeDeath() // so that the caller's next query waits for the successor
		return fmt.Errorf("%w: %w", ErrEngine, err)
	case errors.As(err, &fault):
		return &QueryError{Message: fault.Message, Memory: fault.Kind == engine.OutOfMemory, Kind: fault.Kind}
	}
	return err
}

// rows releases what a query holds when its rows are closed.
type rows struct {
	engine.Rows
	b    *bound
	ctx  context.Context
	dbs  []*database
	done func()
	once sync.Once
	err  error
}

func (r *rows) Next() bool {
	if r.Rows.Next() {
		return true
	}
	if r.err == nil {
		r.err = r.b.explain(r.ctx, r.Rows.Err())
		for _, db := range r.dbs {
			r.err = db.ended(r.err) // the context may hear of it later than the rows
		}
	}
	return false
}

func (r *rows) Err() error { return r.err }

func (r *rows) Close() error {
	err := r.Rows.Close()
	r.once.Do(r.done)
	return err
}

// oneRow runs a statement that gives one row of BIGINT columns; nil is null.
func oneRow(ctx context.Context, child engine.Child, st engine.Statement) ([]*int64, error) {
	rows, err := child.Query(ctx, st)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*int64
	for rows.Next() {
		out = append(out, firstRow(rows.RecordBatch())...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(out) != len(rows.Schema().Fields()) {
		return nil, errors.New("BUG: statement did not give one row of numbers")
	}
	return out, nil
}

func firstRow(batch arrow.RecordBatch) []*int64 {
	var out []*int64
	for _, column := range batch.Columns() {
		c, ok := column.(*array.Int64)
		if !ok || c.Len() != 1 {
			return nil
		}
		if c.IsNull(0) {
			out = append(out, nil)
			continue
		}
		v := c.Value(0)
		out = append(out, &v)
	}
	return out
}
