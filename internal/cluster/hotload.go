package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// loadRows is how many rows small extents may have together to be loaded at once.
const loadRows = 122_880

// run loads and drops slices until the session ends. Nobody waits for it.
func (h *hotTier) run() {
	for {
		select {
		case <-h.s.ctx.Done():
			return
		case <-h.wake:
		}
		h.look(true)
		for h.s.ctx.Err() == nil && h.turn() {
		}
		h.look(false)
	}
}

func (h *hotTier) look(begins bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy = begins
	if begins {
		h.due = false
	}
}

// turn does one thing that is due; false when nothing is.
func (h *hotTier) turn() bool {
	if x := h.nextDrop(); x != nil {
		// An error means that the child is gone, and the table with it.
		_ = x.child.Unload(h.s.ctx, x.name)
		h.dropped(x)
		return true
	}
	x, old := h.next(h.s.cfg.Now())
	if x == nil {
		return false
	}
	err := h.load(h.s.ctx, x)
	h.loaded(x, old, err)
	return true
}

func (h *hotTier) nextDrop() *slice {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.drops) == 0 {
		return nil
	}
	return h.drops[0]
}

func (h *hotTier) dropped(x *slice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.drops, x); i >= 0 { // else the child went meanwhile
		h.drops = slices.Delete(h.drops, i, i+1)
		h.bytes -= x.bytes
	}
}

// next picks the extents of one table that are to become a slice, and the small
// slices that it is to replace. It makes room first: when something has to be
// dropped for that it returns nothing, and is asked again after the drop.
func (h *hotTier) next(now time.Time) (*slice, []*slice) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.child == nil || now.Before(h.again) {
		return nil, nil
	}
	h.again = now.Add(h.policy.Window / 10)
	x := h.candidate(now)
	if x == nil {
		return nil, nil
	}
	room, kept := h.policy.Bytes, int64(0)
	var victims []*slice
	for _, all := range h.slices {
		for _, o := range all {
			kept += o.bytes
			if o.touches.often(now, h.policy) {
				room -= o.bytes
			} else {
				victims = append(victims, o)
			}
		}
	}
	if h.fit(x, room); x.rows < h.policy.Rows {
		return nil, nil
	}
	slices.SortFunc(victims, func(a, b *slice) int { return latest(a.touches).Compare(latest(b.touches)) })
	for _, o := range victims {
		if kept+x.bytes <= h.policy.Bytes {
			break
		}
		h.state.Evicted++
		kept -= o.bytes
		h.doom(o)
	}
	if h.bytes+x.bytes > h.policy.Bytes {
		return nil, nil // what is given up goes first, when no query reads it any more
	}
	old := h.absorb(x)
	h.named++
	x.name, x.child = fmt.Sprintf("h_%d", h.named), h.child
	h.bytes += x.bytes
	h.slices[x.table.id] = append(h.slices[x.table.id], x)
	return x, old
}

func latest(t touches) time.Time {
	if len(t) == 0 {
		return time.Time{}
	}
	return t[len(t)-1]
}

// candidate groups the extents that are admitted and in no slice by table,
// columns and whether they are small, and takes the group of most rows.
func (h *hotTier) candidate(now time.Time) *slice {
	inside := make(map[string]bool)
	for _, all := range h.slices {
		for _, x := range all {
			for _, e := range x.extents {
				inside[e.ID] = true
			}
		}
	}
	groups := make(map[string]*slice)
	var best *slice
	for id, k := range h.heat {
		if inside[id] || k.refused || !k.touches.often(now, h.policy) {
			continue
		}
		e := k.extent
		small := e.Stats.Rows < h.s.cfg.Merge.Rows/4
		key := fmt.Sprint(e.TableID, e.Columns, small)
		x := groups[key]
		if x == nil {
			x = &slice{table: k.table, small: small, held: e.Columns}
			groups[key] = x
		}
		x.extents = append(x.extents, e)
		x.rows += e.Stats.Rows
		x.bytes += h.guess(e)
		if best == nil || x.rows > best.rows {
			best = x
		}
	}
	return best
}

