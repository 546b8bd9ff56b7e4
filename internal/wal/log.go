package wal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
)

var (
	// ErrClosed is returned by Append after Close.
	ErrClosed = errors.New("wal is closed")
	// ErrTooLarge: the record is larger than MaxRecord.
	ErrTooLarge = errors.New("wal record is too large")
	// ErrFailed: a write failed and could not be undone, so that nobody can say
	// whether its records come back after a restart; the log takes no more.
	ErrFailed = errors.New("wal has failed")
)

const (
	defaultSegmentBytes = 64 << 20
	// batchBytes ends a frame that concurrent appends share.
	batchBytes = 8 << 20
)

// Keys makes the DEK of a new segment; envelope.Keyring does.
type Keys interface {
	WrapDEK(o envelope.Object) (dek envelope.DEK, wrapped envelope.WrappedDEK, keyVersion int, err error)
}

// Config makes a Log.
type Config struct {
	Dir        string // made with mode 0700 when it is missing
	DatabaseID string // GUID in lower case
	Keys       Keys
	// Next is the sequence number of the first segment, for a caller that has read
	// the ones that are there: a header may have been spoilt since. 0 means one more
	// than the newest header in Dir has.
	Next uint64
	// SegmentBytes is the size at which the next record begins a new segment; 0 means 64 MiB.
	SegmentBytes int64
	Log          *slog.Logger // nil: silent
	// Begun hears of each segment that was made, before a record is in it; an error
	// refuses the records. nil: nobody does.
	Begun func(s Segment) error
	// Disk stands before every append to a segment, for rehearsals; nil in peace.
	Disk durable.Hook

	openFile func(path string) (file, error) // nil but in tests
}

// file is a segment that is being appended to.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// Log appends to the segments of one database. Segments that were there before
// are never touched. It is safe for concurrent use. A folder may hold the logs
// of several databases; one database must have one Log at a time.
type Log struct {
	cfg Config

	mu      sync.Mutex // guards pending and closed
	pending *batch
	closed  bool

	// turn holds one token: who has it writes. It guards what is below.
	turn     chan struct{}
	current  *segment // nil until the next record
	run      string
	next     uint64   // sequence of the next segment
	finished []string // ids, oldest first
	failed   error
}

// batch is the appends that will share one turn.
type batch struct {
	records [][]byte
	errs    []error // one per record, valid once done is closed
	done    chan struct{}
}

// segment is the one being written.
type segment struct {
	id     string
	file   file
	dek    envelope.DEK
	frames frames
	number uint64 // of the next frame
	size   int64  // bytes known to be durable
}

// New prepares a log that writes behind the segments in cfg.Dir. It makes no
// segment until the first Append.
func New(cfg Config) (*Log, error) {
	if _, err := ids.ParseGUID(cfg.DatabaseID); err != nil {
		return nil, fmt.Errorf("database id: %w", err)
	}
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make wal folder: %w", err)
	}
	if cfg.Next == 0 {
		var err error
		if cfg.Next, err = nextIn(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = defaultSegmentBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.openFile == nil {
		cfg.openFile = func(path string) (file, error) { return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0) }
	}
	l := &Log{cfg: cfg, run: ids.NewGUID(), next: cfg.Next, turn: make(chan struct{}, 1)}
	l.turn <- struct{}{}
	return l, nil
}

// nextIn is one more than the number of the newest segment in the folder.
func nextIn(cfg Config) (uint64, error) {
	there, unreadable, err := List(cfg.Dir)
	if err != nil {
		return 0, err
	}
	for _, u := range unreadable {
		if u.DatabaseID == cfg.DatabaseID || u.DatabaseID == "" {
			return 0, u.Cause // nobody knows its number
		}
	}
	there = slices.DeleteFunc(there, func(s Segment) bool { return s.DatabaseID != cfg.DatabaseID })
	if n := len(there); n > 0 {
		return there[n-1].Sequence + 1, nil
	}
	return 1, nil
}

