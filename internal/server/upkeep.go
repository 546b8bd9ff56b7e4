package server

import (
	"context"
	"errors"
	"sync"
)

// upkeep is what runs beside the planes as long as they are served. What begins
// later, with a tenant that is made, is part of it.
type upkeep struct {
	mu      sync.Mutex
	serving context.Context // nil before begin and after close
	running sync.WaitGroup
}

// errStopping says that the server is not up yet, or going down.
var errStopping = errors.New("the server is starting or stopping")

// begin lets things run until ctx ends.
func (u *upkeep) begin(ctx context.Context) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serving = ctx
}

// while runs fn between begin and close, and holds up the latter; run is for
// what shall go on after it, until the context of begin ends. Outside of begin
// and close it returns errStopping.
func (u *upkeep) while(fn func(run func(func(context.Context))) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	ctx := u.serving
	if ctx == nil {
		return errStopping
	}
	return fn(func(do func(context.Context)) { u.running.Go(func() { do(ctx) }) })
}

// close lets nothing more begin: the planes are about to be taken down.
func (u *upkeep) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serving = nil
}

// wait waits for everything; the context of begin must have ended.
func (u *upkeep) wait() { u.running.Wait() }
