package cluster

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
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
