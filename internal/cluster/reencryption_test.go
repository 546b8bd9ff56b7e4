package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// diskHook runs before each write of a data file.
type diskHook struct {
	mu sync.Mutex
	on func(path string) error
}

func (h *diskHook) set(on func(path string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.on = on
}

func (h *diskHook) Writer(path string, w io.Writer) io.Writer { return hookedWriter{h, path, w} }

type hookedWriter struct {
	h    *diskHook
	path string
	io.Writer
}

func (w hookedWriter) Write(p []byte) (int, error) {
	w.h.mu.Lock()
	on := w.h.on
	w.h.mu.Unlock()
	if on != nil {
		if err := on(w.path); err != nil {
			return 0, err
		}
	}
	return w.Writer.Write(p)
}

// newDiskWorld is newWorld with a hook before the disk.
func newDiskWorld(t testing.TB) (*world, *diskHook) {
	t.Helper()
	w := newWorld(t)
	w.must(w.r.Close())
	h := &diskHook{}
	w.cfg.Disk = h
	w.reopen()
	return w, h
}

// held makes the next write of an extent wait: it is sent on reached, and goes on
// when release is called.
func (h *diskHook) held(t testing.TB) (reached <-chan struct{}, release func()) {
	at, on := make(chan struct{}), make(chan struct{})
	var taken atomic.Bool // not a Once: nobody else waits
	var open sync.Once
	release = func() { open.Do(func() { close(on) }) }
	t.Cleanup(release)
	h.set(func(path string) error {
		if strings.HasSuffix(path, extentSuffix) && taken.CompareAndSwap(false, true) {
			close(at)
			<-on
		}
		return nil
	})
	return at, release
}

func (w *world) reencrypt(database string) Reencryption {
	w.t.Helper()
	job, err := w.r.Reencrypt(context.Background(), testCluster, ReencryptionRequest{Database: database, By: audit.Actor{ObjectID: "me"}})
	w.must(err)
	return job
}

// awaitJob waits for a state of the re-encryption.
func (w *world) awaitJob(want ReencryptionState) Reencryption {
	w.t.Helper()
	var job Reencryption
	for range 5000 {
		var err error
		job, err = w.r.Reencryption(context.Background(), testCluster)
		w.must(err)
		if job.State == want {
			return job
		}
		<-time.After(time.Millisecond)
	}
	w.t.Fatalf("the re-encryption is %+v, not %s", job, want)
	return job
}

// versions lists the versions of a database's key that the record holds.
func (w *world) versions(database string) (out []int) {
	w.t.Helper()
	ctx := context.Background()
	db, err := w.r.Database(ctx, testCluster, database)
	w.must(err)
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	w.must(w.store.View(ctx, func(tx store.Tx) (err error) {
		out, err = n.ring.DatabaseKeyVersions(tx, db.ID)
		return err
	}))
	return out
}

// fileVersions lists which versions the files of a database are under.
func (w *world) fileVersions(database string) (out []int) {
	w.t.Helper()
	db, err := w.r.Database(context.Background(), testCluster, database)
	w.must(err)
	for _, path := range w.files(".kxt") {
		if !strings.Contains(path, db.ID) {
			continue
		}
		f, err := os.Open(path)
		w.must(err)
		info, err := f.Stat()
		w.must(err)
		file, err := extent.Open(f, info.Size())
		w.must(err)
		out = append(out, file.Info().KeyVersion)
		f.Close()
	}
	for _, path := range w.files(wal.Suffix) {
		s, err := wal.ReadSegment(path)
		w.must(err)
		if s.DatabaseID == db.ID {
			out = append(out, s.KeyVersion)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// wantVersions: only this version is in the record, and files are under no other.
func (w *world) wantVersions(database string, version int) {
	w.t.Helper()
	if diff := gocmp.Diff([]int{version}, w.versions(database)); diff != "" {
		w.t.Errorf("keys of %s (-want +got)\n%s", database, diff)
	}
	if got := w.fileVersions(database); len(got) > 0 && !slices.Equal(got, []int{version}) {
		w.t.Errorf("files of %s are under versions %v, want %d", database, got, version)
	}
}

func TestReencryption(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	var mu sync.Mutex
	var told []string
	w.must(w.r.Close())
	w.cfg.OnReencryption = func(_ Spec, e ReencryptionEvent) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e.What+" by "+e.By.ObjectID+e.By.FirstParty)
	}
	w.reopen()
	want := w.extents(0, 3)
	w.must(w.ingest("T", 3))
	want = append(want, "3")
	policy := json.RawMessage(`{"SoftDeletePeriod":"20.00:00:00"}`)
	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "T", catalog.PolicyRetention, policy))
	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "", catalog.PolicyRetention, policy))
	if _, err := w.r.Reencryption(ctx, testCluster); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("before the first: %v", err)
	}
	open, err := w.r.Query(ctx, testCluster, Query{Database: "db", SQL: "SELECT c1 FROM {{table:0}}",
		Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}}})
	w.must(err)
	before := w.files(".kxt")
	started := w.reencrypt("")
	job := w.awaitJob(ReencryptionDone)
	if !open.Next() || open.RecordBatch().NumRows() != 4 {
		t.Errorf("a query that began before: %v", open.Err())
	}
	open.Close()
	part := job.Databases[0]
	if job.ID != started.ID || job.Fraction() != 1 || job.Ended.IsZero() || part.Name != "db" || part.KeyVersion != 2 || !slices.Equal(part.Dropped, []int{1}) {
		t.Errorf("it ended as %+v", job)
	}
	if part.Extents != 3 || part.ExtentsDone != 3 || part.Bytes == 0 || part.BytesDone != part.Bytes {
		t.Errorf("progress: %+v", part)
	}
	w.wantVersions("db", 2)
	w.want("T", want...)
	for _, path := range before {
		if slices.Contains(w.files(".kxt"), path) {
			t.Errorf("%s is still there", path)
		}
	}
	if body, err := w.r.TablePolicy(ctx, testCluster, "db", "T", catalog.PolicyRetention); err != nil || string(body) != string(policy) {
		t.Errorf("policy %s, %v", body, err)
	}
	if body, err := w.r.TablePolicy(ctx, testCluster, "db", "", catalog.PolicyRetention); err != nil || string(body) != string(policy) {
		t.Errorf("policy of the database %s, %v", body, err)
	}
	w.r.crash()
	w.reopen()
	w.want("T", want...)
	w.must(w.ingest("T", 4))
	w.reencrypt("DB")
	if job := w.awaitJob(ReencryptionDone); job.Database != "db" {
		t.Errorf("it is of %q", job.Database)
	}
	w.wantVersions("db", 3)
	w.want("T", append(want, "4")...)
	mu.Lock()
	defer mu.Unlock()
	one := []string{"started by me", "done by cluster " + testCluster}
	if diff := gocmp.Diff(slices.Concat(one, one), told); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
}