// guess is about what an extent takes in a hot table: a fifth more than its
// Parquet, and some for each column. The caller holds mu.
func (h *hotTier) guess(e catalog.Extent) int64 {
	return (e.Stats.ParquetSize*5/4 + int64(len(e.Columns))<<12) * max(1, h.weight[e.ID])
}

// fit leaves out the oldest extents until the slice has room. The caller holds mu.
func (h *hotTier) fit(x *slice, room int64) {
	slices.SortFunc(x.extents, func(a, b catalog.Extent) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	for len(x.extents) > 0 && x.bytes > room {
		x.rows -= x.extents[0].Stats.Rows
		x.bytes -= h.guess(x.extents[0])
		x.extents = x.extents[1:]
	}
}

// absorb takes the extents of other slices of the same kind over that are not
// much larger, so that there are few, while both fit. The caller holds mu.
func (h *hotTier) absorb(x *slice) (old []*slice) {
	like := slices.DeleteFunc(slices.Clone(h.slices[x.table.id]), func(o *slice) bool {
		return !o.ready || o.small != x.small || !slices.Equal(o.held, x.held)
	})
	slices.SortFunc(like, func(a, b *slice) int { return cmp.Compare(a.bytes, b.bytes) })
	for _, o := range like {
		if o.bytes > 2*x.bytes || h.bytes+x.bytes+o.bytes > h.policy.Bytes {
			break
		}
		x.extents = append(x.extents, o.extents...)
		x.rows += o.rows
		x.bytes += o.bytes
		old = append(old, o)
	}
	h.fit(x, h.policy.Bytes) // for the order
	return old
}

// errUnseen says that an extent went while it was to be loaded.
var errUnseen = errors.New("extent is gone")

// load fills a slice's table, a few extents at a time.
func (h *hotTier) load(ctx context.Context, x *slice) error {
	t := x.table
	if err := t.db.lease.enter(); err != nil {
		return err
	}
	defer t.db.lease.leave()
	ctx, end := h.s.during(ctx, t.db)
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.mu.Lock()
	gone, most := x.doomed, h.policy.Bytes-(h.bytes-x.bytes)
	x.cancel = cancel
	h.mu.Unlock()
	if gone {
		return errUnseen
	}
	x.columns = slices.DeleteFunc(t.copyMeta().Columns, func(c catalog.Column) bool { return !slices.Contains(x.held, c.ID) })
	if len(x.columns) == 0 {
		return errUnseen
	}
	var rows, size int64
	for rest := x.extents; len(rest) > 0; {
		n, want := batch(rest)
		got, err := h.s.loadExtents(ctx, x, rest[:n], most-size)
		if err != nil {
			return err
		}
		if got.Rows != want {
			return fmt.Errorf("BUG: %d rows were loaded of %d", got.Rows, want)
		}
		rows += got.Rows
		size += h.size(rest[:n], got)
		rest = rest[n:]
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if x.child == h.child {
		h.bytes += size - x.bytes
	}
	x.rows, x.bytes = rows, size
	return nil
}

// size is what extents took. The engine's figure counts what came into buffers
// or went from them meanwhile, so it is believed within limits.
func (h *hotTier) size(extents []catalog.Extent, got engine.Loaded) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	guess := int64(0)
	for _, e := range extents {
		guess += h.guess(e)
	}
	return min(max(got.Bytes, guess/4), 8*guess)
}

// batch is how many of the first extents are loaded at once.
func batch(extents []catalog.Extent) (n int, rows int64) {
	const most = 100 // are open at a time
	for n < len(extents) && n < most && (n == 0 || rows+extents[n].Stats.Rows <= loadRows) {
		rows += extents[n].Stats.Rows
		n++
	}
	return n, rows
}

// loadExtents adds extents to a slice's table.
func (s *session) loadExtents(ctx context.Context, x *slice, extents []catalog.Extent, most int64) (engine.Loaded, error) {
	b := &bound{s: s}
	defer b.release()
	if err := b.pinSeen(ctx, x.child, x.table, extents); err != nil {
		return engine.Loaded{}, err
	}
	columns := make([]engine.Column, len(x.columns))
	for i, c := range x.columns {
		columns[i] = engine.Column{Name: c.Physical(), Type: c.Type.Storage()}
	}
	files := make([]string, len(b.pinned))
	for i, p := range b.pinned {
		files[i] = "'{{extent:" + p.name + "}}'"
		b.statement.Extents = append(b.statement.Extents, p.name)
	}
	b.statement.SQL = selectFrom(x.columns, x.has, "read_parquet(["+strings.Join(files, ",")+"])")
	got, err := x.child.Load(ctx, x.name, columns, b.statement, most)
	if err != nil {
		return got, b.explain(ctx, err)
	}
	return got, nil
}

// pinSeen pins extents that the table still has.
func (b *bound) pinSeen(ctx context.Context, child engine.Child, t *table, extents []catalog.Extent) error {
	b.s.opening.RLock()
	defer b.s.opening.RUnlock()
	t.mu.RLock()
	now := idsOf(t.extents)
	t.mu.RUnlock()
	for _, e := range extents {
		if !now[e.ID] {
			return errUnseen
		}
	}
	hots, err := b.s.pinAll(ctx, child, extents)
	b.pin(hots)
	return err
}

// loaded makes a slice visible, or gives it up.
func (h *hotTier) loaded(x *slice, old []*slice, err error) {
	h.mu.Lock()
	x.cancel, x.ready = nil, true
	seen, extents := err == nil && !x.doomed, x.extents
	switch {
	case seen:
		h.publish(x, old)
	case x.doomed:
		h.retire(x) // its extents went, or the child
	default:
		h.doom(x)
		h.failed(x, err)
	}
	h.mu.Unlock()
	if seen {
		h.s.log.Info("extents loaded into the hot tier", "table", x.table.id, "extents", len(extents), "rows", x.rows, "bytes", x.bytes)
		for _, e := range extents {
			h.s.cache.remove(e.ID) // one plaintext is enough
		}
		return
	}
	if err != nil && h.s.ctx.Err() == nil && x.table.db.lease.closed() == nil && !errors.Is(err, ErrEngine) && !errors.Is(err, errUnseen) && !errors.Is(err, context.Canceled) {
		h.s.log.Warn("extents cannot be loaded into the hot tier", "table", x.table.id, "error", err)
	}
}

// publish lets queries find a slice instead of those that it replaces. The caller holds mu.
func (h *hotTier) publish(x *slice, old []*slice) {
	for _, e := range x.extents {
		if k := h.heat[e.ID]; k != nil && latest(k.touches).After(latest(x.touches)) {
			x.touches = slices.Clone(k.touches)
		}
	}
	for _, o := range old {
		h.doom(o)
	}
	h.state.Loads++
	h.again = time.Time{}
}

// failed decides what becomes of extents that could not be loaded: a damaged
// one never is, those that take more than was guessed are weighed anew, and
// others are tried after a while. The caller holds mu.
func (h *hotTier) failed(x *slice, err error) {
	var refused *QueryError
	if errors.As(err, &refused) && refused.Memory {
		for _, e := range x.extents {
			h.weight[e.ID] = 2 * max(1, h.weight[e.ID])
		}
	}
	h.again = h.s.cfg.Now().Add(h.policy.Window)
	var damaged *ExtentError
	if errors.As(err, &damaged) {
		if k := h.heat[damaged.ID]; k != nil {
			k.refused = true
		}
		h.again = time.Time{}
	}
}
