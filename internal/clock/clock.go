package clock

import (
	"errors"
	"sync"
	"time"
)

// Clock tells the time. It is safe for concurrent use.
type Clock struct {
	manual bool

	mu       sync.Mutex
	offset   time.Duration
	advanced chan struct{} // closed and replaced at every advance
}

// ErrReal is the refusal to move a clock that is the machine's.
var ErrReal = errors.New("the clock is real and cannot be moved; start the server with --clock manual")

// ErrBackwards is the refusal to stand still or to go back.
var ErrBackwards = errors.New("a clock moves forward only")

// ErrTooFar is the refusal of an offset beyond [Limit].
var ErrTooFar = errors.New("the clock cannot be moved further than 100 years in all")

// Limit is the largest offset: dates beyond it would not fit the wire forms.
const Limit = 100 * 365 * 24 * time.Hour

// Real is the machine's clock.
func Real() *Clock { return &Clock{advanced: make(chan struct{})} }

// Manual is the machine's clock plus offset; Advance moves it on.
func Manual(offset time.Duration) *Clock {
	return &Clock{manual: true, offset: offset, advanced: make(chan struct{})}
}

// Now is the time. It keeps the machine's monotonic reading.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Offset()) }

// Offset is how far the clock is ahead of the machine's.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// IsManual reports whether Advance may be called.
func (c *Clock) IsManual() bool { return c.manual }

// Advanced returns a channel that is closed at the next advance. Take it before
// reading Now, or an advance in between goes unnoticed.
func (c *Clock) Advanced() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.advanced
}

// Advance moves the clock on and wakes who waits. keep is called with the new
// offset first and must make it durable; when it returns an error nothing
// moves. keep may be nil.
func (c *Clock) Advance(by time.Duration, keep func(offset time.Duration) error) error {
	switch {
	case !c.manual:
		return ErrReal
	case by <= 0:
		return ErrBackwards
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if by > Limit-c.offset {
		return ErrTooFar
	}
	if keep != nil {
		if err := keep(c.offset + by); err != nil {
			return err
		}
	}
	c.offset += by
	close(c.advanced)
	c.advanced = make(chan struct{})
	return nil
}