func TestReencryptionIsPausedResumedAndCanceled(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, disk := newDiskWorld(t)
	want := w.extents(0, 3)
	reached, release := disk.held(t)
	w.reencrypt("")
	<-reached
	if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{}); !errors.Is(err, ErrReencrypting) {
		t.Errorf("a second one: %v", err)
	}
	if _, err := w.r.ResumeReencryption(ctx, testCluster, audit.Actor{}); !errors.Is(err, ErrReencryptionState) {
		t.Errorf("resumed while it runs: %v", err)
	}
	if job, err := w.r.PauseReencryption(ctx, testCluster, audit.Actor{}); err != nil || job.State != ReencryptionPaused {
		t.Errorf("%+v, %v", job, err)
	}
	release()
	w.want("T", want...)
	w.r.crash()
	w.reopen()
	w.awaitJob(ReencryptionPaused)
	if got := w.fileVersions("db"); !slices.Equal(got, []int{1}) {
		t.Errorf("a pause before the first extent left %v", got)
	}
	_, err := w.r.ResumeReencryption(ctx, testCluster, audit.Actor{})
	w.must(err)
	w.awaitJob(ReencryptionDone)
	w.wantVersions("db", 2)
	w.want("T", want...)

	reached, release = disk.held(t)
	w.reencrypt("")
	<-reached
	if _, err := w.r.CancelReencryption(ctx, testCluster, audit.Actor{}); err != nil {
		t.Error(err)
	}
	release()
	w.awaitJob(ReencryptionCanceled)
	w.must(w.ingest("T", 3))
	w.seal("T")
	if got := w.fileVersions("db"); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("after the cancellation the files are under %v", got)
	}
	if got := w.versions("db"); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("after the cancellation there are versions %v", got)
	}
	for name, err := range map[string]error{"pause": second(w.r.PauseReencryption(ctx, testCluster, audit.Actor{})), "cancel": second(w.r.CancelReencryption(ctx, testCluster, audit.Actor{})),
		"resume": second(w.r.ResumeReencryption(ctx, testCluster, audit.Actor{}))} {
		if !errors.Is(err, ErrReencryptionState) {
			t.Errorf("%s of a canceled one: %v", name, err)
		}
	}
	w.reencrypt("")
	w.awaitJob(ReencryptionDone)
	w.wantVersions("db", 4)
	w.want("T", append(want, "3")...)
}

