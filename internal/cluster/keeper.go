package cluster

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/envelope"
)

// askLimit bounds one question to a vault.
const askLimit = 30 * time.Second

// keep brings a wanted cluster up, probes its key while it runs, suspends it
// when the key is refused and resumes it when the key is back. It ends with
// the runtime or with the cluster.
func (n *node) keep() {
	n.watchDatabases()
	for {
		advanced := n.r.cfg.Advanced()
		n.mu.Lock()
		wanted, up, deleted := n.wanted, n.current != nil, n.deleted
		n.mu.Unlock()
		if deleted {
			return
		}
		wait := n.r.cfg.ProbeInterval
		switch {
		case wanted && up:
			wait = n.patience.after(n.r.cfg, n.probe(), true, n.r.cfg.ProbeInterval/8)
		case wanted:
			done := n.resume()
			first := firstRetry
			n.mu.Lock()
			if n.phase == Suspended { // whoever refused is not about to start
				first = n.r.cfg.ProbeInterval
			}
			n.mu.Unlock()
			wait = n.patience.after(n.r.cfg, done, false, first)
		default:
			n.patience.reset()
		}
		n.triedOnce.Do(func() { close(n.tried) })
		if !n.r.rest(wait, n.kick, advanced) {
			return
		}
	}
}

// rest lets a keeper wait until it is due, is woken, or the clock was advanced;
// false when the runtime ends.
func (r *Runtime) rest(wait time.Duration, kick, advanced <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.ctx.Done():
		return false
	case <-kick:
	case <-advanced:
	case <-timer.C:
	}
	return true
}

// resume tries to start a cluster that should run. It reports whether it runs,
// or was refused: false asks for another try.
func (n *node) resume() bool {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.mu.Lock()
	due := n.wanted && n.current == nil && !n.deleted
	before := n.phase
	n.mu.Unlock()
	if !due || n.r.ctx.Err() != nil {
		return true
	}
	err := n.begin(n.r.ctx)
	switch {
	case err == nil:
		return true
	case errors.Is(err, envelope.ErrRevoked):
		n.patience.reset() // the state must not say that nobody answers
		n.refused(err)
		n.setPhase(Suspended, err)
		return true
	case errors.Is(err, envelope.ErrUnavailable) && before == Suspended:
		// Whoever refused before has not said anything new.
		return false
	}
	n.r.cfg.Log.Warn("cluster does not start", "cluster", n.spec.ID, "error", err)
	n.setPhase(Starting, err)
	return false
}

// probe asks whether the key is still there, and reports whether there was an
// answer. A definite refusal suspends at once; silence suspends after the grace period.
func (n *node) probe() (answered bool) {
	ctx, cancel := context.WithTimeout(n.r.ctx, askLimit)
	defer cancel()
	question, asked := n.hearing.ask(), n.r.cfg.Now()
	wrapped, err := n.ring.Wrapped(ctx)
	if err == nil && wrapped.KEK.Kind == envelope.KindPlatform {
		n.worry(nil) // ours: it is there as long as we are
		return true
	}
	if err == nil {
		err = n.ring.Probe(ctx)
	}
	switch now := n.r.cfg.Now(); {
	case n.r.ctx.Err() != nil:
	case err == nil:
		if !n.hearing.hear(question) {
			return true
		}
		n.mu.Lock()
		n.unheard = time.Time{}
		n.mu.Unlock()
		if err := n.follow(ctx); !n.hearing.stale(question) {
			n.worry(err)
		}
	case errors.Is(err, envelope.ErrRevoked):
		n.suspend(question, wrapped, err)
	case n.hearing.stale(question):
		return true // somebody who asked later was answered
	case n.replaced(ctx, wrapped):
		n.wake() // the silence was about a key that is not in force any more
		return true
	default:
		n.mu.Lock()
		silent := since(&n.unheard, asked, now)
		n.mu.Unlock()
		if silent > n.r.cfg.GracePeriod {
			n.suspend(question, wrapped, &silence{wrapped.KEK.VaultURI, silent, err})
			break
		}
		n.r.cfg.Log.Warn("key of a cluster cannot be probed", "cluster", n.spec.ID, "silent", silent, "error", err)
		n.worry(err)
	}
	return !errors.Is(err, envelope.ErrUnavailable)
}

