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
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// node is one cluster, running or not.
//
//	Stopped ──Start──► Running ──key refused──► Suspended
//	   ▲                 │  ▲                       │ key back
//	   └──────Stop───────┘  └───────────────────────┘
//
// After a start of the server a cluster that should run is Starting until its
// key answers. Only Stop makes Stopped, and only Start ends it.
type node struct {
	r    *Runtime
	spec Spec
	ring *envelope.Keyring
	cat  *catalog.Catalog
	kick chan struct{} // probe or start now

	job *jobControl // of the re-encryption

	tried     chan struct{} // closed when the keeper has made its first attempt
	triedOnce sync.Once

	turn     sync.Mutex // one change of phase at a time
	changing sync.Mutex // one change of KEK at a time
	moving   sync.Mutex // one change of the key's state at a time

	mu       sync.Mutex
	wanted   bool // the user wishes it to run
	phase    Phase
	since    time.Time
	cause    error // why it does not run, or what worries about its key
	key      envelope.KeyState
	current  *session
	patience backoff   // while nobody answers
	hearing  hearing   // about the key
	unheard  time.Time // when the first of a row of questions that nobody answered was asked; zero when the last was answered
	deleted  bool
	own      map[string]*databaseKey // of databases with a KEK of their own, by id
}

func newNode(r *Runtime, rec record, ring *envelope.Keyring) *node {
	n := &node{
		r: r, spec: rec.Spec, ring: ring, cat: catalog.New(rec.ID, ring, r.cfg.Now),
		kick: make(chan struct{}, 1), tried: make(chan struct{}), wanted: rec.Running, phase: Stopped, since: r.cfg.Now(),
		own: make(map[string]*databaseKey), job: newJobControl(),
	}
	if rec.Running {
		n.phase = Starting
	}
	return n
}

// wake makes the keeper look now.
func (n *node) wake() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// running is the session, or the reason why there is none.
func (n *node) running() (*session, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.deleted:
		return nil, fmt.Errorf("cluster %s: %w", n.spec.ID, catalog.ErrNotFound)
	case n.current != nil:
		return n.current, nil
	case n.phase == Suspended:
		return nil, suspended(n.cause)
	}
	return nil, ErrNotRunning
}

// suspended makes the error that answers requests while the key is away.
func suspended(cause error) error {
	return away("cluster", cause)
}

// setPhase changes the phase and tells. The caller holds turn.
func (n *node) setPhase(p Phase, cause error) { n.setPhaseWith(p, cause, func() {}) }

// setPhaseWith is setPhase with a step that nobody who reads the phase sees
// without it, nor it without the phase.
func (n *node) setPhaseWith(p Phase, cause error, step func()) {
	n.mu.Lock()
	step()
	from := n.phase
	n.cause = cause
	if from != p {
		n.phase, n.since = p, n.r.cfg.Now()
	}
	n.mu.Unlock()
	if from == p {
		return
	}
	n.r.cfg.Log.Info("cluster changes its phase", "cluster", n.spec.ID, "from", from, "to", p, "cause", cause)
	if n.r.cfg.OnState != nil {
		n.r.cfg.OnState(n.spec, p)
	}
}

// unlock asks for the key until the answer is the newest one there is. The
// caller holds turn.
func (n *node) unlock(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	for {
		question := n.hearing.ask()
		err := n.ring.Unlock(ctx)
		if err != nil && !errors.Is(err, envelope.ErrRevoked) || n.hearing.hear(question) {
			return err
		}
	}
}

// begin starts a session. The caller holds turn and there is none.
func (n *node) begin(ctx context.Context) error {
	if n.r.ctx.Err() != nil {
		return ErrNotRunning
	}
	if err := n.unlock(ctx); err != nil {
		return err
	}
	closed, err := n.unlockDatabases(ctx)
	if err != nil {
		n.ring.Lock()
		return err
	}
	away := n.keyState() == envelope.KeySuspended || n.keyState() == envelope.KeyFailed
	if away {
		n.moveKey(envelope.KeyAnswered, nil)
	}
	s, err := newSession(ctx, n, closed)
	if err != nil {
		n.ring.Lock()
		n.databasesBroke(err)
		if away {
			n.moveKey(envelope.KeyBroke, err)
		}
		return err
	}
	n.moveKey(envelope.KeyUp, nil)
	if wrapped, err := n.ring.Wrapped(ctx); err == nil && wrapped.KEK.Kind == envelope.KindPlatform {
		n.moveKey(envelope.KeyToPlatform, nil) // changed while it was being restored
	}
	n.mu.Lock()
	n.current = s
	n.unheard = time.Time{}
	n.mu.Unlock()
	n.databasesUp(s)
	n.setPhase(Running, nil)
	return nil
}

// shutDown ends the session, if there is one; why is what its requests hear.
// With seal the buffers become extents first.
func (n *node) shutDown(why error, seal bool) {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.end(why, seal)
}

// end is shutDown for a caller that holds turn.
func (n *node) end(why error, seal bool) {
	n.mu.Lock()
	s := n.current
	n.mu.Unlock()
	if s == nil {
		return
	}
	if seal {
		s.sealAll(context.WithoutCancel(n.r.ctx))
	}
	// From here on nobody is let in; what is in flight is cut off below.
	n.mu.Lock()
	n.current = nil
	n.mu.Unlock()
	s.close(why)
	n.ring.Lock()
}

