package denial_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/internal/wal"
)

// state opens the state of a stopped folder, and the keyring of its cluster.
func state(t *testing.T, inst *client.Instance) (store.Store, *envelope.Platform, *envelope.Keyring, string) {
	t.Helper()
	ctx := context.Background()
	seal, err := barrier.OpenFileSeal(inst.SealPath())
	must(t, err)
	b, err := barrier.Open(ctx, inst.DataDir(), seal)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	inner, err := sqlstore.Open(ctx, filepath.Join(inst.DataDir(), "state.db"))
	must(t, err)
	s := store.Sealed(inner, b)
	t.Cleanup(func() { s.Close() })
	platform, err := envelope.NewPlatform(ctx, s)
	must(t, err)
	clusters, err := os.ReadDir(filepath.Join(inst.DataDir(), "clusters"))
	must(t, err)
	cluster := clusters[0].Name()
	ring, err := envelope.New(envelope.Config{ClusterID: cluster, Store: s, Wrappers: envelope.Wrappers{Platform: platform}})
	must(t, err)
	return s, platform, ring, cluster
}

// secretsOf unwraps the keys of the stopped folder's cluster, which is under the
// platform's key by now, or those of one of its databases alone.
func secretsOf(t *testing.T, inst *client.Instance, frozen, database string) map[string][]byte {
	t.Helper()
	ctx := context.Background()
	s, platform, ring, cluster := state(t, inst)
	defer s.Close()
	wrapped, err := ring.Wrapped(ctx)
	must(t, err)
	out := map[string][]byte{}
	clusterKey, err := platform.ForCluster(cluster).Unwrap(ctx, wrapped)
	must(t, err)
	if database == "" {
		out["cluster key"] = clusterKey
	}
	if database == "" {
		addLayerKey(t, s, platform, cluster, out)
	}
	must(t, ring.Unlock(ctx))
	must(t, s.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan("envelope.databases", cluster+"/"+database, "") {
			must(t, err)
			var record struct {
				Keys []struct {
					Version int
					Wrapped []byte
				}
			}
			must(t, json.Unmarshal(e.Value, &record))
			for _, k := range record.Keys {
				out[fmt.Sprintf("database key %d", k.Version)] = databaseKey(t, clusterKey, cluster, strings.TrimPrefix(e.Key, cluster+"/"), k.Version, k.Wrapped)
			}
		}
		return nil
	}))
	addDEKs(t, frozen, ring, database, out)
	if len(out) < 3 {
		t.Fatalf("only %d secrets were found", len(out))
	}
	return out
}

// addLayerKey adds the layer key when the cluster is doubly encrypted.
func addLayerKey(t *testing.T, s store.Store, platform *envelope.Platform, cluster string, out map[string][]byte) {
	t.Helper()
	must(t, s.View(context.Background(), func(tx store.Tx) error {
		record, err := store.GetJSON[struct{ Layer *envelope.Wrapped }](tx, "envelope.clusters", cluster)
		if err != nil || record.Layer == nil {
			return err
		}
		out["layer key"], err = platform.ForLayer(cluster).Unwrap(context.Background(), *record.Layer)
		return err
	}))
}

// databaseKey opens a wrapped database key as docs/format.md §4.2 says.
func databaseKey(t *testing.T, clusterKey []byte, cluster, database string, version int, wrapped []byte) []byte {
	t.Helper()
	by, err := aead.KeyFrom(clusterKey)
	must(t, err)
	c, err := ids.ParseGUID(cluster)
	must(t, err)
	d, err := ids.ParseGUID(database)
	must(t, err)
	aad := append([]byte("kustos database key v1\x00"), c[:]...)
	aad = binary.BigEndian.AppendUint32(append(aad, d[:]...), uint32(version))
	key, err := by.Open(aad, wrapped[1:])
	must(t, err)
	return key
}

func addDEKs(t *testing.T, dir string, ring *envelope.Keyring, database string, out map[string][]byte) {
	t.Helper()
	add := func(o envelope.Object, version int, wrapped envelope.WrappedDEK) {
		if database != "" && o.DatabaseID != database {
			return
		}
		dek, err := ring.UnwrapDEK(o, version, wrapped)
		must(t, err)
		for layer, key := range dek.Keys() {
			must(t, key.Reveal(func(raw []byte) error {
				out[fmt.Sprintf("DEK of %d %s, layer %d", o.Kind, o.ID, layer+1)] = bytes.Clone(raw)
				return nil
			}))
		}
	}
	extents, err := filepath.Glob(filepath.Join(dir, "clusters", "*", "extents", "*", "*.kxt"))
	must(t, err)
	for _, path := range extents {
		data, err := os.ReadFile(path)
		must(t, err)
		e, err := extent.Open(bytes.NewReader(data), int64(len(data)))
		must(t, err)
		h := e.Info()
		add(envelope.Object{DatabaseID: h.DatabaseID, Kind: envelope.Extent, ID: h.ExtentID}, h.KeyVersion, h.WrappedDEK)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "clusters", "*", "wal", "*"+wal.Suffix))
	must(t, err)
	for _, path := range segments {
		segment, _, _, err := wal.Outline(path)
		must(t, err)
		add(envelope.Object{DatabaseID: segment.DatabaseID, Kind: envelope.WALSegment, ID: segment.ID}, segment.KeyVersion, segment.WrappedDEK)
	}
}
