package envelope_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/kustos-io/kustos/internal/aead"
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

const (
	chainFile = "testdata/format1.json"
	gatedFile = "testdata/gated.json"
)

// gatedChain is the record of a database with a KEK of its own, under a vault
// whose one key is an AES key, and records that must be refused.
type gatedChain struct {
	chain
	VaultKey string            `json:"vaultKey"`
	Refused  map[string]string `json:"refused"` // why → the database's record
}

// TestFrozenGate: nor does the format of a database with a KEK of its own.
func TestFrozenGate(t *testing.T) {
	t.Parallel()
	if *update {
		writeGate(t)
	}
	data, err := os.ReadFile(gatedFile)
	must(t, err)
	var c gatedChain
	must(t, json.Unmarshal(data, &c))
	vault := newVault()
	vault.versions["v1"], err = aead.KeyFrom(unhex(t, c.VaultKey))
	must(t, err)
	open := func(database string) (got []byte, err error) {
		s := memstore.New()
		must(t, s.Update(ctx, func(tx store.Tx) error {
			must(t, tx.Put("envelope.platform", "1", unhex(t, c.Platform)))
			must(t, tx.Put("envelope.clusters", c.ClusterID, []byte(c.Records["cluster"])))
			return tx.Put("envelope.databases", c.ClusterID+"/"+c.DatabaseID, []byte(database))
		}))
		platform, err := envelope.NewPlatform(ctx, s)
		must(t, err)
		ring, err := envelope.New(envelope.Config{ClusterID: c.ClusterID, Store: s, Wrappers: envelope.Wrappers{Platform: platform, Customer: vault}})
		must(t, err)
		must(t, ring.Unlock(ctx))
		if err := ring.UnlockDatabase(ctx, c.DatabaseID); err != nil {
			return nil, err
		}
		return ring.OpenDatabase(c.DatabaseID, "stats", unhex(t, c.Value))
	}
	if got, err := open(c.Records["database"]); err != nil || string(got) != c.Plain {
		t.Errorf("%q, %v", got, err)
	}
	for why, record := range c.Refused {
		if got, err := open(record); err == nil {
			t.Errorf("%s: %q", why, got)
		}
	}
}

func writeGate(t *testing.T) {
	f := newFixture(t, memstore.New())
	f.rotateDatabase(t)
	plain := f.databaseRecord(t)
	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v1")))
	c := gatedChain{chain: f.chain(t), Refused: map[string]string{}}
	must(t, f.vault.versions["v1"].Reveal(func(b []byte) error { c.VaultKey = hex.EncodeToString(b); return nil }))
	for why, change := range map[string]func(o map[string]any){
		"keys that the cluster key alone opens": func(o map[string]any) {
			var p map[string]any
			must(t, json.Unmarshal([]byte(plain), &p))
			o["keys"] = p["keys"]
		},
		"format 1 with a KEK":       func(o map[string]any) { o["format"] = 1 },
		"format 2 without a KEK":    func(o map[string]any) { delete(o, "kek") },
		"format of a newer version": func(o map[string]any) { o["format"] = 3 },
		"check of another gate":     func(o map[string]any) { o["check"] = make([]byte, 28) },
		"keys in each other's place": func(o map[string]any) {
			k := o["keys"].([]any)
			a, b := k[0].(map[string]any), k[1].(map[string]any)
			a["wrapped"], b["wrapped"] = b["wrapped"], a["wrapped"]
		},
	} {
		var o map[string]any
		must(t, json.Unmarshal([]byte(c.Records["database"]), &o))
		change(o)
		b, err := json.Marshal(o)
		must(t, err)
		c.Refused[why] = string(b)
	}
	data, err := json.MarshalIndent(c, "", "  ")
	must(t, err)
	must(t, os.WriteFile(gatedFile, append(data, '\n'), 0o644))
}

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
	dek, err := ring.UnwrapDEK(envelope.Object{DatabaseID: c.DatabaseID, Kind: envelope.Extent, ID: c.ExtentID}, c.KeyVersion, envelope.WrappedDEK{Key: unhex(t, c.Wrapped)})
	must(t, err)
	if !dek.Keys()[0].Equal(unhex(t, c.DEK)) {
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
	data, err := json.MarshalIndent(f.chain(t), "", "  ")
	must(t, err)
	must(t, os.MkdirAll("testdata", 0o755))
	must(t, os.WriteFile(chainFile, append(data, '\n'), 0o644))
}

// chain takes the records as they are, with a DEK and a value made now.
func (f *fixture) chain(t *testing.T) chain {
	t.Helper()
	c := chain{ClusterID: f.cfg.ClusterID, DatabaseID: f.db, ExtentID: "11111111-2222-4333-8444-555555555555", Plain: "min and max", Records: map[string]string{}}
	dek, wrapped, version, err := f.ring.WrapDEK(envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: c.ExtentID})
	must(t, err)
	c.KeyVersion, c.Wrapped = version, hex.EncodeToString(wrapped.Key)
	must(t, dek.Keys()[0].Reveal(func(b []byte) error { c.DEK = hex.EncodeToString(b); return nil }))
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
	return c
}
