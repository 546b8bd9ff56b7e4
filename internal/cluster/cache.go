package cluster

import (
	"container/list"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

// maxHot is the most extents that are open at once beyond what queries hold;
// each is a descriptor here and in the child.
const maxHot = 1500

// cache keeps the plaintext of extents in sealed memfds, the least recently
// used given up first when there are too many bytes. What a query has pinned
// stays.
type cache struct {
	s      *session
	budget int64

	mu     sync.Mutex
	bytes  int64
	hot    map[string]*hot // by extent id
	order  *list.List      // of *hot, least recently used first
	opened uint64
	closed bool
}

// hot is one extent in memory.
type hot struct {
	id   string
	name string // under which the child knows it; never used twice

	mu     sync.Mutex // one loader at a time
	file   *os.File
	openIn engine.Child

	// guarded by cache.mu
	pins   int
	size   int64 // 0 until loaded
	place  *list.Element
	doomed bool // not in the catalogue any more: give up when the last pin goes
}

func newCache(s *session, budget int64) *cache {
	return &cache{s: s, budget: budget, hot: make(map[string]*hot), order: list.New()}
}

// pin makes an extent readable in the child and keeps it so until unpin. It
// returns the name under which the child knows it.
func (c *cache) pin(ctx context.Context, child engine.Child, e catalog.Extent) (*hot, error) {
	h, err := c.entry(e.ID)
	if err != nil {
		return nil, err
	}
	if err := c.ready(ctx, h, child, e); err != nil {
		c.unpin(h)
		return nil, err
	}
	return h, nil
}

func (c *cache) entry(id string) (*hot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, context.Cause(c.s.ctx)
	}
	h, ok := c.hot[id]
	if !ok {
		c.opened++
		h = &hot{id: id, name: fmt.Sprintf("%s.%d", id, c.opened)}
		h.place = c.order.PushBack(h)
		c.hot[id] = h
	}
	h.pins++
	c.order.MoveToBack(h.place)
	return h, nil
}

func (c *cache) ready(ctx context.Context, h *hot, child engine.Child, e catalog.Extent) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil {
		f, size, err := c.s.decrypt(ctx, e)
		if err != nil {
			return &ExtentError{ID: e.ID, Cause: err}
		}
		h.file = f
		c.loaded(h, size)
	}
	if h.openIn == child {
		return nil
	}
	if err := child.OpenExtent(ctx, h.name, h.file); err != nil {
		return fmt.Errorf("extent %s: %w", e.ID, err)
	}
	h.openIn = child
	return nil
}

func (c *cache) loaded(h *hot, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.size = size; c.hot[h.id] == h {
		c.bytes += size
	}
}

// put adds an extent whose plaintext is at hand: it was just written. The
// cache takes the file over.
func (c *cache) put(id string, f *os.File, size int64) {
	c.mu.Lock()
	if _, ok := c.hot[id]; ok || c.closed {
		c.mu.Unlock()
		f.Close()
		return
	}
	c.opened++
	h := &hot{id: id, name: fmt.Sprintf("%s.%d", id, c.opened), file: f, size: size}
	h.place = c.order.PushBack(h)
	c.hot[id] = h
	c.bytes += size
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
	if c.closed || c.bytes <= c.budget && len(c.hot) <= maxHot {
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
	if h.file != nil {
		h.file.Close()
		h.file = nil
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
		if h.file != nil {
			h.file.Close()
			h.file = nil
		}
		h.mu.Unlock()
	}
}
