package cluster

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/engine"
)

// supervisor keeps one engine child alive for a session. When the child dies
// it starts another and fills it from the log before anybody sees it.
type supervisor struct {
	s       *session
	buffers atomic.Uint64 // number of the last buffer, for its name
	kills   atomic.Uint64 // how often the child was killed on purpose

	// mu is held for reading by whoever changes what the child holds, together
	// with the log or the catalogue; for writing while a child is replaced. So
	// a replacement finds nothing half-done.
	mu      sync.RWMutex
	child   engine.Child  // nil while there is none
	changed chan struct{} // closed when child was replaced, or could not be
	stopped bool
	// latest is child for those who may hold mu already: a second reading lock
	// would wait for ever behind a replacement that waits for the first.
	latest atomic.Pointer[engine.Child]
}

func newSupervisor(s *session) *supervisor {
	return &supervisor{s: s, changed: make(chan struct{})}
}

// start brings the first child up.
func (v *supervisor) start(ctx context.Context) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	child, err := v.bringUp(ctx)
	if err != nil {
		return err
	}
	v.child = child
	v.latest.Store(&child)
	v.s.inside.Go(func() { v.watch(child) })
	return nil
}

// bringUp starts a child and replays the log into it. The caller holds mu.
func (v *supervisor) bringUp(ctx context.Context) (engine.Child, error) {
	child, err := v.s.cfg.Engine.Launch(ctx, v.s.cfg.EngineConfig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEngine, err)
	}
	v.s.cache.fit(child)
	v.s.hot.reset(child)
	if err := v.s.replay(ctx, child); err != nil {
		child.Close()
		return nil, fmt.Errorf("replay log: %w", err)
	}
	return child, nil
}

// watch replaces the child when it dies, until the session ends.
func (v *supervisor) watch(child engine.Child) {
	const firstPause, lastPause = 50 * time.Millisecond, 10 * time.Second
	pause := firstPause
	for {
		if child != nil {
			<-child.Done()
			pause = firstPause
		}
		if v.s.ctx.Err() != nil {
			return
		}
		var err error
		if child, err = v.replace(); err == nil {
			continue
		}
		v.s.log.Error("engine child cannot be started again", "error", err)
		timer := time.NewTimer(pause)
		select {
		case <-v.s.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		pause = min(2*pause, lastPause)
	}
}

func (v *supervisor) replace() (engine.Child, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stopped {
		return nil, context.Cause(v.s.ctx)
	}
	v.s.log.Warn("engine child died and is started again")
	v.child = nil
	child, err := v.bringUp(v.s.ctx)
	v.child = child
	if child != nil {
		v.latest.Store(&child)
	}
	close(v.changed)
	v.changed = make(chan struct{})
	return child, err
}

// acquire gives the child to somebody who changes what it holds, and must be
// released. While a child is being replaced it waits.
func (v *supervisor) acquire() (child engine.Child, changed <-chan struct{}, err error) {
	v.mu.RLock()
	if v.child == nil {
		v.mu.RUnlock()
		return nil, nil, ErrEngine
	}
	return v.child, v.changed, nil
}

func (v *supervisor) release() { v.mu.RUnlock() }

// successorPatience is how long a reader waits for a dead child's successor,
// which is up in a fraction of a second unless something is very wrong.
const successorPatience = 10 * time.Second

// live is a child that has not died, for somebody who only reads: a request
// that comes just after a crash waits for the successor.
func (v *supervisor) live(ctx context.Context) (engine.Child, error) {
	timer := time.NewTimer(successorPatience)
	defer timer.Stop()
	for {
		v.mu.RLock()
		child, changed := v.child, v.changed
		v.mu.RUnlock()
		if child == nil {
			return nil, ErrEngine
		}
		select {
		case <-child.Done():
		default:
			return child, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-v.s.ctx.Done():
			return nil, context.Cause(v.s.ctx)
		case <-timer.C:
			return nil, ErrEngine
		}
	}
}

// noticeDeath waits a moment until a child whose connection broke counts as
// dead. The kernel ends the connection before it reports the end of the process.
func (v *supervisor) noticeDeath() {
	latest := v.latest.Load()
	if latest == nil {
		return
	}
	child := *latest
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-child.Done():
	case <-timer.C: // it lives: it is the successor already
	case <-v.s.ctx.Done():
	}
}

// current is the child, nil when there is none, dead or alive.
func (v *supervisor) current() engine.Child {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.child
}

// kill ends the child because it may hold what must not be in memory any more.
// The next one is started as after a crash.
func (v *supervisor) kill() {
	v.kills.Add(1)
	if child := v.current(); child != nil {
		child.Close()
	}
}

// stop kills the child and waits for its end. The session's context has ended
// before, so no other is started.
func (v *supervisor) stop() {
	if child := v.current(); child != nil {
		child.Close()
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopped = true
	if v.child != nil {
		v.child.Close() // one that came up meanwhile
		v.child = nil
	}
}
