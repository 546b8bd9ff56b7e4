package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// session is a cluster while it runs: from the unlocking of its key to the
// wiping of it. Everything that holds plaintext or a key hangs off it.
type session struct {
	cluster string
	spec    Spec
	dir     string
	cfg     Config
	store   store.Store
	ring    *envelope.Keyring
	cat     *catalog.Catalog
	log     *slog.Logger

	ctx    context.Context // ends with the session; its cause is what requests hear
	cancel context.CancelCauseFunc

	gate   sync.RWMutex   // held for writing once, to close the door
	shut   bool           // nobody is let in any more
	inside sync.WaitGroup // requests and background work

	ddl   sync.Mutex // one change of the catalogue at a time
	names sync.RWMutex
	dbs   map[string]*database // by id
	byID  map[string]*table    // tables of all open databases
	// closedTables are those of databases whose own key is away, or whose log
	// is damaged.
	closedTables map[string]*database
	// strays are log segments, by id, that name no database of the cluster and
	// may belong to one. It does not change once the logs were opened.
	strays map[string]bool
	// opensAndShuts: one suspension or restoration of a database at a time.
	// Taken before ddl.
	opensAndShuts sync.Mutex

	// opening is held for reading by whoever has seen which extents there are
	// and has not opened their files yet; for writing to remove files.
	opening sync.RWMutex

	maintaining sync.Mutex // one round of maintenance at a time
	job         *jobControl
	mending     chan struct{} // look at damaged logs now
	busy        atomic.Int64  // requests that are inside, or whose rows are on their way
	engine      *supervisor
	cache       *cache
	hot         *hotTier // nil when there is none
}

// database is one database of a running cluster.
type database struct {
	id      string
	name    string
	journal *journal
	tables  map[string]*table // by name; none while the database is closed
	lease   *lease
	writers writers
}

func newDatabase(s *session, id, name string) *database {
	return &database{id: id, name: name, journal: newJournal(s, id, name), tables: make(map[string]*table), lease: newLease()}
}

// newSession brings a cluster up whose keyring is unlocked: reads the
// catalogue, collects orphans, starts the child, replays the log.
// closed says which databases cannot be opened, and why.
func newSession(ctx context.Context, n *node, closed map[string]error) (s *session, err error) {
	s = &session{
		cluster: n.spec.ID, spec: n.spec, job: n.job, dir: n.r.dir(n.spec.ID), cfg: n.r.cfg, store: n.r.cfg.Store, ring: n.ring, cat: n.cat,
		log: n.r.cfg.Log.With("cluster", n.spec.ID), dbs: make(map[string]*database), byID: make(map[string]*table),
		closedTables: make(map[string]*database), strays: make(map[string]bool), mending: make(chan struct{}, 1),
	}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.cache = newCache(s, n.r.cfg.CacheBytes)
	s.hot = newHotTier(s, n.r.cfg.Hot)
	s.engine = newSupervisor(s)
	made := s // a return of nil must not hide what has to be closed
	defer func() {
		if err != nil {
			made.close(err)
		}
	}()
	for _, sub := range []string{"extents", "wal"} {
		if err := durable.MkdirAll(filepath.Join(s.dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("start cluster: %w", err)
		}
	}
	if err := s.load(ctx, closed); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	if err := s.collectOrphans(ctx); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	if err := s.openJournals(ctx); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	if err := s.engine.start(ctx); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	s.inside.Go(s.sealByAge)
	s.inside.Go(s.maintain)
	s.inside.Go(s.reencrypt)
	s.inside.Go(s.mend)
	if s.hot != nil {
		s.inside.Go(s.hot.run)
	}
	return s, nil
}

// regularly does something at every tick, when it is kicked and when the clock was
// advanced, until the session ends. kick may be nil.
func (s *session) regularly(every time.Duration, kick <-chan struct{}, do func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	advanced := s.cfg.Advanced()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-advanced:
		case <-kick:
		case <-tick.C:
		}
		advanced = s.cfg.Advanced() // before the time is looked at
		do()
	}
}

