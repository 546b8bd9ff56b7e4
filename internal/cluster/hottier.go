package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// HotPolicy says which extents are kept in compressed tables of the engine
// child, besides their Parquet.
type HotPolicy struct {
	// Bytes is the most the tables of one cluster may take, by high-water mark:
	// the engine keeps memory that it had once. 0 turns the hot tier off.
	Bytes int64
	// Touches queries within Window admit an extent; 0 means 3 within 10 minutes.
	Touches int
	Window  time.Duration
	// Rows is the fewest rows that are worth a table; 0 means 20,000.
	Rows int64
}

func (p HotPolicy) withDefaults() HotPolicy {
	if p.Touches <= 0 {
		p.Touches = 3
	}
	setDefault(&p.Window, 10*time.Minute)
	setDefault(&p.Rows, 20_000)
	return p
}

// HotState is what the hot tier of a cluster holds and did since the cluster
// started; zero when it is off.
type HotState struct {
	Budget, Bytes         int64
	Tables, Extents       int
	Rows                  int64
	Queries               uint64 // that read a hot table
	Loads, Evicted, Stale uint64 // tables that were loaded, given up for others, given up because an extent went
	Busy                  bool   // something is being loaded or dropped, or about to be
}

// hotTier decides which extents are hot. A slice is a table of the child that
// holds whole extents of one table of ours, and is read by a query only when
// the query sees every one of them: which rows there are never depends on it.
// It is nil when the policy turns it off.
type hotTier struct {
	s      *session
	policy HotPolicy
	wake   chan struct{} // there may be something to load or to drop

	mu     sync.Mutex
	child  engine.Child        // that holds the slices
	heat   map[string]*heat    // by extent id
	weight map[string]int64    // of extents that took more than was guessed: how many times as much
	slices map[string][]*slice // by table id; those that are being loaded too
	drops  []*slice            // nobody reads them any more
	bytes  int64               // of all slices until they are dropped
	named  uint64
	again  time.Time // when looking for something to load is worth while again
	due    bool      // wake was called since the last look
	busy   bool      // the loader looks
	state  HotState  // the counters
}

// heat is how often an extent was read of late.
type heat struct {
	extent  catalog.Extent
	table   *table
	touches touches
	refused bool // cannot be loaded: it is damaged
}

// touches are the times of the last few queries, oldest first.
type touches []time.Time

func (t *touches) note(now time.Time, most int) {
	if len(*t) >= most {
		*t = append((*t)[:0], (*t)[len(*t)-most+1:]...)
	}
	*t = append(*t, now)
}

// often says that there were as many as the policy asks for within its window.
func (t touches) often(now time.Time, p HotPolicy) bool {
	return len(t) >= p.Touches && now.Sub(t[0]) <= p.Window
}

// slice is one table of the child.
type slice struct {
	name    string
	child   engine.Child
	table   *table
	small   bool // holds extents that will be merged away
	extents []catalog.Extent
	held    []int            // columns of each of the extents
	columns []catalog.Column // those that were loaded

	// guarded by hotTier.mu
	rows    int64
	bytes   int64 // an estimate until it is loaded
	touches touches
	ready   bool
	doomed  bool // drop it when the last query that reads it has ended
	users   int
	cancel  func() // of the load
}

func newHotTier(s *session, p HotPolicy) *hotTier {
	if p.Bytes <= 0 {
		return nil
	}
	return &hotTier{s: s, policy: p, wake: make(chan struct{}, 1), heat: make(map[string]*heat), weight: make(map[string]int64), slices: make(map[string][]*slice)}
}

// reset begins anew with a child that holds nothing.
func (h *hotTier) reset(child engine.Child) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range h.slices {
		for _, x := range all {
			x.doomed = true
			x.stop()
		}
	}
	h.child, h.slices, h.drops, h.bytes, h.again = child, make(map[string][]*slice), nil, 0, time.Time{}
}

// stop ends the load of a slice. The caller holds mu.
func (x *slice) stop() {
	if x.cancel != nil {
		x.cancel()
	}
}

