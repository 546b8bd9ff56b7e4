//go:build cgo

package duckdb

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/kustos-io/kustos/internal/cluster"
)

// A folder that the first format left, log and all, opens and can be written to.
func TestKeptFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	must(t, os.CopyFS(dir, os.DirFS("../../cluster/testdata/format1")))
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	}))
	s, b := sealedSite(t, dir, filepath.Join(dir, "seal"), func(*cluster.Config) {})
	const sql = "SELECT count(*), sum(c1)::BIGINT, count(DISTINCT c2) FROM {{table:0}}"
	s.want(sql, "N", "1100|604450|1100")
	must(t, s.ingest("N", numbers(1100, 1)))
	s.want(sql, "N", "1101|605550|1101")
	must(t, s.r.Stop(context.Background(), testCluster))
	if r := verify(t, s, b); !r.Good() || r.VerifiedExtents != 2 {
		t.Errorf("%+v", r)
	}
}
