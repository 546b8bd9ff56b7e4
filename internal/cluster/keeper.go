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
		timer := time.NewTimer(wait)
		select {
		case <-n.r.ctx.Done():
			timer.Stop()
			return
		case <-n.kick:
			timer.Stop()
		case <-advanced:
			timer.Stop()
		case <-timer.C:
		}
	}
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
	wrapped, err := n.ring.Wrapped(ctx)
	if err == nil && wrapped.KEK.Kind == envelope.KindPlatform {
		n.worry(nil) // ours: it is there as long as we are
		return true
	}
	if err == nil {
		err = n.ring.Probe(ctx)
	}
	if err != nil && n.r.ctx.Err() == nil && n.replaced(ctx, wrapped) {
		n.wake() // the answer was about a key that is not in force any more
		return true
	}
	now := n.r.cfg.Now()
	n.mu.Lock()
	if err == nil {
		n.askedLast = now
	}
	silent := now.Sub(n.askedLast)
	n.mu.Unlock()
	switch {
	case n.r.ctx.Err() != nil:
	case err == nil:
		n.worry(n.follow(ctx))
	case errors.Is(err, envelope.ErrRevoked):
		n.patience.reset() // the state must not say that nobody answers
		n.suspend(err)
	case silent > n.r.cfg.GracePeriod:
		n.suspend(fmt.Errorf("no answer about the key for %v: %w", silent.Round(time.Second), err))
	default:
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
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return wrapped.KeyVersion, nil
}

// worry keeps what gives cause for concern about a running cluster's key.
func (n *node) worry(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current != nil {
		n.cause = err
	}
}

// suspend ends the session because the key is away: no answers any more, the
// child killed, plaintext and keys gone. Rows in the log stay there.
func (n *node) suspend(cause error) {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.mu.Lock()
	up := n.current != nil
	n.mu.Unlock()
	if !up {
		return // stopped meanwhile
	}
	n.moveKey(envelope.KeyRefused, cause)
	n.setPhase(Suspended, cause)
	n.end(suspended(cause), false)
	if n.r.cfg.Forget != nil {
		n.r.cfg.Forget(n.spec, "")
	}
	n.moveKey(envelope.KeyWiped, nil)
}

// replaced reports whether another wrap is in force by now.
func (n *node) replaced(ctx context.Context, old envelope.Wrapped) bool {
	now, err := n.ring.Wrapped(ctx)
	return err == nil && !bytes.Equal(now.Ciphertext, old.Ciphertext)
}
