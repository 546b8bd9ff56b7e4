package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kustos-io/kustos/internal/wal"
)

// journal is the write-ahead log of one database: rows that were acknowledged
// and are not in an extent yet. Sequence numbers grow over the whole life of
// the database.
type journal struct {
	s        *session
	database string
	name     string        // of the database
	last     atomic.Uint64 // the last sequence number given out
	newest   uint64        // number of the newest segment that scan read

	// mu is held for reading by appends, for writing to end an epoch: whoever
	// holds it for writing knows which epoch each record is in.
	mu     sync.RWMutex
	log    *wal.Log // nil until the first append
	epochs []*epoch // ended, oldest first
	// frozen is why nothing is written or removed any more, nil in peace.
	frozen error
	// left are segments that the catalogue or an earlier journal of the database
	// knew, and that must be there; going those whose removal has begun; listed those
	// that the catalogue had when the journal was made.
	left, going, listed map[string]bool
	givenUp             map[uint64]bool // numbers of segments that are not to be missed
	found               []wal.Segment   // by scan, until they are listed

	note    sync.Mutex        // guards current
	current map[string]uint64 // of the epoch being written: table id → largest sequence number
}

// epoch is a run of segments with the largest sequence number they hold of
// each table. It is over when every table's position has passed its number.
type epoch struct {
	segments []string
	last     map[string]uint64
}

func newJournal(s *session, databaseID, name string) *journal {
	return &journal{s: s, database: databaseID, name: name, current: make(map[string]uint64), left: make(map[string]bool), going: make(map[string]bool)}
}

func (j *journal) dir() string { return filepath.Join(j.s.dir, "wal") }

// next gives out a sequence number.
func (j *journal) next() uint64 { return j.last.Add(1) }

// atLeast makes sure that the next number is above seq.
func (j *journal) atLeast(seq uint64) {
	for {
		now := j.last.Load()
		if seq <= now || j.last.CompareAndSwap(now, seq) {
			return
		}
	}
}

// rows makes rows durable.
func (j *journal) rows(ctx context.Context, tableID string, seq uint64, stream []byte) error {
	return j.append(ctx, entry{kindRows, tableID, seq, stream})
}

// abort makes durable that the rows of a number do not count.
func (j *journal) abort(ctx context.Context, tableID string, seq uint64) error {
	return j.append(ctx, entry{kindAbort, tableID, seq, nil})
}