// Start unlocks the key and brings the cluster up. When the key is away it
// returns the refusal and leaves the cluster as it was.
func (r *Runtime) Start(ctx context.Context, id string) error {
	n, err := r.node(ctx, id)
	if err != nil {
		return err
	}
	n.turn.Lock()
	defer n.turn.Unlock()
	n.mu.Lock()
	was, since, cause, up, deleted := n.phase, n.since, n.cause, n.current != nil, n.deleted
	n.mu.Unlock()
	if deleted {
		return fmt.Errorf("cluster %s: %w", id, catalog.ErrNotFound)
	}
	if !up {
		n.setPhase(Starting, nil)
		if err := n.begin(ctx); err != nil {
			if was == Suspended && errors.Is(err, envelope.ErrRevoked) {
				cause = err // the newer reason
			}
			n.setPhase(was, cause)
			n.mu.Lock()
			n.since = since
			n.mu.Unlock()
			return err
		}
	}
	if err := r.wish(ctx, n.spec.ID, true); err != nil {
		if !up {
			n.end(ErrNotRunning, false)
			n.setPhase(was, cause)
		}
		return err
	}
	n.mu.Lock()
	n.wanted = true
	n.mu.Unlock()
	n.wake()
	return nil
}

// Stop ends running queries, seals the buffers, wipes the keys and records the
// user's wish.
func (r *Runtime) Stop(ctx context.Context, id string) error {
	n, err := r.node(ctx, id)
	if err != nil {
		return err
	}
	n.turn.Lock()
	defer n.turn.Unlock()
	if err := r.wish(ctx, n.spec.ID, false); err != nil {
		return err
	}
	n.mu.Lock()
	n.wanted = false
	n.mu.Unlock()
	n.end(ErrNotRunning, true)
	n.setPhase(Stopped, nil)
	return nil
}

// Delete removes the cluster, its keys and its files. It never needs the key.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	n, err := r.node(ctx, id)
	if err != nil {
		return err
	}
	n.turn.Lock()
	defer n.turn.Unlock()
	err = r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		if err := tx.Delete(recordBucket, n.spec.ID); err != nil {
			return err
		}
		return errors.Join(n.ring.Delete(tx), n.cat.Delete(tx), forgetSuspensions(tx, n.spec.ID), forgetReencryption(tx, n.spec.ID))
	})
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("cluster %s: %w", id, catalog.ErrNotFound)
	} else if err != nil {
		return fmt.Errorf("delete cluster %s: %w", id, err)
	}
	r.scrub(ctx, n.spec.ID)
	n.mu.Lock()
	n.deleted, n.wanted = true, false
	n.mu.Unlock()
	n.end(fmt.Errorf("cluster %s: %w", id, catalog.ErrNotFound), false)
	n.setPhase(Stopped, nil)
	n.wake() // its keeper ends
	r.mu.Lock()
	delete(r.nodes, n.spec.ID)
	r.mu.Unlock()
	n.job.changed() // whoever waits for its re-encryption hears that it is gone
	// A crash before this leaves files without an owner; Open removes them.
	defer r.cfg.removing()()
	if err := os.RemoveAll(r.dir(n.spec.ID)); err != nil {
		r.cfg.Log.Error("files of a deleted cluster cannot be removed", "cluster", id, "error", err)
	}
	return nil
}

// State says what the cluster is doing.
func (r *Runtime) State(ctx context.Context, id string) (State, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return State{}, err
	}
	wrapped, err := n.ring.Wrapped(ctx)
	if err != nil {
		return State{}, err
	}
	s, session := n.state(wrapped)
	if session == nil {
		return s, nil
	}
	reasons := []string{}
	if s.Reason != "" {
		reasons = append(reasons, s.Reason)
	}
	_, damages := session.damages()
	for _, d := range damages {
		reasons = append(reasons, d.Summary())
	}
	s.Reason = strings.Join(reasons, "; ")
	return s, nil
}

// state is State but for what concerns single databases, and the session.
func (n *node) state(wrapped envelope.Wrapped) (State, *session) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := State{Phase: n.phase, Since: n.since, KEK: wrapped.KEK, KeyVersion: wrapped.KeyVersion, Key: n.key}
	if n.cause != nil {
		s.Reason = n.cause.Error()
	}
	if n.phase == Suspended {
		var e *SuspendedError
		if errors.As(suspended(n.cause), &e) {
			s.Reason, s.Code, s.VaultURI = e.Reason, e.Code, e.VaultURI
		}
	}
	if s.Reason != "" {
		s.Reason = n.patience.say(s.Reason)
	}
	if n.current != nil {
		s.Confinement = n.current.confinement()
		s.Hot = n.current.hot.report()
	}
	return s, n.current
}

// ChangeKEK puts the cluster key under another KEK.
func (r *Runtime) ChangeKEK(ctx context.Context, id string, kek envelope.KEK) error {
	n, err := r.node(ctx, id)
	if err != nil {
		return err
	}
	n.changing.Lock()
	defer n.changing.Unlock()
	if err := n.ring.ChangeKEK(ctx, kek); err != nil {
		return err
	}
	if kek.Kind == envelope.KindCustomer {
		n.moveKey(envelope.KeyToCustomer, nil)
	} else {
		n.moveKey(envelope.KeyToPlatform, nil)
	}
	n.wake()
	return nil
}

// ProbeNow probes the key, or tries to resume, without waiting for the interval;
// logs that are damaged are read again.
func (r *Runtime) ProbeNow(id string) {
	if n, err := r.node(r.ctx, id); err == nil {
		n.wake()
		for _, k := range n.databaseKeys() {
			k.wake()
		}
		if s, err := n.running(); err == nil {
			s.mendNow()
		}
	}
}

// scrub overwrites what is left, in the store's log, of keys that were deleted.
func (r *Runtime) scrub(ctx context.Context, id string) {
	if err := store.Scrub(ctx, r.cfg.Store); err != nil {
		r.cfg.Log.Warn("deleted keys are not scrubbed from the store's log yet", "cluster", id, "error", err)
	}
}
