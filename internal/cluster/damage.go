package cluster

import (
	"errors"
	"maps"
	"slices"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// What makes the log of a database a damaged one, and what happens to its
// files then: nothing, until it can be read again or the database is dropped.

var (
	errSegmentGone = errors.New("its file is missing")
	errOtherLog    = errors.New("its header names another database")
)

// damaged is the error of a log of which a segment cannot be read.
func (j *journal) damaged(segment string, cause error) *LogError {
	e := &LogError{Database: j.name, Since: j.s.cfg.Now().UTC(), Segment: segment, Cause: cause}
	var corrupt *wal.CorruptError
	if errors.As(cause, &corrupt) {
		e.Segment, e.Offset = corrupt.SegmentID, max(corrupt.Offset, 0)
	}
	return e
}

// isDamage reports whether an error of reading a segment says that it is not as
// it was written.
func (j *journal) isDamage(err error, s wal.Segment) bool {
	if wal.Damaged(err) || errors.Is(err, errRecord) {
		return true
	}
	if !errors.Is(err, envelope.ErrNotFound) {
		return false
	}
	// The keys are there: then it is the header that is wrong.
	var versions []int
	err = j.s.store.View(j.s.ctx, func(tx store.Tx) (err error) {
		versions, err = j.s.ring.DatabaseKeyVersions(tx, j.database)
		return err
	})
	return err == nil && len(versions) > 0 && !slices.Contains(versions, s.KeyVersion)
}

// own lists the segments of the database; known are its own whatever their
// headers say. A *LogError says that one of them has no header that can be read.
func (j *journal) own(known map[string]bool) ([]wal.Segment, error) {
	all, unreadable, err := wal.List(j.dir())
	if err != nil {
		return nil, err
	}
	for _, u := range unreadable {
		if u.DatabaseID == j.database || known[u.ID] {
			return nil, j.damaged(u.ID, u.Cause)
		}
	}
	for _, s := range all {
		if s.DatabaseID != j.database && (known[s.ID] || j.s.strays[s.ID] && j.opens(s)) {
			return nil, j.damaged(s.ID, errOtherLog)
		}
	}
	return slices.DeleteFunc(all, func(s wal.Segment) bool { return s.DatabaseID != j.database }), nil
}

// complete is own for a caller that sees to it that nobody writes or removes:
// none of the segments that are known may be missing then.
func (j *journal) complete() ([]wal.Segment, error) { return j.all(j.known()) }

// all is complete with what is known.
func (j *journal) all(missing map[string]bool) ([]wal.Segment, error) {
	segments, err := j.own(missing)
	if err != nil {
		return nil, err
	}
	for _, s := range segments {
		delete(missing, s.ID)
	}
	if len(missing) > 0 {
		return nil, j.damaged(slices.Min(slices.Collect(maps.Keys(missing))), errSegmentGone)
	}
	return segments, nil
}

// opens reports whether the database's key opens a segment that names another.
func (j *journal) opens(s wal.Segment) bool {
	object := s.Object()
	object.DatabaseID = j.database
	dek, err := j.s.ring.UnwrapDEK(object, s.KeyVersion, s.WrappedDEK)
	dek.Wipe()
	return err == nil
}

// known are the segments that the journal knows to be its own and not removed.
func (j *journal) known() map[string]bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.knownNow()
}

// knownNow is known for a caller that holds mu.
func (j *journal) knownNow() map[string]bool {
	out := maps.Clone(j.left)
	for _, e := range j.epochs {
		for _, id := range e.segments {
			out[id] = true
		}
	}
	if j.log != nil {
		for _, id := range j.log.Segments() {
			out[id] = true
		}
	}
	maps.DeleteFunc(out, func(id string, _ bool) bool { return j.going[id] })
	return out
}

// everything is what is known and what the folder holds of the database, its
// damaged files included.
func (j *journal) everything() map[string]bool {
	out := j.known()
	all, unreadable, err := wal.List(j.dir())
	if err != nil {
		j.s.log.Error("log of a closed database cannot be listed", "database", j.database, "error", err)
	}
	for _, s := range all {
		if s.DatabaseID == j.database || j.s.strays[s.ID] && j.opens(s) {
			out[s.ID] = true
		}
	}
	for _, u := range unreadable {
		if u.DatabaseID == j.database {
			out[u.ID] = true
		}
	}
	return out
}

// keep makes the journal know segments.
func (j *journal) keep(segments map[string]bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	maps.Copy(j.left, segments)
}

// freeze ends all writing and removing of a damaged log. What was refused may
// still be given up, in a segment of its own: it must not come back with the rest.
func (j *journal) freeze(why error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.frozen = why
	if j.log != nil {
		j.log.Leave()
	}
}

func (j *journal) isFrozen() bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.frozen != nil
}
