package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// keep probes the key of a database that is open, and opens one whose key is
// back. It ends when the database has no KEK of its own any more.
func (k *databaseKey) keep() {
	n := k.n
	for {
		advanced := n.r.cfg.Advanced()
		n.mu.Lock()
		s, deleted := n.current, n.deleted
		n.mu.Unlock()
		_, own, err := n.ring.DatabaseWrapped(n.r.ctx, k.id)
		if deleted || errors.Is(err, envelope.ErrNotFound) || err == nil && !own {
			if k.retire() {
				return
			}
			continue
		}
		wait := n.r.cfg.ProbeInterval
		switch {
		case s == nil:
			k.patience.reset()
		case s.keyAway(k.id) == nil:
			wait = k.patience.after(n.r.cfg, k.probeNow(), true, wait/8)
		default:
			done, first := k.resume(s), firstRetry
			if k.now() == envelope.KeySuspended {
				first = wait
			}
			wait = k.patience.after(n.r.cfg, done, false, first)
		}
		if !n.r.rest(wait, k.kick, advanced) {
			return
		}
	}
}

// retire takes the entry out, unless the database got a KEK again meanwhile:
// the keeper of one that comes later is another.
func (k *databaseKey) retire() bool {
	k.changing.Lock()
	defer k.changing.Unlock()
	k.n.mu.Lock()
	deleted := k.n.deleted
	k.n.mu.Unlock()
	_, own, err := k.n.ring.DatabaseWrapped(k.n.r.ctx, k.id)
	if !deleted && (own || err != nil && !errors.Is(err, envelope.ErrNotFound)) {
		return k.n.r.ctx.Err() != nil
	}
	k.n.mu.Lock()
	if k.n.own[k.id] == k {
		delete(k.n.own, k.id)
	}
	k.n.mu.Unlock()
	k.mu.Lock()
	k.gone = true
	k.mu.Unlock()
	if err != nil {
		k.n.ring.LockDatabase(k.id) // it was dropped
	}
	return true
}

// probeNow asks whether the key is still there, and reports whether there was
// an answer. A definite refusal closes the database at once; silence does after
// the grace period.
func (k *databaseKey) probeNow() (answered bool) {
	n := k.n
	n.mu.Lock()
	s := n.current
	n.mu.Unlock()
	if s == nil || s.keyAway(k.id) != nil {
		k.wake()
		return true
	}
	ctx, cancel := context.WithTimeout(n.r.ctx, askLimit)
	defer cancel()
	question, asked := k.hearing.ask(), n.r.cfg.Now()
	before, own, err := n.ring.DatabaseWrapped(ctx, k.id)
	if err == nil && !own {
		return true
	}
	if err == nil {
		err = n.ring.ProbeDatabase(ctx, k.id)
	}
	switch now := n.r.cfg.Now(); {
	case n.r.ctx.Err() != nil:
		return true
	case err == nil:
		if !k.hearing.hear(question) {
			return true
		}
		k.answered()
		if err := k.follow(ctx); !k.hearing.stale(question) {
			k.worry(err)
		}
	case errors.Is(err, envelope.ErrRevoked):
		k.suspend(question, before, err)
	case k.hearing.stale(question):
		return true // somebody who asked later was answered
	case k.replaced(ctx, before):
		k.wake() // the silence was about a key that is not in force any more
		return true
	default:
		k.mu.Lock()
		silent := since(&k.unheard, asked, now)
		k.mu.Unlock()
		if silent > n.r.cfg.GracePeriod {
			k.suspend(question, before, &silence{before.KEK.VaultURI, silent, err})
			break
		}
		n.r.cfg.Log.Warn("key of a database cannot be probed", "cluster", n.spec.ID, "database", k.id, "silent", silent, "error", err)
		k.worry(err)
	}
	return !errors.Is(err, envelope.ErrUnavailable)
}

