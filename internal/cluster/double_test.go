package cluster

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wal"
)

// customersRing is a keyring of the cluster over a copy of its state that change was applied to.
func (w *world) customersRing(change func(tx store.Tx) error) (*envelope.Keyring, error) {
	w.t.Helper()
	ctx := context.Background()
	w.must(w.store.Update(ctx, change))
	platform, err := envelope.NewPlatform(ctx, w.store)
	w.must(err)
	ring, err := envelope.New(envelope.Config{ClusterID: testCluster, Store: w.store, Wrappers: envelope.Wrappers{Platform: platform, Customer: w.vault}})
	w.must(err)
	return ring, ring.Unlock(ctx)
}

// Every extent and log segment of a doubly encrypted cluster has two layers; its
// files need the customer's key and the platform's, each of which alone opens nothing.
func TestDoubleEncryption(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorldOf(t, true)
	w.must(w.r.ChangeKEK(ctx, testCluster, envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://v.vault.azure.net", KeyName: "k"}))
	w.must(w.ingest("T", 1, 2))
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	live, err := s.table("db", "T")
	w.must(err)
	w.must(live.seal(ctx))
	w.must(w.ingest("T", 3))
	w.r.crash() // leaves a record in the log

	var objects []envelope.Object
	var versions []int
	var wraps []envelope.WrappedDEK
	err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, extentSuffix):
			data, err := os.ReadFile(path)
			w.must(err)
			f, err := extent.Open(bytes.NewReader(data), int64(len(data)))
			w.must(err)
			objects, versions, wraps = append(objects, f.Info().Object()), append(versions, f.Info().KeyVersion), append(wraps, f.Info().WrappedDEK)
			if !f.Info().Layered() {
				t.Errorf("%s has one layer", path)
			}
		case strings.HasSuffix(path, wal.Suffix):
			seg, err := wal.ReadSegment(path)
			w.must(err)
			objects, versions, wraps = append(objects, seg.Object()), append(versions, seg.KeyVersion), append(wraps, seg.WrappedDEK)
			if !seg.Layered() {
				t.Errorf("%s has one layer", path)
			}
		}
		return nil
	})
	w.must(err)
	kinds := map[envelope.ObjectKind]int{}
	for _, o := range objects {
		kinds[o.Kind]++
	}
	if kinds[envelope.Extent] == 0 || kinds[envelope.WALSegment] == 0 {
		t.Fatalf("%v", kinds)
	}
	unwrapAll := func(ring *envelope.Keyring) (opened int) {
		for i := range objects {
			if dek, err := ring.UnwrapDEK(objects[i], versions[i], wraps[i]); err == nil {
				opened++
				dek.Wipe()
			}
		}
		return opened
	}
	ring, err := w.customersRing(func(store.Tx) error { return nil })
	w.must(err)
	if got := unwrapAll(ring); got != len(objects) {
		t.Fatalf("%d of %d files open with both keys", got, len(objects))
	}

	w.vault.set(errRevoked)
	if err := ring.Unlock(ctx); !errors.Is(err, envelope.ErrRevoked) {
		t.Errorf("unlocked with the platform's key alone: %v", err)
	}
	w.vault.set(nil)
	// the customer's key is there, the platform's is another
	_, err = w.customersRing(func(tx store.Tx) error {
		return aead.NewKey().Reveal(func(raw []byte) error { return tx.Put("envelope.platform", "1", raw) })
	})
	if !errors.Is(err, aead.ErrAuthentication) {
		t.Errorf("unlocked with the customer's key alone: %v", err)
	}
}

// A file of one layer is not taken in the place of one that has two.
func TestStrippedExtentIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := newWorldOf(t, true)
	w.must(w.ingest("T", 1))
	n, err := w.r.node(ctx, testCluster)
	w.must(err)
	s, err := n.running()
	w.must(err)
	live, err := s.table("db", "T")
	w.must(err)
	w.must(live.seal(ctx))
	files, err := filepath.Glob(filepath.Join(w.dir, "clusters", testCluster, "extents", "*", "*"+extentSuffix))
	w.must(err)
	if len(files) != 1 {
		t.Fatalf("%d extents", len(files))
	}
	id := strings.TrimSuffix(filepath.Base(files[0]), extentSuffix)
	dek, payload := envelope.NewDEK(), []byte("another table")
	defer dek.Wipe()
	var out bytes.Buffer
	w.must(extent.Write(&out, extent.Header{ExtentID: id, DatabaseID: filepath.Base(filepath.Dir(files[0])), KeyVersion: 1, Length: int64(len(payload)),
		WrappedDEK: envelope.WrappedDEK{Key: make([]byte, envelope.WrappedDEKSize)}}, dek, bytes.NewReader(payload)))
	w.must(os.WriteFile(files[0], out.Bytes(), 0o600))
	w.must(w.r.Close())
	w.reopen()
	if rows, err := w.rows("T"); !errors.Is(err, envelope.ErrLayers) || !ids.IsGUID(id) {
		t.Errorf("%v, %v", rows, err)
	}
}
