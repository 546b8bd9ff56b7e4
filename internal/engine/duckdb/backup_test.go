//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/backup"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/fsck"
	"github.com/kustos-io/kustos/internal/fsck/report"
	"github.com/kustos-io/kustos/internal/store"
)

// sealedSite is a site whose state is sealed, as the server's is.
func sealedSite(t *testing.T, dir, seal string, change func(*cluster.Config)) (*site, *barrier.Barrier) {
	t.Helper()
	ctx := context.Background()
	open := func(ctx context.Context) (*barrier.Barrier, error) {
		s, err := barrier.OpenFileSeal(seal)
		if err != nil {
			return nil, err
		}
		return barrier.Open(ctx, dir, s)
	}
	if _, err := os.Stat(filepath.Join(dir, barrier.KeyringName)); errors.Is(err, os.ErrNotExist) {
		open = func(ctx context.Context) (*barrier.Barrier, error) {
			s, err := barrier.CreateFileSeal(seal)
			if err != nil {
				return nil, err
			}
			return barrier.Create(ctx, dir, s)
		}
	}
	b, err := open(ctx)
	must(t, err)
	return openSiteOver(t, dir, func(inner store.Store) store.Store { return store.Sealed(inner, b) }, change), b
}

func verify(t *testing.T, s *site, b *barrier.Barrier) report.Report {
	t.Helper()
	ctx := context.Background()
	platform, err := envelope.NewPlatform(ctx, s.store)
	must(t, err)
	r, err := fsck.Structure(ctx, s.dir)
	must(t, err)
	contents, err := fsck.Contents(ctx, fsck.Config{Dir: s.dir, Barrier: b, Store: s.store, Wrappers: envelope.Wrappers{Platform: platform}})
	must(t, err)
	r.Add(contents)
	return r
}

// A backup while rows come, buffers are sealed and extents merged holds every
// row that was acknowledged before it began, each once, and verifies.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	seal := filepath.Join(t.TempDir(), "seal")
	small := func(c *cluster.Config) {
		c.Seal.Rows, c.Merge.Extents = 30, 3
	}
	s, _ := sealedSite(t, t.TempDir(), seal, small)
	s.create(t)
	_, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "N", Columns: columnsOf(catalog.Long, catalog.String)})
	must(t, err)
	var acknowledged, stop atomic.Int64
	var work sync.WaitGroup
	work.Go(func() {
		for i := 0; stop.Load() == 0; i++ {
			if err := s.ingest("N", numbers(i*10, 10)); err != nil {
				t.Error(err)
				return
			}
			acknowledged.Store(int64(i+1) * 10)
		}
	})
	work.Go(func() {
		for stop.Load() == 0 {
			if err := s.r.Maintain(ctx, testCluster); err != nil {
				t.Error(err)
				return
			}
			<-time.After(time.Millisecond)
		}
	})
	type taken struct {
		path          string
		before, after int64
	}
	var backups []taken
	for i := range 4 {
		for acknowledged.Load() < int64(i+1)*100 {
			<-time.After(time.Millisecond)
		}
		b := taken{path: filepath.Join(t.TempDir(), "backup"), before: acknowledged.Load()}
		_, err := backup.Create(ctx, s.dir, b.path, time.Now())
		must(t, err)
		b.after = acknowledged.Load()
		backups = append(backups, b)
	}
	stop.Store(1)
	work.Wait()
	for _, b := range backups {
		dir := filepath.Join(t.TempDir(), "restored")
		_, err := backup.Restore(ctx, b.path, dir)
		must(t, err)
		copied, bar := sealedSite(t, dir, seal, small)
		got, err := copied.query("SELECT count(*), count(DISTINCT c1) FROM {{table:0}}", "N")
		must(t, err)
		count, distinct, _ := strings.Cut(got[0], "|")
		n, err := strconv.ParseInt(count, 10, 64)
		must(t, err)
		if n < b.before || n > b.after+20 || count != distinct {
			t.Errorf("%s rows, %s distinct; %d were acknowledged before the backup, %d when it was done", count, distinct, b.before, b.after)
		}
		must(t, copied.r.Stop(ctx, testCluster))
		if r := verify(t, copied, bar); !r.Good() || r.VerifiedExtents != r.Extents || r.Extents == 0 {
			t.Errorf("restored folder: %+v", r)
		}
	}
	// without the seal it stays shut, and a changed file is refused
	if _, err := barrier.OpenFileSeal(seal + ".other"); err == nil {
		t.Error("there is another seal")
	}
	flip(t, filepath.Join(backups[0].path, "state.db"), 5000)
	if _, err := backup.Restore(ctx, backups[0].path, filepath.Join(t.TempDir(), "x")); err == nil {
		t.Error("a changed backup was restored")
	}
}
