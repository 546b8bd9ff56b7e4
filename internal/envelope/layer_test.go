package envelope_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

func (f *fixture) clusterRecord(t testing.TB) (raw []byte) {
	t.Helper()
	must(t, f.store.View(ctx, func(tx store.Tx) (err error) {
		raw, err = tx.Get("envelope.clusters", f.cfg.ClusterID)
		return err
	}))
	return raw
}

// layer is the wrap of the layer key as the record holds it.
func (f *fixture) layer(t testing.TB) string {
	t.Helper()
	var r struct {
		Format int
		Layer  json.RawMessage
	}
	must(t, json.Unmarshal(f.clusterRecord(t), &r))
	if r.Format != 2 {
		t.Errorf("format %d", r.Format)
	}
	return string(r.Layer)
}

// Whatever is done to the KEK of a doubly encrypted cluster or database, DEKs
// and values stay openable and the layer key's wrap stays as it is.
func TestLayeredChain(t *testing.T) {
	t.Parallel()
	f := newLayered(t)
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: ids.NewGUID()}
	dek, wrapped, version, err := f.ring.WrapDEK(object)
	must(t, err)
	if !dek.Layered() || len(wrapped.Key) != envelope.WrappedDEKSize || len(wrapped.Layer) != envelope.WrappedLayerDEKSize {
		t.Fatalf("%v, wraps of %d and %d bytes", dek.Layered(), len(wrapped.Key), len(wrapped.Layer))
	}
	value, err := f.ring.SealDatabase(f.db, "stats", []byte("min and max"))
	must(t, err)
	before := f.layer(t)
	check := func(what string, ring *envelope.Keyring) {
		t.Helper()
		got, err := ring.UnwrapDEK(object, version, wrapped)
		if err != nil || !sameDEK(t, got, dek) {
			t.Errorf("%s: dek: %v", what, err)
		}
		if plain, err := ring.OpenDatabase(f.db, "stats", value); err != nil || string(plain) != "min and max" {
			t.Errorf("%s: value: %q, %v", what, plain, err)
		}
		must(t, f.store.View(ctx, func(tx store.Tx) error {
			if plain, err := ring.Sealer(tx, f.db).Open("stats", value); err != nil || string(plain) != "min and max" {
				t.Errorf("%s: value inside a transaction: %q, %v", what, plain, err)
			}
			return nil
		}))
		if after := f.layer(t); after != before {
			t.Errorf("%s: the layer key was wrapped anew: %s", what, after)
		}
		if layered, err := ring.Layered(ctx); err != nil || !layered {
			t.Errorf("%s: layered: %v, %v", what, layered, err)
		}
	}
	check("as made", f.ring)
	must(t, f.ring.ChangeKEK(ctx, customer("v1")))
	check("under a customer's key", f.ring)
	if f.vault.wraps != 1 {
		t.Errorf("%d wraps by the vault, want the cluster key's alone", f.vault.wraps)
	}
	must(t, f.ring.ChangeKEK(ctx, customer("v2")))
	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v1")))
	check("with a database's own", f.ring)
	f.rotateDatabase(t)
	check("after a rotation of the database key", f.ring)
	other := f.restarted(t)
	must(t, other.Unlock(ctx))
	must(t, other.UnlockDatabase(ctx, f.db))
	check("after a restart", other)
	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, envelope.PlatformKEK()))
	must(t, f.ring.ChangeKEK(ctx, envelope.PlatformKEK()))
	check("back under the platform's", f.ring)

	f.ring.Lock()
	_, _, _, err = f.ring.WrapDEK(object)
	wantErr(t, "wrap while locked", err, envelope.ErrLocked)
	_, err = f.ring.UnwrapDEK(object, version, wrapped)
	wantErr(t, "unwrap while locked", err, envelope.ErrLocked)
	_, err = f.ring.SealDatabase(f.db, "stats", nil)
	wantErr(t, "seal while locked", err, envelope.ErrLocked)
	_, err = f.ring.OpenDatabase(f.db, "stats", value)
	wantErr(t, "open while locked", err, envelope.ErrLocked)

	must(t, f.store.Update(ctx, f.ring.Delete))
	wantErr(t, "deleted", f.ring.Unlock(ctx), envelope.ErrNotFound)
}

