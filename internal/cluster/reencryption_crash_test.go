package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// watchedStore tells of every commit, just before and just after it.
type watchedStore struct {
	store.Store
	mu      sync.Mutex
	buckets map[string]bool
	commit  func(what string)
}

type watchedTx struct {
	store.Tx
	s *watchedStore
}

func (tx watchedTx) Put(bucket, key string, value []byte) error {
	tx.s.mu.Lock()
	tx.s.buckets[bucket] = true
	tx.s.mu.Unlock()
	return tx.Tx.Put(bucket, key, value)
}

func (s *watchedStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	tell := func(what string) {
		s.mu.Lock()
		commit := s.commit
		s.mu.Unlock()
		if commit != nil {
			commit(what)
		}
	}
	tell("before a commit")
	err := s.Store.Update(ctx, func(tx store.Tx) error { return fn(watchedTx{tx, s}) })
	if err == nil {
		tell("after a commit")
	}
	return err
}

func (s *watchedStore) watch(commit func(what string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commit = commit
}

// clone is a copy of what is committed.
func (s *watchedStore) clone(t *testing.T) store.Store {
	out := memstore.New()
	ctx := context.Background()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.View(ctx, func(from store.Tx) error {
		return out.Update(ctx, func(to store.Tx) error {
			for bucket := range s.buckets {
				for e, err := range from.Scan(bucket, "", "") {
					if err != nil {
						return err
					}
					if err := to.Put(bucket, e.Key, e.Value); err != nil {
						return err
					}
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Error(err)
	}
	return out
}

// moment is what a power cut would have left.
type moment struct {
	what  string
	dir   string
	store store.Store
}

// A power cut at every write of a re-encryption: before and after each commit
// of the store, and before each write of a file. Every time all rows are there,
// it goes on by itself, and the old version is gone at the end.
func TestReencryptionAfterACrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	w, disk := newDiskWorld(t)
	w.must(w.r.Close())
	watched := &watchedStore{Store: w.store, buckets: make(map[string]bool)}
	// what was written before the watch began
	for _, bucket := range []string{"catalog.databases", "catalog.tables", "catalog.extents", "catalog.positions", "catalog.policies", "envelope.clusters", "envelope.databases", "envelope.platform", recordBucket} {
		watched.buckets[bucket] = true
	}
	w.cfg.Store, w.store = watched, watched
	w.reopen()
	want := w.extents(0, 2)
	w.must(w.ingest("T", 2))
	want = append(want, "2")
	var mu sync.Mutex
	var moments []moment
	take := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		dir := filepath.Join(t.TempDir(), "cut")
		if err := os.CopyFS(dir, os.DirFS(w.dir)); err != nil {
			t.Error(err)
		}
		moments = append(moments, moment{fmt.Sprintf("%d %s", len(moments), what), dir, watched.clone(t)})
	}
	watched.watch(take)
	disk.set(func(path string) error { take("before a write of a " + filepath.Ext(path)); return nil })
	w.reencrypt("")
	w.awaitJob(ReencryptionDone)
	watched.watch(nil)
	disk.set(nil)
	w.must(w.r.Close())
	if len(moments) < 20 {
		t.Fatalf("only %d moments", len(moments))
	}
	for _, m := range moments {
		t.Run(strings.ReplaceAll(m.what, " ", "_"), func(t *testing.T) {
			ctx := context.Background()
			platform, err := envelope.NewPlatform(ctx, m.store)
			if err != nil {
				t.Fatal(err)
			}
			after := &world{t: t, dir: m.dir, store: m.store, vault: w.vault, engine: &fakeLauncher{}, cfg: w.cfg}
			after.cfg.Dir, after.cfg.Store, after.cfg.Engine, after.cfg.Disk = m.dir, m.store, after.engine, nil
			after.cfg.Wrappers = envelope.Wrappers{Platform: platform, Customer: w.vault}
			after.must(os.Chmod(m.dir, 0o700))
			after.must(durable.MkdirAll(filepath.Join(m.dir, "clusters"), 0o700))
			after.reopen()
			after.want("T", want...)
			if _, err := after.r.Reencryption(ctx, testCluster); err != nil { // the cut came before it was asked for
				after.wantVersions("db", 1)
				return
			}
			after.awaitJob(ReencryptionDone)
			after.wantVersions("db", 2)
			after.want("T", want...)
			after.r.crash()
			after.reopen()
			after.want("T", want...)
			if n := len(after.files(".kxt")); n != 3 {
				t.Errorf("%d files of 3 extents", n)
			}
		})
	}
}
