package envelope_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

func (f *fixture) databaseRecord(t testing.TB) string {
	t.Helper()
	var raw []byte
	must(t, f.store.View(ctx, func(tx store.Tx) (err error) {
		raw, err = tx.Get("envelope.databases", f.cfg.ClusterID+"/"+f.db)
		return err
	}))
	return string(raw)
}

// A database with a KEK of its own needs both keys; every change costs one
// unwrap and one wrap, and the database's keys stay the same.
func TestDatabaseKEK(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	f.rotateDatabase(t)
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: ids.NewGUID()}
	_, wrapped, version, err := f.ring.WrapDEK(object)
	must(t, err)
	readable := func(ring *envelope.Keyring) error {
		dek, err := ring.UnwrapDEK(object, version, wrapped)
		dek.Wipe()
		return err
	}
	plain := f.databaseRecord(t)

	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v1")))
	if f.vault.wraps != 1 || f.vault.unwraps != 1 { // the unwrap sees that the new one works
		t.Errorf("%d wraps, %d unwraps", f.vault.wraps, f.vault.unwraps)
	}
	must(t, readable(f.ring))
	gated := f.databaseRecord(t)
	for line := range strings.SplitSeq(plain, `"`) {
		if len(line) > 40 && strings.Contains(gated, line) {
			t.Error("a key that the cluster key alone opens is still there")
		}
	}

	other := f.restarted(t)
	must(t, other.Unlock(ctx))
	wantErr(t, "cluster key alone", readable(other), envelope.ErrDatabaseLocked)
	wantErr(t, "cluster key alone", readable(other), envelope.ErrLocked)
	must(t, other.UnlockDatabase(ctx, f.db))
	must(t, readable(other))
	must(t, other.ProbeDatabase(ctx, f.db))
	other.LockDatabase(f.db)
	wantErr(t, "locked", readable(other), envelope.ErrDatabaseLocked)
	must(t, other.UnlockDatabase(ctx, f.db))
	other.Lock()
	wantErr(t, "cluster locked", readable(other), envelope.ErrLocked)
	wantErr(t, "unlock without the cluster key", other.UnlockDatabase(ctx, f.db), envelope.ErrLocked)

	f.vault.wraps, f.vault.unwraps = 0, 0
	f.rotateDatabase(t)
	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v2")))
	if f.vault.wraps != 1 || f.vault.unwraps != 2 {
		t.Errorf("%d wraps, %d unwraps", f.vault.wraps, f.vault.unwraps)
	}
	must(t, readable(f.ring))
	w, own, err := f.ring.DatabaseWrapped(ctx, f.db)
	if err != nil || !own || w.KeyVersion != "v2" {
		t.Errorf("%+v %v %v", w, own, err)
	}

	f.vault.set("v2", revoked())
	wantErr(t, "probe", f.ring.ProbeDatabase(ctx, f.db), envelope.ErrRevoked)
	wantErr(t, "unlock", f.ring.UnlockDatabase(ctx, f.db), envelope.ErrRevoked)
	wantErr(t, "away from a lost key", f.ring.ChangeDatabaseKEK(ctx, f.db, envelope.PlatformKEK()), envelope.ErrRevoked)
	must(t, f.ring.Probe(ctx)) // the cluster's is another
	f.vault.set("v2", nil)

	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, envelope.PlatformKEK()))
	f.vault.set("unwrap", revoked())
	must(t, readable(f.ring))
	f.ring.Lock()
	must(t, f.ring.Unlock(ctx))
	must(t, readable(f.ring))
	if _, own, err := f.ring.DatabaseWrapped(ctx, f.db); err != nil || own {
		t.Errorf("%v %v", own, err)
	}
}