// Neither chain alone opens the DEK of a doubly encrypted cluster, nor a value:
// one key of the two is always another.
func TestOneChainAloneOpensNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		o := envelope.Object{DatabaseID: ids.NewGUID(), Kind: envelope.ObjectKind(rapid.IntRange(1, 2).Draw(rt, "kind")), ID: ids.NewGUID()}
		version := rapid.IntRange(1, 9).Draw(rt, "version")
		key, layer := aead.NewKey(), aead.NewKeyFor(aead.XChaCha20Poly1305)
		dek := envelope.NewLayeredDEK()
		wrapped, err := envelope.WrapDEKWith(key, layer, o, version, dek)
		must(t, err)
		got, err := envelope.UnwrapDEKWith(key, layer, o, version, wrapped)
		if err != nil || !sameDEK(t, got, dek) {
			rt.Fatalf("both chains: %v", err)
		}
		bare := envelope.WrappedDEK{Key: wrapped.Key}
		for name, c := range map[string]struct {
			key, layer aead.Key
			wrapped    envelope.WrappedDEK
		}{
			"no layer key":            {key, aead.Key{}, wrapped},
			"another layer key":       {key, aead.NewKeyFor(aead.XChaCha20Poly1305), wrapped},
			"another database key":    {aead.NewKey(), layer, wrapped},
			"second layer stripped":   {key, layer, bare},
			"wraps in turned order":   {key, layer, envelope.WrappedDEK{Key: wrapped.Layer, Layer: wrapped.Key}},
			"the first wrap twice":    {key, layer, envelope.WrappedDEK{Key: wrapped.Key, Layer: wrapped.Key}},
			"the second wrap is gone": {key, layer, envelope.WrappedDEK{Key: wrapped.Key, Layer: []byte{1}}},
		} {
			if _, err := envelope.UnwrapDEKWith(c.key, c.layer, o, version, c.wrapped); !errors.Is(err, aead.ErrAuthentication) {
				rt.Fatalf("%s: %v", name, err)
			}
		}
	})
}

// A cluster takes DEKs and values with its own layers only.
func TestLayersOfAnotherCluster(t *testing.T) {
	t.Parallel()
	single, double := newFixture(t, memstore.New()), newLayered(t)
	object := envelope.Object{DatabaseID: single.db, Kind: envelope.Extent, ID: ids.NewGUID()}
	_, wrapped, version, err := single.ring.WrapDEK(object)
	must(t, err)
	object.DatabaseID = double.db
	_, err = double.ring.UnwrapDEK(object, version, wrapped)
	wantErr(t, "one layer in a cluster of two", err, envelope.ErrLayers)
	_, wrapped, version, err = double.ring.WrapDEK(object)
	must(t, err)
	object.DatabaseID = single.db
	_, err = single.ring.UnwrapDEK(object, version, wrapped)
	wantErr(t, "two layers in a cluster of one", err, envelope.ErrLayers)

	value, err := single.ring.SealDatabase(single.db, "x", []byte("plain"))
	must(t, err)
	_, err = double.ring.OpenDatabase(double.db, "x", value)
	wantErr(t, "value of one layer", err, envelope.ErrLayers)
	if value, err = double.ring.SealDatabase(double.db, "x", []byte("plain")); err != nil || value[0] != 2 {
		t.Fatalf("%x, %v", value, err)
	}
	_, err = single.ring.OpenDatabase(single.db, "x", value)
	wantErr(t, "value of two layers", err, envelope.ErrLayers)
	_, err = double.ring.OpenDatabase(double.db, "y", value)
	wantErr(t, "value moved", err, aead.ErrAuthentication)
	for i := range value {
		bad := bytes.Clone(value)
		bad[i] ^= 0x40
		if _, err := double.ring.OpenDatabase(double.db, "x", bad); err == nil {
			t.Errorf("byte %d of a value is slack", i)
		}
	}
}

