package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
)

func TestDirectAndPrune(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	file := `[{"c1":"10"},{"c1":"20"}]`
	n, err := w.r.IngestParquet(ctx, testCluster, "db", "T", strings.NewReader(file), int64(len(file)), map[string]string{"n": "c1"})
	w.must(err)
	if n != 2 {
		t.Fatalf("%d rows", n)
	}
	n, err = w.r.IngestQuery(ctx, testCluster, "db", "T", Query{Database: "db", SQL: "SELECT c1 FROM {{table:0}}",
		Tables: []TableRef{{Placeholder: "{{table:0}}", TableID: w.table("T").ID}}})
	w.must(err)
	if n != 2 {
		t.Fatalf("%d rows", n)
	}
	if _, err := w.r.IngestParquet(ctx, testCluster, "db", "T", strings.NewReader("no"), 2, nil); !errors.Is(err, ErrSchema) {
		t.Fatalf("a file that is none: %v", err)
	}
	w.must(w.ingest("T", 5))
	w.seal("T")
	w.want("T", "10", "10", "20", "20", "5")
	got, err := w.rows("T", Range{Column: "c1", Min: 6, Max: 11})
	w.must(err)
	if diff := gocmp.Diff([]string{"10", "10", "20", "20"}, got); diff != "" {
		t.Fatal(diff)
	}
	st, err := w.r.TableStats(ctx, testCluster, "db", "T")
	w.must(err)
	if st.Rows != 5 || st.Extents != 3 || st.StoredBytes == 0 {
		t.Fatalf("stats %+v", st)
	}
}

// A cache that is far too small changes no answer and keeps no surplus.
func TestSmallCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.r.Close())
	w.cfg.CacheBytes = 1
	w.reopen()
	for i := range 5 {
		w.must(w.ingest("T", int64(i)))
		w.seal("T")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if got, err := w.rows("T"); err != nil || len(got) != 5 {
					t.Errorf("%v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	n, err := w.r.node(context.Background(), testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	if s.cache.bytes != 0 || len(s.cache.hot) != 0 {
		t.Fatalf("%d bytes in %d extents are kept", s.cache.bytes, len(s.cache.hot))
	}
}

// Damage to one extent is that extent's error.
func TestDamagedExtent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	path := w.files(".kxt")[0]
	raw, err := os.ReadFile(path)
	w.must(err)
	raw[len(raw)-1] ^= 1
	w.must(os.WriteFile(path, raw, 0o600))
	w.r.crash()
	w.reopen()
	var damaged *ExtentError
	if _, err := w.rows("T"); !errors.As(err, &damaged) || !strings.Contains(path, damaged.ID) {
		t.Fatalf("damaged extent: %v", err)
	}
	w.must(w.ingest("T", 2))
}

// What lies on the disk and in the store says nothing of a row.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "S", Columns: []catalog.Column{{Name: "s", Type: catalog.String}, {Name: "n", Type: catalog.Long}}})
	w.must(err)
	var r [4]byte
	_, _ = rand.Read(r[:])
	secret := int64(4_000_000_000_000_000) + int64(r[0])<<16 + int64(r[1])<<8 + int64(r[2])
	w.must(w.ingest("S", secret))
	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "S", catalog.PolicyRetention, fmt.Appendf(nil, `{"x":%d}`, secret)))
	needle := fmt.Sprint(secret)
	look := func(when string) {
		for _, suffix := range []string{".kxt", ".kwl"} {
			for _, f := range w.files(suffix) {
				raw, err := os.ReadFile(f)
				w.must(err)
				if strings.Contains(string(raw), needle) {
					t.Errorf("%s: %s holds the value in clear", when, f)
				}
			}
		}
		err := w.store.View(ctx, func(tx store.Tx) error {
			for _, bucket := range []string{"catalog.databases", "catalog.tables", "catalog.extents", "catalog.policies"} {
				for e := range tx.Scan(bucket, "", "") {
					if strings.Contains(string(e.Value), needle) {
						t.Errorf("%s: %s/%s holds the value in clear", when, bucket, e.Key)
					}
				}
			}
			return nil
		})
		w.must(err)
	}
	look("in the log")
	w.seal("S")
	look("in an extent")
	body, err := w.r.TablePolicy(ctx, testCluster, "db", "S", catalog.PolicyRetention)
	w.must(err)
	if !strings.Contains(string(body), needle) {
		t.Fatalf("policy %s", body)
	}
}
