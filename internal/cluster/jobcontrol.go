package cluster

import (
	"context"
	"sync"
)

// jobControl is what a cluster knows of its re-encryption beside the record in
// the store. It outlives sessions.
type jobControl struct {
	kick chan struct{} // look at the record again

	mu        sync.Mutex
	interrupt context.CancelFunc // of the attempt that runs, nil while there is none
	moved     chan struct{}      // closed at every step
	why       error              // what keeps it from going on, nil when nothing does
	waits     bool               // why is the key of a database that is away
}

func newJobControl() *jobControl {
	return &jobControl{kick: make(chan struct{}, 1), moved: make(chan struct{})}
}

// wake makes the runner look when it has nothing to do.
func (c *jobControl) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// look interrupts what it does: the record has been changed.
func (c *jobControl) look() {
	c.mu.Lock()
	if c.interrupt != nil {
		c.interrupt()
	}
	c.mu.Unlock()
	c.wake()
}

// attempt is the context of one attempt; done must be called at its end.
func (c *jobControl) attempt(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	c.interrupt = cancel
	c.mu.Unlock()
	return ctx, func() {
		c.mu.Lock()
		c.interrupt = nil
		c.mu.Unlock()
		cancel()
	}
}

// next is closed at the next step.
func (c *jobControl) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

func (c *jobControl) changed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.moved)
	c.moved = make(chan struct{})
}

// hindered notes what keeps it from going on; nil when nothing does.
func (c *jobControl) hindered(why error, waits bool) {
	c.mu.Lock()
	c.why, c.waits = why, waits
	c.mu.Unlock()
	c.changed()
}

func (c *jobControl) trouble() (why error, waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.why, c.waits
}