// follow wraps the cluster key anew when the KEK is named without a version
// and its vault has a newer one than the one that wrapped. Which one is the
// newest the vault says when it wraps something: here a key that is thrown
// away. Until the new wrap is durable the old version stays in use. A pinned
// version is asked too: one that cannot wrap gives cause for worry.
func (n *node) follow(ctx context.Context) error {
	n.changing.Lock()
	defer n.changing.Unlock()
	now, err := n.ring.Wrapped(ctx) // again: it may have been changed since
	if err != nil || now.KEK.Kind != envelope.KindCustomer {
		return err
	}
	newest, err := n.r.newest(ctx, now.KEK)
	if err != nil || now.KEK.KeyVersion != "" || newest == now.KeyVersion {
		return err
	}
	if err := n.ring.ChangeKEK(ctx, now.KEK); err != nil {
		return fmt.Errorf("follow key version %s: %w", newest, err)
	}
	return nil
}

// newest is the version that a KEK wraps with now: the pinned one, or the
// vault's newest. An error of a pinned one says that it cannot wrap any more.
func (r *Runtime) newest(ctx context.Context, kek envelope.KEK) (version string, err error) {
	what := "look for a newer key version"
	if kek.KeyVersion != "" {
		what = "the key unwraps and does not wrap"
	}
	wrapper, err := r.cfg.Wrappers.For(ctx, kek)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	throwaway := make([]byte, 32)
	_, _ = rand.Read(throwaway) // crypto/rand.Read never fails: it ends the program instead
	wrapped, err := wrapper.Wrap(ctx, throwaway)
	var refused *envelope.RevokedError
	if errors.As(err, &refused) { // to wrap: nothing that was wrapped is revoked
		return "", fmt.Errorf("%s: %s (%s)", what, refused.Reason, refused.Code)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return wrapped.KeyVersion, nil
}

// worry keeps what gives cause for concern about a running cluster's key.
func (n *node) worry(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current != nil && n.phase == Running { // not while it is being suspended
		n.cause = err
	}
}

// suspend ends the session because the key is away: no answers any more, the
// child killed, plaintext and keys gone. Rows in the log stay there. A refusal
// that another answer has overtaken, or that is about a wrap not in force any
// more, changes nothing; one that says why a suspended cluster's key is away now
// is kept as its reason.
func (n *node) suspend(question uint64, about envelope.Wrapped, cause error) {
	n.turn.Lock()
	defer n.turn.Unlock()
	if n.replaced(n.r.ctx, about) {
		n.wake()
		return
	}
	if !n.hearing.hear(question) {
		return
	}
	n.mu.Lock()
	s, phase := n.current, n.phase
	n.mu.Unlock()
	if s == nil && phase != Suspended {
		return // stopped meanwhile
	}
	n.patience.reset() // the state must not say that nobody answers
	if s == nil {
		n.setPhase(Suspended, cause)
		return
	}
	n.moveKey(envelope.KeyRefused, cause)
	n.setPhaseWith(Suspended, cause, func() { s.refuse(suspended(cause)) })
	n.end(suspended(cause), false)
	if n.r.cfg.Forget != nil {
		n.r.cfg.Forget(n.spec, "")
	}
	n.moveKey(envelope.KeyWiped, nil)
	if n.hearing.stale(question) {
		n.wake() // somebody heard yes meanwhile, and found the cluster still up
	}
}

// replaced reports whether another wrap is in force by now.
func (n *node) replaced(ctx context.Context, old envelope.Wrapped) bool {
	now, err := n.ring.Wrapped(ctx)
	return err == nil && !bytes.Equal(now.Ciphertext, old.Ciphertext)
}
