package cluster

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/store"
)

// What goes away under the re-encryption is done with.
func TestReencryptionOfWhatGoesAway(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, act := range map[string]func(w *world) []string{
		"merge":    func(w *world) []string { w.must(w.r.Maintain(ctx, testCluster)); return nil },
		"table":    func(w *world) []string { w.must(w.r.DropTable(ctx, testCluster, "db", "T")); return []string{} },
		"database": func(w *world) []string { w.must(w.r.DeleteDatabase(ctx, testCluster, "db")); return []string{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, disk := newDiskWorld(t)
			want := w.extents(0, 8)
			reached, release := disk.held(t)
			w.reencrypt("")
			<-reached
			gone := act(w) != nil
			release()
			job := w.awaitJob(ReencryptionDone)
			if p := job.Databases[0]; p.Extents != p.ExtentsDone || p.Bytes != p.BytesDone {
				t.Errorf("%+v", p)
			}
			if gone {
				if files := w.files(".kxt"); len(files) != 0 {
					t.Errorf("files %v", files)
				}
			} else {
				w.wantVersions("db", 2)
				w.want("T", want...)
			}
			w.r.crash()
			w.reopen()
			if !gone {
				w.want("T", want...)
			}
		})
	}
}

// Trouble with the disk is tried again, and said.
func TestReencryptionTriesAgain(t *testing.T) {
	t.Parallel()
	w, disk := newDiskWorld(t)
	want := w.extents(0, 2)
	var seen atomic.Bool // it may be tried again at once, and nobody have looked
	disk.set(func(path string) error {
		if strings.HasSuffix(path, extentSuffix) && !seen.Load() { // not the end of a log, which is missed by nobody
			return errors.New("torn")
		}
		return nil
	})
	job := w.reencrypt("")
	ctx := context.Background()
	_, err := w.r.AwaitReencryption(ctx, testCluster, job.ID, func(now Reencryption) error {
		if strings.Contains(now.Why, "tried again: ") && strings.Contains(now.Why, "torn") {
			seen.Store(true)
		}
		return nil
	})
	w.must(err)
	w.wantVersions("db", 2)
	w.want("T", want...)
	if _, err := w.r.AwaitReencryption(ctx, testCluster, "other", func(Reencryption) error { return nil }); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("waiting for another: %v", err)
	}
	w.must(w.r.Delete(ctx, testCluster))
	w.must(w.store.View(ctx, func(tx store.Tx) error {
		if _, err := loadReencryption(tx, testCluster); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("the record outlives its cluster: %v", err)
		}
		return nil
	}))
}

// beside does things over and over, one beside the other, until the function that is
// returned is called, which waits for them.
func beside(things ...func()) (end func()) {
	stop := make(chan struct{})
	var work sync.WaitGroup
	for _, do := range things {
		work.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					do()
				}
			}
		})
	}
	return func() {
		close(stop)
		work.Wait()
	}
}

// Ingestion, queries and merges go on meanwhile.
func TestReencryptionUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.extents(0, 10)
	next := 10
	end := beside(func() {
		if err := w.ingest("T", int64(next)); err != nil {
			t.Error(err)
		}
		next++
		w.seal("T")
		if got, err := w.rows("T"); err != nil || len(got) != next {
			t.Errorf("%d rows of %d, %v", len(got), next, err)
		}
	}, func() {
		if err := w.r.Maintain(ctx, testCluster); err != nil {
			t.Error(err)
		}
	})
	for range 5 {
		w.reencrypt("")
		w.awaitJob(ReencryptionDone)
	}
	end()
	w.wantVersions("db", 6)
	w.r.crash()
	w.reopen()
	if got, err := w.rows("T"); err != nil || len(slices.Compact(got)) != next {
		t.Errorf("%d rows of %d, %v", len(got), next, err)
	}
}

// It rests three times as long as it has worked, and not for ever, while there
// are requests; without any it does not rest.
func TestReencryptionGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &session{}
		rested := func(took time.Duration) time.Duration {
			began := time.Now()
			if err := s.giveWay(t.Context(), took); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		if got := rested(time.Second); got != 0 {
			t.Errorf("rested %s for nobody", got)
		}
		s.busy.Add(1)
		for took, want := range map[time.Duration]time.Duration{2 * time.Millisecond: 6 * time.Millisecond, time.Hour: 100 * time.Millisecond} {
			if got := rested(took); got != want {
				t.Errorf("rested %s after %s", got, took)
			}
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if err := s.giveWay(ctx, time.Hour); !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
	})
}

// While a backup takes its snapshot no new version is made: it would hold files
// whose version its state does not know.
func TestReencryptionWaitsForABackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	want := w.extents(0, 2)
	release, err := durable.Exclusive(filepath.Join(w.dir, durable.RemovalLock))
	w.must(err)
	w.reencrypt("")
	w.must(w.ingest("T", 2))
	if got := w.versions("db"); !slices.Equal(got, []int{1}) {
		t.Errorf("under a backup there are versions %v", got)
	}
	if got := w.fileVersions("db"); !slices.Equal(got, []int{1}) {
		t.Errorf("under a backup there are files of versions %v", got)
	}
	release()
	w.awaitJob(ReencryptionDone)
	w.wantVersions("db", 2)
	w.want("T", append(want, "2")...)
}

// Tables change, and the child dies, while extents in the hot tier and the log
// are put under new keys. What is looked for here the race detector finds.
func TestReencryptionBesideChangesAndDeaths(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := hotWorld(t, HotPolicy{Bytes: 1 << 20, Touches: 1})
	w.must(w.ingest("T", 0))
	w.seal("T")
	end := beside(func() {
		meta := w.table("T")
		meta.Folder += "x"
		if _, err := w.r.AlterTable(ctx, testCluster, "db", meta); err != nil {
			t.Error(err)
		}
	}, func() {
		if got, err := w.rows("T"); err == nil && !slices.Contains(got, "0") || err != nil && !errors.Is(err, ErrEngine) {
			t.Errorf("rows %v, %v", got, err)
		}
	})
	want := []string{"0"}
	for i := range 8 {
		for {
			err := w.ingest("T", int64(i+1))
			if err == nil {
				break
			}
			if !errors.Is(err, ErrEngine) {
				t.Fatal(err)
			}
		}
		want = append(want, strconv.Itoa(i+1))
		w.reencrypt("")
		for _, c := range w.engine.alive() {
			c.Close()
		}
		w.awaitJob(ReencryptionDone)
	}
	end()
	w.wantVersions("db", 9)
	w.want("T", want...)
}
