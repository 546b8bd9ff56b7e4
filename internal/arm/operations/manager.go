package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const bucket = "arm.operations"

// retention is how long a finished operation can still be asked for.
const retention = 7 * 24 * time.Hour

// Runner does the work of one operation. It must be idempotent: after a crash
// it runs again from the start with the same Payload (as last saved by
// [Manager.Progress]). It must end soon after ctx is done. What it returns is
// stored as JSON; an error becomes the operation's wire error.
type Runner = func(ctx context.Context, op *Operation) (result any, err error)

// Config is what a Manager needs. Now defaults to time.Now.
type Config struct {
	Store store.Store
	Log   *slog.Logger
	Now   func() time.Time
}

// Manager stores operations and runs them. It is safe for concurrent use.
type Manager struct {
	store store.Store
	log   *slog.Logger
	now   func() time.Time

	ctx  context.Context // done after Close
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	runners map[string]Runner
	running map[string]context.CancelCauseFunc
	waiting map[string]chan struct{} // closed when the operation ends
}

// New returns a Manager without runners; register them with Handle, then call Resume.
func New(cfg Config) *Manager {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Manager{
		store: cfg.Store, log: cfg.Log, now: cfg.Now, ctx: ctx, stop: stop,
		runners: map[string]Runner{}, running: map[string]context.CancelCauseFunc{}, waiting: map[string]chan struct{}{},
	}
}

// Handle registers the runner of a kind. It must be called once per kind and
// before Resume.
func (m *Manager) Handle(kind string, run Runner) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.runners[kind] != nil {
		panic("BUG: two runners for operation kind " + kind)
	}
	m.runners[kind] = run
}

// Start records op as Running in the caller's transaction and returns its id
// (a fresh GUID when op.ID is empty). Nothing runs before the transaction is
// committed and Launch is called. It must not be called for a kind without a
// runner or with the id of an existing operation.
func (m *Manager) Start(tx store.Tx, op Operation) (string, error) {
	if m.runner(op.Kind) == nil {
		return "", fmt.Errorf("start operation: no runner for kind %q", op.Kind)
	}
	if op.ID == "" {
		op.ID = ids.NewGUID()
	}
	if _, err := tx.Get(bucket, op.ID); !errors.Is(err, store.ErrNotFound) {
		if err == nil {
			err = fmt.Errorf("operation %s exists", op.ID)
		}
		return "", fmt.Errorf("start operation: %w", err)
	}
	op.Status, op.Start, op.Percent = Running, m.now().UTC(), 0
	op.End, op.Error, op.Result, op.CancelAsked = op.Start, nil, nil, false
	return op.ID, store.PutJSON(tx, bucket, op.ID, toRecord(op))
}

// Launch runs a committed operation in the background. It does nothing when
// the operation is already running, has ended, or the Manager is closed (the
// next start of the process resumes it).
func (m *Manager) Launch(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.running[id] != nil {
		return
	}
	ctx, cancel := context.WithCancelCause(m.ctx)
	m.running[id] = cancel
	m.wg.Go(func() { m.run(ctx, id) })
}

// Get returns an operation as stored, or ErrNotFound.
func (m *Manager) Get(ctx context.Context, id string) (Operation, error) {
	var r record
	err := m.store.View(ctx, func(tx store.Tx) (err error) {
		r, err = store.GetJSON[record](tx, bucket, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return Operation{}, fmt.Errorf("operation %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Operation{}, fmt.Errorf("read operation %q: %w", id, err)
	}
	return r.operation(), nil
}

// Wait returns the operation once it has ended. It returns early with an error
// when ctx is done or the Manager is closed.
func (m *Manager) Wait(ctx context.Context, id string) (Operation, error) {
	for {
		m.mu.Lock()
		ended, ok := m.waiting[id]
		if !ok {
			ended = make(chan struct{})
			m.waiting[id] = ended
		}
		m.mu.Unlock()
		op, err := m.Get(ctx, id) // after the channel is in place: no end can be missed
		if err != nil || op.Done() {
			m.wake(id)
			return op, err
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return op, ctx.Err()
		case <-m.ctx.Done():
			return op, fmt.Errorf("wait for operation %s: %w", id, errClosed)
		}
	}
}

var errClosed = errors.New("operations are stopping")

// Progress stores op's Percent and Payload while its runner works, so that a
// restart goes on from there and pollers see it move.
func (m *Manager) Progress(ctx context.Context, op *Operation) error {
	return m.store.Update(ctx, func(tx store.Tx) error {
		r, err := store.GetJSON[record](tx, bucket, op.ID)
		if err != nil {
			return fmt.Errorf("save progress of operation %s: %w", op.ID, err)
		}
		r.Percent, r.Payload, r.End = op.Percent, op.Payload, m.now().UTC()
		op.End = r.End
		return store.PutJSON(tx, bucket, op.ID, r)
	})
}

// Cancel asks a running operation to end: it is recorded, and the runner's
// context is done with the cause ErrCanceled. The operation is Canceled when
// the runner has returned an error. An operation that has ended stays as it is.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	err := m.store.Update(ctx, func(tx store.Tx) error {
		r, err := store.GetJSON[record](tx, bucket, id)
		if err != nil || r.Done() {
			return err
		}
		r.CancelAsked = true
		return store.PutJSON(tx, bucket, id, r)
	})
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("operation %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("cancel operation %s: %w", id, err)
	}
	m.mu.Lock()
	cancel := m.running[id]
	m.mu.Unlock()
	if cancel != nil {
		cancel(ErrCanceled)
	}
	return nil
}

// Resume launches every operation that had not ended when the process stopped,
// and forgets those that ended more than seven days ago.
func (m *Manager) Resume(ctx context.Context) error {
	var unfinished, old []string
	limit := m.now().Add(-retention)
	err := m.store.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan(bucket, "", "") {
			if err != nil {
				return err
			}
			var r record
			if err := json.Unmarshal(e.Value, &r); err != nil {
				return fmt.Errorf("decode operation %s: %w", e.Key, err)
			}
			switch {
			case r.Done() && r.End.Before(limit):
				old = append(old, e.Key)
			case !r.Done() && m.runner(r.Kind) == nil:
				m.log.ErrorContext(ctx, "operation of an unknown kind stays unfinished", "operation", e.Key, "kind", r.Kind)
			case !r.Done():
				unfinished = append(unfinished, e.Key)
			}
		}
		return nil
	})
	if err == nil && len(old) > 0 {
		err = m.store.Update(ctx, func(tx store.Tx) error {
			for _, id := range old {
				if err := tx.Delete(bucket, id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("resume operations: %w", err)
	}
	for _, id := range unfinished {
		m.log.InfoContext(ctx, "operation resumes", "operation", id)
		m.Launch(id)
	}
	return nil
}

// Close tells the runners to stop and waits for them. What has not ended stays
// Running in the store and is resumed by the next start.
func (m *Manager) Close() {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stop()
	m.wg.Wait()
}

func (m *Manager) runner(kind string) Runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runners[kind]
}

func (m *Manager) wake(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ended, ok := m.waiting[id]; ok {
		close(ended)
		delete(m.waiting, id)
	}
}
