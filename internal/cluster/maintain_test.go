package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/catalog"
)

// extents makes n extents of table T with one row each, from value first on.
func (w *world) extents(first, n int) (want []string) {
	w.t.Helper()
	for i := first; i < first+n; i++ {
		w.must(w.ingest("T", int64(i)))
		w.seal("T")
	}
	for i := range first + n {
		want = append(want, fmt.Sprint(i))
	}
	slices.Sort(want)
	return want
}

func TestMergeOfSmallExtents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.extents(0, 7)
	w.must(w.r.Maintain(ctx, testCluster))
	if n := len(w.files(".kxt")); n != 7 {
		t.Fatalf("%d extents: too few to merge", n)
	}
	want := w.extents(7, 1)
	open, err := w.r.Query(ctx, testCluster, Query{
		Database: "db", SQL: "SELECT c1 FROM {{table:0}}", Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}},
	})
	w.must(err)
	w.must(w.r.Maintain(ctx, testCluster))
	if n := len(w.files(".kxt")); n != 1 {
		t.Fatalf("%d extents after a merge", n)
	}
	w.want("T", want...)
	if !open.Next() || open.RecordBatch().NumRows() != 8 {
		t.Fatalf("a query that began before the merge: %v", open.Err())
	}
	open.Close()
	w.must(w.r.Close())
	w.reopen()
	w.want("T", want...)
}

// Whatever fails in a merge, every row counts once, also after a crash.
func TestMergeFails(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	want := w.extents(0, 8)
	broken := errors.New("broken")
	w.engine.onExport = func(*fakeChild) error { return broken }
	if err := w.r.Maintain(ctx, testCluster); !errors.Is(err, broken) {
		t.Fatalf("a failed merge gave %v", err)
	}
	w.want("T", want...)
	w.engine.onExport = func(c *fakeChild) error { w.engine.onExport = nil; c.Close(); return nil }
	if err := w.r.Maintain(ctx, testCluster); err == nil {
		t.Fatal("a merge with a dying child worked")
	}
	w.eventually("T", want...)
	w.r.crash()
	w.reopen()
	w.want("T", want...)
	if n := len(w.files(".kxt")); n != 8 {
		t.Fatalf("%d extents after a crash: the orphan was not collected", n)
	}
	w.must(w.r.Maintain(ctx, testCluster))
	w.r.crash()
	w.reopen()
	w.want("T", want...)
	if n := len(w.files(".kxt")); n != 1 {
		t.Fatalf("%d extents after a merge and a crash", n)
	}
}

func TestMergeLeavesADamagedExtentOut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.extents(0, 9)
	w.must(w.r.Stop(ctx, testCluster))
	victim := w.files(".kxt")[0]
	raw, err := os.ReadFile(victim)
	w.must(err)
	raw[len(raw)-1] ^= 1
	w.must(os.Chmod(victim, 0o600))
	w.must(os.WriteFile(victim, raw, 0o600))
	w.must(w.r.Start(ctx, testCluster))
	w.must(w.r.Maintain(ctx, testCluster))
	if n := len(w.files(".kxt")); n != 2 {
		t.Fatalf("%d extents: want the damaged one and one of the other eight", n)
	}
	var damaged *ExtentError
	if _, err := w.rows("T"); !errors.As(err, &damaged) || !strings.Contains(victim, damaged.ID) || damaged.Offset <= 0 {
		t.Fatalf("a damaged extent gave %v", err)
	}
}

