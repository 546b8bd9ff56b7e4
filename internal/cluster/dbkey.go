package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

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

	patience backoff    // while nobody answers
	hearing  hearing    // about the key
	turn     sync.Mutex // one opening or closing at a time, after an answer was heard

	mu      sync.Mutex
	state   envelope.KeyState
	cause   error     // why it is closed, or what worries about its key
	unheard time.Time // when the first of a row of questions that nobody answered was asked; zero when the last was answered
	gone    bool      // the database follows the cluster again, or was dropped
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
		k = &databaseKey{n: n, id: id, kick: make(chan struct{}, 1), state: state}
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
// the data answers, in a session that has just begun. One that was refused since
// it was unlocked is closed again.
func (n *node) databasesUp(s *session) {
	for _, k := range n.databaseKeys() {
		k.settle(s)
	}
}

func (k *databaseKey) settle(s *session) {
	k.turn.Lock()
	defer k.turn.Unlock()
	k.mu.Lock()
	refused, cause := k.state == envelope.KeySuspended, k.cause
	k.mu.Unlock()
	switch {
	case k.n.ring.DatabaseLocked(k.id):
	case refused:
		s.suspendDatabase(k.id, k.suspended(cause))
	default:
		k.up()
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
	question := k.hearing.ask()
	err := k.n.ring.UnlockDatabase(ctx, k.id)
	k.turn.Lock()
	defer k.turn.Unlock()
	suspended := k.now() == envelope.KeySuspended
	heard := !definite(err) || k.hearing.hear(question)
	if !heard {
		k.wake() // what was heard to a later question counts, and is asked for again
	}
	if suspended && (!heard || !definite(err)) {
		// Whoever refused before has not said anything new by silence.
		k.n.ring.LockDatabase(k.id)
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.suspended(k.cause)
	}
	if err == nil {
		k.answered()
		if s := k.now(); s == envelope.KeySuspended || s == envelope.KeyFailed {
			k.move(envelope.KeyAnswered, nil)
		}
		return nil
	}
	k.refused(err)
	return k.suspended(err)
}

// definite reports whether an answer about a key is a yes or a no.
func definite(err error) bool { return err == nil || errors.Is(err, envelope.ErrRevoked) }

// refused is why a database that is closed is not opened. The caller holds turn.
func (k *databaseKey) refused(err error) {
	if !errors.Is(err, envelope.ErrRevoked) {
		k.worry(err)
		return
	}
	k.patience.reset() // the state must not say that nobody answers
	k.worry(err)
	k.move(envelope.KeyRefused, err)
	if k.now() == envelope.KeySuspending {
		k.noteSuspension(true)
		k.move(envelope.KeyWiped, nil)
	}
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
	k.unheard = time.Time{}
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
	e := away("database", cause)
	e.Database = name
	return e
}
