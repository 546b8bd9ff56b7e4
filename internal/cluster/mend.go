package cluster

import (
	"errors"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

// shutDamaged closes a database whose log turned out to be damaged when it was
// to be replayed: at once for requests, and altogether when those inside have
// left. The caller is replacing the child and holds names for reading.
func (s *session) shutDamaged(db *database, why *LogError) {
	db.journal.freeze(why) // before anybody hears of it and gives rows up
	db.lease.shut(why)
	s.sayDamaged(db.id, why)
	s.inside.Go(func() {
		s.opensAndShuts.Lock()
		defer s.opensAndShuts.Unlock()
		s.vacate(db, why)
	})
}

// shutDamagedSoon does so when an append meets the damage; the caller is inside
// the session.
func (s *session) shutDamagedSoon(id string, why *LogError) {
	s.inside.Go(func() {
		s.opensAndShuts.Lock()
		defer s.opensAndShuts.Unlock()
		s.names.RLock()
		db := s.dbs[id]
		s.names.RUnlock()
		if db == nil || db.lease.closed() != nil {
			return
		}
		if _, err := db.journal.own(db.journal.known()); !errors.As(err, &why) {
			return // it was put right meanwhile
		}
		db.journal.freeze(why)
		db.lease.shut(why)
		s.sayDamaged(id, why)
		s.vacate(db, why)
	})
}

// dropBuffers lets go of a table's rows that are in the log.
func (t *table) dropBuffers() {
	t.mu.Lock()
	buffers := t.frozen
	if t.active != nil {
		buffers = append(buffers, t.active)
	}
	t.frozen, t.active = nil, nil
	t.mu.Unlock()
	for _, b := range buffers {
		b.retire(t.s)
	}
}

func (s *session) sayDamaged(id string, why *LogError) {
	s.log.Error("database is closed because its log is damaged", "database", id, "segment", why.Segment, "offset", why.Offset, "error", why.Cause)
}

// damage is why a database is closed, when it is because of its log.
func (s *session) damage(id string) *LogError {
	var damaged *LogError
	if errors.As(s.databaseClosed(id), &damaged) {
		return damaged
	}
	return nil
}

// keyAway is why a database is closed, unless it is because of its log.
func (s *session) keyAway(id string) error {
	if s.damage(id) != nil {
		return nil
	}
	return s.databaseClosed(id)
}

// damages lists the databases that are closed because of their log, by name.
func (s *session) damages() (dbs []*database, why []*LogError) {
	s.names.RLock()
	for _, db := range s.dbs {
		dbs = append(dbs, db)
	}
	s.names.RUnlock()
	slices.SortFunc(dbs, func(a, b *database) int { return strings.Compare(a.name, b.name) })
	dbs = slices.DeleteFunc(dbs, func(db *database) bool {
		var damaged *LogError
		if !errors.As(db.lease.closed(), &damaged) {
			return true
		}
		why = append(why, damaged)
		return false
	})
	return dbs, why
}

// mend opens databases again whose log can be read again. It looks as often as
// keys are probed.
func (s *session) mend() {
	s.regularly(s.cfg.ProbeInterval, s.mending, func() {
		dbs, _ := s.damages()
		for _, db := range dbs {
			s.tryMend(db)
		}
	})
}

func (s *session) mendNow() {
	select {
	case s.mending <- struct{}{}:
	default:
	}
}

// tryMend reads a damaged log once more, which disturbs nobody, and opens the
// database when every segment is there that was when it was closed.
func (s *session) tryMend(db *database) {
	trial := newJournal(s, db.id, db.name)
	trial.keep(db.journal.known())
	err := s.store.View(s.ctx, trial.expect)
	if err == nil {
		err = trial.scan(s.ctx)
	}
	if err == nil {
		err = s.reopenDatabase(s.ctx, db.id, true)
	}
	var damaged *LogError
	switch {
	case errors.As(err, &damaged):
		s.stayDamaged(db.id, damaged, false)
	case err != nil && s.ctx.Err() == nil && !errors.Is(err, catalog.ErrNotFound) && !errors.Is(err, envelope.ErrLocked):
		s.log.Warn("database whose log was damaged cannot be opened", "database", db.id, "error", err)
	case err == nil && s.databaseClosed(db.id) == nil:
		s.log.Info("database is open again, its log can be read", "database", db.id)
	}
}

// stayDamaged notes what is wrong now with the log of a database that is closed;
// unlocked says that it was closed because of its own key until now.
func (s *session) stayDamaged(id string, why *LogError, unlocked bool) {
	s.opensAndShuts.Lock()
	defer s.opensAndShuts.Unlock()
	s.names.RLock()
	db := s.dbs[id]
	s.names.RUnlock()
	if db == nil || db.lease.closed() == nil {
		return
	}
	var before *LogError
	if errors.As(db.lease.closed(), &before) {
		if before.Error() == why.Error() {
			return
		}
		why.Since = before.Since
	} else if !unlocked {
		return // its key went meanwhile
	}
	db.journal.keep(db.journal.everything())
	db.lease.shut(why)
	s.sayDamaged(id, why)
}