func second[T any](_ T, err error) error { return err }

func TestReencryptionWaitsForTheKeyOfTheCluster(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, disk := newDiskWorld(t)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	want := w.extents(0, 3)
	reached, release := disk.held(t)
	w.reencrypt("")
	<-reached
	w.vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	<-s.ctx.Done() // the suspension has begun and waits for the write
	release()
	w.await(Suspended)
	if job := w.awaitJob(ReencryptionAwaitsKey); !strings.Contains(job.Why, "the key is gone") {
		t.Errorf("%+v", job)
	}
	if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("another one while suspended: %v", err)
	}
	w.vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.await(Running)
	w.awaitJob(ReencryptionDone)
	w.wantVersions("db", 2)
	w.want("T", want...)
}

func TestReencryptionOfAStoppedCluster(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, disk := newDiskWorld(t)
	want := w.extents(0, 2)
	reached, release := disk.held(t)
	w.reencrypt("")
	<-reached
	stopped := make(chan error, 1)
	go func() { stopped <- w.r.Stop(ctx, testCluster) }()
	release()
	w.must(<-stopped)
	job, err := w.r.Reencryption(ctx, testCluster)
	w.must(err)
	if job.State == ReencryptionDone {
		w.must(w.r.Start(ctx, testCluster)) // it was faster
	} else {
		if job.State != ReencryptionAwaitsCluster {
			t.Errorf("while the cluster is stopped: %+v", job)
		}
		if _, err := w.r.PauseReencryption(ctx, testCluster, audit.Actor{}); err != nil {
			t.Errorf("pause while it is stopped: %v", err)
		}
		if _, err := w.r.ResumeReencryption(ctx, testCluster, audit.Actor{}); !errors.Is(err, ErrNotRunning) {
			t.Errorf("resume while it is stopped: %v", err)
		}
		w.must(w.r.Start(ctx, testCluster))
		_, err = w.r.ResumeReencryption(ctx, testCluster, audit.Actor{})
		w.must(err)
	}
	w.awaitJob(ReencryptionDone)
	w.wantVersions("db", 2)
	w.want("T", want...)
	w.must(w.r.Stop(ctx, testCluster))
	if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("of a stopped cluster: %v", err)
	}
	w.must(w.r.Start(ctx, testCluster))
	if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{Database: "none"}); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("of a database that is not there: %v", err)
	}
}

