package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/test/golden"
)

// fakeReencryptions is the one re-encryption of a test's clusters.
type fakeReencryptions struct {
	mu     sync.Mutex
	job    *cluster.Reencryption
	by     audit.Actor
	refuse error // what Start answers
	woken  int
	moved  chan struct{}
}

// move changes the job and tells who waits.
func (f *fakeReencryptions) move(change func(job *cluster.Reencryption)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.job.Databases = slices.Clone(f.job.Databases) // what was given out stays as it was
	change(f.job)
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}

func (f *fakeReencryptions) StartReencryption(_ context.Context, _ store.Tx, _ string, req cluster.ReencryptionRequest) (cluster.Reencryption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.refuse != nil:
		return cluster.Reencryption{}, f.refuse
	case f.job != nil && !f.job.State.Ended():
		return cluster.Reencryption{}, cluster.ErrReencrypting
	}
	f.by = req.By
	f.job = &cluster.Reencryption{ID: "99999999-0000-0000-0000-000000000001", Database: req.Database, State: cluster.ReencryptionRunning, Since: time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC),
		Databases: []cluster.ReencryptedDatabase{{ID: "d", Name: "db", Extents: 4, Bytes: 1000}}}
	return *f.job, nil
}

func (f *fakeReencryptions) WakeReencryption(string) { f.mu.Lock(); f.woken++; f.mu.Unlock() }

func (f *fakeReencryptions) Reencryption(context.Context, string) (cluster.Reencryption, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.job == nil {
		return cluster.Reencryption{}, catalog.ErrNotFound
	}
	return *f.job, nil
}

func (f *fakeReencryptions) steer(by audit.Actor, from, to cluster.ReencryptionState) (cluster.Reencryption, error) {
	if f.job == nil {
		return cluster.Reencryption{}, catalog.ErrNotFound
	}
	if f.job.State != from {
		return cluster.Reencryption{}, cluster.ErrReencryptionState
	}
	f.move(func(job *cluster.Reencryption) { job.State = to })
	f.by = by
	return *f.job, nil
}

func (f *fakeReencryptions) PauseReencryption(_ context.Context, _ string, by audit.Actor) (cluster.Reencryption, error) {
	return f.steer(by, cluster.ReencryptionRunning, cluster.ReencryptionPaused)
}

func (f *fakeReencryptions) ResumeReencryption(_ context.Context, _ string, by audit.Actor) (cluster.Reencryption, error) {
	return f.steer(by, cluster.ReencryptionFailed, cluster.ReencryptionRunning)
}

func (f *fakeReencryptions) CancelReencryption(_ context.Context, _ string, by audit.Actor) (cluster.Reencryption, error) {
	return f.steer(by, cluster.ReencryptionPaused, cluster.ReencryptionCanceled)
}

func (f *fakeReencryptions) AwaitReencryption(ctx context.Context, _, id string, seen func(cluster.Reencryption) error) (cluster.Reencryption, error) {
	for {
		f.mu.Lock()
		if f.job == nil || f.job.ID != id {
			f.mu.Unlock()
			return cluster.Reencryption{}, catalog.ErrNotFound
		}
		now := *f.job
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved := f.moved
		f.mu.Unlock()
		if err := seen(now); err != nil || now.State.Ended() {
			return now, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return now, ctx.Err()
		}
	}
}

// reencrypt sends POST (or, for "", GET) of the re-encryption.
func (w *world) reencrypt(verb, body string) answer {
	w.t.Helper()
	method := http.MethodPost
	if verb == "" {
		method = http.MethodGet
	}
	req := w.request(method, clusterPath("demo1"), v20230815, body)
	req.Action = strings.TrimSuffix(actionReencrypt+"/"+strings.TrimPrefix(verb, "start"), "/")
	res, err := w.p.Handle(w.t.Context(), req)
	return w.answer(res, err)
}

