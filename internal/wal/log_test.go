package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
)

var ctx = context.Background()

// keys is one database key; it satisfies Keys and Unwrapper.
type keys struct {
	key    aead.Key
	layer  aead.Key // zero: one layer
	locked bool
}

func (k *keys) WrapDEK(o envelope.Object) (envelope.DEK, envelope.WrappedDEK, int, error) {
	if k.locked {
		return envelope.DEK{}, envelope.WrappedDEK{}, 0, envelope.ErrLocked
	}
	dek := envelope.NewDEK()
	if k.layer != (aead.Key{}) {
		dek = envelope.NewLayeredDEK()
	}
	wrapped, err := envelope.WrapDEKWith(k.key, k.layer, o, 1, dek)
	return dek, wrapped, 1, err
}

func (k *keys) UnwrapDEK(o envelope.Object, version int, wrapped envelope.WrappedDEK) (envelope.DEK, error) {
	return envelope.UnwrapDEKWith(k.key, k.layer, o, version, wrapped)
}

func newConfig(t testing.TB) Config {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "wal")
	must(t, err)
	return Config{Dir: dir, DatabaseID: ids.NewGUID(), Keys: &keys{key: aead.NewKey()}}
}

// layered is a config whose segments are encrypted in two layers.
func layered(t testing.TB) Config {
	t.Helper()
	cfg := newConfig(t)
	cfg.Keys.(*keys).layer = aead.NewKeyFor(aead.XChaCha20Poly1305)
	return cfg
}

// bothLayers runs a test with segments of one layer and of two.
func bothLayers(t *testing.T, run func(t *testing.T, cfg Config)) {
	for name, made := range map[string]func(testing.TB) Config{"one layer": newConfig, "two layers": layered} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, made(t))
		})
	}
}

func open(t testing.TB, cfg Config) *Log {
	t.Helper()
	l, err := New(cfg)
	must(t, err)
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// recoverAll replays everything in the folder.
func recoverAll(t testing.TB, cfg Config) (records []string, results []Result, err error) {
	t.Helper()
	segments, err := Segments(cfg.Dir, cfg.DatabaseID)
	if err != nil {
		return nil, nil, err
	}
	results, err = Recover(ctx, segments, cfg.Keys.(Unwrapper), func(_ Segment, r []byte) error {
		records = append(records, string(r))
		return nil
	})
	return records, results, err
}

func TestAppendedRecordsComeBackInOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		cfg := newConfig(t)
		if rapid.Bool().Draw(rt, "layered") {
			cfg = layered(t)
		}
		cfg.SegmentBytes = int64(rapid.IntRange(1, 3000).Draw(rt, "segment size"))
		l := open(t, cfg)
		var want []string
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				_, err := l.Rotate()
				must(t, err)
			case 1:
				must(t, l.Close())
				l = open(t, cfg)
			case 2: // crash: the old log is never closed
				l = open(t, cfg)
			default:
				r := strings.Repeat("r", rapid.IntRange(0, 600).Draw(rt, "length")) + fmt.Sprint(len(want))
				must(t, l.Append(ctx, []byte(r)))
				want = append(want, r)
			}
		}
		got, _, err := recoverAll(t, cfg)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

