package vault

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
		`{"kty":"oct"}`: "KeyTypeNotSupported", `{"kty":"DSA"}`: "KeyTypeNotSupported",
		`{"kty":"EC","crv":"secp256k1"}`: "", `{}`: "", `{"kty":"RSA","key_size":1024}`: "", `{"kty":"RSA","key_size":2047}`: "",
		`{"kty":"EC","crv":"P-999"}`: "", `{"kty":"RSA","key_ops":["fly"]}`: "", `{"kty":"EC","key_ops":["encrypt"]}`: "", `{"kty":"RSA","public_exponent":3}`: "",
		`[]`: "", `{"kty":5}`: "", ``: "",
		`{"kty":"EC","attributes":{"exp":-1}}`: "", `{"kty":"EC","tags":{"` + strings.Repeat("x", 257) + `":""}}`: "",
	} {
		f.do("POST", "kv1", "/keys/bad/create", body).is(t, 400, "BadParameter", inner)
	}
	f.do("GET", "kv1", "/keys/bad", nil).is(t, 404, "KeyNotFound", "")
}

// TestHardwareAndExportableKeys: the refusals have the service's own words, and
// say "this server" only where the service would not refuse.
func TestHardwareAndExportableKeys(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("standard", nil)
	f.vault("premium", func(in *Input) { in.SKU = &SKU{"A", "premium"} })
	const policy = `"release_policy":{"data":"e30"}`
	for _, c := range []struct{ vault, api, body, want string }{
		{"standard", "7.4", `{"kty":"RSA-HSM"}`, "403 Forbidden: Hardware key operation not allowed on standard vault"},
		{"standard", "7.4", `{"kty":"EC-HSM"}`, "403 Forbidden: Hardware key operation not allowed on standard vault"},
		{"standard", "7.4", `{"kty":"RSA","attributes":{"exportable":true}}`, "400 BadParameter: AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'."},
		{"premium", "7.2", `{"kty":"RSA","attributes":{"exportable":true},` + policy + `}`, "400 BadParameter: AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'."},
		{"premium", "7.3-preview", `{"kty":"RSA","attributes":{"exportable":true}}`, "400 BadParameter: AKV.SKR.1004: Exportable keys must have release policy."},
		{"premium", "7.4", `{"kty":"RSA",` + policy + `}`, "400 BadParameter: AKV.SKR.1005: Non-exportable keys must not have release policy"},
		{"premium", "7.4", `{"kty":"RSA","attributes":{"exportable":true},` + policy + `}`, "400 NotSupported: Exportable keys and release policies are not offered by this server."},
	} {
		a := f.do("POST", c.vault, "/keys/k/create?api-version="+c.api, c.body)
		code, inner, message := a.code()
		if got := fmt.Sprintf("%d %s%s: %s", a.status, code, inner, message); got != c.want {
			t.Errorf("%s %s %s:\ngot    %s\nwanted %s", c.vault, c.api, c.body, got, c.want)
		}
	}
	f.must("POST", "standard", "/keys/k/create", `{"kty":"EC","attributes":{"exportable":false},"release_policy":null}`)
	f.do("PATCH", "standard", "/keys/k", `{`+policy+`}`).is(t, 400, "BadParameter", "")
	f.do("PUT", "standard", "/keys/k", `{"Hsm":true,"key":`+testECJWK+`}`).is(t, 403, "Forbidden", "")
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
