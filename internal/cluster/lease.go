package cluster

import (
	"context"
	"errors"
	"sync"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
)

// lease is who may be inside one database of a running cluster. It is what the
// gate of the session is for the whole cluster: closed once, never opened
// again; a database that is restored gets another.
type lease struct {
	ctx    context.Context // ends with the lease; its cause is what requests hear
	cancel context.CancelCauseFunc

	mu     sync.RWMutex // held for writing once, to close the door
	why    error        // why nobody is let in, nil while it is open
	inside sync.WaitGroup
	used   bool // somebody was let in, so that the child may hold rows
}

func newLease() *lease {
	l := &lease{}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// enter lets a request in; leave must be called at its end.
func (l *lease) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil {
		return l.why
	}
	l.used = true
	l.inside.Add(1)
	return nil
}

func (l *lease) leave() { l.inside.Done() }

// closed is why nobody is let in, nil while the database is open.
func (l *lease) closed() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.why
}

// shut closes the door and tells those inside. It reports whether the engine
// child may hold something of the database.
func (l *lease) shut(why error) (used bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.why = why
	l.cancel(why)
	return l.used
}

// touch notes that the child holds something of the database.
func (l *lease) touch() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = true
}

// admit enters several databases, all or none.
func admit(dbs []*database) (leave func(), err error) {
	for i, db := range dbs {
		if err := db.lease.enter(); err != nil {
			for _, in := range dbs[:i] {
				in.lease.leave()
			}
			return nil, err
		}
	}
	return func() {
		for _, db := range dbs {
			db.lease.leave()
		}
	}, nil
}

// ended translates an error that only says that the database is being closed.
func (db *database) ended(err error) error {
	why := db.lease.closed()
	if err == nil || why == nil {
		return err
	}
	for _, symptom := range []error{context.Canceled, engine.ErrGone, ErrEngine, envelope.ErrDatabaseLocked} {
		if errors.Is(err, symptom) {
			return why
		}
	}
	return err
}

// concerned lists the databases a query touches, each once.
func (s *session) concerned(q Query) ([]*database, error) {
	db, err := s.database(q.Database)
	if err != nil {
		return nil, err
	}
	out := []*database{db}
	seen := map[*database]bool{db: true}
	for _, ref := range q.Tables {
		t, err := s.tableByID(ref.TableID)
		if err != nil {
			return nil, err
		}
		if !seen[t.db] {
			seen[t.db] = true
			out = append(out, t.db)
		}
	}
	return out, nil
}

// during derives a context that ends with the session and with the databases as well.
func (s *session) during(ctx context.Context, dbs ...*database) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stops := []func() bool{context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })}
	for _, db := range dbs {
		stops = append(stops, context.AfterFunc(db.lease.ctx, func() { cancel(context.Cause(db.lease.ctx)) }))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel(nil)
	}
}