// wakeUp makes the loader look. The caller holds mu.
func (h *hotTier) wakeUp() {
	h.due = true
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// cover finds slices for a query over the extents wanted of a table of which it
// sees all of v. What the slices do not hold is the rest. They must be released.
func (h *hotTier) cover(child engine.Child, t *table, v view, wanted []catalog.Extent) (found []*slice, rest []catalog.Extent) {
	if h == nil || len(wanted) == 0 {
		return nil, wanted
	}
	now := h.s.cfg.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.child != child {
		return nil, wanted
	}
	h.touch(now, t, wanted)
	found, rest = h.match(t, v, wanted)
	for _, x := range found {
		x.users++
		x.touches.note(now, h.policy.Touches)
	}
	if len(found) > 0 {
		h.state.Queries++
	}
	return found, rest
}

// touch notes that a query reads extents. The caller holds mu.
func (h *hotTier) touch(now time.Time, t *table, wanted []catalog.Extent) {
	wake := false
	for _, e := range wanted {
		k := h.heat[e.ID]
		if k == nil {
			k = &heat{extent: e, table: t}
			h.heat[e.ID] = k
		}
		before := k.touches.often(now, h.policy)
		k.touches.note(now, h.policy.Touches)
		if !before && k.touches.often(now, h.policy) {
			wake, h.again = true, time.Time{}
		}
	}
	if wake || !h.again.IsZero() && !now.Before(h.again) {
		h.wakeUp()
	}
}

// match picks the slices a query may read. The caller holds mu.
func (h *hotTier) match(t *table, v view, wanted []catalog.Extent) (found []*slice, rest []catalog.Extent) {
	all := h.slices[t.id]
	if len(all) == 0 {
		return nil, wanted
	}
	seen, want := idsOf(v.extents), idsOf(wanted)
	covered := make(map[string]bool)
	for _, x := range all {
		if !x.ready || x.doomed || !x.holds(v.columns) {
			continue
		}
		whole, useful := true, false
		for _, e := range x.extents {
			whole = whole && seen[e.ID] && !covered[e.ID]
			useful = useful || want[e.ID]
		}
		if !whole || !useful {
			continue
		}
		for _, e := range x.extents {
			covered[e.ID] = true
		}
		found = append(found, x)
	}
	rest = slices.DeleteFunc(slices.Clone(wanted), func(e catalog.Extent) bool { return covered[e.ID] })
	return found, rest
}

func idsOf(extents []catalog.Extent) map[string]bool {
	out := make(map[string]bool, len(extents))
	for _, e := range extents {
		out[e.ID] = true
	}
	return out
}

// holds says that the slice has every column that its extents have of those wanted.
func (x *slice) holds(wanted []catalog.Column) bool {
	return !slices.ContainsFunc(wanted, func(c catalog.Column) bool { return slices.Contains(x.held, c.ID) && !x.has(c) })
}

func (x *slice) has(c catalog.Column) bool {
	return slices.ContainsFunc(x.columns, func(o catalog.Column) bool { return o.ID == c.ID })
}

// release ends a query's use of slices.
func (h *hotTier) release(used []*slice) {
	if len(used) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range used {
		x.users--
		if x.doomed {
			h.retire(x)
		}
	}
}

// doom gives a slice up: no query finds it any more. The caller holds mu.
func (h *hotTier) doom(x *slice) {
	if x.doomed {
		return
	}
	x.doomed = true
	x.stop()
	id := x.table.id
	h.slices[id] = slices.DeleteFunc(h.slices[id], func(o *slice) bool { return o == x })
	if len(h.slices[id]) == 0 {
		delete(h.slices, id)
	}
	if x.ready { // who loads it sees to it otherwise
		h.retire(x)
	}
}

// retire queues a doomed slice for dropping when nobody reads it. The caller holds mu.
func (h *hotTier) retire(x *slice) {
	if x.child == h.child && x.users == 0 && !slices.Contains(h.drops, x) {
		h.drops = append(h.drops, x)
		h.again = time.Time{}
		h.wakeUp()
	}
}

// replace says that an extent is about to stand in the place of another, with the
// same rows: what is in memory of these stays. A slice that is being loaded reads
// the old file, which goes, and is given up as for any that goes.
func (h *hotTier) replace(old, fresh catalog.Extent) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.heat[old.ID]
	if k == nil {
		return
	}
	for _, x := range slices.Clone(h.slices[k.table.id]) {
		i := slices.IndexFunc(x.extents, func(e catalog.Extent) bool { return e.ID == old.ID })
		switch {
		case i >= 0 && x.ready:
			x.extents = slices.Clone(x.extents) // somebody may look at them
			x.extents[i] = fresh
		case i >= 0:
			h.state.Stale++
			h.doom(x)
		}
	}
	delete(h.heat, old.ID)
	k.extent = fresh
	h.heat[fresh.ID] = k
	if w, ok := h.weight[old.ID]; ok {
		delete(h.weight, old.ID)
		h.weight[fresh.ID] = w
	}
}

func (x *slice) holdsExtent(id string) bool {
	return slices.ContainsFunc(x.extents, func(e catalog.Extent) bool { return e.ID == id })
}

// remove forgets an extent that is no longer in the catalogue.
func (h *hotTier) remove(id string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.heat[id]
	if k == nil {
		return
	}
	delete(h.heat, id)
	delete(h.weight, id)
	for _, x := range slices.Clone(h.slices[k.table.id]) {
		if x.holdsExtent(id) {
			h.state.Stale++
			h.doom(x)
		}
	}
}

// expel forgets everything of one database. The child that held it is gone by
// then, or never got anything of it.
func (h *hotTier) expel(database string) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, k := range h.heat {
		if k.extent.DatabaseID == database {
			delete(h.heat, id)
			delete(h.weight, id)
		}
	}
	for _, all := range h.slices {
		for _, x := range slices.Clone(all) {
			if x.table.db.id == database {
				h.doom(x)
			}
		}
	}
}

// report is what the tier holds now.
func (h *hotTier) report() HotState {
	if h == nil {
		return HotState{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	st := h.state
	st.Busy = h.due || h.busy
	st.Budget, st.Bytes = h.policy.Bytes, h.bytes
	for _, all := range h.slices {
		for _, x := range all {
			if x.ready {
				st.Tables++
				st.Extents += len(x.extents)
				st.Rows += x.rows
			}
		}
	}
	return st
}