// Append writes a record and returns when it is durable. Appends that run at
// once share a frame and an fsync. The record is not kept. ctx is looked at
// before the record is handed over and not after: from then on the answer is
// the truth about the disk. On error the record is not in the log and will not
// come back, except when the error is ErrFailed.
func (l *Log) Append(ctx context.Context, record []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(record) > MaxRecord {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(record))
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	b := l.pending
	first := b == nil
	if first {
		b = &batch{done: make(chan struct{})}
		l.pending = b
	}
	at := len(b.records)
	b.records = append(b.records, record)
	l.mu.Unlock()
	if first {
		l.lead(b)
	}
	<-b.done
	return b.errs[at]
}

// lead waits for its turn, in which time others join the batch, and writes it.
func (l *Log) lead(b *batch) {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	l.mu.Lock()
	l.pending = nil
	closed := l.closed
	l.mu.Unlock()
	b.errs = make([]error, len(b.records))
	defer close(b.done)
	for from := 0; from < len(b.records); {
		to, size := from, 0
		for to < len(b.records) && (to == from || size+len(b.records[to]) <= batchBytes) {
			size += len(b.records[to])
			to++
		}
		err := ErrClosed
		if !closed {
			err = l.write(b.records[from:to])
		}
		for i := from; i < to; i++ {
			b.errs[i] = err
		}
		from = to
	}
}

// write makes one durable frame. The caller has the turn.
func (l *Log) write(records [][]byte) error {
	if l.failed != nil {
		return l.failed
	}
	if l.current != nil && l.current.size >= l.cfg.SegmentBytes {
		if err := l.finish(); err != nil {
			return err
		}
	}
	if l.current == nil {
		if err := l.begin(); err != nil {
			return fmt.Errorf("begin wal segment: %w", err)
		}
	}
	return l.frame(encodeBody(kindRecords, records))
}

// begin makes the next segment: its header is durable, under its name, and whoever
// keeps a list of segments has it, before it is opened for appending.
func (l *Log) begin() error {
	s := Segment{ID: ids.NewGUID(), DatabaseID: l.cfg.DatabaseID, Sequence: l.next, Run: l.run}
	dek, wrapped, version, err := l.cfg.Keys.WrapDEK(s.Object())
	if err != nil {
		return err
	}
	s.WrappedDEK, s.KeyVersion = wrapped, version
	head, err := s.encode(dek)
	if err != nil {
		dek.Wipe()
		return err
	}
	cipher, err := dek.Cipher()
	if err != nil {
		dek.Wipe()
		return err
	}
	path := filepath.Join(l.cfg.Dir, s.ID+Suffix)
	if err := durable.Create(path, head, 0o600); err != nil {
		dek.Wipe()
		return l.unmake(path, err)
	}
	l.next++
	if l.cfg.Begun != nil {
		if err := l.cfg.Begun(s); err != nil {
			dek.Wipe()
			l.abandon(s.ID) // the file stays: nobody knows whether it was noted
			return err
		}
	}
	f, err := l.cfg.openFile(path)
	if err != nil {
		dek.Wipe()
		l.abandon(s.ID)
		return err
	}
	if l.cfg.Disk != nil {
		f = hooked{f, l.cfg.Disk.Writer(path, f)}
	}
	l.current = &segment{id: s.ID, file: f, dek: dek, frames: frames{cipher, sha256.Sum256(head)}, size: int64(len(head))}
	return nil
}

// hooked is a segment whose appends pass a hook.
type hooked struct {
	file
	through io.Writer
}

func (h hooked) Write(p []byte) (int, error) { return h.through.Write(p) }

// unmake sees to it that a segment that could not be made is not there after a
// crash either, where its sequence number would stand a second time.
func (l *Log) unmake(path string, err error) error {
	gone := os.Remove(path)
	if errors.Is(gone, os.ErrNotExist) {
		return err
	}
	if gone == nil {
		gone = durable.SyncDir(l.cfg.Dir)
	}
	if gone != nil {
		l.failed = fmt.Errorf("%w: make segment %s: %w; remove it: %w", ErrFailed, path, err, gone)
		return l.failed
	}
	return err
}

