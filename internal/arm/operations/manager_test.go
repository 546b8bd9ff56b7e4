package operations_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

func start(t *testing.T, m *operations.Manager, s store.Store, op operations.Operation) string {
	t.Helper()
	var id string
	err := s.Update(t.Context(), func(tx store.Tx) (err error) {
		id, err = m.Start(tx, op)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func wait(t *testing.T, m *operations.Manager, id string) operations.Operation {
	t.Helper()
	op, err := m.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

func TestSucceeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		m := operations.New(operations.Config{Store: s})
		defer m.Close()
		m.Handle("create", func(ctx context.Context, op *operations.Operation) (any, error) {
			time.Sleep(3 * time.Second)
			op.Percent = 0.5
			if err := m.Progress(ctx, op); err != nil {
				return nil, err
			}
			time.Sleep(time.Second)
			return map[string]string{"got": string(op.Payload)}, nil
		})
		id := start(t, m, s, operations.Operation{Kind: "create", ResourceID: "/r", Payload: json.RawMessage(`1`)})
		began := time.Now()
		m.Launch(id)
		m.Launch(id) // the second is nothing
		time.Sleep(3500 * time.Millisecond)
		if op, err := m.Get(t.Context(), id); err != nil || op.Status != operations.Running || op.Percent != 0.5 {
			t.Errorf("half-way: %+v, %v", op, err)
		}
		op := wait(t, m, id)
		if op.Status != operations.Succeeded || string(op.Result) != `{"got":"1"}` || op.Percent != 1 || op.Error != nil {
			t.Errorf("ended as %+v", op)
		}
		if took := op.End.Sub(op.Start); took != 4*time.Second || time.Since(began) != 4*time.Second {
			t.Errorf("took %v", took)
		}
		m.Launch(id) // an ended operation does not run again
		synctest.Wait()
		if again, _ := m.Get(t.Context(), id); again.End != op.End {
			t.Errorf("ran again: %+v", again)
		}
	})
}

func TestFails(t *testing.T) {
	t.Parallel()
	refused := &azerr.Error{Status: 409, Code: "Nope", Message: "no", Details: []*azerr.Error{{Status: 400, Code: "Inner", Message: "in"}}}
	tests := map[string]struct {
		run     operations.Runner
		status  string
		code    string
		http    int
		logged  string
		private string
	}{
		"wire error":   {run: func(context.Context, *operations.Operation) (any, error) { return nil, fmt.Errorf("x: %w", refused) }, status: "Failed", code: "Nope", http: 409},
		"plain error":  {run: func(context.Context, *operations.Operation) (any, error) { return nil, errors.New("disk") }, status: "Failed", code: "InternalServerError", http: 500, logged: "disk"},
		"panic":        {run: func(context.Context, *operations.Operation) (any, error) { panic("row: secret-data") }, status: "Failed", code: "InternalServerError", http: 500, logged: "value of type string", private: "secret-data"},
		"index panic":  {run: func(context.Context, *operations.Operation) (any, error) { var s []int; return s[len(s)], nil }, status: "Failed", code: "InternalServerError", http: 500, logged: "index out of range"},
		"canceled":     {run: func(context.Context, *operations.Operation) (any, error) { return nil, operations.ErrCanceled }, status: "Canceled", code: "OperationCanceled", http: 409},
		"bad result":   {run: func(context.Context, *operations.Operation) (any, error) { return make(chan int), nil }, status: "Failed", code: "InternalServerError", http: 500},
		"own deadline": {run: func(context.Context, *operations.Operation) (any, error) { return nil, context.DeadlineExceeded }, status: "Failed", code: "InternalServerError", http: 500},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := memstore.New()
			m := operations.New(operations.Config{Store: s, Log: slog.New(slog.NewTextHandler(&log, nil))})
			m.Handle("k", tt.run)
			id := start(t, m, s, operations.Operation{Kind: "k"})
			m.Launch(id)
			op := wait(t, m, id)
			m.Close()
			if op.Status != tt.status || op.Error.Code != tt.code || op.Error.Status != tt.http {
				t.Errorf("ended as %s %v (%d)", op.Status, op.Error, op.Error.Status)
			}
			if !strings.Contains(log.String(), tt.logged) {
				t.Errorf("log lacks %q:\n%s", tt.logged, &log)
			}
			if tt.private != "" && strings.Contains(log.String(), tt.private) {
				t.Errorf("log shows %q", tt.private)
			}
		})
	}
}

func TestResumesAfterRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		var mu sync.Mutex
		var steps []string
		run := func(name string, pause time.Duration) operations.Runner {
			return func(ctx context.Context, op *operations.Operation) (any, error) {
				mu.Lock()
				steps = append(steps, name+" "+string(op.Payload))
				mu.Unlock()
				select {
				case <-time.After(pause):
					return nil, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		}
		first := operations.New(operations.Config{Store: s})
		first.Handle("k", run("first", time.Hour))
		launched := start(t, first, s, operations.Operation{Kind: "k", Payload: json.RawMessage(`"a"`)})
		first.Launch(launched)
		// committed, but the process died before Launch
		start(t, first, s, operations.Operation{ID: "zz", Kind: "k", Payload: json.RawMessage(`"b"`)})
		synctest.Wait()
		first.Close()
		if op, err := first.Get(t.Context(), launched); err != nil || op.Status != operations.Running {
			t.Fatalf("after Close: %+v, %v", op, err)
		}
		if _, err := first.Wait(t.Context(), launched); err == nil {
			t.Error("Wait on a closed manager gave no error")
		}

		second := operations.New(operations.Config{Store: s})
		defer second.Close()
		second.Handle("k", run("second", time.Second))
		if err := second.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{launched, "zz"} {
			if op := wait(t, second, id); op.Status != operations.Succeeded {
				t.Errorf("%s ended as %+v", id, op)
			}
		}
		count := map[string]int{}
		for _, step := range steps {
			count[step]++
		}
		if diff := cmp.Diff(map[string]int{`first "a"`: 1, `second "a"`: 1, `second "b"`: 1}, count); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestResumeForgetsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		m := operations.New(operations.Config{Store: s})
		defer m.Close()
		m.Handle("k", func(context.Context, *operations.Operation) (any, error) { return nil, nil })
		old := start(t, m, s, operations.Operation{Kind: "k"})
		m.Launch(old)
		wait(t, m, old)
		time.Sleep(6 * 24 * time.Hour)
		if err := m.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Get(t.Context(), old); err != nil {
			t.Errorf("forgotten after six days: %v", err)
		}
		time.Sleep(25 * time.Hour)
		if err := m.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Get(t.Context(), old); !errors.Is(err, operations.ErrNotFound) {
			t.Errorf("after more than seven days: %v", err)
		}
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		var runs atomic.Int32
		untilDone := func(ctx context.Context, _ *operations.Operation) (any, error) {
			runs.Add(1)
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		m := operations.New(operations.Config{Store: s})
		m.Handle("k", untilDone)
		id := start(t, m, s, operations.Operation{Kind: "k"})
		m.Launch(id)
		synctest.Wait()
		if err := m.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if op := wait(t, m, id); op.Status != operations.Canceled || op.Error == nil {
			t.Errorf("ended as %+v", op)
		}
		if err := m.Cancel(t.Context(), "none"); !errors.Is(err, operations.ErrNotFound) {
			t.Errorf("Cancel of nothing: %v", err)
		}
		// asked before it could run: the wish survives the restart
		late := start(t, m, s, operations.Operation{Kind: "k"})
		if err := m.Cancel(t.Context(), late); err != nil {
			t.Fatal(err)
		}
		m.Close()
		again := operations.New(operations.Config{Store: s})
		defer again.Close()
		again.Handle("k", untilDone)
		if err := again.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if op := wait(t, again, late); op.Status != operations.Canceled {
			t.Errorf("after restart: %+v", op)
		}
	})
}

// A refused transaction leaves no operation behind, and one without a runner
// cannot be recorded.
func TestStartRefuses(t *testing.T) {
	t.Parallel()
	s := memstore.New()
	m := operations.New(operations.Config{Store: s})
	defer m.Close()
	m.Handle("k", func(context.Context, *operations.Operation) (any, error) { return nil, nil })
	rollback := errors.New("rolled back")
	err := s.Update(t.Context(), func(tx store.Tx) error {
		if _, err := m.Start(tx, operations.Operation{ID: "x", Kind: "k"}); err != nil {
			return err
		}
		return rollback
	})
	if !errors.Is(err, rollback) {
		t.Fatal(err)
	}
	if _, err := m.Get(t.Context(), "x"); !errors.Is(err, operations.ErrNotFound) {
		t.Errorf("after rollback: %v", err)
	}
	if _, err := m.Wait(t.Context(), "x"); !errors.Is(err, operations.ErrNotFound) {
		t.Errorf("Wait for nothing: %v", err)
	}
	start(t, m, s, operations.Operation{ID: "x", Kind: "k"})
	for name, op := range map[string]operations.Operation{"unknown kind": {Kind: "other"}, "taken id": {ID: "x", Kind: "k"}} {
		err := s.Update(t.Context(), func(tx store.Tx) error {
			_, err := m.Start(tx, op)
			return err
		})
		if err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

// failing refuses the first writes of an ended operation.
type failing struct {
	store.Store
	left atomic.Int32
}

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	if f.left.Add(-1) >= 0 {
		return errors.New("disk full")
	}
	return f.Store.Update(ctx, fn)
}

func TestEndIsStoredWhenTheDiskIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &failing{Store: memstore.New()}
		m := operations.New(operations.Config{Store: s})
		defer m.Close()
		m.Handle("k", func(context.Context, *operations.Operation) (any, error) { return 7, nil })
		id := start(t, m, s, operations.Operation{Kind: "k"})
		s.left.Store(3)
		m.Launch(id)
		if op := wait(t, m, id); op.Status != operations.Succeeded || string(op.Result) != "7" {
			t.Errorf("ended as %+v", op)
		}
	})
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	h := map[string][]string{}
	operations.Headers(h, "https://a/x", "", 1)
	want := map[string][]string{"Azure-Asyncoperation": {"https://a/x"}, "Retry-After": {"1"}}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
