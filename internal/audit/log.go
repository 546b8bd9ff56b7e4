package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	// FlushInterval is how long an event waits for others to share its fsync.
	FlushInterval = 50 * time.Millisecond
	// maxPending bounds the events that wait. Beyond it Record refuses: it must
	// not wait, its caller may hold the store that the writer needs.
	maxPending  = 1 << 16
	segmentSize = 16 << 20 // of Config.SegmentBytes
	// frameText is about how much text shares a frame, in bytes.
	frameText = 1 << 20
	// dirName is the folder inside the data folder.
	dirName = "audit"
)

// ErrOverload is returned by Record while the disk does not keep up.
var ErrOverload = errors.New("the audit log does not keep up")

// ErrClosed is returned by Record after Close.
var ErrClosed = errors.New("audit log is closed")

// Sealer and Opener are the two halves of the barrier.
type Sealer interface {
	Seal(context string, plaintext []byte) ([]byte, error)
}

// Opener opens what a Sealer sealed; it must fail when a bit or the context differs.
type Opener interface {
	Open(context string, sealed []byte) ([]byte, error)
}

// Config is what a Log is made of. All but SegmentBytes, Now and Log are required.
type Config struct {
	// Dir is the folder of the log; Dir(data) names it.
	Dir      string
	Instance string // GUID of the instance
	Store    store.Store
	Sealer   interface {
		Sealer
		Opener
	}
	// SegmentBytes is how large a file may become before the next one is begun; 0
	// means 16 MiB. One frame is always written whole.
	SegmentBytes int64
	Now          func() time.Time
	Log          *slog.Logger
}

// Dir is the log's folder in a data folder.
func Dir(data string) string { return filepath.Join(data, dirName) }

// Log appends events. It is safe for concurrent use.
type Log struct {
	cfg     Config
	now     func() time.Time
	log     *slog.Logger
	wake    chan struct{} // capacity 1: something waits
	stop    chan struct{}
	stopped chan struct{}

	mu      sync.Mutex
	room    *sync.Cond // written moved, or the log broke
	pending []Event
	last    uint64 // sequence of the newest event, pending or written
	written uint64 // sequence of the newest durable event
	broken  error

	// of the writer only
	file *os.File
	size int64
	head Head
}

// Open continues the log in cfg.Dir, which it makes when missing. What a crash
// left half-written at the end is cut off. A log that is shorter than its head
// says was tampered with or restored from an older copy: Open says so in the
// log and goes on behind the gap, which Verify reports from then on.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the audit log: %w", err)
	}
	l := &Log{cfg: cfg, now: cfg.Now, log: cfg.Log, wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	l.room = sync.NewCond(&l.mu)
	if l.cfg.SegmentBytes <= 0 {
		l.cfg.SegmentBytes = segmentSize
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	head, err := ReadHead(ctx, cfg.Store)
	if err != nil {
		return nil, err
	}
	end, err := repairTail(cfg.Dir, cfg.Instance, cfg.Sealer)
	if err != nil {
		return nil, err
	}
	gap := ""
	switch {
	case head.Frames == 0 && end.Frames == 0:
		l.head = Head{Link: startOf(cfg.Instance)}
	case end.Frames > head.Frames: // a crash between the fsync of a frame and that of the head
		l.head = end
	case end.Frames == head.Frames && end.Link == head.Link:
		l.head = head
	default:
		l.head = head
		gap = fmt.Sprintf("the files end at frame %d, the head is at frame %d", end.Frames, head.Frames)
		l.log.ErrorContext(ctx, "the audit log is shorter than it was; run kustos audit verify", "files_end", end.Frames, "head", head.Frames)
	}
	l.last, l.written = l.head.Events, l.head.Events
	go l.run()
	if gap != "" {
		if err := l.Record(ctx, Event{Operation: "audit/gap", Result: Failed, Detail: gap}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Record appends an event. It returns before the event is durable, which it is
// at most FlushInterval and one fsync later, and never waits for the disk. An
// error means that the event is not recorded: the caller must not answer as if
// it were.
func (l *Log) Record(_ context.Context, e Event) error {
	e.bounded()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return fmt.Errorf("record audit event: %w", l.broken)
	}
	if len(l.pending) >= maxPending {
		return fmt.Errorf("record audit event: %w", ErrOverload)
	}
	if e.Time.IsZero() {
		e.Time = l.now()
	}
	e.Time = e.Time.UTC()
	l.last++
	e.Sequence = l.last
	l.pending = append(l.pending, e)
	if len(l.pending) == 1 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// Flush returns when everything recorded before is durable.
func (l *Log) Flush(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.room.Broadcast()
	})
	defer stop()
	for want := l.last; l.written < want && (l.broken == nil || errors.Is(l.broken, ErrClosed)); {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.room.Wait()
	}
	if errors.Is(l.broken, ErrClosed) {
		return nil
	}
	return l.broken
}

// Close writes what waits and closes the files. Closing twice is fine.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.broken == nil {
		l.broken = ErrClosed
		close(l.stop)
	}
	l.room.Broadcast()
	l.mu.Unlock()
	<-l.stopped
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.broken, ErrClosed) {
		return nil
	}
	return l.broken
}

