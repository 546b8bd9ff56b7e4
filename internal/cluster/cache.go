package cluster

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// wholeBytes is the largest payload that is decrypted whole: most of it is read
// anyway, and it costs no descriptor here.
const wholeBytes = 64 << 10

// cache keeps the plaintext of extents in memfds. An extent that was read from
// its file is decrypted chunk by chunk as the child reads it, and its chunks
// can go at any time; one that was just written, or whose child cannot decrypt
// on read, is there as a whole and stays while a query has it pinned. The least
// recently used is given up first when there are too many bytes.
type cache struct {
	s      *session
	budget int64
	room   room

	mu     sync.Mutex
	bytes  int64
	files  int             // descriptors that open extents hold in this process
	hot    map[string]*hot // by extent id
	order  *list.List      // of *hot, least recently used first
	opened uint64
	closed bool
}

// hot is one extent in memory.
type hot struct {
	id   string
	db   string
	name string // under which the child knows it; never used twice

	mu     sync.Mutex     // one loader at a time
	file   *os.File       // the whole plaintext until the child has it, or nil
	sparse *engine.Sparse // the plaintext as far as it was read, or nil
	source *openExtent    // where sparse takes it from
	openIn engine.Child

	// guarded by cache.mu
	pins   int
	size   int64 // bytes of plaintext in memory: all, or those that were read
	lazy   bool  // sparse is set, and stays so until close
	files  int   // descriptors here
	place  *list.Element
	doomed bool // not to be found any more: give up when the last pin goes
}

func newCache(s *session, budget int64) *cache {
	return &cache{s: s, budget: budget, room: newRoom(), hot: make(map[string]*hot), order: list.New()}
}

// pin makes an extent readable in the child and keeps it so until unpin. It
// returns the name under which the child knows it.
func (c *cache) pin(ctx context.Context, child engine.Child, e catalog.Extent) (*hot, error) {
	for {
		h, err := c.entry(e)
		if err != nil {
			return nil, err
		}
		c.evict() // what nobody reads makes room, here and in the child
		err = c.ready(ctx, h, child, e)
		if err == nil {
			return h, nil
		}
		if errors.Is(err, errPredecessor) {
			c.detach(h)
		}
		c.unpin(h)
		if !errors.Is(err, errPredecessor) {
			return nil, err
		}
	}
}

// errPredecessor says that an extent is open in a child that is gone, and its
// plaintext with it.
var errPredecessor = errors.New("open in a child before")

// detach lets an extent be opened anew; who has it pinned keeps what it has.
func (c *cache) detach(h *hot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hot[h.id] == h {
		c.forget(h)
		h.doomed = true
	}
}

func (c *cache) entry(e catalog.Extent) (*hot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, context.Cause(c.s.ctx)
	}
	h, ok := c.hot[e.ID]
	if !ok {
		c.opened++
		h = &hot{id: e.ID, db: e.DatabaseID, name: fmt.Sprintf("%s.%d", e.ID, c.opened)}
		h.place = c.order.PushBack(h)
		c.hot[e.ID] = h
	}
	h.pins++
	c.order.MoveToBack(h.place)
	return h, nil
}

func (c *cache) ready(ctx context.Context, h *hot, child engine.Child, e catalog.Extent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.openIn == child:
		return nil
	case h.openIn != nil:
		return errPredecessor
	}
	if h.file == nil && h.sparse == nil {
		if err := c.load(ctx, h, child, e); err != nil {
			return unopened(e.ID, err)
		}
	}
	if h.sparse != nil {
		if err := child.OpenSparse(ctx, h.name, h.sparse, func(first, last int64) { c.grown(h, first, last) }); err != nil {
			return fmt.Errorf("extent %s: %w", e.ID, err)
		}
		h.sparse.HandedOver()
		c.hold(h, 2) // the memory for writing, and the file
		c.account(h, h.sparse.Resident())
	} else {
		if err := child.OpenExtent(ctx, h.name, h.file); err != nil {
			return fmt.Errorf("extent %s: %w", e.ID, err)
		}
		h.file.Close()
		h.file = nil
		c.hold(h, 0)
	}
	h.openIn = child
	return nil
}

// load makes the plaintext readable, as a whole or as it is asked for.
func (c *cache) load(ctx context.Context, h *hot, child engine.Child, e catalog.Extent) error {
	if !child.Info().DecryptOnRead || e.Stats.ParquetSize <= wholeBytes {
		f, size, err := c.s.decrypt(ctx, e)
		if err != nil {
			return err
		}
		h.file = f
		c.hold(h, 1)
		c.account(h, size)
		return nil
	}
	if err := c.admit(); err != nil {
		return err
	}
	source, err := c.s.openExtent(e)
	if err != nil {
		return err
	}
	sparse, err := engine.NewSparse(source)
	if err != nil {
		source.close()
		return err
	}
	h.source, h.sparse = source, sparse
	c.hold(h, 4)
	c.mu.Lock()
	h.lazy = true
	c.mu.Unlock()
	return nil
}