// TestDurableBeforeReturn: what Append acknowledged is there without Close.
func TestDurableBeforeReturn(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	l := open(t, cfg)
	for i := range 5 {
		must(t, l.Append(ctx, fmt.Append(nil, i)))
		got, results, err := recoverAll(t, cfg)
		must(t, err)
		if len(got) != i+1 || results[0].Ended || results[0].TornAt != -1 {
			t.Errorf("after %d: %v %+v", i, got, results)
		}
	}
	must(t, l.Close())
	_, results, err := recoverAll(t, cfg)
	must(t, err)
	if diff := cmp.Diff([]Result{{Records: 5, Frames: 5, Ended: true, TornAt: -1}}, results); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSegmentFile(t *testing.T) {
	t.Parallel()
	bothLayers(t, segmentFile)
}

func segmentFile(t *testing.T, cfg Config) {
	version, head := 1, 160
	if cfg.Keys.(*keys).layer != (aead.Key{}) {
		version, head = 2, 256
	}
	l := open(t, cfg)
	if there, err := Segments(cfg.Dir, ""); err != nil || len(there) != 0 {
		t.Errorf("before the first record: %v, %v", there, err)
	}
	must(t, l.Append(ctx, []byte("needle in the haystack")))
	other := cfg
	other.DatabaseID = ids.NewGUID()
	must(t, open(t, other).Append(ctx, []byte("of another database")))
	there, err := Segments(cfg.Dir, cfg.DatabaseID)
	must(t, err)
	if len(there) != 1 || there[0].Sequence != 1 || there[0].DatabaseID != cfg.DatabaseID || there[0].HeaderBytes != head || there[0].FormatVersion != version {
		t.Fatalf("%+v", there)
	}
	data, err := os.ReadFile(there[0].Path)
	must(t, err)
	if bytes.Contains(data, []byte("needle")) {
		t.Error("a record in clear")
	}
	info, err := os.Stat(there[0].Path)
	must(t, err)
	if info.Mode().Perm() != 0o600 || info.Size()%align != 0 {
		t.Errorf("mode %v, %d bytes", info.Mode(), info.Size())
	}
	if got, _, err := recoverAll(t, cfg); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	both, err := Segments(cfg.Dir, "")
	must(t, err)
	if _, err := Recover(ctx, both, cfg.Keys.(Unwrapper), func(Segment, []byte) error { return nil }); err == nil {
		t.Error("two databases were recovered as one")
	}
}

// TestOldSegmentsAreNeverTouched: a new start appends to files of its own.
func TestOldSegmentsAreNeverTouched(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	must(t, open(t, cfg).Append(ctx, []byte("one")))
	there, err := Segments(cfg.Dir, "")
	must(t, err)
	before, err := os.ReadFile(there[0].Path)
	must(t, err)
	l := open(t, cfg)
	must(t, l.Append(ctx, []byte("two")))
	must(t, l.Close())
	after, err := os.ReadFile(there[0].Path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the old segment changed")
	}
	there, err = Segments(cfg.Dir, "")
	must(t, err)
	if len(there) != 2 || there[1].Sequence != 2 || bytes.Equal(there[0].WrappedDEK.Key, there[1].WrappedDEK.Key) || there[0].Run == there[1].Run {
		t.Errorf("%+v", there)
	}
}

func TestRotateAndRemove(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	cfg.SegmentBytes = 1 // every record its own segment
	l := open(t, cfg)
	if got, err := l.Rotate(); err != nil || len(got) != 0 {
		t.Errorf("nothing to rotate: %v, %v", got, err)
	}
	for i := range 4 {
		must(t, l.Append(ctx, fmt.Append(nil, i)))
	}
	done, err := l.Rotate()
	must(t, err)
	must(t, l.Append(ctx, []byte("after")))
	there, err := Segments(cfg.Dir, "")
	must(t, err)
	if len(done) != 4 || len(there) != 5 {
		t.Fatalf("%d ended, %d on disk", len(done), len(there))
	}
	if err := l.Remove(there[4].ID); err == nil {
		t.Error("the segment being written was removed")
	}
	must(t, l.Remove(done[0], done[1]))
	must(t, l.Remove(done[1], done[2])) // again, as after a crash
	must(t, l.Remove())
	if left, err := l.Rotate(); err != nil || !slices.Equal(left, []string{done[3], there[4].ID}) {
		t.Errorf("left %v, %v", left, err)
	}
	if got, _, err := recoverAll(t, cfg); err != nil || !slices.Equal(got, []string{"3", "after"}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	l := open(t, cfg)
	must(t, l.Append(ctx, nil))
	dek := l.current.dek
	must(t, l.Close())
	must(t, l.Close())
	if !dek.Wiped() {
		t.Error("the dek is not wiped")
	}
	if err := l.Append(ctx, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if got, _, err := recoverAll(t, cfg); err != nil || !slices.Equal(got, []string{""}) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRefusedAppends(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	l := open(t, cfg)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := l.Append(cancelled, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := l.Append(ctx, make([]byte, MaxRecord+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	cfg.Keys.(*keys).locked = true
	if err := l.Append(ctx, nil); !errors.Is(err, envelope.ErrLocked) {
		t.Errorf("locked: %v", err)
	}
	if there, err := Segments(cfg.Dir, ""); err != nil || len(there) != 0 {
		t.Errorf("refused appends left %v, %v", there, err)
	}
	cfg.Keys.(*keys).locked = false
	must(t, l.Append(ctx, []byte("x"))) // the log goes on
	if _, err := New(Config{Dir: cfg.Dir, DatabaseID: "x"}); err == nil {
		t.Error("a database id that is none was taken")
	}
}

func TestLargeRecords(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	l := open(t, cfg)
	var wg sync.WaitGroup
	for i := range 4 { // together more than one frame may hold
		wg.Go(func() {
			if err := l.Append(ctx, bytes.Repeat([]byte{byte(i)}, 5<<20)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, _, err := recoverAll(t, cfg); err != nil || len(got) != 4 || len(got[0]) != 5<<20 {
		t.Errorf("%d records, %v", len(got), err)
	}
}

// fakeFile is a segment file that can fail.
type fakeFile struct {
	*os.File
	mu                          sync.Mutex
	writeErr, syncErr, truncate error
	short                       int // bytes that reach the file before writeErr
	syncs                       int
	beforeSync                  func()
	failSyncs                   int // how many syncs fail; 0 with syncErr: all
	openFails                   error
}

func (f *fakeFile) Write(b []byte) (int, error) {
	if f.writeErr != nil {
		n, _ := f.File.Write(b[:min(f.short, len(b))])
		return n, f.writeErr
	}
	return f.File.Write(b)
}

func (f *fakeFile) Sync() error {
	f.mu.Lock()
	f.syncs++
	fail := f.syncErr
	if f.failSyncs > 0 {
		if f.failSyncs--; f.failSyncs == 0 {
			f.syncErr = nil
		}
	}
	f.mu.Unlock()
	if f.beforeSync != nil {
		f.beforeSync()
	}
	return fail
}

func (f *fakeFile) Truncate(n int64) error {
	if f.truncate != nil {
		return f.truncate
	}
	return f.File.Truncate(n)
}

// withFake makes the log open its segments through fake.
func withFake(cfg Config, fake *fakeFile) Config {
	cfg.openFile = func(path string) (file, error) {
		if fake.openFails != nil {
			return nil, fake.openFails
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		fake.File = f
		return fake, err
	}
	return cfg
}

// TestGroupCommit: appends that come while an fsync runs share the next one.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := newConfig(t)
		fake := &fakeFile{}
		release := make(chan struct{})
		fake.beforeSync = func() { <-release }
		l := open(t, withFake(cfg, fake))
		var wg sync.WaitGroup
		appendOne := func(i int) {
			wg.Go(func() {
				if err := l.Append(ctx, fmt.Append(nil, i)); err != nil {
					t.Error(err)
				}
			})
		}
		appendOne(0)
		synctest.Wait() // the first is inside its fsync
		for i := range 20 {
			appendOne(i + 1)
		}
		synctest.Wait()
		close(release)
		wg.Wait()
		if fake.syncs != 2 {
			t.Errorf("%d fsyncs for 21 appends", fake.syncs)
		}
		got, results, err := recoverAll(t, cfg)
		if err != nil || len(got) != 21 || results[0].Frames != 2 {
			t.Errorf("%d records, %+v, %v", len(got), results, err)
		}
	})
}

// TestCloseDuringAppends: every append is either durable or refused.
func TestCloseDuringAppends(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	l := open(t, cfg)
	var mu sync.Mutex
	var acked []string
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 50 {
				r := fmt.Sprint(w, "-", i)
				if err := l.Append(ctx, []byte(r)); errors.Is(err, ErrClosed) {
					return
				} else if err != nil {
					t.Error(err)
				}
				mu.Lock()
				acked = append(acked, r)
				mu.Unlock()
			}
		})
	}
	must(t, l.Close())
	wg.Wait()
	got, _, err := recoverAll(t, cfg)
	must(t, err)
	slices.Sort(got)
	slices.Sort(acked)
	if diff := cmp.Diff(acked, got); diff != "" {
		t.Errorf("(-acknowledged +recovered)\n%s", diff)
	}
}

func TestFailedWriteIsUndone(t *testing.T) {
	t.Parallel()
	disk := errors.New("no space left")
	for name, c := range map[string]struct {
		fail  func(*fakeFile)
		fatal bool
	}{
		"write":                      {func(f *fakeFile) { f.writeErr = disk }, false},
		"short write":                {func(f *fakeFile) { f.writeErr, f.short = disk, 40 }, false},
		"fsync":                      {func(f *fakeFile) { f.syncErr, f.failSyncs = disk, 1 }, false},
		"fsync and fsync of undo":    {func(f *fakeFile) { f.syncErr = disk }, true},
		"short write and truncate":   {func(f *fakeFile) { f.writeErr, f.short, f.truncate = disk, 40, disk }, true},
		"whole frame, no truncate":   {func(f *fakeFile) { f.syncErr, f.failSyncs, f.truncate = disk, 1, disk }, true},
		"segment cannot be opened":   {func(f *fakeFile) { f.openFails = disk }, false},
		"end frame cannot be synced": {func(f *fakeFile) { f.syncErr, f.failSyncs = disk, 1 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := newConfig(t)
			fake := &fakeFile{}
			l := open(t, withFake(cfg, fake))
			must(t, l.Append(ctx, []byte("one")))
			if strings.HasPrefix(name, "segment") || strings.HasPrefix(name, "end") {
				l.cfg.SegmentBytes = 1
			}
			c.fail(fake)
			err := l.Append(ctx, []byte("lost"))
			if !errors.Is(err, disk) || errors.Is(err, ErrFailed) != c.fatal {
				t.Errorf("append: %v", err)
			}
			*fake = fakeFile{}
			err = l.Append(ctx, []byte("two"))
			if c.fatal {
				if !errors.Is(err, ErrFailed) {
					t.Errorf("append to a failed log: %v", err)
				}
				if _, err := l.Rotate(); !errors.Is(err, ErrFailed) {
					t.Errorf("rotate of a failed log: %v", err)
				}
			} else {
				must(t, err)
			}
			must(t, l.Close())
			got, _, err := recoverAll(t, cfg)
			must(t, err)
			got = slices.DeleteFunc(got, func(r string) bool { return c.fatal && r == "lost" }) // its fate is unknown, and was said to be
			want := []string{"one", "two"}
			if c.fatal {
				want = want[:1]
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	must(t, open(t, cfg).Append(ctx, []byte("x")))
	there, err := Segments(cfg.Dir, "")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(cfg.Dir, "README"), []byte("text"), 0o600))
	if _, err := Segments(cfg.Dir, ""); err != nil {
		t.Errorf("a file that is no segment by name: %v", err)
	}
	data, err := os.ReadFile(there[0].Path)
	must(t, err)
	copied := filepath.Join(cfg.Dir, ids.NewGUID()+Suffix)
	must(t, os.WriteFile(copied, data, 0o600))
	if _, err := Segments(cfg.Dir, ""); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), copied) {
		t.Errorf("a copy under another name: %v", err)
	}
	must(t, os.WriteFile(copied, []byte("text"), 0o600))
	if _, err := New(cfg); !errors.Is(err, ErrNotSegment) {
		t.Errorf("text under a segment's name: %v", err)
	}
	if there, err := Segments(filepath.Join(cfg.Dir, "none"), ""); err != nil || there != nil {
		t.Errorf("missing folder: %v, %v", there, err)
	}
}