// A database whose own key is away holds up nothing else, and is done when the
// key is back.
func TestReencryptionOfADatabaseWithItsOwnKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, vault := newOwnWorld(t)
	want := w.extents(0, 2)
	vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(true)
	var suspended *SuspendedError
	if _, err := w.r.Reencrypt(ctx, testCluster, ReencryptionRequest{Database: "own"}); !errors.As(err, &suspended) || suspended.Database != "own" {
		t.Errorf("of a suspended database: %v", err)
	}
	w.reencrypt("")
	job := w.awaitJob(ReencryptionAwaitsKey)
	if !strings.Contains(job.Why, "database own is suspended") {
		t.Errorf("%+v", job)
	}
	w.wantVersions("db", 2)
	w.want("T", want...)
	w.r.crash()
	w.reopen()
	w.awaitOwn(true)
	w.awaitJob(ReencryptionAwaitsKey)
	vault.set(nil)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(false)
	w.awaitJob(ReencryptionDone)
	w.wantVersions("own", 2)
	w.wantOwn("1", "2")
	// the key of the database changes, and goes, without minding which versions there are
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", otherKEK("1")))
	w.must(w.r.ChangeDatabaseKEK(ctx, testCluster, "own", envelope.PlatformKEK()))
	w.reencrypt("own")
	w.awaitJob(ReencryptionDone)
	w.wantVersions("own", 3)
	w.wantVersions("db", 2)
	w.wantOwn("1", "2")
}

// A damaged extent stays as it is, and so does the key it is under.
func TestReencryptionOfADamagedExtent(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	want := w.extents(0, 3)
	victim := w.files(".kxt")[1]
	sound, err := os.ReadFile(victim)
	w.must(err)
	broken := slices.Clone(sound)
	broken[len(broken)-1] ^= 1
	w.must(os.Chmod(victim, 0o600))
	w.must(os.WriteFile(victim, broken, 0o600))
	w.reencrypt("")
	job := w.awaitJob(ReencryptionFailed)
	if !strings.Contains(job.Why, "1 extents cannot be read") || !strings.Contains(victim, job.Why[strings.Index(job.Why, "extent ")+7:][:36]) || job.Databases[0].Damaged != 1 {
		t.Errorf("%+v", job)
	}
	if got := w.versions("db"); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("versions %v", got)
	}
	if n := len(w.files(".kxt")); n != 3 {
		t.Errorf("%d files", n)
	}
	w.must(os.WriteFile(victim, sound, 0o600))
	_, err = w.r.ResumeReencryption(ctx, testCluster, audit.Actor{})
	w.must(err)
	if job = w.awaitJob(ReencryptionDone); job.Why != "" || job.Databases[0].Damaged != 0 {
		t.Errorf("%+v", job)
	}
	w.wantVersions("db", 2)
	w.want("T", want...)
}

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
	var once sync.Once
	disk.set(func(path string) (err error) {
		once.Do(func() { err = errors.New("torn") })
		return err
	})
	job := w.reencrypt("")
	ctx := context.Background()
	var seen bool
	_, err := w.r.AwaitReencryption(ctx, testCluster, job.ID, func(now Reencryption) error {
		seen = seen || strings.Contains(now.Why, "tried again: ") && strings.Contains(now.Why, "torn")
		return nil
	})
	w.must(err)
	if !seen {
		t.Error("nobody heard of the trouble")
	}
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

// Ingestion, queries and merges go on meanwhile.
func TestReencryptionUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.extents(0, 10)
	stop := make(chan struct{})
	var work sync.WaitGroup
	next := 10
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := w.ingest("T", int64(next)); err != nil {
				t.Error(err)
			}
			next++
			w.seal("T")
			if got, err := w.rows("T"); err != nil || len(got) != next {
				t.Errorf("%d rows of %d, %v", len(got), next, err)
			}
		}
	})
	work.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := w.r.Maintain(ctx, testCluster); err != nil {
				t.Error(err)
			}
		}
	})
	for range 5 {
		w.reencrypt("")
		w.awaitJob(ReencryptionDone)
	}
	close(stop)
	work.Wait()
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