// layeredChain is a frozen doubly encrypted chain.
type layeredChain struct {
	chain
	WrappedLayer string            `json:"wrappedLayerDek"`
	LayerDEK     string            `json:"layerDek"`
	Refused      map[string]string `json:"refused"` // why → the cluster's record
}

const layeredFile = "testdata/layered.json"

// TestFrozenLayers: nor does the format of a doubly encrypted cluster.
func TestFrozenLayers(t *testing.T) {
	t.Parallel()
	if *update {
		writeLayers(t)
	}
	data, err := os.ReadFile(layeredFile)
	must(t, err)
	var c layeredChain
	must(t, json.Unmarshal(data, &c))
	open := func(t *testing.T, cluster string) (*envelope.Keyring, error) {
		s := memstore.New()
		must(t, s.Update(ctx, func(tx store.Tx) error {
			must(t, tx.Put("envelope.platform", "1", unhex(t, c.Platform)))
			must(t, tx.Put("envelope.clusters", c.ClusterID, []byte(cluster)))
			return tx.Put("envelope.databases", c.ClusterID+"/"+c.DatabaseID, []byte(c.Records["database"]))
		}))
		platform, err := envelope.NewPlatform(ctx, s)
		must(t, err)
		ring, err := envelope.New(envelope.Config{ClusterID: c.ClusterID, Store: s, Wrappers: envelope.Wrappers{Platform: platform}})
		must(t, err)
		return ring, ring.Unlock(ctx)
	}
	ring, err := open(t, c.Records["cluster"])
	must(t, err)
	wrapped := envelope.WrappedDEK{Key: unhex(t, c.Wrapped), Layer: unhex(t, c.WrappedLayer)}
	dek, err := ring.UnwrapDEK(envelope.Object{DatabaseID: c.DatabaseID, Kind: envelope.Extent, ID: c.ExtentID}, c.KeyVersion, wrapped)
	must(t, err)
	if !dek.Keys()[0].Equal(unhex(t, c.DEK)) || !dek.Keys()[1].Equal(unhex(t, c.LayerDEK)) {
		t.Error("another dek")
	}
	if got, err := ring.OpenDatabase(c.DatabaseID, "stats", unhex(t, c.Value)); err != nil || string(got) != c.Plain {
		t.Errorf("%q, %v", got, err)
	}
	for why, record := range c.Refused {
		if _, err := open(t, record); err == nil {
			t.Errorf("%s: unlocked", why)
		}
	}
}

func writeLayers(t *testing.T) {
	f := newLayered(t)
	c := layeredChain{chain: f.chain(t), Refused: map[string]string{}}
	dek, wrapped, _, err := f.ring.WrapDEK(envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: c.ExtentID})
	must(t, err)
	c.Wrapped, c.WrappedLayer = hex.EncodeToString(wrapped.Key), hex.EncodeToString(wrapped.Layer)
	for i, to := range []*string{&c.DEK, &c.LayerDEK} {
		must(t, dek.Keys()[i].Reveal(func(b []byte) error { *to = hex.EncodeToString(b); return nil }))
	}
	for why, change := range map[string]func(o map[string]any){
		"format 1 with a layer":          func(o map[string]any) { o["format"] = 1 },
		"format 2 without a layer":       func(o map[string]any) { delete(o, "layer") },
		"format of a newer version":      func(o map[string]any) { o["format"] = 3 },
		"the cluster key's wrap as both": func(o map[string]any) { o["layer"] = o["wrapped"] },
		"wraps in turned order":          func(o map[string]any) { o["layer"], o["wrapped"] = o["wrapped"], o["layer"] },
	} {
		var o map[string]any
		must(t, json.Unmarshal([]byte(c.Records["cluster"]), &o))
		change(o)
		b, err := json.Marshal(o)
		must(t, err)
		c.Refused[why] = string(b)
	}
	data, err := json.MarshalIndent(c, "", "  ")
	must(t, err)
	must(t, os.WriteFile(layeredFile, append(data, '\n'), 0o644))
}