// replaced reports whether another wrap is in force by now, or none.
func (k *databaseKey) replaced(ctx context.Context, old envelope.Wrapped) bool {
	now, own, err := k.n.ring.DatabaseWrapped(ctx, k.id)
	return err == nil && (!own || !bytes.Equal(now.Ciphertext, old.Ciphertext)) || errors.Is(err, envelope.ErrNotFound)
}

// follow is what follow of the cluster's key is.
func (k *databaseKey) follow(ctx context.Context) error {
	k.changing.Lock()
	defer k.changing.Unlock()
	now, own, err := k.n.ring.DatabaseWrapped(ctx, k.id)
	if err != nil || !own {
		return err
	}
	newest, err := k.n.r.newest(ctx, now.KEK)
	if err != nil || now.KEK.KeyVersion != "" || newest == now.KeyVersion {
		return err
	}
	if err := k.n.ring.ChangeDatabaseKEK(ctx, k.id, now.KEK); err != nil {
		return fmt.Errorf("follow key version %s: %w", newest, err)
	}
	return nil
}

// suspend closes the database because its key is away. What it disregards, and
// why, is what suspend of the cluster's key does.
func (k *databaseKey) suspend(question uint64, about envelope.Wrapped, cause error) {
	k.turn.Lock()
	defer k.turn.Unlock()
	if k.replaced(k.n.r.ctx, about) {
		k.wake()
		return
	}
	if !k.hearing.hear(question) {
		return
	}
	k.n.mu.Lock()
	s := k.n.current
	k.n.mu.Unlock()
	k.patience.reset() // the state must not say that nobody answers
	k.worry(cause)
	k.move(envelope.KeyRefused, cause)
	k.noteSuspension(true)
	if s != nil && s.suspendDatabase(k.id, k.suspended(cause)) && s.cfg.Forget != nil {
		s.cfg.Forget(k.n.spec, k.id)
	}
	if k.now() == envelope.KeySuspending {
		k.move(envelope.KeyWiped, nil)
	}
	if k.hearing.stale(question) {
		k.wake() // somebody heard yes meanwhile, and found the database still open
	}
}

// resume tries to open a database that is closed. It reports whether it is
// open, or was refused: false asks for another try.
func (k *databaseKey) resume(s *session) bool {
	n := k.n
	question := k.hearing.ask()
	ctx, cancel := context.WithTimeout(n.r.ctx, askLimit)
	err := n.ring.UnlockDatabase(ctx, k.id)
	cancel()
	if n.r.ctx.Err() != nil || s.ctx.Err() != nil {
		return true
	}
	k.turn.Lock()
	defer k.turn.Unlock()
	if definite(err) && !k.hearing.hear(question) {
		if err == nil && k.now() == envelope.KeySuspended {
			n.ring.LockDatabase(k.id)
		}
		k.wake()
		return true
	}
	if err != nil {
		if k.now() == envelope.KeySuspended && !errors.Is(err, envelope.ErrRevoked) {
			return false // who refused before has not said anything new
		}
		k.refused(err)
		s.refuseAgain(k.id, k.suspended(err))
		return errors.Is(err, envelope.ErrRevoked)
	}
	k.answered()
	if st := k.now(); st == envelope.KeySuspended || st == envelope.KeyFailed {
		k.move(envelope.KeyAnswered, nil)
	}
	if err := s.resumeDatabase(s.ctx, k.id); err != nil {
		if s.ctx.Err() != nil || errors.Is(err, catalog.ErrNotFound) {
			return true
		}
		if damaged := (*LogError)(nil); errors.As(err, &damaged) { // the key is there, and is probed on
			s.stayDamaged(k.id, damaged, true)
			k.up()
			return true
		}
		n.ring.LockDatabase(k.id)
		k.worry(err)
		if k.now() == envelope.KeyRestoring {
			k.move(envelope.KeyBroke, err)
		}
		n.r.cfg.Log.Error("database cannot be opened again", "cluster", n.spec.ID, "database", k.id, "error", err)
		return false
	}
	k.up()
	return true
}
