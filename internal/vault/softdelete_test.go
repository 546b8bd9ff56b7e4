package vault

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/store"
)

func actor() authz.Principal { return authz.Principal{ObjectID: owner} }

func TestDeleteRecoverPurge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", func(in *Input) { in.RetentionDays = ptr(7) })
	f.vault("safe", func(in *Input) { in.PurgeProtection = ptr(true) })
	first := f.must("POST", "kv1", "/keys/K/create", `{"kty":"RSA","tags":{"t":"1"}}`)
	c := f.must("POST", "kv1", "/keys/k/encrypt", `{"alg":"RSA-OAEP-256","value":"YQ"}`).str("value")
	second := f.must("POST", "kv1", "/keys/k/create", `{"kty":"RSA"}`)
	blob := f.must("POST", "kv1", "/keys/k/backup", nil).str("value")
	d := f.must("DELETE", "kv1", "/keys/k", nil)
	if d.str("recoveryId") != "https://kv1.vault.azure.net/deletedkeys/K" || d.str("key", "kid") != second.str("key", "kid") ||
		d.at("scheduledPurgeDate").(float64)-d.at("deletedDate").(float64) != 604800 || d.str("attributes", "recoveryLevel") != "CustomizedRecoverable+Purgeable" {
		t.Errorf("deleted: %s", d.text)
	}
	f.do("GET", "kv1", "/keys/k", nil).is(t, 404, "KeyNotFound", "")
	f.do("DELETE", "kv1", "/keys/k", nil).is(t, 404, "KeyNotFound", "")
	if got := f.must("GET", "kv1", "/deletedkeys/k", nil); got.text != d.text {
		t.Errorf("deletedkeys: %s", got.text)
	}
	if items := f.must("GET", "kv1", "/deletedkeys", nil).at("value").([]any); len(items) != 1 || items[0].(map[string]any)["kid"] != "https://kv1.vault.azure.net/keys/K" {
		t.Errorf("list: %v", items)
	}
	f.do("POST", "kv1", "/keys/k/decrypt", `{"alg":"RSA-OAEP-256","value":"`+c+`"}`).is(t, 404, "KeyNotFound", "")
	f.do("POST", "kv1", "/keys/k/create", `{"kty":"RSA"}`).is(t, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	f.do("PUT", "kv1", "/keys/k", `{"key":`+testECJWK+`}`).is(t, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	f.do("POST", "kv1", "/keys/restore", `{"value":"`+blob+`"}`).is(t, 409, "Conflict", "ObjectIsDeletedButRecoverable")
	if got := f.must("POST", "kv1", "/deletedkeys/k/recover", nil); got.text != second.text {
		t.Errorf("recovered: %s", got.text)
	}
	if got := f.must("GET", "kv1", "/keys/k/"+first.version(), nil); got.text != first.text {
		t.Errorf("old version: %s", got.text)
	}
	f.must("POST", "kv1", "/keys/k/"+first.version()+"/decrypt", `{"alg":"RSA-OAEP-256","value":"`+c+`"}`)
	f.do("POST", "kv1", "/deletedkeys/k/recover", nil).is(t, 404, "KeyNotFound", "")

	f.must("DELETE", "kv1", "/keys/k", nil)
	if a := f.do("DELETE", "kv1", "/deletedkeys/k", nil); a.status != 204 || a.text != "" {
		t.Errorf("purge: %d %s", a.status, a.text)
	}
	f.do("GET", "kv1", "/deletedkeys/k", nil).is(t, 404, "KeyNotFound", "")
	if got := f.must("POST", "kv1", "/keys/restore", `{"value":"`+blob+`"}`); got.text != second.text {
		t.Errorf("restored: %s", got.text)
	}
	f.do("POST", "kv1", "/keys/restore", `{"value":"`+blob+`"}`).is(t, 409, "Conflict", "")
	if got := f.must("POST", "safe", "/keys/restore", `{"value":"`+blob+`"}`); got.str("key", "n") != second.str("key", "n") || got.str("attributes", "recoveryLevel") != "Recoverable" {
		t.Errorf("restored elsewhere: %s", got.text)
	}
	f.must("DELETE", "safe", "/keys/k", nil)
	f.do("DELETE", "safe", "/deletedkeys/k", nil).is(t, 403, "Forbidden", "ForbiddenByPolicy")
	f.moved(90 * 24 * time.Hour)
	f.do("GET", "safe", "/deletedkeys/k", nil).is(t, 404, "KeyNotFound", "")
	f.must("POST", "safe", "/keys/k/create", `{"kty":"EC"}`)
	if got := f.must("GET", "safe", "/keys/k/versions", nil).at("value").([]any); len(got) != 1 {
		t.Errorf("a purged key's versions came back: %v", got)
	}
}

func TestVaultWithoutSoftDelete(t *testing.T) {
	t.Parallel()
	f := setup(t)
	in := Input{TenantID: ptr(testTenant), SKU: &SKU{"A", "standard"}, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all")}, SoftDelete: ptr(false)}
	if _, _, err := f.Put(t.Context(), Write{ID: vaultID("old"), APIVersion: "2018-02-14", Location: "westeurope", Input: in}); err != nil {
		t.Fatal(err)
	}
	a := f.must("POST", "old", "/keys/k/create", `{"kty":"EC"}`)
	if a.at("attributes", "recoveryLevel") != "Purgeable" || a.at("attributes", "recoverableDays") != 0.0 {
		t.Errorf("attributes: %s", a.text)
	}
	if d := f.must("DELETE", "old", "/keys/k", nil); d.at("recoveryId") != nil {
		t.Errorf("deleted: %s", d.text)
	}
	for _, c := range []struct{ method, path, operation string }{
		{"GET", "/deletedkeys", "list"}, {"GET", "/deletedkeys/k", "get"}, {"DELETE", "/deletedkeys/k", "purge"}, {"POST", "/deletedkeys/k/recover", "recover"},
		{"GET", "/deletedsecrets", "list"}, {"GET", "/deletedsecrets/k", "get"}, {"DELETE", "/deletedsecrets/k", "purge"}, {"POST", "/deletedsecrets/k/recover", "recover"},
	} {
		a := f.do(c.method, "old", c.path, nil)
		a.is(t, 400, "NotSupported", "")
		if _, _, m := a.code(); m != `Operation "`+c.operation+`" is not enabled for this vault.` {
			t.Errorf("%s %s: %s", c.method, c.path, m)
		}
	}
	f.must("POST", "old", "/keys/k/create", `{"kty":"EC"}`)
}

func TestSweepPurges(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", func(in *Input) { in.RetentionDays, in.PurgeProtection = ptr(7), ptr(true) })
	f.vault("kv2", func(in *Input) { in.RetentionDays, in.PurgeProtection = ptr(7), ptr(true) })
	f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`)
	f.must("POST", "kv2", "/keys/k/create", `{"kty":"EC"}`)
	f.must("PUT", "kv1", "/secrets/s", `{"value":"v"}`)
	f.must("DELETE", "kv1", "/keys/k", nil)
	f.must("DELETE", "kv1", "/secrets/s", nil)
	if _, err := f.Delete(t.Context(), vaultID("kv2"), actor()); err != nil {
		t.Fatal(err)
	}
	left := func() (n int) {
		t.Helper()
		for _, b := range []string{"vault.keys", "vault.keyversions", "vault.keymaterial", "vault.secrets", "vault.secretversions", "vault.secretvalues"} {
			n += f.count(b)
		}
		return n
	}
	if err := f.Sweep(t.Context()); err != nil || left() != 9 {
		t.Errorf("swept early: %d left, %v", left(), err)
	}
	f.moved(7 * 24 * time.Hour)
	if err := f.Sweep(t.Context()); err != nil || left() != 0 || f.count(vaultBucket) != 1 {
		t.Errorf("%d left, %v", left(), err)
	}
}

// TestRoleAssignmentsEnd: deleting a vault and purging a key take the role
// assignments with them; soft-deleting a key does not.
func TestRoleAssignmentsEnd(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.must("POST", "kv1", "/keys/K/create", `{"kty":"EC"}`)
	f.must("DELETE", "kv1", "/keys/k", nil)
	if len(f.unassigned) > 0 {
		t.Errorf("a soft delete of a key removed %v", f.unassigned)
	}
	f.do("DELETE", "kv1", "/deletedkeys/k", nil)
	if _, err := f.Delete(t.Context(), vaultID("kv1"), actor()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{vaultID("kv1").Key() + "/keys/k", vaultID("kv1").Key()}, f.unassigned); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// scrubbed counts how often its log was overwritten; broken makes that fail.
type scrubbed struct {
	store.Store
	times  int
	broken bool
}

func (s *scrubbed) Scrub(context.Context) error {
	if s.broken {
		return errors.New("a reader is in the way")
	}
	s.times++
	return nil
}

// TestWhatIsPurgedIsScrubbed: whatever takes a private key or a secret's value
// away for good overwrites it in the store's log, and what cannot be overwritten
// at once is tried again by the sweep.
func TestWhatIsPurgedIsScrubbed(t *testing.T) {
	t.Parallel()
	days := func(n int) func(*fixture) { return func(f *fixture) { f.moved(time.Duration(n) * 24 * time.Hour) } }
	call := func(method, vault, path string) func(*fixture) {
		return func(f *fixture) {
			if a := f.do(method, vault, path, nil); a.status >= 400 {
				f.Fatalf("%s %s: %s", method, path, a.text)
			}
		}
	}
	sweep := func(f *fixture) {
		if err := f.Sweep(f.Context()); err != nil {
			f.Fatal(err)
		}
	}
	drop := func(name string) func(*fixture) {
		return func(f *fixture) {
			if _, err := f.Delete(f.Context(), vaultID(name), actor()); err != nil {
				f.Fatal(err)
			}
		}
	}
	purge := func(f *fixture) {
		if _, err := f.Purge(f.Context(), testSub, "westeurope", "kv1", actor()); err != nil {
			f.Fatal(err)
		}
	}
	broken := func(yes bool) func(*fixture) {
		return func(f *fixture) { f.Store.(*scrubbed).broken = yes }
	}
	for _, c := range []struct {
		name  string
		steps []func(*fixture)
		want  int
	}{
		{"a soft delete of a key", []func(*fixture){call("DELETE", "kv1", "/keys/k"), sweep}, 0},
		{"a recovery", []func(*fixture){call("DELETE", "kv1", "/keys/k"), call("POST", "kv1", "/deletedkeys/k/recover")}, 0},
		{"a purge of a key", []func(*fixture){call("DELETE", "kv1", "/keys/k"), call("DELETE", "kv1", "/deletedkeys/k")}, 1},
		{"a purge of a secret", []func(*fixture){call("DELETE", "kv1", "/secrets/s"), call("DELETE", "kv1", "/deletedsecrets/s")}, 1},
		{"a delete of a key without soft delete", []func(*fixture){call("DELETE", "old", "/keys/k")}, 1},
		{"a soft delete of a vault", []func(*fixture){drop("kv1")}, 0},
		{"a purge of a vault", []func(*fixture){drop("kv1"), purge}, 1},
		{"a delete of a vault without soft delete", []func(*fixture){drop("old")}, 1},
		{"a key's purge date", []func(*fixture){call("DELETE", "kv1", "/keys/k"), days(90), sweep}, 1},
		{"a name that is taken after the purge date", []func(*fixture){call("DELETE", "kv1", "/keys/k"), days(90), func(f *fixture) { f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`) }}, 1},
		{"a vault's purge date", []func(*fixture){drop("kv1"), days(90), sweep}, 1},
		{"a second try", []func(*fixture){broken(true), call("DELETE", "old", "/keys/k"), sweep, broken(false), sweep, sweep}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			log := &scrubbed{Store: f.store}
			f.Store = log
			f.vault("kv1", nil)
			in := Input{TenantID: ptr(testTenant), SKU: &SKU{"A", "standard"}, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all")}, SoftDelete: ptr(false)}
			if _, _, err := f.Put(t.Context(), Write{ID: vaultID("old"), APIVersion: "2018-02-14", Location: "westeurope", Input: in}); err != nil {
				t.Fatal(err)
			}
			for _, v := range []string{"kv1", "old"} {
				f.must("POST", v, "/keys/k/create", `{"kty":"EC"}`)
				f.must("PUT", v, "/secrets/s", `{"value":"v"}`)
			}
			for _, step := range c.steps {
				step(f)
			}
			if log.times != c.want {
				t.Errorf("scrubbed %d times, wanted %d", log.times, c.want)
			}
		})
	}
}
