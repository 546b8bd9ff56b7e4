package audit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

const instance = "11111111-2222-4333-8444-555555555555"

// box seals with one key, bound to the context.
type box struct{ key aead.Key }

func (b box) Seal(context string, plain []byte) ([]byte, error) {
	return b.key.Seal([]byte(context), plain)
}

func (b box) Open(context string, sealed []byte) ([]byte, error) {
	return b.key.Open([]byte(context), sealed)
}

type fixture struct {
	testing.TB
	cfg audit.Config
}

func setup(t testing.TB) *fixture {
	t.Helper()
	return &fixture{t, audit.Config{Dir: filepath.Join(t.TempDir(), "audit"), Instance: instance, Store: memstore.New(), Sealer: box{aead.NewKey()},
		Now: func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }}}
}

func (f *fixture) open() *audit.Log {
	f.Helper()
	l, err := audit.Open(context.Background(), f.cfg)
	if err != nil {
		f.Fatal(err)
	}
	return l
}

// write records events in frames of one each, in one segment.
func (f *fixture) write(n int) {
	f.Helper()
	l := f.open()
	for i := range n {
		if err := errors.Join(l.Record(f.Context(), audit.Event{Operation: fmt.Sprintf("keys/op%d", i), Result: audit.Allowed}), l.Flush(f.Context())); err != nil {
			f.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) verify() audit.Report {
	f.Helper()
	head, err := audit.ReadHead(f.Context(), f.cfg.Store)
	if err != nil {
		f.Fatal(err)
	}
	r, err := audit.Verify(f.cfg.Dir, instance, f.cfg.Sealer, head)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *fixture) segments() []string {
	f.Helper()
	files, err := filepath.Glob(filepath.Join(f.cfg.Dir, "*.kal"))
	if err != nil {
		f.Fatal(err)
	}
	return files
}

func TestLogAcrossStarts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if r := f.verify(); !r.Good() {
		t.Errorf("before the first event: %+v", r)
	}
	for range 3 {
		f.write(4)
	}
	f.open().Close() // a start without an event makes no segment
	if diff := cmp.Diff(audit.Report{Segments: 3, Frames: 12, Events: 12}, f.verify()); diff != "" {
		t.Errorf("report (-want +got)\n%s", diff)
	}
	var last uint64
	for e, err := range audit.Read(f.cfg.Dir, f.cfg.Sealer) {
		if err != nil || e.Sequence != last+1 || e.Time != f.cfg.Now() {
			t.Fatalf("event %+v, %v", e, err)
		}
		last = e.Sequence
	}
	got, err := audit.Tail(f.cfg.Dir, f.cfg.Sealer, audit.Filter{Operation: "OP1"}, 2)
	if err != nil || len(got) != 2 || got[0].Sequence != 6 || got[1].Sequence != 10 {
		t.Errorf("tail: %+v, %v", got, err)
	}
	if data, err := os.ReadFile(f.segments()[0]); err != nil || strings.Contains(string(data), "keys/op") {
		t.Error("an event lies in clear on the disk")
	}
	if info, err := os.Stat(f.segments()[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestConcurrentRecordsShareFrames(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l := f.open()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if err := l.Record(context.Background(), audit.Event{Operation: "keys/unwrapKey", Result: audit.Allowed}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r := f.verify(); !r.Good() || r.Events != 8000 || r.Frames > 200 {
		t.Errorf("%+v", r)
	}
	if err := l.Record(t.Context(), audit.Event{}); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// TestDurableWithinTheInterval: nobody has to call Flush.
func TestDurableWithinTheInterval(t *testing.T) {
	t.Parallel()
	f := setup(t)
	synctest.Test(t, func(t *testing.T) {
		l := f.open()
		if err := l.Record(t.Context(), audit.Event{Operation: "keys/sign", Result: audit.Refused}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(audit.FlushInterval) // of the bubble: no time passes
		synctest.Wait()
		if r := f.verify(); r.Events != 1 || !r.Good() {
			t.Errorf("after the interval: %+v", r)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestTextsAreBounded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	l := f.open()
	long := strings.Repeat("ä", 4000) + "\n"
	if err := errors.Join(l.Record(t.Context(), audit.Event{Operation: "keys/get\n\x1b[31m", Scope: long, Result: audit.Refused}), l.Close()); err != nil {
		t.Fatal(err)
	}
	for e, err := range audit.Read(f.cfg.Dir, f.cfg.Sealer) {
		if err != nil || len(e.Scope) > 520 || strings.ContainsAny(e.Operation+e.Scope, "\n\x1b") {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestTornTailIsCut(t *testing.T) {
	t.Parallel()
	for cut := 1; cut < 200; cut += 37 {
		f := setup(t)
		f.write(3)
		path := f.segments()[0]
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// a frame whose head was not written yet, cut short by a crash
		torn := append(data, data[len(data)-200:len(data)-200+cut]...)
		copy(torn[len(data):], "KXAF\x00\x00\x01\x00")
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := f.verify(); !r.Good() || r.Events != 3 {
			t.Errorf("cut %d, before the start: %+v", cut, r)
		}
		f.write(2)
		if r := f.verify(); !r.Good() || r.Events != 5 || r.Segments != 2 {
			t.Errorf("cut %d, after the start: %+v", cut, r)
		}
	}
}

// failing refuses to write the head.
type failing struct {
	store.Store
	fail bool
}

func (s *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	if s.fail {
		return errors.New("disk is full")
	}
	return s.Store.Update(ctx, fn)
}

func TestABrokenLogRefuses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	s := &failing{Store: f.cfg.Store}
	f.cfg.Store = s
	f.write(2)
	l := f.open()
	s.fail = true
	if err := l.Record(t.Context(), audit.Event{Operation: "a"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context()); err == nil {
		t.Error("flush says nothing")
	}
	if err := l.Record(t.Context(), audit.Event{Operation: "b"}); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("record after a failure: %v", err)
	}
	if err := l.Close(); err == nil {
		t.Error("close says nothing")
	}
	s.fail = false
	f.write(1) // the frame is there, only its head was not: the chain goes on
	if r := f.verify(); !r.Good() || r.Events != 4 {
		t.Errorf("%+v", r)
	}
}

func TestAGapStaysVisible(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.write(5)
	f.write(5)
	if err := os.Remove(f.segments()[1]); err != nil {
		t.Fatal(err)
	}
	if r := f.verify(); r.Good() || !strings.Contains(r.Problems[0].What, "taken off the end") {
		t.Errorf("%+v", r)
	}
	f.write(1)
	r := f.verify()
	if len(r.Problems) != 2 || !strings.Contains(r.Problems[0].What, "frames 6 to 10 are missing") || !strings.Contains(r.Problems[1].What, "event 11 stands where event 6") {
		t.Errorf("%+v", r)
	}
	if got, err := audit.Tail(f.cfg.Dir, f.cfg.Sealer, audit.Filter{Operation: "audit/gap", Result: audit.Failed}, 1); err != nil || len(got) != 1 {
		t.Errorf("no event of the gap: %v %v", got, err)
	}
}
