package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
)

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