// Queries, ingestion and merges at the same time.
func TestMergeUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var work sync.WaitGroup
	for q := range 2 {
		work.Go(func() {
			for i := range 40 {
				if err := w.ingest("T", int64(q*1000+i)); err != nil {
					t.Error(err)
				}
				if q == 0 {
					w.seal("T")
				} else if _, err := w.rows("T"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Go(func() {
		for range 30 {
			if err := w.r.Maintain(ctx, testCluster); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	got, err := w.rows("T")
	w.must(err)
	if slices.Sort(got); len(got) != 80 || len(slices.Compact(got)) != 80 {
		t.Fatalf("%d rows of 80", len(got))
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.r.Close())
	var mu sync.Mutex
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	w.cfg.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	advance := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	w.reopen()
	w.extents(0, 1)
	advance(10 * 24 * time.Hour)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.r.Maintain(ctx, testCluster))
	w.want("T", "0", "1")

	w.must(w.r.UpdateDatabase(ctx, testCluster, catalog.Database{Name: "db", SoftDelete: "P5D"}))
	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "T", catalog.PolicyRetention, json.RawMessage(`{"SoftDeletePeriod":"20.00:00:00"}`)))
	w.must(w.r.Maintain(ctx, testCluster))
	w.want("T", "0", "1") // the table's own policy counts
	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "T", catalog.PolicyRetention, nil))
	w.must(w.r.Maintain(ctx, testCluster))
	w.want("T", "1")
	if n := len(w.files(".kxt")); n != 1 {
		t.Fatalf("%d files", n)
	}
	w.r.crash()
	w.reopen()
	w.want("T", "1")
	advance(6 * 24 * time.Hour)
	w.must(w.r.Maintain(ctx, testCluster))
	w.want("T")
}

func TestPeriods(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"P31D": 31 * 24 * time.Hour, "PT1H30M": 90 * time.Minute, "P1DT2S": 24*time.Hour + 2*time.Second,
		"31.00:00:00": 31 * 24 * time.Hour, "01:02:03": time.Hour + 2*time.Minute + 3*time.Second, "7d": 7 * 24 * time.Hour,
		"100000000.00:00:00": -1, "P36500000D": -1,
	} {
		got, ok, err := parsePeriod(text)
		if err != nil || ok != (want >= 0) || ok && got != want {
			t.Errorf("%s: %v, %v, %v", text, got, ok, err)
		}
	}
	for _, text := range []string{"", "P", "PT", "31", "d", "-1d", "P1Y", "1.2.3"} {
		if got, ok, err := parsePeriod(text); err == nil {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
}

// A disk without room, in a process of its own: the limit of file size holds
// for every file this process writes.
func TestFullDisk(t *testing.T) {
	const mark = "KUSTOS_TEST_FULL_DISK"
	if os.Getenv(mark) == "" {
		t.Parallel()
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestFullDisk$", "-test.count=1")
		cmd.Env = append(os.Environ(), mark+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(unix.SIGXFSZ)
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	limit := func(bytes uint64) {
		t.Helper()
		var now unix.Rlimit
		w.must(unix.Getrlimit(unix.RLIMIT_FSIZE, &now))
		now.Cur = min(bytes, now.Max)
		w.must(unix.Setrlimit(unix.RLIMIT_FSIZE, &now))
	}
	for round := range 3 {
		limit(8)
		for range 3 {
			if err := w.ingest("T", 99); !errors.Is(err, ErrDiskFull) {
				t.Fatalf("ingestion on a full disk: %v", err)
			}
		}
		if _, err := w.r.IngestQuery(ctx, testCluster, "db", "T", Query{
			Database: "db", SQL: "SELECT c1 FROM {{table:0}}", Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}},
		}); err == nil {
			t.Fatal("an extent was written on a full disk")
		}
		if got, err := w.rows("T"); err != nil || len(got) != 2+round {
			t.Fatalf("queries on a full disk: %v, %v", got, err)
		}
		limit(unix.RLIM_INFINITY)
		w.must(w.ingest("T", int64(10+round)))
	}
	w.want("T", "1", "10", "11", "12", "2")
	w.r.crash()
	w.reopen()
	w.want("T", "1", "10", "11", "12", "2")
	w.seal("T")
	w.want("T", "1", "10", "11", "12", "2")
}

// A drop of the table while its extents are merged.
func TestMergeOfADroppedTable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.extents(0, 8)
	w.engine.onExport = func(*fakeChild) error {
		w.engine.onExport = nil
		return w.r.DropTable(ctx, testCluster, "db", "T")
	}
	if err := w.r.Maintain(ctx, testCluster); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("a merge of a table that was dropped: %v", err)
	}
	if n := len(w.files(".kxt")); n != 0 {
		t.Fatalf("%d files of a dropped table", n)
	}
}
