package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/kustos-io/kustos/internal/wal"
)

// openJournals reads the logs that earlier sessions left, closes the databases
// whose log is damaged, and removes the logs of dropped databases.
func (s *session) openJournals(ctx context.Context) error {
	all, unreadable, err := wal.List(filepath.Join(s.dir, "wal"))
	if err != nil {
		return err
	}
	for _, u := range unreadable {
		if _, ok := s.dbs[u.DatabaseID]; !ok && !s.expects(u.ID) {
			return fmt.Errorf("nobody can tell to which database a log segment belongs; put it back from a backup: %w", u.Cause)
		}
	}
	for _, seg := range all {
		if _, ok := s.dbs[seg.DatabaseID]; !ok && !s.expects(seg.ID) {
			s.strays[seg.ID] = true
		}
	}
	sure := true // that nobody's key opens a stray
	for _, db := range s.dbs {
		if db.lease.closed() != nil {
			sure = false
			continue
		}
		err := db.journal.scan(ctx)
		var damaged *LogError
		if errors.As(err, &damaged) {
			s.closeAtStart(db, damaged)
			continue
		}
		if err != nil {
			return fmt.Errorf("database %s: %w", db.id, err)
		}
		if err := db.journal.listRest(); err != nil {
			return fmt.Errorf("database %s: %w", db.id, err)
		}
		if err := db.journal.tryPrune(); err != nil {
			return fmt.Errorf("database %s: %w", db.id, err)
		}
	}
	if !sure {
		return nil
	}
	return s.removeStrays(all)
}

// expects reports whether a segment must be there, of whichever database.
func (s *session) expects(segment string) bool {
	for _, db := range s.dbs {
		if db.journal.left[segment] {
			return true
		}
	}
	return false
}

// removeStrays removes the segments that name a database that is no more. One
// that the key of a database opens is that one's, and its header is damaged.
func (s *session) removeStrays(all []wal.Segment) error {
	var orphans []string
	for _, seg := range all {
		if !s.strays[seg.ID] {
			continue
		}
		owned := false
		for _, db := range s.dbs {
			owned = owned || db.journal.opens(seg)
		}
		if !owned {
			delete(s.strays, seg.ID)
			orphans = append(orphans, seg.ID)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	s.log.Info("removing the log of a dropped database", "segments", len(orphans))
	return wal.Remove(filepath.Join(s.dir, "wal"), orphans...)
}

// closeAtStart puts a closed database in the place of one whose log is damaged.
func (s *session) closeAtStart(db *database, why *LogError) {
	closed := closedDatabase(s, db.id, db.name, why)
	closed.journal.keep(db.journal.everything())
	s.dbs[db.id] = closed
	for _, t := range db.tables {
		delete(s.byID, t.id)
		s.closedTables[t.id] = closed
	}
	s.sayDamaged(db.id, why)
}
