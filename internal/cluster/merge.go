package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
)

// MergePolicy says when small extents become one.
type MergePolicy struct {
	Extents int   // merge when so many small ones are there; 0 means 8
	Rows    int64 // the most rows of a merged extent; one with less than a quarter is small; 0 means 1,000,000
}

// mergeSpan is how far apart the creation of extents that are merged may lie:
// the merged one is as old as its youngest part, so that retention never
// deletes a row too early, and late by no more than this.
const mergeSpan = 24 * time.Hour

// mergeMost is the most extents that are merged at once: all are open then.
const mergeMost = 500

// merge makes one extent of small ones, again and again while there are
// enough. One transaction takes the old ones out of the catalogue and puts the
// new one in: a crash leaves either, and orphans that the next start collects.
func (t *table) merge(ctx context.Context) error {
	for {
		parts, columns := t.mergeable()
		if len(parts) == 0 {
			return nil
		}
		err := t.mergeParts(ctx, parts, columns)
		var damaged *ExtentError
		if errors.As(err, &damaged) {
			// It stays as it is, an error of its own; the others can still be merged.
			t.mu.Lock()
			t.unmergeable[damaged.ID] = true
			t.mu.Unlock()
			t.s.log.Error("damaged extent is left out of merging", "extent", damaged.ID, "offset", damaged.Offset, "error", damaged.Cause)
			continue
		}
		if err != nil {
			return fmt.Errorf("merge extents of table %s: %w", t.id, err)
		}
	}
}

// mergeable picks extents with the same columns, the oldest first, and the
// columns of theirs that the table still has.
func (t *table) mergeable() ([]catalog.Extent, []catalog.Column) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	policy := t.s.cfg.Merge
	small := slices.DeleteFunc(slices.Clone(t.extents), func(e catalog.Extent) bool {
		return e.Stats.Rows >= policy.Rows/4 || t.unmergeable[e.ID]
	})
	slices.SortFunc(small, func(a, b catalog.Extent) int { return a.Created.Compare(b.Created) })
	for len(small) > 0 {
		first := small[0]
		var parts, rest []catalog.Extent
		var rows int64
		for i, e := range small {
			if e.Created.Sub(first.Created) > mergeSpan { // nor does any later one fit
				if len(rest) == 0 {
					rest = small[i:]
				} else {
					rest = append(rest, small[i:]...)
				}
				break
			}
			if len(parts) < mergeMost && slices.Equal(e.Columns, first.Columns) && rows+e.Stats.Rows <= policy.Rows {
				parts = append(parts, e)
				rows += e.Stats.Rows
			} else {
				rest = append(rest, e)
			}
		}
		columns := slices.DeleteFunc(slices.Clone(t.meta.Columns), func(c catalog.Column) bool { return !slices.Contains(first.Columns, c.ID) })
		if len(parts) >= policy.Extents && len(columns) > 0 && !t.dropped {
			return parts, columns
		}
		small = rest
	}
	return nil, nil
}

func (t *table) mergeParts(ctx context.Context, parts []catalog.Extent, columns []catalog.Column) error {
	child, _, err := t.s.engine.acquire()
	if err != nil {
		return err
	}
	defer t.s.engine.release()
	hots, err := t.s.pinAll(ctx, child, parts)
	defer func() {
		for _, h := range hots {
			t.s.cache.unpin(h)
		}
	}()
	if err != nil {
		return err
	}
	b := &bound{s: t.s}
	b.pin(hots)
	names, files := make([]string, len(columns)), make([]string, len(hots))
	for i, c := range columns {
		names[i] = c.Physical()
	}
	for i, h := range hots {
		files[i] = "'{{extent:" + h.name + "}}'"
		b.statement.Extents = append(b.statement.Extents, h.name)
	}
	b.statement.SQL = "SELECT " + strings.Join(names, ",") + " FROM read_parquet([" + strings.Join(files, ",") + "])"
	var want int64
	var youngest time.Time
	ids := make([]string, len(parts))
	for i, e := range parts {
		ids[i] = e.ID
		want += e.Stats.Rows
		if e.Created.After(youngest) {
			youngest = e.Created
		}
	}
	meta := t.copyMeta()
	merged, err := t.makeExtent(ctx, child, meta, columns, func(out *os.File) (int64, error) {
		n, err := child.Export(ctx, b.statement, out)
		if err == nil && n != want {
			err = fmt.Errorf("%d rows came of %d", n, want)
		}
		if err != nil {
			return 0, b.explain(ctx, err)
		}
		return n, nil
	}, func(tx store.Tx, e *catalog.Extent) error {
		e.Created = youngest
		if err := t.s.cat.RemoveExtents(tx, meta.DatabaseID, meta.ID, ids); err != nil {
			return err
		}
		return t.s.cat.AddExtent(tx, *e, 0)
	})
	if err != nil {
		return err
	}
	t.swap(parts, &merged)
	t.s.log.Info("extents merged", "table", t.id, "extent", merged.ID, "parts", len(parts), "rows", want)
	return nil
}

// swap makes a change of the catalogue visible: old extents go, a new one may
// come. The files of the old go when every query that saw them has opened them.
func (t *table) swap(old []catalog.Extent, fresh *catalog.Extent) {
	t.mu.Lock()
	if t.dropped {
		t.mu.Unlock()
		if fresh != nil {
			t.s.removeExtents([]catalog.Extent{*fresh})
		}
		return // the others went with the table
	}
	t.extents = slices.DeleteFunc(t.extents, func(e catalog.Extent) bool {
		return slices.ContainsFunc(old, func(o catalog.Extent) bool { return o.ID == e.ID })
	})
	if fresh != nil {
		t.extents = append(t.extents, *fresh)
	}
	t.mu.Unlock()
	t.s.forget(old)
}

// forget removes the files of extents that no query can see any more, once
// those that saw them have opened them.
func (s *session) forget(extents []catalog.Extent) {
	defer s.cfg.removing()()
	s.opening.Lock()
	defer s.opening.Unlock()
	s.removeExtents(extents)
}

// adding is the commit of an extent that is only added; the table's position
// moves to through when that is above zero.
func (t *table) adding(through uint64) func(tx store.Tx, e *catalog.Extent) error {
	return func(tx store.Tx, e *catalog.Extent) error { return t.s.cat.AddExtent(tx, *e, through) }
}
