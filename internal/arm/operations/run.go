package operations

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// saveAgain is the pause between attempts to store how an operation ended.
const saveAgain = time.Second

// run executes one operation and stores its end.
func (m *Manager) run(ctx context.Context, id string) {
	defer func() {
		m.mu.Lock()
		delete(m.running, id)
		m.mu.Unlock()
		m.wake(id)
	}()
	op, err := m.Get(context.WithoutCancel(ctx), id)
	if err != nil {
		m.log.ErrorContext(ctx, "operation cannot be read", "operation", id, "error", err)
		return
	}
	if op.Done() {
		return
	}
	run := m.runner(op.Kind)
	if run == nil {
		m.log.ErrorContext(ctx, "operation of an unknown kind stays unfinished", "operation", id, "kind", op.Kind)
		return
	}
	if op.CancelAsked {
		m.cancelRunning(id)
	}
	result, err := m.call(ctx, run, &op)
	if err != nil && m.ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrCanceled) && !errors.Is(err, ErrCanceled) {
		m.log.InfoContext(ctx, "operation stops unfinished", "operation", id, "kind", op.Kind)
		return // the process is going down; the next start runs it again
	}
	m.end(ctx, &op, result, err)
}

func (m *Manager) cancelRunning(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running[id](ErrCanceled)
}

// call runs the runner; a panic is its failure and not the server's.
func (m *Manager) call(ctx context.Context, run Runner, op *Operation) (result json.RawMessage, err error) {
	defer func() {
		if v := recover(); v != nil {
			m.log.ErrorContext(ctx, "operation panicked", "operation", op.ID, "kind", op.Kind,
				"panic", panicText(v), "stack", string(debug.Stack()))
			err = azerr.InternalServerError()
		}
	}()
	value, err := run(ctx, op)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, nil
	}
	result, err = json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode result of operation %s: %w", op.ID, err)
	}
	return result, nil
}

// panicText says what happened without printing a value that may hold data: a
// runtime error or our own "BUG:" text is shown, anything else by its type.
func panicText(v any) string {
	switch v := v.(type) {
	case runtime.Error:
		return v.Error()
	case string:
		if strings.HasPrefix(v, "BUG:") {
			return v
		}
	}
	return fmt.Sprintf("value of type %T", v)
}

func (m *Manager) end(ctx context.Context, op *Operation, result json.RawMessage, err error) {
	op.Status, op.Result, op.Percent, op.End = Succeeded, result, 1, m.now().UTC()
	switch {
	case err == nil:
	case errors.Is(err, ErrCanceled) || errors.Is(context.Cause(ctx), ErrCanceled):
		op.Status, op.Error = Canceled, canceledError(err)
	default:
		op.Status, op.Error = Failed, azerr.From(err)
	}
	m.save(ctx, op)
	took := op.End.Sub(op.Start)
	attrs := []any{"operation", op.ID, "kind", op.Kind, "scope", op.ResourceID, "status", op.Status, "took", took}
	switch {
	case op.Error == nil:
		m.log.InfoContext(ctx, "operation ended", attrs...)
	case op.Error.Status >= http.StatusInternalServerError:
		m.log.ErrorContext(ctx, "operation ended", append(attrs, "code", op.Error.Code, "error", errors.Unwrap(op.Error))...)
	default:
		m.log.WarnContext(ctx, "operation ended", append(attrs, "code", op.Error.Code)...)
	}
}

func canceledError(err error) *azerr.Error {
	var e *azerr.Error
	if errors.As(err, &e) {
		return e
	}
	return azerr.OperationCanceled()
}

// save stores the end. A store that refuses (a full disk) is asked again until
// it takes it or the process stops: what a runner has done must not look
// unfinished for ever.
func (m *Manager) save(ctx context.Context, op *Operation) {
	for {
		err := m.store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error {
			return store.PutJSON(tx, bucket, op.ID, toRecord(*op))
		})
		if err == nil {
			return
		}
		m.log.ErrorContext(ctx, "end of operation is not stored yet", "operation", op.ID, "error", err)
		select {
		case <-time.After(saveAgain):
		case <-m.ctx.Done():
			return
		}
	}
}