// account notes how many bytes of an extent are in memory.
func (c *cache) account(h *hot, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hot[h.id] == h {
		c.bytes += size - h.size
	}
	h.size = size
}

// grown hears that chunks of an extent were decrypted, and makes room.
func (c *cache) grown(h *hot, first, last int64) {
	c.account(h, h.sparse.Resident())
	c.trim(h, first, last)
}

// trim takes plaintext of the least recently used extents out of memory, also
// under queries that read it: they ask again. The chunks first to last of h
// stay, since a reader waits for them.
func (c *cache) trim(h *hot, first, last int64) {
	c.evict() // what nobody reads goes first
	for _, v := range c.crowd() {
		keepFirst, keepLast := int64(1), int64(0)
		if v == h {
			keepFirst, keepLast = first, last
		}
		if _, err := v.sparse.Evict(keepFirst, keepLast); err != nil {
			c.s.log.Error("plaintext of an extent cannot be evicted", "extent", v.id, "error", err)
		}
		c.account(v, v.sparse.Resident())
	}
}

// crowd lists the extents whose chunks have to go so that the rest fits.
func (c *cache) crowd() []*hot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	var out []*hot
	over := c.bytes - c.budget
	for el := c.order.Front(); el != nil && over > 0; el = el.Next() {
		if v := el.Value.(*hot); v.lazy && v.size > 0 {
			out = append(out, v)
			over -= v.size
		}
	}
	return out
}

// put adds an extent whose plaintext is at hand: it was just written. The
// cache takes the file over.
func (c *cache) put(id, database string, f *os.File, size int64) {
	c.mu.Lock()
	if _, ok := c.hot[id]; ok || c.closed {
		c.mu.Unlock()
		f.Close()
		return
	}
	c.opened++
	h := &hot{id: id, db: database, name: fmt.Sprintf("%s.%d", id, c.opened), file: f, size: size, files: 1}
	h.place = c.order.PushBack(h)
	c.hot[id] = h
	c.bytes += size
	c.files++
	c.mu.Unlock()
	c.evict()
}

func (c *cache) unpin(h *hot) {
	c.mu.Lock()
	h.pins--
	drop := h.doomed && h.pins == 0
	c.mu.Unlock()
	if drop {
		h.drop(c.s)
	}
	c.evict()
}

// evict gives up what is beyond the budget and not pinned.
func (c *cache) evict() {
	for {
		h := c.surplus()
		if h == nil {
			return
		}
		h.drop(c.s)
	}
}

func (c *cache) surplus() *hot {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.bytes <= c.budget && !c.crowded() {
		return nil
	}
	for el := c.order.Front(); el != nil; el = el.Next() {
		if h := el.Value.(*hot); h.pins == 0 {
			c.forget(h)
			return h
		}
	}
	return nil
}

func (c *cache) forget(h *hot) {
	delete(c.hot, h.id)
	c.order.Remove(h.place)
	c.bytes -= h.size
	c.files -= h.files
}

// remove gives up an extent that is no longer in the catalogue, at once or
// when the last query that has it pinned has ended.
func (c *cache) remove(id string) {
	c.mu.Lock()
	h, ok := c.hot[id]
	drop := false
	if ok {
		c.forget(h)
		h.doomed = true
		drop = h.pins == 0
	}
	c.mu.Unlock()
	if drop {
		h.drop(c.s)
	}
}

func (h *hot) drop(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.openIn != nil {
		// An error means that the child is gone and holds nothing any more.
		_ = h.openIn.CloseExtent(s.ctx, h.name)
		h.openIn = nil
	}
	h.wipe()
}

// wipe gives memory and key up; the caller holds h.mu. A sparse stays set: who
// still asks it is denied.
func (h *hot) wipe() {
	if h.file != nil {
		h.file.Close()
		h.file = nil
	}
	if h.sparse != nil {
		h.sparse.Close()
		h.source.close()
	}
}

// expel gives up everything of one database, whoever has it pinned. The child
// that had it open is gone by then.
func (c *cache) expel(database string) {
	c.mu.Lock()
	var all []*hot
	for _, h := range c.hot {
		if h.db == database {
			c.forget(h)
			all = append(all, h)
		}
	}
	c.mu.Unlock()
	for _, h := range all {
		h.mu.Lock()
		h.wipe()
		h.mu.Unlock()
	}
}

// close gives everything up. The child is gone by then.
func (c *cache) close() {
	c.mu.Lock()
	c.closed = true
	all := c.hot
	c.hot, c.bytes = make(map[string]*hot), 0
	c.order.Init()
	c.mu.Unlock()
	for _, h := range all {
		h.mu.Lock()
		h.wipe()
		h.mu.Unlock()
	}
}

// failures is how many requests of the child for the extent's plaintext could
// not be met.
func (h *hot) failures() uint64 {
	if h.sparse == nil {
		return 0
	}
	n, _ := h.sparse.Failure()
	return n
}
