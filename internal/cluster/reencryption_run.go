package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// The pauses between attempts after trouble.
const firstAttempt, lastAttempt = time.Second, 30 * time.Second

// errInterrupted says that the re-encryption was paused or canceled.
var errInterrupted = errors.New("the re-encryption was interrupted")

// damageError says that extents stay as they are because they cannot be read,
// and databases because their log cannot.
type damageError struct {
	extents int
	first   error
	logs    []*LogError
}

func (e *damageError) any() bool { return e.extents > 0 || len(e.logs) > 0 }

func (e *damageError) Error() string {
	var parts []string
	if e.extents > 0 {
		parts = append(parts, fmt.Sprintf("%d extents cannot be read and keep the older key version; the first: %v", e.extents, e.first))
	}
	for _, log := range e.logs {
		parts = append(parts, log.Summary()+", and keeps its older key version")
	}
	return strings.Join(parts, "; ")
}

// reencrypt does what is to be re-encrypted, until the session ends. What it
// has done is in the store; the next session goes on from there.
func (s *session) reencrypt() {
	pause := firstAttempt
	for {
		ctx, done := s.job.attempt(s.ctx)
		again, moved := s.reencryptOnce(ctx)
		done()
		if moved {
			pause = firstAttempt
		}
		var timer *time.Timer
		var due <-chan time.Time
		if again {
			timer = time.NewTimer(pause)
			due = timer.C
			pause = min(2*pause, lastAttempt)
		}
		select {
		case <-s.ctx.Done():
		case <-s.job.kick:
		case <-due:
		}
		if timer != nil {
			timer.Stop()
		}
		if s.ctx.Err() != nil {
			return
		}
	}
}

// reencryptOnce goes on as far as it can. again asks for another attempt after
// a pause; moved says that something was done.
func (s *session) reencryptOnce(ctx context.Context) (again, moved bool) {
	var job reencryption
	err := s.store.View(ctx, func(tx store.Tx) (err error) {
		job, err = loadReencryption(tx, s.cluster)
		return err
	})
	if err != nil || job.State != ReencryptionRunning {
		if err != nil && ctx.Err() == nil && !errors.Is(err, catalog.ErrNotFound) {
			s.log.Error("record of a re-encryption cannot be read", "error", err)
		}
		return false, false
	}
	if !job.Told {
		s.cfg.tell(s.spec, ReencryptionEvent{What: "started", By: job.By, ID: job.ID, Detail: job.scope()})
		err = s.advance(ctx, &job, func(_ store.Tx, now *reencryption) error { now.Told = true; return nil })
	}
	before := job.Totals().ExtentsDone
	var trouble error
	var waits bool
	damage := &damageError{}
	for i := range job.Databases {
		if err == nil && !job.Databases[i].Done {
			err = s.reencryptDatabase(ctx, &job, job.Databases[i].ID)
		}
		var suspended *SuspendedError
		var damaged *damageError
		var log *LogError
		switch {
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, errInterrupted):
			return false, true
		case errors.As(err, &suspended):
			trouble, waits = suspended, true
		case errors.As(err, &log):
			damage.logs = append(damage.logs, log)
		case errors.As(err, &damaged):
			damage.extents += damaged.extents
			damage.first = errors.Join(damage.first, damaged.first)
		default:
			s.log.Warn("re-encryption does not get on and is tried again", "database", job.Databases[i].ID, "error", err)
			trouble, again = err, true
		}
		err = nil
	}
	s.job.hindered(trouble, waits && !again)
	moved = job.Totals().ExtentsDone > before
	if trouble != nil {
		return again, moved
	}
	if err := s.concludeReencryption(ctx, &job, damage); err != nil && ctx.Err() == nil && !errors.Is(err, errInterrupted) {
		s.job.hindered(err, false)
		return true, moved
	}
	return false, moved
}

func (r *reencryption) scope() string {
	if r.Database != "" {
		return "database " + r.Databases[0].ID // names are a customer's words
	}
	return "all databases"
}

func (s *session) concludeReencryption(ctx context.Context, job *reencryption, damage *damageError) error {
	end := ReencryptionEvent{What: "done", By: audit.Actor{FirstParty: "cluster " + s.cluster}, ID: job.ID}
	err := s.advance(ctx, job, func(_ store.Tx, now *reencryption) error {
		now.State, now.Ended = ReencryptionDone, s.cfg.Now().UTC()
		if damage.any() {
			now.State, now.Why = ReencryptionFailed, damage.Error()
			end.What = "failed"
		}
		return nil
	})
	if err != nil {
		return err
	}
	t := job.Totals()
	end.Detail = fmt.Sprintf("%s: %d extents, %d bytes", job.scope(), t.ExtentsDone, t.BytesDone)
	if damage.extents > 0 {
		end.Detail = fmt.Sprintf("%s, %d damaged", end.Detail, damage.extents)
	}
	if len(damage.logs) > 0 {
		end.Detail = fmt.Sprintf("%s, %d databases not done", end.Detail, len(damage.logs))
	}
	s.cfg.tell(s.spec, end)
	return nil
}

