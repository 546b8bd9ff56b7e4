package envelope_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

var update = flag.Bool("update", false, "rewrite the frozen chain; only for a new format version")

// chain is the records of one cluster as an earlier build wrote them, and what
// must come of them.
type chain struct {
	ClusterID  string            `json:"clusterId"`
	DatabaseID string            `json:"databaseId"`
	Records    map[string]string `json:"records"` // "cluster", "database" → the JSON in the store
	Platform   string            `json:"platformKey"`
	ExtentID   string            `json:"extentId"`
	KeyVersion int               `json:"keyVersion"`
	Wrapped    string            `json:"wrappedDek"`
	DEK        string            `json:"dek"`
	Value      string            `json:"value"` // sealed with the context "stats"
	Plain      string            `json:"plain"`
}

const chainFile = "testdata/format1.json"

// TestFrozenChain: the formats of records, wraps and values do not change
// under the same version numbers.
func TestFrozenChain(t *testing.T) {
	t.Parallel()
	if *update {
		writeChain(t)
	}
	data, err := os.ReadFile(chainFile)
	must(t, err)
	var c chain
	must(t, json.Unmarshal(data, &c))
	s := memstore.New()
	must(t, s.Update(ctx, func(tx store.Tx) error {
		must(t, tx.Put("envelope.platform", "1", unhex(t, c.Platform)))
		must(t, tx.Put("envelope.clusters", c.ClusterID, []byte(c.Records["cluster"])))
		return tx.Put("envelope.databases", c.ClusterID+"/"+c.DatabaseID, []byte(c.Records["database"]))
	}))
	platform, err := envelope.NewPlatform(ctx, s)
	must(t, err)
	ring, err := envelope.New(envelope.Config{ClusterID: c.ClusterID, Store: s, Wrappers: envelope.Wrappers{Platform: platform}})
	must(t, err)
	must(t, ring.Unlock(ctx))
	dek, err := ring.UnwrapDEK(envelope.Object{DatabaseID: c.DatabaseID, Kind: envelope.Extent, ID: c.ExtentID}, c.KeyVersion, unhex(t, c.Wrapped))
	must(t, err)
	if !dek.Equal(unhex(t, c.DEK)) {
		t.Error("another dek")
	}
	if got, err := ring.OpenDatabase(c.DatabaseID, "stats", unhex(t, c.Value)); err != nil || string(got) != c.Plain {
		t.Errorf("%q, %v", got, err)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	must(t, err)
	return b
}

func writeChain(t *testing.T) {
	f := newFixture(t, memstore.New())
	f.rotateDatabase(t)
	c := chain{ClusterID: f.cfg.ClusterID, DatabaseID: f.db, ExtentID: "11111111-2222-4333-8444-555555555555", Plain: "min and max", Records: map[string]string{}}
	dek, wrapped, version, err := f.ring.WrapDEK(envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: c.ExtentID})
	must(t, err)
	c.KeyVersion, c.Wrapped = version, hex.EncodeToString(wrapped)
	must(t, dek.Reveal(func(b []byte) error { c.DEK = hex.EncodeToString(b); return nil }))
	value, err := f.ring.SealDatabase(f.db, "stats", []byte(c.Plain))
	must(t, err)
	c.Value = hex.EncodeToString(value)
	must(t, f.store.View(ctx, func(tx store.Tx) error {
		for name, at := range map[string][2]string{"platform": {"envelope.platform", "1"}, "cluster": {"envelope.clusters", c.ClusterID}, "database": {"envelope.databases", c.ClusterID + "/" + c.DatabaseID}} {
			b, err := tx.Get(at[0], at[1])
			must(t, err)
			if name == "platform" {
				c.Platform = hex.EncodeToString(b)
			} else {
				c.Records[name] = string(b)
			}
		}
		return nil
	}))
	data, err := json.MarshalIndent(c, "", "  ")
	must(t, err)
	must(t, os.MkdirAll("testdata", 0o755))
	must(t, os.WriteFile(chainFile, append(data, '\n'), 0o644))
}
