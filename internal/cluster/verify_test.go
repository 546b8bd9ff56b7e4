package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/wal"
)

// verify goes through the whole cluster, most bytes of extents at a time.
func (w *world) verify(most int64) (all Verification, calls int) {
	w.t.Helper()
	for after := ""; ; {
		v, err := w.r.Verify(context.Background(), testCluster, after, most)
		w.must(err)
		calls++
		all.Extents += v.Extents
		all.VerifiedExtents += v.VerifiedExtents
		all.Segments += v.Segments
		all.VerifiedSegments += v.VerifiedSegments
		all.Damage = append(all.Damage, v.Damage...)
		all.Notes = append(all.Notes, v.Notes...)
		if v.Next == "" {
			return all, calls
		}
		if v.Next <= after {
			w.t.Fatalf("it goes on at %q after %q", v.Next, after)
		}
		after = v.Next
	}
}

// flip changes one bit of a file, and back when it is called again; at is counted
// from the end when it is negative.
func (w *world) flip(path string, at int64) {
	w.t.Helper()
	data, err := os.ReadFile(path)
	w.must(err)
	if at < 0 {
		at += int64(len(data))
	}
	data[at] ^= 1
	w.must(os.WriteFile(path, data, 0o600))
}

func TestVerify(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorld(t)
	w.extents(0, 3)
	w.must(w.ingest("T", 10))
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	whole := Verification{Extents: 3, VerifiedExtents: 3, Segments: 1, VerifiedSegments: 1}
	for most, want := range map[int64]int{1: 3, 1 << 30: 1} {
		got, calls := w.verify(most)
		if diff := cmp.Diff(whole, got); diff != "" || calls != want {
			t.Errorf("with %d bytes a call, in %d calls (-want +got):\n%s", most, calls, diff)
		}
	}
	w.must(w.ingest("T", 11)) // into a segment of its own now
	w.want("T", "0", "1", "10", "11", "2")

	extent, segment := w.files(extentSuffix)[1], w.files(wal.Suffix)[0]
	for _, c := range []struct {
		path string
		at   int64
	}{{extent, -20}, {extent, 4}, {segment, 60}, {segment, -20}} {
		w.flip(c.path, c.at)
		got, _ := w.verify(1)
		w.flip(c.path, c.at)
		rel, err := filepath.Rel(w.cfg.Dir, c.path)
		w.must(err)
		if len(got.Damage) != 1 || !strings.HasPrefix(rel, got.Damage[0].Path) {
			t.Errorf("a bit of %s at %d is changed: %+v", rel, c.at, got)
		}
	}
	w.must(os.Rename(extent, extent+"x"))
	if got, _ := w.verify(1 << 30); len(got.Damage) != 1 || got.VerifiedExtents != 2 || got.Extents != 3 {
		t.Errorf("an extent's file is gone: %+v", got)
	}
	w.must(os.Rename(extent+"x", extent))
	w.must(os.Rename(segment, segment+"x"))
	if got, _ := w.verify(1 << 30); len(got.Damage) != 1 {
		t.Errorf("a segment's file is gone: %+v", got)
	}
	w.must(os.Rename(segment+"x", segment))
	w.must(os.WriteFile(extent+"y", nil, 0o600))
	if got, _ := w.verify(1 << 30); len(got.Damage) != 0 {
		t.Errorf("a strange file: %+v", got)
	}

	w.vault.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.await(Suspended)
	got, _ := w.verify(1)
	if got.Extents != 3 || got.VerifiedExtents != 0 || got.Segments != 2 || got.VerifiedSegments != 0 || len(got.Damage) != 0 || len(got.Notes) != 1 || !strings.Contains(got.Notes[0], "suspended") {
		t.Errorf("suspended: %+v", got)
	}
	if _, err := w.r.Verify(ctx, "e2b5d8bd-4b60-4f60-a0a5-4f6f9c1c4f00", "", 1); err == nil {
		t.Error("a cluster that is not there was verified")
	}
}

// The database whose own key is away is told of, the others are verified.
func TestVerifyBesideAClosedDatabase(t *testing.T) {
	t.Parallel()
	w, key := newOwnWorld(t)
	w.must(w.ingest("T", 1))
	w.seal("T")
	if got, _ := w.verify(1 << 30); got.Extents != 2 || got.VerifiedExtents != 2 || got.VerifiedSegments != got.Segments || len(got.Notes)+len(got.Damage) != 0 {
		t.Errorf("both keys are there: %+v", got)
	}
	key.set(errRevoked)
	w.r.ProbeNow(testCluster)
	w.awaitOwn(true)
	if got, _ := w.verify(1); got.Extents != 2 || got.VerifiedExtents != 1 || got.Segments == got.VerifiedSegments || len(got.Notes) != 1 || len(got.Damage) != 0 {
		t.Errorf("one key is away: %+v", got)
	}
}

// A database that is closed between two calls is not taken for one that was verified.
func TestVerifyWhileADatabaseIsClosed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w, key := newOwnWorld(t)
	w.must(w.ingestOwn(3))
	w.sealOwn()
	own, err := w.r.Database(ctx, testCluster, "own")
	w.must(err)
	var all Verification
	for after, closed := "", false; ; {
		v, err := w.r.Verify(ctx, testCluster, after, 1)
		w.must(err)
		all.Extents, all.VerifiedExtents, all.Notes = all.Extents+v.Extents, all.VerifiedExtents+v.VerifiedExtents, append(all.Notes, v.Notes...)
		if after = v.Next; after == "" {
			break
		}
		if !closed && strings.HasPrefix(after, own.ID) {
			closed = true
			key.set(errRevoked)
			w.r.ProbeNow(testCluster)
			w.awaitOwn(true)
		}
	}
	if all.Extents != 2 || all.VerifiedExtents != 1 || len(all.Notes) != 1 {
		t.Errorf("%+v", all)
	}
}

// What changes meanwhile is never taken for damage.
func TestVerifyUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorldWith(t, func(c *Config) { c.Merge = MergePolicy{Extents: 3, Rows: 400} })
	_, err := w.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "U", Columns: []catalog.Column{{Name: "n", Type: catalog.Long}}})
	w.must(err)
	end := beside(func() {
		if got, _ := w.verify(1); len(got.Damage)+len(got.Notes) != 0 || got.VerifiedExtents != got.Extents || got.VerifiedSegments != got.Segments {
			t.Errorf("%+v", got)
		}
	})
	for i := range 40 {
		w.must(w.ingest("T", int64(i)))
		w.must(w.ingest("U", int64(i)))
		switch i % 8 {
		case 1, 3, 5:
			w.seal("T")
		case 6:
			w.must(w.r.Maintain(ctx, testCluster))
		case 7:
			w.reencrypt("")
			w.awaitJob(ReencryptionDone)
		}
	}
	end()
}