// advance changes the record of the re-encryption in one transaction, unless
// it was paused, canceled or replaced meanwhile. job is then as it is stored.
func (s *session) advance(ctx context.Context, job *reencryption, fn func(tx store.Tx, now *reencryption) error) error {
	var now reencryption
	err := s.store.Update(ctx, func(tx store.Tx) (err error) {
		if now, err = loadReencryption(tx, s.cluster); err != nil {
			return err
		}
		if now.ID != job.ID || now.State != ReencryptionRunning {
			return errInterrupted
		}
		if err := fn(tx, &now); err != nil {
			return err
		}
		return store.PutJSON(tx, reencryptionBucket, s.cluster, now)
	})
	if err != nil {
		return err
	}
	*job = now
	s.job.hindered(nil, false)
	return nil
}

// reencryptDatabase does what is left to do of one database. Each step can be
// repeated, so that a crash costs no more than the extent it was at.
func (s *session) reencryptDatabase(ctx context.Context, job *reencryption, id string) error {
	s.names.RLock()
	db := s.dbs[id]
	s.names.RUnlock()
	if db == nil { // dropped, and with it all there was to do
		return s.advance(ctx, job, func(_ store.Tx, now *reencryption) error {
			part := now.part(id)
			part.Extents, part.Bytes, part.Done = part.ExtentsDone, part.BytesDone, true
			return nil
		})
	}
	ctx, end := s.during(ctx, db)
	defer end()
	err := s.reencryptOpen(ctx, job, db)
	if why := db.lease.closed(); err != nil && why != nil {
		return why
	}
	return err
}

// reencryptOpen is reencryptDatabase of a database whose key is there.
func (s *session) reencryptOpen(ctx context.Context, job *reencryption, db *database) error {
	if why := db.lease.closed(); why != nil {
		return why
	}
	id := db.id
	if job.part(id).KeyVersion == 0 {
		if err := s.newDatabaseKey(ctx, job, id); err != nil {
			return err
		}
	}
	version := job.part(id).KeyVersion
	if len(job.part(id).Dropped) == 0 {
		select { // extents whose DEK is under the version before
		case <-db.writers.settled():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := s.retireLog(ctx, db, version); err != nil {
			return err
		}
		err := s.store.Update(ctx, func(tx store.Tx) error { return s.cat.ResealPolicies(tx, id) })
		if err != nil {
			return fmt.Errorf("seal policies anew: %w", err)
		}
		if err := s.rewriteExtents(ctx, job, db, version); err != nil {
			return err
		}
		if err := s.dropDatabaseKeys(ctx, job, id, version); err != nil {
			return err
		}
	}
	if err := s.ring.ScrubDatabase(ctx, id); err != nil {
		return err
	}
	return s.advance(ctx, job, func(_ store.Tx, now *reencryption) error { now.part(id).Done = true; return nil })
}

// newDatabaseKey makes the version under which everything shall be: from here
// on new extents and log segments use it.
func (s *session) newDatabaseKey(ctx context.Context, job *reencryption, id string) error {
	// A backup must not have files of a version that its state does not know.
	defer s.cfg.removing()()
	return s.advance(ctx, job, func(tx store.Tx, now *reencryption) error {
		version, err := s.ring.NewDatabaseKey(tx, id)
		if err != nil {
			return fmt.Errorf("new key of database %s: %w", id, err)
		}
		now.part(id).KeyVersion = version
		return nil
	})
}

// logRounds is how often the tables are sealed at once to get rid of the log's
// segments; two are enough when nothing fails.
const logRounds = 8

// retireLog seals what is in the log until no segment is under a version
// before the given one.
func (s *session) retireLog(ctx context.Context, db *database, version int) error {
	db.journal.settle()
	for range logRounds {
		segments, err := db.journal.own(nil)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(segments, func(seg wal.Segment) bool { return seg.KeyVersion < version }) {
			return nil
		}
		for _, t := range s.tablesOf(db) {
			if err := t.seal(ctx); err != nil {
				return err
			}
		}
		if err := s.pruneLog(db); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
	}
	return errors.New("the log still has a segment under an older key version")
}

func (s *session) pruneLog(db *database) error {
	if _, _, err := s.engine.acquire(); err != nil {
		return err
	}
	defer s.engine.release()
	return db.journal.tryPrune()
}

func (s *session) tablesOf(db *database) []*table {
	return slices.DeleteFunc(s.allTables(), func(t *table) bool { return t.db != db })
}

// dropDatabaseKeys takes the older versions out of the record, after a last
// look that no value of the catalogue is under them.
func (s *session) dropDatabaseKeys(ctx context.Context, job *reencryption, id string, version int) error {
	return s.advance(ctx, job, func(tx store.Tx, now *reencryption) error {
		err := s.cat.EachSealed(tx, id, func(sealed []byte) error {
			v, err := envelope.ValueKeyVersion(sealed)
			if err == nil && v < version {
				err = fmt.Errorf("it is still under key version %d", v)
			}
			return err
		})
		if err != nil {
			return err
		}
		now.part(id).Dropped, err = s.ring.DropDatabaseKeys(tx, id, version)
		return err
	})
}
