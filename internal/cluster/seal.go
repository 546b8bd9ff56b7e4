package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/store"
)

// seal turns a table's buffers into extents. Queries see every row throughout;
// a crash at any point leaves each row either in the log or in an extent that
// is committed, never in both: one transaction adds the extent and moves the
// table's position in the log.
func (t *table) seal(ctx context.Context) error {
	if t.db.lease.enter() != nil {
		return nil // its rows are in the log
	}
	defer t.db.lease.leave()
	t.sealing.Lock()
	defer t.sealing.Unlock()
	child, _, err := t.s.engine.acquire()
	if err != nil {
		return err
	}
	defer t.s.engine.release()
	if err := t.sealFrozen(ctx, child); err != nil {
		if t.db.lease.closed() != nil {
			return nil
		}
		return fmt.Errorf("seal table %s: %w", t.id, err)
	}
	return nil
}

// sealFrozen freezes the active buffer and seals all frozen ones, oldest
// first: positions only move forward. The caller holds sealing and the child.
func (t *table) sealFrozen(ctx context.Context, child engine.Child) error {
	t.mu.Lock()
	if t.active != nil {
		t.frozen = append(t.frozen, t.active)
		t.active = nil
	}
	t.mu.Unlock()
	for {
		t.mu.RLock()
		var b *buffer
		if len(t.frozen) > 0 && !t.dropped {
			b = t.frozen[0]
		}
		meta := t.meta
		t.mu.RUnlock()
		if b == nil {
			break
		}
		if err := t.sealBuffer(ctx, child, meta, b); err != nil {
			return err
		}
	}
	t.db.journal.prune()
	return nil
}

func (t *table) sealBuffer(ctx context.Context, child engine.Child, meta catalog.Table, b *buffer) error {
	if b.torn.Load() {
		// An empty one would look as if all its rows had been given up.
		return fmt.Errorf("%w: the child died under an append", ErrEngine)
	}
	through := b.last.Load()
	var sealed []catalog.Extent
	if b.rows.Load() > 0 {
		names := make([]string, len(b.columns))
		for i, c := range b.columns {
			names[i] = c.Physical()
		}
		st := engine.Statement{SQL: "SELECT " + strings.Join(names, ",") + " FROM " + b.name}
		e, err := t.makeExtent(ctx, child, meta, b.columns, func(out *os.File) (int64, error) {
			return child.Export(ctx, st, out)
		}, t.adding(through))
		if err != nil {
			return err
		}
		sealed = append(sealed, e)
	} else if err := t.movePosition(ctx, through); err != nil {
		return err
	}
	t.mu.Lock()
	dropped := t.dropped
	if !dropped {
		t.extents = append(t.extents, sealed...)
		t.position = max(t.position, through)
		t.frozen = t.frozen[1:]
	}
	t.mu.Unlock()
	if dropped {
		// The table went after the commit, and the extent with it; its buffer
		// was retired there.
		t.s.removeExtents(sealed)
		return nil
	}
	b.retire(t.s)
	return nil
}

// movePosition commits a position without an extent: all rows were given up.
func (t *table) movePosition(ctx context.Context, through uint64) error {
	return t.s.store.Update(ctx, func(tx store.Tx) error {
		return t.s.cat.SetPosition(tx, t.db.id, t.id, through)
	})
}

// makeExtent lets write put Parquet into a memfd, encrypts it into a file and
// commits it to the catalogue. Its plaintext stays in the cache: new rows are
// asked for first. A table without rows gives no extent.
func (t *table) makeExtent(ctx context.Context, child engine.Child, meta catalog.Table, columns []catalog.Column, write func(out *os.File) (int64, error), commit func(tx store.Tx, e *catalog.Extent) error) (catalog.Extent, error) {
	s := t.s
	plain, err := engine.NewMemfd("extent")
	if err != nil {
		return catalog.Extent{}, err
	}
	count, err := write(plain)
	if err == nil {
		err = engine.Seal(plain)
	}
	if err != nil {
		plain.Close()
		return catalog.Extent{}, err
	}
	defer t.db.writers.enter()() // until the commit: whoever waits for it may drop the key version that is used now
	e, err := s.writeExtent(meta, columns, plain, count)
	if err != nil {
		plain.Close()
		return catalog.Extent{}, err
	}
	s.cache.put(e.ID, e.DatabaseID, plain, e.Stats.ParquetSize)
	if err := s.commitExtent(ctx, child, &e, columns, commit); err != nil {
		s.removeExtents([]catalog.Extent{e})
		return catalog.Extent{}, err
	}
	s.log.Info("extent written", "extent", e.ID, "table", e.TableID, "bytes", e.FileSize)
	return e, nil
}

func (s *session) commitExtent(ctx context.Context, child engine.Child, e *catalog.Extent, columns []catalog.Column, commit func(tx store.Tx, e *catalog.Extent) error) error {
	h, err := s.cache.pin(ctx, child, *e)
	if err != nil {
		return err
	}
	defer s.cache.unpin(h)
	if err := s.measure(ctx, child, h, e, columns); err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx store.Tx) error { return commit(tx, e) })
}

// sealSoon seals a table in the background.
func (s *session) sealSoon(t *table) {
	if s.enter() != nil {
		return
	}
	if !t.sealing.TryLock() {
		s.leave() // a seal is under way; the next batch asks again
		return
	}
	t.sealing.Unlock()
	go func() {
		defer s.leave()
		s.report(t.seal(s.ctx))
	}()
}

// report logs a seal that did not work. The rows stay in the log and in the
// buffer, and the next seal tries again.
func (s *session) report(err error) {
	if err != nil && s.ctx.Err() == nil && !errors.Is(err, ErrEngine) {
		s.log.Error("buffer cannot be sealed", "error", err)
	}
}

// sealAll seals every table, some at a time.
func (s *session) sealAll(ctx context.Context) {
	if s.enter() != nil {
		return
	}
	defer s.leave()
	var work sync.WaitGroup
	slots := make(chan struct{}, 4)
	for _, t := range s.allTables() {
		work.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s.report(t.seal(ctx))
		})
	}
	work.Wait()
}

// sealByAge seals buffers whose oldest row is older than the policy allows.
func (s *session) sealByAge() {
	s.regularly(max(s.cfg.Seal.Age/10, time.Second), nil, func() {
		for _, t := range s.allTables() {
			if t.aged() {
				s.report(t.seal(s.ctx))
			}
		}
	})
}

func (t *table) aged() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	oldest := t.active
	if len(t.frozen) > 0 {
		oldest = t.frozen[0]
	}
	return oldest != nil && t.s.cfg.Now().Sub(oldest.born) >= t.s.cfg.Seal.Age
}
