package cluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/store"
)

func TestOrphansAreCollected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	kept := w.files(".kxt")[0]
	orphan := filepath.Join(filepath.Dir(kept), "99999999-2222-4333-8444-555555555555.kxt")
	w.must(os.WriteFile(orphan, []byte("never committed"), 0o600))
	stranger := filepath.Join(w.dir, "clusters", "99999999-2222-4333-8444-555555555555", "extents")
	w.must(os.MkdirAll(stranger, 0o700))
	w.r.crash()
	w.reopen()
	w.want("T", "1")
	if diff := gocmp.Diff([]string{kept}, w.files(".kxt")); diff != "" {
		t.Fatal(diff)
	}
	if _, err := os.Stat(stranger); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("files of a cluster that is not: %v", err)
	}
}

func TestDropAndDelete(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	w.must(w.ingest("T", 2))
	old := w.table("T").ID
	w.must(w.r.DropTable(ctx, testCluster, "db", "T"))
	if n := len(w.files(".kxt")) + len(w.files(".kwl")); n != 0 {
		t.Fatalf("%d files after the drop", n)
	}
	_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "T", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
	if w.table("T").ID == old {
		t.Fatal("a table id was used twice")
	}
	w.want("T")
	w.must(w.ingest("T", 3))
	w.seal("T")

	w.must(w.r.SetTablePolicy(ctx, testCluster, "db", "T", catalog.PolicyStreamingIngestion, []byte(`{"IsEnabled":true}`)))
	w.must(w.r.DeleteDatabase(ctx, testCluster, "DB"))
	if n := len(w.files(".kxt")) + len(w.files(".kwl")); n != 0 {
		t.Fatalf("%d files after the database went", n)
	}
	if _, err := w.r.Database(ctx, testCluster, "db"); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("dropped database: %v", err)
	}
	w.vault.set(errRevoked)
	w.must(w.r.Stop(ctx, testCluster))
	w.must(w.r.Delete(ctx, testCluster)) // never needs the key
	if entries, err := os.ReadDir(filepath.Join(w.dir, "clusters")); err != nil || len(entries) != 0 {
		t.Fatalf("%v, %v after the cluster went", entries, err)
	}
	if _, err := w.r.State(ctx, testCluster); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("deleted cluster: %v", err)
	}
	if _, ok := w.r.ByName("demo"); ok {
		t.Fatal("a deleted cluster is found by name")
	}
	for _, bucket := range []string{"catalog.databases", "catalog.tables", "catalog.extents", "catalog.positions", "catalog.policies", "envelope.clusters", "envelope.databases", recordBucket} {
		err := w.store.View(ctx, func(tx store.Tx) error {
			for e := range tx.Scan(bucket, "", "") {
				t.Errorf("%s still holds %s", bucket, e.Key)
			}
			return nil
		})
		w.must(err)
	}
}

func TestAlterTable(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.must(w.ingest("T", 1))
	meta := w.table("T")
	meta.Columns = append(meta.Columns, catalog.Column{Name: "s", Type: catalog.String})
	meta, err := w.r.AlterTable(ctx, testCluster, "db", meta)
	w.must(err)
	if meta.Columns[1].ID != 2 {
		t.Fatalf("columns %v", meta.Columns)
	}
	w.must(w.ingest("T", 2))
	w.want("T", "1", "2")
	w.seal("T")
	w.want("T", "1", "2")
	w.r.crash()
	w.reopen()
	w.want("T", "1", "2")
	meta.Columns[0].Type = catalog.String
	if _, err := w.r.AlterTable(ctx, testCluster, "db", meta); !errors.Is(err, catalog.ErrTypeChange) {
		t.Fatalf("change of a type: %v", err)
	}
}
