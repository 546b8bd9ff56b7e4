package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// databaseKey is the KEK of one database that has its own: the state of its
// machine, and a keeper of its own, so that a vault that is slow to answer for
// one database holds up no other and not the cluster.
type databaseKey struct {
	n    *node
	id   string
	kick chan struct{} // probe now
	once sync.Once     // its keeper is started

	changing sync.Mutex // one change of KEK at a time
	moving   sync.Mutex // one change of the state at a time

	patience backoff // while nobody answers

	mu        sync.Mutex
	state     envelope.KeyState
	cause     error     // why it is closed, or what worries about its key
	askedLast time.Time // when the key last answered
	gone      bool      // the database follows the cluster again, or was dropped
}

// databasePatience is how long the start of a cluster waits for the keys of
// single databases. One that answers later is opened then.
const databasePatience = 3 * time.Second

// ownKey is the entry of a database with a KEK of its own; one that is new has
// the state given and no keeper yet.
func (n *node) ownKey(id string, state envelope.KeyState) *databaseKey {
	n.mu.Lock()
	defer n.mu.Unlock()
	k, ok := n.own[id]
	if !ok {
		k = &databaseKey{n: n, id: id, kick: make(chan struct{}, 1), state: state, askedLast: n.r.cfg.Now()}
		n.own[id] = k
	}
	return k
}

// watch starts the keeper, once, when the runtime keeps keys already.
func (k *databaseKey) watch() {
	k.n.r.mu.Lock()
	defer k.n.r.mu.Unlock()
	if k.n.r.started && !k.n.r.closed {
		k.once.Do(func() { k.n.r.work.Go(k.keep) })
	}
}

func (n *node) ownKeyIfAny(id string) *databaseKey {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.own[id]
}

func (n *node) databaseKeys() (out []*databaseKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.own {
		out = append(out, k)
	}
	return out
}

// watchDatabases starts the keepers of the databases that have a KEK of their own.
func (n *node) watchDatabases() {
	own, err := n.ring.OwnKEKs(n.r.ctx)
	if err != nil {
		n.r.cfg.Log.Error("keys of databases cannot be listed", "cluster", n.spec.ID, "error", err)
	}
	for id := range own {
		n.ownKey(id, envelope.KeyCustomer).watch()
	}
}

// unlockDatabases asks for the keys of all databases that have their own, at
// the same time, and says which are closed for now.
func (n *node) unlockDatabases(ctx context.Context) (map[string]error, error) {
	own, err := n.ring.OwnKEKs(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, databasePatience)
	defer cancel()
	closed := make(map[string]error)
	var mu sync.Mutex
	var all sync.WaitGroup
	for id := range own {
		all.Go(func() {
			if why := n.ownKey(id, envelope.KeyCustomer).unlock(ctx); why != nil {
				mu.Lock()
				defer mu.Unlock()
				closed[id] = why
			}
		})
	}
	all.Wait()
	return closed, nil
}

// databasesUp tells the machines of the databases that could be unlocked that
// the data answers.
func (n *node) databasesUp() {
	for _, k := range n.databaseKeys() {
		if !n.ring.DatabaseLocked(k.id) {
			k.up()
		}
	}
}

// databasesBroke tells them that it does not, for another reason than the key.
func (n *node) databasesBroke(cause error) {
	for _, k := range n.databaseKeys() {
		if k.now() == envelope.KeyRestoring {
			k.move(envelope.KeyBroke, cause)
		}
	}
}

func (k *databaseKey) wake() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// move tells the machine what happened, and the log and the audit log what became of it.
func (k *databaseKey) move(e envelope.KeyEvent, cause error) {
	k.moving.Lock()
	defer k.moving.Unlock()
	k.mu.Lock()
	from := k.state
	to, err := from.Next(e)
	k.state = to
	k.mu.Unlock()
	cfg := k.n.r.cfg
	if err != nil {
		cfg.Log.Error("BUG: event of a key out of order", "cluster", k.n.spec.ID, "database", k.id, "error", err)
		return
	}
	if from == to {
		return
	}
	cfg.Log.Info("key of a database changes its state", "cluster", k.n.spec.ID, "database", k.id, "from", from, "to", to, "cause", cause)
	if cfg.OnDatabaseKey != nil {
		cfg.OnDatabaseKey(k.n.spec, k.id, from, to, cause)
	}
}

func (k *databaseKey) now() envelope.KeyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

// unlock asks for the key. What it returns is why the database stays closed.
func (k *databaseKey) unlock(ctx context.Context) error {
	err := k.n.ring.UnlockDatabase(ctx, k.id)
	if err == nil {
		k.answered()
		if s := k.now(); s == envelope.KeySuspended || s == envelope.KeyFailed {
			k.move(envelope.KeyAnswered, nil)
		}
		return nil
	}
	why := k.suspended(err)
	k.worry(err)
	if errors.Is(err, envelope.ErrRevoked) {
		k.move(envelope.KeyRefused, err)
		if k.now() == envelope.KeySuspending {
			k.noteSuspension(true)
			k.move(envelope.KeyWiped, nil)
		}
	}
	return why
}

