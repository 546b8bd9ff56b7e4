package vault

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/authz"
)

func actor() authz.Principal { return authz.Principal{ObjectID: owner} }

func TestCreateKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.vault("kvhsm", func(in *Input) { in.SKU = &SKU{"a", "Premium"} })
	a := f.must("POST", "kv1", "/keys/k/create", `{"kty":"RSA","attributes":null,"tags":null}`)
	if diff := cmp.Diff([]any{"encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"}, a.at("key", "key_ops")); diff != "" {
		t.Errorf("key_ops (-want +got)\n%s", diff)
	}
	now := float64(f.clock.Unix())
	if diff := cmp.Diff(map[string]any{"enabled": true, "created": now, "updated": now, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90.0, "exportable": false}, a.at("attributes")); diff != "" {
		t.Errorf("attributes (-want +got)\n%s", diff)
	}
	if n := bytes64(t, a.str("key", "n")); len(n) != 256 || a.str("key", "e") != "AQAB" || strings.Contains(a.text, "=") || strings.Contains(a.text, `"d"`) {
		t.Errorf("body: %s", a.text)
	}
	for crv, size := range map[string]int{"": 32, "P-256": 32, "P-384": 48, "P-521": 66, "P-256K": 32} {
		a := f.must("POST", "kv1", "/keys/ec"+crv+"/create", `{"kty":"EC","crv":"`+crv+`"}`)
		if len(bytes64(t, a.str("key", "x"))) != size || len(bytes64(t, a.str("key", "y"))) != size {
			t.Errorf("%s: %s", crv, a.text)
		}
		if diff := cmp.Diff([]any{"sign", "verify"}, a.at("key", "key_ops")); diff != "" {
			t.Errorf("%s: key_ops (-want +got)\n%s", crv, diff)
		}
	}
	a = f.must("POST", "kvhsm", "/keys/h/create?api-version=7.5", `{"kty":"EC-HSM"}`)
	if a.str("key", "kty") != "EC-HSM" || a.at("attributes", "hsmPlatform") != "0" {
		t.Errorf("hsm: %s", a.text)
	}
	a = f.must("POST", "kv1", "/keys/o/create", `{"kty":"RSA","key_ops":["wrapKey","UNWRAPKEY","verify","sign"],"tags":{"a":"1","b":"ä"},"attributes":{"enabled":false,"exp":1999999999,"nbf":1600000000}}`)
	if diff := cmp.Diff([]any{"wrapKey", "unwrapKey", "verify", "sign"}, a.at("key", "key_ops")); diff != "" {
		t.Errorf("key_ops (-want +got)\n%s", diff)
	}
	if a.at("attributes", "exp") != 1999999999.0 || a.at("attributes", "nbf") != 1600000000.0 || a.at("attributes", "enabled") != false || a.str("tags", "b") != "ä" {
		t.Errorf("body: %s", a.text)
	}
	for body, inner := range map[string]string{
		`{"kty":"oct"}`: "KeyTypeNotSupported", `{"kty":"DSA"}`: "KeyTypeNotSupported", `{"kty":"RSA-HSM"}`: "KeyTypeNotSupported",
		`{"kty":"EC","crv":"secp256k1"}`: "", `{}`: "", `{"kty":"RSA","key_size":1024}`: "", `{"kty":"RSA","key_size":2047}`: "",
		`{"kty":"EC","crv":"P-999"}`: "", `{"kty":"RSA","key_ops":["fly"]}`: "", `{"kty":"EC","key_ops":["encrypt"]}`: "", `{"kty":"RSA","public_exponent":3}`: "",
		`{"kty":"RSA","release_policy":{"data":"e30"}}`: "", `{"kty":"RSA","attributes":{"exportable":true}}`: "", `[]`: "", `{"kty":5}`: "", ``: "",
		`{"kty":"EC","attributes":{"exp":-1}}`: "", `{"kty":"EC","tags":{"` + strings.Repeat("x", 257) + `":""}}`: "",
	} {
		f.do("POST", "kv1", "/keys/bad/create", body).is(t, 400, "BadParameter", inner)
	}
	f.do("GET", "kv1", "/keys/bad", nil).is(t, 404, "KeyNotFound", "")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	first := f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC","tags":{"n":"1"}}`)
	second := f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`)
	if got := f.must("GET", "kv1", "/keys/k/", nil); got.text != second.text {
		t.Errorf("newest: %s", got.text)
	}
	if got := f.must("GET", "kv1", "/keys/k/"+first.version(), nil); got.text != first.text {
		t.Errorf("old: %s", got.text)
	}
	f.must("PATCH", "kv1", "/keys/k/", `{"tags":{"n":"2"}}`)
	if got := f.must("GET", "kv1", "/keys/k/"+first.version(), nil); got.text != first.text {
		t.Errorf("an update of the newest changed the old: %s", got.text)
	}
	f.moved(time.Minute)
	u := f.must("PATCH", "kv1", "/keys/k/"+second.version(), `{"attributes":{"exp":1999999999},"key_ops":["sign"]}`)
	if u.at("attributes", "exp") != 1999999999.0 || u.str("tags", "n") != "2" || u.at("attributes", "updated") != u.at("attributes", "created").(float64)+60 {
		t.Errorf("update: %s", u.text)
	}
	if got := f.must("GET", "kv1", "/keys/k", nil); got.text != u.text {
		t.Errorf("GET differs from the update: %s", got.text)
	}
	a := f.do("GET", "kv1", "/keys/k/"+strings.Repeat("0", 32), nil)
	a.is(t, 404, "KeyNotFound", "")
	if _, _, m := a.code(); !strings.HasPrefix(m, "A key with (name/id) k/"+strings.Repeat("0", 32)+" was not found in this key vault.") {
		t.Error(m)
	}
	for _, r := range []subject{{"POST", "/keys/none/wrapkey", `{"alg":"RSA-OAEP","value":"AAAA"}`}, {"DELETE", "/keys/none", ""}, {"POST", "/keys/none/backup", ""},
		{"POST", "/keys/none/rotate", ""}, {"PATCH", "/keys/none/", `{}`}, {"GET", "/keys/none/rotationpolicy", ""}, {"GET", "/keys/none/versions", ""}} {
		f.do(r.method, "kv1", r.path, r.body).is(t, 404, "KeyNotFound", "")
	}
}

func TestPaging(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	for i := range 28 {
		f.must("POST", "kv1", fmt.Sprintf("/keys/K%d/create", i), `{"kty":"EC"}`)
	}
	for range 4 {
		f.must("POST", "kv1", "/keys/K0/create", `{"kty":"EC"}`)
	}
	walk := func(url string, size int) []string {
		t.Helper()
		var kids []string
		for url != "" {
			a := f.must("GET", "kv1", url, nil)
			items := a.at("value").([]any)
			if len(items) > size {
				t.Errorf("%s: %d items", url, len(items))
			}
			for _, i := range items {
				kids = append(kids, i.(map[string]any)["kid"].(string))
			}
			next := a.str("nextLink")
			if next != "" && !strings.HasPrefix(next, "https://kv1.vault.azure.net/") {
				t.Errorf("nextLink %s", next)
			}
			url = strings.TrimPrefix(next, "https://kv1.vault.azure.net")
		}
		return kids
	}
	for url, size := range map[string]int{"/keys": 25, "/keys?maxresults=5": 5, "/keys/?maxresults=28": 0} {
		if size == 0 {
			f.do("GET", "kv1", url, nil).is(t, 400, "BadParameter", "")
			continue
		}
		seen := map[string]bool{}
		for _, kid := range walk(url, size) {
			if seen[kid] {
				t.Errorf("%s came twice", kid)
			}
			seen[kid] = true
		}
		if len(seen) != 28 || !seen["https://kv1.vault.azure.net/keys/K0"] {
			t.Errorf("%s: %d keys", url, len(seen))
		}
	}
	if got := walk("/keys/k0/versions?maxresults=2", 2); len(got) != 5 {
		t.Errorf("versions: %v", got)
	}
	f.do("GET", "kv1", "/keys?$skiptoken=!", nil).is(t, 400, "BadParameter", "")
}

// sixOperations are requests that succeed on a healthy RSA key.
func sixOperations(f *fixture, key string) map[string]string {
	digest := sha256.Sum256([]byte("six"))
	c := f.must("POST", "kv1", "/keys/"+key+"/encrypt", `{"alg":"RSA-OAEP","value":"YQ"}`).str("value")
	s := f.must("POST", "kv1", "/keys/"+key+"/sign", `{"alg":"RS256","value":"`+text64(digest[:])+`"}`).str("value")
	return map[string]string{
		"encrypt": `{"alg":"RSA-OAEP","value":"YQ"}`, "wrapKey": `{"alg":"RSA-OAEP","value":"YQ"}`, "sign": `{"alg":"RS256","value":"` + text64(digest[:]) + `"}`,
		"decrypt": `{"alg":"RSA-OAEP","value":"` + c + `"}`, "unwrapKey": `{"alg":"RSA-OAEP","value":"` + c + `"}`,
		"verify": `{"alg":"RS256","digest":"` + text64(digest[:]) + `","value":"` + s + `"}`,
	}
}

func TestDisabledExpiredNotYetValid(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	old := f.must("POST", "kv1", "/keys/k/create", `{"kty":"RSA"}`).version()
	v := f.must("POST", "kv1", "/keys/k/create", `{"kty":"RSA"}`).version()
	ops := sixOperations(f, "k/"+v)
	past, future := f.clock.Add(-time.Minute).Unix(), f.clock.Add(time.Hour).Unix()
	for _, c := range []struct {
		name, patch, protecting, reading string
	}{
		{"healthy", `{}`, "", ""},
		{"disabled", `{"attributes":{"enabled":false}}`, "KeyDisabled", "KeyDisabled"},
		{"disabled and expired", fmt.Sprintf(`{"attributes":{"exp":%d}}`, past), "KeyDisabled", "KeyDisabled"},
		{"expired", `{"attributes":{"enabled":true}}`, "KeyExpired", ""},
		{"not yet valid", fmt.Sprintf(`{"attributes":{"nbf":%d,"exp":%d}}`, future, future+1), "KeyNotYetValid", ""},
	} {
		f.must("PATCH", "kv1", "/keys/k/"+v, c.patch)
		f.must("GET", "kv1", "/keys/k/"+v, nil)
		for op, body := range ops {
			inner := c.reading
			if op == "encrypt" || op == "wrapKey" || op == "sign" {
				inner = c.protecting
			}
			a := f.do("POST", "kv1", "/keys/k/"+op, body)
			if inner == "" {
				if a.status != 200 {
					t.Errorf("%s, %s: %s", c.name, op, a.text)
				}
				continue
			}
			a.is(t, 403, "Forbidden", inner)
			if _, _, m := a.code(); !strings.HasPrefix(m, "Operation "+op+" is not allowed on a") {
				t.Errorf("%s, %s: %s", c.name, op, m)
			}
		}
	}
	// The older version serves whatever the newest is.
	f.must("POST", "kv1", "/keys/k/"+old+"/wrapkey", `{"alg":"RSA-OAEP","value":"YQ"}`)
	// Window before key_ops before algorithm.
	f.must("PATCH", "kv1", "/keys/k/"+old, `{"key_ops":["unwrapKey"]}`)
	f.do("POST", "kv1", "/keys/k/"+old+"/wrapkey", `{"alg":"none","value":"YQ"}`).is(t, 403, "Forbidden", "KeyOperationForbidden")
	f.do("POST", "kv1", "/keys/k/"+old+"/unwrapkey", `{"alg":"none","value":"YQ"}`).is(t, 400, "BadParameter", "")
}

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
	f.do("GET", "old", "/deletedkeys/k", nil).is(t, 404, "KeyNotFound", "")
	f.must("POST", "old", "/keys/k/create", `{"kty":"EC"}`)
}

func TestBackupIsBound(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.do("POST", "kv1", "/keys/restore", `{"value":"`+text64([]byte(backupMagic+strings.Repeat("x", 99)))+`"}`).is(t, 400, "BadParameter", "")
	f.must("PUT", "kv1", "/keys/k", `{"key":`+testECJWK+`}`)
	f.must("PUT", "kv1", "/secrets/s", `{"value":"hush-hush"}`)
	blob := bytes64(t, f.must("POST", "kv1", "/keys/k/backup", nil).str("value"))
	secret := bytes64(t, f.must("POST", "kv1", "/secrets/s/backup", nil).str("value"))
	for name, bad := range map[string][]byte{"cut": blob[:len(blob)-7], "empty": {}, "short": []byte("hello"), "a secret's": secret,
		"changed": append(append([]byte{}, blob[:len(blob)/2]...), append([]byte{blob[len(blob)/2] ^ 1}, blob[len(blob)/2+1:]...)...)} {
		a := f.do("POST", "kv1", "/keys/restore", map[string]string{"value": text64(bad)})
		if a.status != 400 {
			t.Errorf("%s: %d %s", name, a.status, a.text)
		}
	}
	// Another subscription, another geography.
	other := vaultID("kv2")
	other.Subscription = stranger
	in := Input{TenantID: ptr(testTenant), SKU: &SKU{"A", "standard"}, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all")}}
	if _, _, err := f.Put(t.Context(), Write{ID: other, APIVersion: "2022-07-01", Location: "westeurope", Input: in}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Put(t.Context(), Write{ID: vaultID("kv3"), APIVersion: "2022-07-01", Location: "eastus", Input: in}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Put(t.Context(), Write{ID: vaultID("kv4"), APIVersion: "2022-07-01", Location: "northeurope", Input: in}); err != nil {
		t.Fatal(err)
	}
	body := map[string]string{"value": text64(blob)}
	f.do("POST", "kv2", "/keys/restore", body).is(t, 400, "BadParameter", "")
	f.do("POST", "kv3", "/keys/restore", body).is(t, 400, "BadParameter", "")
	f.must("POST", "kv4", "/keys/restore", body)
	f.must("POST", "kv4", "/secrets/restore", map[string]string{"value": text64(secret)})
	if got := f.must("GET", "kv4", "/secrets/s", nil).str("value"); got != "hush-hush" {
		t.Errorf("restored secret %q", got)
	}
	// Another server.
	g := setup(t)
	g.vault("kv1", nil)
	g.do("POST", "kv1", "/keys/restore", body).is(t, 400, "BadParameter", "")
}

func TestRotation(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	first := f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC","crv":"P-384","key_ops":["verify","sign"],"tags":{"x":"1"}}`)
	if a := f.must("GET", "kv1", "/keys/k/rotationpolicy", nil); len(a.at("lifetimeActions").([]any)) != 1 {
		t.Errorf("default policy: %s", a.text)
	}
	r := f.must("POST", "kv1", "/keys/k/rotate", nil)
	if r.version() == first.version() || r.str("key", "x") == first.str("key", "x") || r.str("key", "crv") != "P-384" || cmp.Diff(first.at("key", "key_ops"), r.at("key", "key_ops")) != "" || r.str("tags", "x") != "1" || r.at("attributes", "exp") != nil {
		t.Errorf("rotated: %s", r.text)
	}
	policy := `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"rotate"}},{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"NOTIFY"}}],"attributes":{"expiryTime":"P180D"}}`
	set := f.must("PUT", "kv1", "/keys/k/rotationpolicy", policy)
	if got := f.must("GET", "kv1", "/keys/k/rotationpolicy", nil); got.text != set.text || got.str("id") != "https://kv1.vault.azure.net/keys/k/rotationpolicy" || got.str("attributes", "expiryTime") != "P180D" {
		t.Errorf("policy: %s", got.text)
	}
	newest := func() answer { return f.must("GET", "kv1", "/keys/k", nil) }
	sweep := func() {
		t.Helper()
		if err := f.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	f.moved(89 * 24 * time.Hour)
	sweep()
	if newest().version() != r.version() {
		t.Error("rotated too early")
	}
	f.must("PATCH", "kv1", "/keys/k/", `{"attributes":{"enabled":false}}`)
	f.moved(2 * 24 * time.Hour)
	sweep()
	if newest().version() != r.version() {
		t.Error("a disabled key rotated")
	}
	f.must("PATCH", "kv1", "/keys/k/", `{"attributes":{"enabled":true}}`)
	sweep()
	n := newest()
	if n.version() == r.version() || n.at("attributes", "exp") != float64(f.clock.Add(180*24*time.Hour).Unix()) {
		t.Errorf("not rotated: %s", n.text)
	}
	sweep()
	if newest().version() != n.version() {
		t.Error("rotated twice")
	}
	f.must("PUT", "kv1", "/keys/k/rotationpolicy", `{"lifetimeActions":[{"trigger":{"timeBeforeExpiry":"P30D"},"action":{"type":"Notify"}}]}`)
	f.moved(151 * 24 * time.Hour)
	sweep()
	sweep()
	if got := strings.Count(f.log.String(), "key is near its expiry"); got != 1 {
		t.Errorf("%d notices", got)
	}
	rot := `{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Rotate"}}`
	for _, bad := range []string{`{"lifetimeActions":[` + rot + `,` + rot + `]}`, `{"attributes":{"expiryTime":"P20D"}}`, `{"attributes":{"expiryTime":"P20X"}}`,
		`{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Notify"}}]}`, `{"lifetimeActions":[{"trigger":{},"action":{"type":"Rotate"}}]}`,
		`{"lifetimeActions":[{"trigger":{"timeAfterCreate":"PT1S"},"action":{"type":"Rotate"}}]}`, `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Fly"}}]}`} {
		f.do("PUT", "kv1", "/keys/k/rotationpolicy", bad).is(t, 400, "BadParameter", "")
	}
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