// A change that fails leaves the old KEK in force.
func TestDatabaseKEKChangeFails(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		for _, what := range []string{"wrap", "v2"} {
			t.Run(fmt.Sprint(first, what), func(t *testing.T) {
				t.Parallel()
				f := newFixture(t, memstore.New())
				if !first {
					must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v1")))
				}
				before := f.databaseRecord(t)
				f.vault.set(what, revoked())
				wantErr(t, "change", f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v2")), envelope.ErrRevoked)
				if f.databaseRecord(t) != before {
					t.Error("the record changed")
				}
				_, err := f.ring.SealDatabase(f.db, "", nil)
				must(t, err)
			})
		}
	}
	f := newFixture(t, memstore.New())
	f.ring.Lock()
	wantErr(t, "first KEK while locked", f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v1")), envelope.ErrLocked)
}

// refuseIdentity refuses one identity.
type refuseIdentity struct {
	*fakeVault
	gone string
}

func (v *refuseIdentity) For(ctx context.Context, kek envelope.KEK) (envelope.KeyWrapper, error) {
	if kek.Identity.ObjectID == v.gone {
		return refuser{}, nil
	}
	return v.fakeVault.For(ctx, kek)
}

type refuser struct{}

func (refuser) Wrap(context.Context, []byte) (envelope.Wrapped, error) {
	return envelope.Wrapped{}, revoked()
}
func (refuser) Unwrap(context.Context, envelope.Wrapped) ([]byte, error) { return nil, revoked() }

// When the identity that reached a key is gone, another one that can unwrap
// with the same key may take its place; another key may not.
func TestAnotherIdentityToTheSameKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	vault := &refuseIdentity{fakeVault: f.vault}
	f.cfg.Wrappers = envelope.Wrappers{Platform: f.cfg.Wrappers.(envelope.Wrappers).Platform, Customer: vault}
	ring := f.restarted(t)
	must(t, ring.Unlock(ctx))
	must(t, ring.ChangeKEK(ctx, customer("")))
	must(t, ring.ChangeDatabaseKEK(ctx, f.db, customer("")))
	vault.gone = "o"
	next := customer("")
	next.Identity.ObjectID = "p"
	elsewhere := next
	elsewhere.KeyName = "l"
	for name, kek := range map[string]envelope.KEK{"platform": envelope.PlatformKEK(), "another key": elsewhere, "the same identity": customer("")} {
		wantErr(t, name, ring.ChangeKEK(ctx, kek), envelope.ErrRevoked)
		wantErr(t, name, ring.ChangeDatabaseKEK(ctx, f.db, kek), envelope.ErrRevoked)
	}
	f.vault.set("unwrap", revoked())
	wantErr(t, "the key refuses", ring.ChangeKEK(ctx, next), envelope.ErrRevoked)
	f.vault.set("unwrap", nil)
	next.VaultURI += "/"
	must(t, ring.ChangeKEK(ctx, next))
	must(t, ring.ChangeDatabaseKEK(ctx, f.db, next))
	ring.Lock()
	must(t, ring.Unlock(ctx))
	must(t, ring.UnlockDatabase(ctx, f.db))
}

// Whatever becomes of the two KEKs, what was sealed stays readable with both
// and with nothing less.
func TestGateProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(t, memstore.New())
		var sealed [][]byte
		rt.Repeat(map[string]func(*rapid.T){
			"own": func(rt *rapid.T) {
				must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer(rapid.SampledFrom([]string{"", "v1", "v2"}).Draw(rt, "v"))))
			},
			"cluster": func(*rapid.T) { must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, envelope.PlatformKEK())) },
			"rotate":  func(*rapid.T) { f.rotateDatabase(t) },
			"rekey":   func(*rapid.T) { must(t, f.ring.ChangeKEK(ctx, customer("v1"))) },
			"in vain": func(*rapid.T) {
				f.vault.set("wrap", revoked())
				_ = f.ring.ChangeDatabaseKEK(ctx, f.db, customer(""))
				f.vault.set("wrap", nil)
			},
			"new lock": func(*rapid.T) {
				f.ring = f.restarted(t)
				must(t, f.ring.Unlock(ctx))
				must(t, f.ring.UnlockDatabase(ctx, f.db))
			},
			"": func(*rapid.T) {
				s, err := f.ring.SealDatabase(f.db, "c", []byte("value"))
				must(t, err)
				sealed = append(sealed, s)
				for _, s := range sealed {
					if got, err := f.ring.OpenDatabase(f.db, "c", s); err != nil || string(got) != "value" {
						rt.Fatalf("%q, %v", got, err)
					}
				}
				alone := f.restarted(t)
				must(t, alone.Unlock(ctx))
				_, own, err := alone.DatabaseWrapped(ctx, f.db)
				must(t, err)
				if _, err := alone.OpenDatabase(f.db, "c", s); (err != nil) != own {
					rt.Fatalf("with the cluster key alone: %v", err)
				}
			},
		})
	})
}

// What a record with a gate must not be taken for.
func TestGatedRecordsAreStrict(t *testing.T) {
	t.Parallel()
	f := newFixture(t, memstore.New())
	plain := f.databaseRecord(t)
	must(t, f.ring.ChangeDatabaseKEK(ctx, f.db, customer("v1")))
	gated := f.databaseRecord(t)
	type object = map[string]any
	decode := func(text string) (o object) { must(t, json.Unmarshal([]byte(text), &o)); return o }
	tests := map[string]func(o object) error{
		"keys that the cluster key alone opens": func(o object) error { o["keys"] = decode(plain)["keys"]; return aead.ErrAuthentication },
		"no KEK":                                func(o object) error { delete(o, "kek"); return envelope.ErrDatabaseKEK },
		"format 1 with a KEK":                   func(o object) error { o["format"] = 1; return envelope.ErrDatabaseKEK },
		"a KEK of the platform": func(o object) error {
			o["kek"].(object)["kek"] = envelope.PlatformKEK()
			return envelope.ErrDatabaseKEK
		},
		"taken out of its gate": func(o object) error { o["format"] = 1; delete(o, "kek"); return envelope.ErrNewerFormat },
	}
	for name, change := range tests {
		o := decode(gated)
		want := change(o)
		must(t, f.store.Update(ctx, func(tx store.Tx) error { return store.PutJSON(tx, "envelope.databases", f.cfg.ClusterID+"/"+f.db, o) }))
		_, err := f.ring.SealDatabase(f.db, "", nil)
		wantErr(t, name, err, want)
	}
}