// frame appends one frame to the current segment and fsyncs it. When that
// fails the segment is cut back to what was durable before and never appended
// to again: after a failed fsync nobody knows what of it is on the disk.
func (l *Log) frame(body []byte) error {
	s := l.current
	sealed := s.frames.seal(s.number, body)
	clear(body)
	_, err := s.file.Write(sealed)
	if err == nil {
		err = s.file.Sync()
	}
	if err == nil {
		s.size += int64(len(sealed))
		s.number++
		return nil
	}
	undo := s.file.Truncate(s.size)
	if undo == nil {
		undo = s.file.Sync()
	}
	err = errors.Join(err, s.file.Close())
	s.dek.Wipe()
	l.current = nil
	l.abandon(s.id)
	if undo != nil {
		l.failed = fmt.Errorf("%w: write to segment %s: %w; cut it back: %w", ErrFailed, s.id, err, undo)
		l.cfg.Log.Error("wal write failed and cannot be undone", "segment", s.id, "error", l.failed)
		return l.failed
	}
	l.cfg.Log.Error("wal write failed and was undone", "segment", s.id, "error", err)
	return fmt.Errorf("write to wal segment %s: %w", s.id, err)
}

// abandon leaves a segment without an end frame, which ends its run.
func (l *Log) abandon(id string) {
	l.finished = append(l.finished, id)
	l.run = ids.NewGUID()
}

// finish puts the end frame on the current segment and closes it.
func (l *Log) finish() error {
	s := l.current
	if s == nil {
		return nil
	}
	if err := l.frame(encodeBody(kindEnd, nil)); err != nil {
		return err
	}
	s.dek.Wipe()
	l.current = nil
	l.finished = append(l.finished, s.id)
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close wal segment %s: %w", s.id, err)
	}
	return nil
}

// Rotate ends the current segment and returns the ids of all segments this Log
// has ended and not yet removed, oldest first. A record whose Append returned
// before Rotate was called is in one of them or in a segment that was there
// before New; one whose Append is called after is in none of them.
func (l *Log) Rotate() ([]string, error) {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if l.failed != nil {
		return nil, l.failed
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	return slices.Clone(l.finished), nil
}

// Remove deletes segments whose records are durable elsewhere; they must be the
// oldest. Ids that are not there are passed over, so that it can be
// repeated after a crash. The segment being written must not be among them.
func (l *Log) Remove(segmentIDs ...string) error {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	for _, id := range segmentIDs {
		if l.current != nil && l.current.id == id {
			return fmt.Errorf("wal segment %s is being written", id)
		}
	}
	if err := Remove(l.cfg.Dir, segmentIDs...); err != nil {
		return err
	}
	l.finished = slices.DeleteFunc(l.finished, func(id string) bool { return slices.Contains(segmentIDs, id) })
	return nil
}

// Remove deletes segments from a folder, the oldest first, so that a crash in
// between leaves no gap; ids that are not there are passed over. Files whose
// header cannot be read go last.
func Remove(dir string, segmentIDs ...string) error {
	if len(segmentIDs) == 0 {
		return nil
	}
	there, unreadable, err := List(dir)
	if err != nil {
		return err
	}
	for _, u := range unreadable {
		there = append(there, Segment{ID: u.ID, Path: u.Path})
	}
	for _, s := range there {
		if !slices.Contains(segmentIDs, s.ID) {
			continue
		}
		if err := os.Remove(s.Path); err != nil {
			return fmt.Errorf("remove wal segment: %w", err)
		}
	}
	return durable.SyncDir(dir)
}

// Segments lists the ids of what this Log has written and not removed, the
// segment being written included.
func (l *Log) Segments() []string {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	out := slices.Clone(l.finished)
	if l.current != nil {
		out = append(out, l.current.id)
	}
	return out
}

// Leave gives the segment being written up as it stands, without an end frame,
// as a crash would: nothing is added to it any more. The next Append begins
// another in a run of its own.
func (l *Log) Leave() {
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	s := l.current
	if s == nil {
		return
	}
	s.dek.Wipe()
	l.current = nil
	l.abandon(s.id)
	if err := s.file.Close(); err != nil {
		l.cfg.Log.Warn("wal segment that was left cannot be closed", "segment", s.id, "error", err)
	}
}

// Close ends the current segment and wipes its DEK, which happens even when it
// returns an error. Appends under way are either durable or refused.
func (l *Log) Close() error {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	l.mu.Unlock()
	if already {
		return nil
	}
	<-l.turn
	defer func() { l.turn <- struct{}{} }()
	if l.failed != nil {
		return nil // it has said so
	}
	return l.finish()
}