// up says that the data answers.
func (k *databaseKey) up() {
	k.move(envelope.KeyUp, nil)
	k.noteSuspension(false)
	k.worry(nil)
}

func (k *databaseKey) answered() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.askedLast = k.n.r.cfg.Now()
}

// worry keeps why the database is closed, or what gives cause for concern.
func (k *databaseKey) worry(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cause = err
}

// suspended is the error that answers requests while the key is away.
func (k *databaseKey) suspended(cause error) *SuspendedError {
	name := k.id
	err := k.n.r.cfg.Store.View(context.Background(), func(tx store.Tx) error {
		all, err := k.n.cat.Databases(tx)
		for _, db := range all {
			if db.ID == k.id {
				name = db.Name
			}
		}
		return err
	})
	if err != nil {
		k.n.r.cfg.Log.Error("databases cannot be listed", "cluster", k.n.spec.ID, "error", err)
	}
	var revoked *envelope.RevokedError
	if errors.As(cause, &revoked) {
		return &SuspendedError{Database: name, Code: revoked.Code, VaultURI: revoked.VaultURI, Reason: revoked.Reason}
	}
	return &SuspendedError{Database: name, Code: "KeyVaultUnavailable", Reason: "the key of the database cannot be reached"}
}

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
		case s.databaseClosed(k.id) == nil:
			wait = k.patience.after(n.r.cfg, k.probeNow(), true, wait/8)
		default:
			done, first := k.resume(s), firstRetry
			if k.now() == envelope.KeySuspended {
				first = wait
			}
			wait = k.patience.after(n.r.cfg, done, false, first)
		}
		timer := time.NewTimer(wait)
		select {
		case <-n.r.ctx.Done():
			timer.Stop()
			return
		case <-k.kick:
			timer.Stop()
		case <-advanced:
			timer.Stop()
		case <-timer.C:
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
	if s == nil || s.databaseClosed(k.id) != nil {
		k.wake()
		return true
	}
	ctx, cancel := context.WithTimeout(n.r.ctx, askLimit)
	defer cancel()
	before, own, err := n.ring.DatabaseWrapped(ctx, k.id)
	if err == nil && !own {
		return true
	}
	if err == nil {
		err = n.ring.ProbeDatabase(ctx, k.id)
	}
	if err != nil {
		after, own, again := n.ring.DatabaseWrapped(ctx, k.id)
		if n.r.ctx.Err() != nil || again == nil && (!own || !bytes.Equal(after.Ciphertext, before.Ciphertext)) || errors.Is(again, envelope.ErrNotFound) {
			k.wake() // the answer was about a key that is not in force any more
			return true
		}
	} else {
		k.answered()
	}
	k.mu.Lock()
	silent := n.r.cfg.Now().Sub(k.askedLast)
	k.mu.Unlock()
	switch {
	case err == nil:
		k.worry(k.follow(ctx))
	case errors.Is(err, envelope.ErrRevoked):
		k.patience.reset()
		k.suspend(s, err)
	case silent > n.r.cfg.GracePeriod:
		k.suspend(s, fmt.Errorf("no answer about the key for %v: %w", silent.Round(time.Second), err))
	default:
		n.r.cfg.Log.Warn("key of a database cannot be probed", "cluster", n.spec.ID, "database", k.id, "silent", silent, "error", err)
		k.worry(err)
	}
	return !errors.Is(err, envelope.ErrUnavailable)
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

func (k *databaseKey) suspend(s *session, cause error) {
	k.move(envelope.KeyRefused, cause)
	k.worry(cause)
	k.noteSuspension(true)
	if s.suspendDatabase(k.id, k.suspended(cause)) && s.cfg.Forget != nil {
		s.cfg.Forget(k.n.spec, k.id)
	}
	k.move(envelope.KeyWiped, nil)
}

// resume tries to open a database that is closed. It reports whether it is
// open, or was refused: false asks for another try.
func (k *databaseKey) resume(s *session) bool {
	n := k.n
	ctx, cancel := context.WithTimeout(n.r.ctx, askLimit)
	err := n.ring.UnlockDatabase(ctx, k.id)
	cancel()
	if n.r.ctx.Err() != nil || s.ctx.Err() != nil {
		return true
	}
	if err != nil {
		if k.now() == envelope.KeySuspended && !errors.Is(err, envelope.ErrRevoked) {
			return false // who refused before has not said anything new
		}
		k.worry(err)
		if errors.Is(err, envelope.ErrRevoked) {
			k.move(envelope.KeyRefused, err)
			if k.now() == envelope.KeySuspending {
				k.noteSuspension(true)
				k.move(envelope.KeyWiped, nil)
			}
			return true
		}
		return false
	}
	k.answered()
	if st := k.now(); st == envelope.KeySuspended || st == envelope.KeyFailed {
		k.move(envelope.KeyAnswered, nil)
	}
	if err := s.resumeDatabase(s.ctx, k.id); err != nil {
		if s.ctx.Err() != nil || errors.Is(err, catalog.ErrNotFound) {
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