// run is the writer: one frame for everything that came in an interval.
func (l *Log) run() {
	defer close(l.stopped)
	timer := time.NewTimer(0)
	<-timer.C
	for {
		select {
		case <-l.wake:
			timer.Reset(FlushInterval)
			select {
			case <-timer.C:
			case <-l.stop:
			}
		case <-l.stop:
		}
		err := l.flushPending()
		select {
		case <-l.stop:
			if err == nil {
				err = l.flushPending() // what came in between
			}
			l.finish(err)
			return
		default:
		}
		if err != nil {
			l.finish(err)
			return
		}
	}
}

// finish closes the file; after an error nothing can be recorded any more.
func (l *Log) finish(err error) {
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	if err == nil {
		return
	}
	l.log.Error("the audit log cannot be written: key operations are refused from now on", "error", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		close(l.stop) // Close must not do it again
	}
	l.broken = err
	l.room.Broadcast()
}

func (l *Log) flushPending() error {
	l.mu.Lock()
	batch := l.pending
	l.pending = nil
	l.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	for len(batch) > 0 {
		n, lines, err := encode(batch)
		if err != nil {
			return err
		}
		if err := l.append(lines, batch[n-1].Sequence); err != nil {
			return err
		}
		l.mu.Lock()
		l.written = batch[n-1].Sequence
		l.room.Broadcast()
		l.mu.Unlock()
		batch = batch[n:]
	}
	return nil
}

// append writes one frame, syncs it, and moves the head.
func (l *Log) append(lines []byte, newest uint64) error {
	number := l.head.Frames + 1
	raw, err := sealFrame(l.cfg.Sealer, number, l.head.Link, lines)
	if err != nil {
		return err
	}
	if l.file == nil || l.size+int64(len(raw)) > l.cfg.SegmentBytes {
		if err := l.begin(number); err != nil {
			return err
		}
	}
	if _, err := l.file.Write(raw); err != nil {
		return fmt.Errorf("write audit log: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync audit log: %w", err)
	}
	l.size += int64(len(raw))
	l.head = Head{Frames: number, Events: newest, Link: next(raw)}
	return writeHead(context.Background(), l.cfg.Store, l.head)
}

// begin starts a segment; every start of the server begins one.
func (l *Log) begin(number uint64) error {
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return fmt.Errorf("close segment of the audit log: %w", err)
		}
		l.file = nil
	}
	path := filepath.Join(l.cfg.Dir, segmentName(number))
	header := segmentHeader{instance: l.cfg.Instance, first: number, prev: l.head.Link}.encode()
	if err := durable.Create(path, header, 0o600); err != nil {
		return fmt.Errorf("begin segment of the audit log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("open segment of the audit log: %w", err)
	}
	l.file, l.size = f, int64(len(header))
	return nil
}

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, segmentSuffix) }