func (j *journal) append(ctx context.Context, e entry) error {
	b, err := e.encode()
	if err != nil {
		return err
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.frozen != nil && (e.kind == kindRows || j.log == nil) {
		return j.frozen
	}
	log, err := j.opened()
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	j.note.Lock()
	j.current[e.tableID] = max(j.current[e.tableID], e.seq)
	j.note.Unlock()
	if err := log.Append(ctx, b); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return nil
}

func (j *journal) opened() (*wal.Log, error) {
	j.note.Lock()
	defer j.note.Unlock()
	if j.log != nil {
		return j.log, nil
	}
	// What the headers say now may not be what they said when they were read.
	if _, err := j.own(j.knownNow()); err != nil {
		if damaged := (*LogError)(nil); errors.As(err, &damaged) {
			j.s.shutDamagedSoon(j.database, damaged)
		}
		return nil, err
	}
	log, err := wal.New(wal.Config{Dir: j.dir(), DatabaseID: j.database, Next: j.newest + 1, Keys: j.s.ring, Log: j.s.log, Disk: j.s.cfg.Disk, Begun: j.begun})
	if err != nil {
		return nil, err
	}
	j.log = log
	return log, nil
}

// read gives every record of the log to fn, in the order they were written.
// The caller sees to it that nobody appends.
func (j *journal) read(ctx context.Context, fn func(s wal.Segment, e entry) error) error {
	segments, err := j.complete()
	if err != nil {
		return err
	}
	results, err := j.recover(ctx, segments, func(s wal.Segment, record []byte) error {
		e, err := decodeEntry(record)
		if err != nil {
			return fmt.Errorf("segment %s: %w", s.ID, err)
		}
		return fn(s, e)
	})
	if err != nil && len(results) < len(segments) && j.isDamage(err, segments[len(results)]) {
		return j.damaged(segments[len(results)].ID, err)
	}
	return err
}

// scan reads what an earlier session left: which segments there are, how far
// the numbers go.
func (j *journal) scan(ctx context.Context) error {
	segments, err := j.complete()
	if err != nil || len(segments) == 0 {
		return err
	}
	j.found = segments
	left := &epoch{last: make(map[string]uint64)}
	for _, s := range segments {
		left.segments = append(left.segments, s.ID)
		j.newest = max(j.newest, s.Sequence)
	}
	err = j.read(ctx, func(_ wal.Segment, e entry) error {
		left.last[e.tableID] = max(left.last[e.tableID], e.seq)
		j.atLeast(e.seq)
		return nil
	})
	j.epochs = append(j.epochs, left)
	if err == nil {
		j.left = make(map[string]bool) // they are among those of the epoch
	}
	return err
}

// settle waits for the appends that run: one of them may be making a segment
// whose DEK is wrapped already.
func (j *journal) settle() {
	j.mu.Lock()
	defer j.mu.Unlock()
}

// prune removes the segments whose rows are all in extents, or of tables that
// are no more. The caller holds the child: a replacement reads the log.
func (j *journal) prune() {
	if err := j.tryPrune(); err != nil && j.s.ctx.Err() == nil {
		j.s.log.Error("log cannot be pruned", "database", j.database, "error", err)
	}
}

func (j *journal) tryPrune() error {
	defer j.s.cfg.removing()()
	ended, err := j.endedEpochs()
	if err != nil {
		return err
	}
	// Only now: a table without a position is one that was dropped, and not one
	// that was made, and got rows, after the positions were taken.
	positions, open := j.s.positions(j)
	if !open {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.frozen != nil {
		return nil
	}
	for _, e := range ended {
		if !e.over(positions) {
			break
		}
		if len(j.epochs) == 0 || j.epochs[0] != e {
			continue // another prune was here
		}
		if err := j.delist(e.segments); err != nil {
			return err
		}
		for _, id := range e.segments {
			j.going[id] = true
		}
		if j.log != nil {
			err = j.log.Remove(e.segments...)
		} else {
			err = wal.Remove(j.dir(), e.segments...)
		}
		if err != nil {
			return err
		}
		j.epochs = j.epochs[1:]
	}
	return nil
}

// endedEpochs ends the one that is being written and returns all, oldest first.
func (j *journal) endedEpochs() ([]*epoch, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.endEpoch()
	return slices.Clone(j.epochs), err
}

// endEpoch ends the segment that is being written, if any has rows. The caller
// holds mu for writing.
func (j *journal) endEpoch() error {
	if j.frozen != nil || j.log == nil || len(j.current) == 0 {
		return nil
	}
	segments, err := j.log.Rotate()
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for _, e := range j.epochs {
		for _, id := range e.segments {
			known[id] = true
		}
	}
	fresh := &epoch{last: maps.Clone(j.current)}
	for _, id := range segments {
		if !known[id] {
			fresh.segments = append(fresh.segments, id)
		}
	}
	j.epochs = append(j.epochs, fresh)
	clear(j.current)
	return nil
}

// ended are the segments that nobody writes into any more, with every record that
// is there by now. A *LogError says that one is missing or has no header.
func (j *journal) ended() ([]wal.Segment, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.endEpoch(); err != nil {
		return nil, err
	}
	return j.all(j.knownNow())
}

func (e *epoch) over(positions map[string]uint64) bool {
	for table, last := range e.last {
		if position, ok := positions[table]; ok && position < last {
			return false
		}
	}
	return true
}

// remove deletes the whole log: its database is no more.
func (j *journal) remove() {
	j.close()
	if err := removeLog(j.s.cfg, j.dir(), j.database, j.known()); err != nil {
		j.s.log.Warn("log of a dropped database cannot be removed", "database", j.database, "error", err)
	}
}

// removeLog deletes the segments of a database, damaged ones included. known
// are some that are its own whatever their headers say.
func removeLog(cfg Config, dir, databaseID string, known map[string]bool) error {
	defer cfg.removing()()
	all, unreadable, err := wal.List(dir)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range all {
		if s.DatabaseID == databaseID || known[s.ID] {
			names = append(names, s.ID)
		}
	}
	for _, u := range unreadable {
		if u.DatabaseID == databaseID || known[u.ID] {
			names = append(names, u.ID)
		}
	}
	return wal.Remove(dir, names...)
}

// close ends the log and wipes its key.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.log == nil {
		return
	}
	if err := j.log.Close(); err != nil {
		j.s.log.Warn("log ends without its end mark", "database", j.database, "error", err)
	}
}

// positions says how far the tables of a journal's database are in extents. It is
// false when the database was closed: what tables it has is not known here then.
func (s *session) positions(j *journal) (map[string]uint64, bool) {
	s.names.RLock()
	db := s.dbs[j.database]
	open := db != nil && db.journal == j
	var tables []*table
	for _, t := range s.byID {
		if t.db == db {
			tables = append(tables, t)
		}
	}
	s.names.RUnlock()
	out := make(map[string]uint64, len(tables))
	for _, t := range tables {
		t.mu.RLock()
		out[t.id] = t.position
		t.mu.RUnlock()
	}
	return out, open
}

// holdsRows reports whether the log may hold a row that is in no extent. The
// caller holds names.
func (j *journal) holdsRows(s *session) bool {
	positions := make(map[string]uint64)
	for id, t := range s.byID {
		t.mu.RLock()
		positions[id] = t.position
		t.mu.RUnlock()
	}
	j.mu.Lock() // appends change current while they hold it for reading
	defer j.mu.Unlock()
	beyond := func(last map[string]uint64) bool {
		for table, seq := range last {
			if position, ok := positions[table]; ok && position < seq {
				return true
			}
		}
		return false
	}
	for _, e := range j.epochs {
		if beyond(e.last) {
			return true
		}
	}
	return beyond(j.current)
}