// load reads the catalogue.
func (s *session) load(ctx context.Context, closed map[string]error) error {
	return s.store.View(ctx, func(tx store.Tx) error {
		dbs, err := s.cat.Databases(tx)
		if err != nil {
			return err
		}
		for _, meta := range dbs {
			if why := closed[meta.ID]; why != nil {
				db := closedDatabase(s, meta.ID, meta.Name, why)
				if err := db.journal.expect(tx); err != nil {
					return err
				}
				s.dbs[meta.ID] = db
				continue
			}
			db, err := s.openDatabase(tx, meta.ID, meta.Name)
			if err != nil {
				return err
			}
			s.dbs[meta.ID] = db
			for _, t := range db.tables {
				s.byID[t.id] = t
			}
		}
		return nil
	})
}

// enter lets a request in; leave must be called at its end.
func (s *session) enter() error {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.shut {
		return context.Cause(s.ctx)
	}
	s.inside.Add(1)
	s.busy.Add(1)
	return nil
}

func (s *session) leave() {
	s.busy.Add(-1)
	s.inside.Done()
}

// refuse lets nobody in from here on and cuts off what is inside. The first
// reason is the one that is heard.
func (s *session) refuse(why error) {
	s.gate.Lock()
	defer s.gate.Unlock()
	s.shut = true
	s.cancel(why)
}

// close ends the session: no answers, child killed, plaintext and keys gone.
// It returns when nothing of the session runs any more.
func (s *session) close(why error) {
	s.refuse(why)
	s.engine.stop() // what waits for the child ends with it
	s.inside.Wait()
	s.cache.close()
	s.names.Lock()
	defer s.names.Unlock()
	for _, db := range s.dbs {
		db.journal.close()
	}
	s.dbs, s.byID = nil, nil
}

// ended translates an error that only says that the session is over.
func (s *session) ended(err error) error {
	if err != nil && s.ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, engine.ErrGone) || errors.Is(err, ErrEngine)) {
		return context.Cause(s.ctx)
	}
	return err
}

func (s *session) confinement() engine.Confinement {
	if child := s.engine.current(); child != nil {
		return child.Info().Confinement
	}
	return engine.Confinement{}
}

// database finds a database by name, without regard to case.
func (s *session) database(name string) (*database, error) {
	s.names.RLock()
	defer s.names.RUnlock()
	return s.find(name)
}

// find is database for a caller that holds names. A database that is closed
// is found as the reason why.
func (s *session) find(name string) (*database, error) {
	for _, db := range s.dbs {
		if strings.EqualFold(db.name, name) {
			return db, db.lease.closed()
		}
	}
	return nil, fmt.Errorf("database %s: %w", name, catalog.ErrNotFound)
}

// table finds a table by the names of its database and itself.
func (s *session) table(database, name string) (*table, error) {
	s.names.RLock()
	defer s.names.RUnlock()
	db, err := s.find(database)
	if err != nil {
		return nil, err
	}
	t, ok := db.tables[name]
	if !ok {
		return nil, fmt.Errorf("table %s of database %s: %w", name, database, catalog.ErrNotFound)
	}
	return t, nil
}

// tableByID finds a table of any database.
func (s *session) tableByID(id string) (*table, error) {
	s.names.RLock()
	defer s.names.RUnlock()
	if db, ok := s.closedTables[id]; ok {
		return nil, db.lease.closed()
	}
	t, ok := s.byID[id]
	if !ok {
		return nil, fmt.Errorf("table %s: %w", id, catalog.ErrNotFound)
	}
	return t, nil
}

// allTables is a snapshot of every table.
func (s *session) allTables() []*table {
	s.names.RLock()
	defer s.names.RUnlock()
	out := make([]*table, 0, len(s.byID))
	for t := range maps.Values(s.byID) {
		out = append(out, t)
	}
	return out
}
