package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/store"
)

// openDatabase is a database with its tables as the catalogue has them. It
// needs the database's key.
func (s *session) openDatabase(tx store.Tx, id, name string) (*database, error) {
	db := newDatabase(s, id, name)
	tables, err := s.cat.Tables(tx, id)
	if err != nil {
		return nil, err
	}
	for _, tm := range tables {
		t := newTable(s, db, tm)
		if t.extents, err = s.cat.Extents(tx, id, tm.ID); err != nil {
			return nil, err
		}
		if t.position, err = s.cat.Position(tx, id, tm.ID); err != nil {
			return nil, err
		}
		db.journal.atLeast(t.position)
		db.tables[tm.Name] = t
	}
	return db, db.journal.expect(tx)
}

// closedDatabase is a database whose own key is away, or whose log is damaged:
// nothing is known of it but its name and why it does not answer.
func closedDatabase(s *session, id, name string, why error) *database {
	db := newDatabase(s, id, name)
	db.lease.shut(why)
	return db
}

// suspendDatabase closes one database because its own key is away: no request
// is let in, those inside hear why, and nothing of it stays in memory. The child
// serves the whole cluster and its heap cannot be searched, so it is killed when
// rows of the database may be in it; its successor gets the rows of all others.
// Rows in the log stay there. It reports false when there was nothing to close.
func (s *session) suspendDatabase(id string, why error) bool {
	if s.enter() != nil {
		return false
	}
	defer s.leave()
	s.opensAndShuts.Lock()
	defer s.opensAndShuts.Unlock()
	s.names.RLock()
	db := s.dbs[id]
	s.names.RUnlock()
	if db == nil {
		return false
	}
	if now := db.lease.closed(); now != nil {
		db.lease.shut(why) // the newer reason
		if damaged := (*LogError)(nil); !errors.As(now, &damaged) {
			return false
		}
		// Its log is damaged, so nothing of it was replayed; its key was there until now.
	} else if db.lease.shut(why) {
		s.engine.kill()
	}
	if !s.vacate(db, why) {
		return false
	}
	s.ring.LockDatabase(id)
	return true
}

// vacate waits until everybody has left a database whose lease is shut, and
// lets go of what is in memory of it. It reports false when it was dropped
// meanwhile, or somebody else did so. The caller holds opensAndShuts.
func (s *session) vacate(db *database, why error) bool {
	db.lease.inside.Wait() // the refused ones have written so into the log
	s.ddl.Lock()
	defer s.ddl.Unlock()
	s.names.Lock()
	if s.dbs[db.id] != db {
		s.names.Unlock()
		return false
	}
	tables := db.tables
	closed := closedDatabase(s, db.id, db.name, why)
	closed.journal.keep(db.journal.left) // of a log that was damaged before
	s.dbs[db.id] = closed
	for id, before := range s.closedTables {
		if before == db {
			s.closedTables[id] = closed
		}
	}
	for _, t := range tables {
		delete(s.byID, t.id)
		s.closedTables[t.id] = closed
	}
	s.names.Unlock()
	for _, t := range tables {
		if db.journal.isFrozen() {
			t.dropBuffers() // the child lives on
		}
		t.mu.Lock()
		t.dropped = true
		t.extents, t.frozen, t.active = nil, nil, nil
		t.mu.Unlock()
	}
	s.hot.expel(db.id)
	s.cache.expel(db.id)
	db.journal.close()
	if db.journal.isFrozen() {
		closed.journal.keep(db.journal.everything())
	}
	return true
}

// refuseAgain gives requests to a closed database a newer reason.
func (s *session) refuseAgain(id string, why error) {
	s.names.RLock()
	defer s.names.RUnlock()
	if db := s.dbs[id]; db != nil && db.lease.closed() != nil {
		db.lease.shut(why)
	}
}

// resumeDatabase opens a database again whose key is unlocked. Requests are let
// in when all its rows are there.
func (s *session) resumeDatabase(ctx context.Context, id string) error {
	return s.reopenDatabase(ctx, id, false)
}

// reopenDatabase is resumeDatabase; mended asks that nothing is done unless it
// is closed because of its log.
func (s *session) reopenDatabase(ctx context.Context, id string, mended bool) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.openAgain(ctx, id, mended)
	s.job.wake() // it may have waited for this key
	if errors.Is(err, errReplay) {
		s.engine.kill() // it holds what was replayed so far
	}
	return err
}

var errReplay = errors.New("replay log")

func (s *session) openAgain(ctx context.Context, id string, mended bool) error {
	s.opensAndShuts.Lock()
	defer s.opensAndShuts.Unlock()
	s.ddl.Lock() // the catalogue stays as it is read
	defer s.ddl.Unlock()
	s.names.RLock()
	closed := s.dbs[id]
	s.names.RUnlock()
	if closed == nil {
		return fmt.Errorf("database %s: %w", id, catalog.ErrNotFound)
	}
	why := closed.lease.closed()
	var damaged *LogError
	if why == nil || mended && !errors.As(why, &damaged) {
		return nil
	}
	var fresh *database
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		fresh, err = s.openDatabase(tx, closed.id, closed.name)
		return err
	})
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	fresh.journal.keep(closed.journal.known())
	if err := fresh.journal.scan(ctx); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := fresh.journal.listRest(); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	// While this is held no child is replaced: a replacement finds the database
	// either closed or open, and replays it in the latter case.
	child, _, err := s.engine.acquire()
	if err != nil {
		return err
	}
	defer s.engine.release()
	s.names.Lock()
	for _, t := range fresh.tables {
		s.byID[t.id] = t
		s.closedTables[t.id] = closed // nobody finds it yet
	}
	s.names.Unlock()
	s.names.RLock()
	err = s.replayDatabase(ctx, child, fresh)
	s.names.RUnlock()
	if errors.Is(err, engine.ErrGone) {
		for _, t := range fresh.tables {
			t.forgetBuffers() // the child's successor gets them
		}
		err = nil
	}
	s.names.Lock()
	defer s.names.Unlock()
	if err != nil {
		for _, t := range fresh.tables {
			delete(s.byID, t.id)
		}
		return fmt.Errorf("%w: %w", errReplay, err)
	}
	for _, t := range fresh.tables {
		delete(s.closedTables, t.id)
	}
	s.dbs[id] = fresh
	return nil
}

// databaseClosed reports whether a database of the session is closed, and why.
func (s *session) databaseClosed(id string) error {
	s.names.RLock()
	defer s.names.RUnlock()
	if db, ok := s.dbs[id]; ok {
		return db.lease.closed()
	}
	return nil
}