func TestReencryptIsAnOperation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	jobs := &w.runtime.fakeReencryptions
	if a := w.reencrypt("", ""); a.err == nil || a.err.Status != http.StatusNotFound {
		t.Errorf("before the first: %v", a.err)
	}
	if a := w.reencrypt("start", `{"tables": 1}`); a.err == nil || a.err.Status != http.StatusBadRequest {
		t.Errorf("an unknown member: %v", a.err)
	}
	a := w.reencrypt("start", `{"database": "db"}`)
	if a.err != nil || a.Status != http.StatusAccepted || a.Header.Get("Azure-AsyncOperation") == "" || a.Header.Get("Location") == "" || jobs.woken != 1 {
		t.Fatalf("%+v, woken %d times", a, jobs.woken)
	}
	if jobs.by.ObjectID != "11111111-0000-0000-0000-000000000001" {
		t.Errorf("asked for by %+v", jobs.by)
	}
	if b := w.reencrypt("start", ""); b.err == nil || b.err.Status != http.StatusConflict {
		t.Errorf("a second one: %v", b.err)
	}
	// the cluster can be changed meanwhile
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"tags":{"a":"b"}}`)

	jobs.move(func(job *cluster.Reencryption) {
		d := &job.Databases[0]
		d.KeyVersion, d.ExtentsDone, d.BytesDone = 2, 1, 250
	})
	poll := strings.TrimPrefix(a.Header.Get("Azure-AsyncOperation"), "https://management.azure.com")
	status := func() map[string]any { return w.do("GET", poll, v20230815, "").json }
	for range 1000 {
		if status()["percentComplete"] == 0.25 {
			break
		}
		<-time.After(time.Millisecond)
	}
	if s := status(); s["status"] != "Running" || s["percentComplete"] != 0.25 {
		t.Errorf("%v", s)
	}
	if g := w.reencrypt("", ""); g.err != nil {
		t.Error(g.err)
	} else {
		golden.Compare(t, "reencryption.json", indent(t, g.text))
	}
	if b := w.reencrypt("pause", ""); b.err != nil || b.json["state"] != "Paused" {
		t.Errorf("%+v", b)
	}
	if b := w.reencrypt("pause", ""); b.err == nil || b.err.Status != http.StatusConflict {
		t.Errorf("paused twice: %v", b.err)
	}
	// a restart of the server: the operation goes on
	w.restart()
	if err := w.ops.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	jobs.move(func(job *cluster.Reencryption) {
		job.State, job.Why = cluster.ReencryptionFailed, "1 extents cannot be read"
	})
	op, err := w.ops.Wait(t.Context(), a.OperationID)
	if err != nil || op.Status != operations.Failed || op.Error.Code != "Conflict" || !strings.Contains(op.Error.Message, "1 extents cannot be read") {
		t.Errorf("%+v, %v", op, err)
	}
	again := w.reencrypt("resume", "")
	if again.err != nil || again.Status != http.StatusAccepted || again.OperationID == a.OperationID {
		t.Fatalf("%+v", again)
	}
	jobs.move(func(job *cluster.Reencryption) { job.State = cluster.ReencryptionDone })
	if op, err = w.ops.Wait(t.Context(), again.OperationID); err != nil || op.Status != operations.Succeeded {
		t.Errorf("%+v, %v", op, err)
	}
	last := w.reencrypt("start", "")
	if last.err != nil {
		t.Fatal(last.err)
	}
	w.reencrypt("pause", "")
	w.reencrypt("cancel", "")
	if op, err = w.ops.Wait(t.Context(), last.OperationID); err != nil || op.Status != operations.Canceled {
		t.Errorf("%+v, %v", op, err)
	}
}

func TestReencryptRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if a := w.reencrypt("start", ""); a.err == nil || a.err.Code != "ResourceNotFound" {
		t.Errorf("no cluster: %v", a.err)
	}
	w.cluster("demo1")
	for name, c := range map[string]struct {
		refuse error
		status int
		text   string
	}{
		"stopped":     {cluster.ErrNotRunning, http.StatusConflict, "start it first"},
		"suspended":   {&cluster.SuspendedError{Code: "KeyNotFound", Reason: "the key is gone"}, http.StatusConflict, "the key is gone"},
		"no database": {catalog.ErrNotFound, http.StatusNotFound, "databases/db"},
		"other":       {errors.New("disk"), http.StatusInternalServerError, ""},
	} {
		w.runtime.refuse = c.refuse
		a := w.reencrypt("start", `{"database":"db"}`)
		if a.err == nil || a.err.Status != c.status || !strings.Contains(a.err.Message, c.text) {
			t.Errorf("%s: %v", name, a.err)
		}
	}
	list, err := json.Marshal(w.do("GET", "/providers/Microsoft.Kusto/operations", v20230815, "").json)
	if err != nil || !strings.Contains(string(list), "Microsoft.Kusto/clusters/kustosReencrypt/action") {
		t.Errorf("it is not among the operations: %v", err)
	}
	if diff := cmp.Diff(0, w.runtime.woken); diff != "" {
		t.Error("a refused one was begun")
	}
}
