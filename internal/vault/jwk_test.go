package vault

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// testECJWK is the example key of RFC 7517, appendix A.2.
const testECJWK = `{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}`

func TestImportEC(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	a := f.must("PUT", "kv1", "/keys/k", `{"key":`+testECJWK+`}`)
	if a.str("key", "x") != "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4" || a.at("key", "d") != nil {
		t.Errorf("imported: %s", a.text)
	}
	for _, bad := range []string{
		strings.Replace(testECJWK, `"x":"M`, `"x":"N`, 1), strings.Replace(testECJWK, `"d":"8`, `"d":"9`, 1),
		strings.Replace(testECJWK, "P-256", "P-384", 1), `{"kty":"EC","crv":"P-256"}`, `{"kty":"RSA"}`, `{"kty":"RSA","n":"!!"}`, `{"kty":"oct","k":"AAAA"}`,
	} {
		if a := f.do("PUT", "kv1", "/keys/bad", `{"key":`+bad+`}`); a.status != 400 {
			t.Errorf("%s: %d %s", bad, a.status, a.text)
		}
	}
	f.do("PUT", "kv1", "/keys/bad", `{"key":`+testECJWK+`,"Hsm":true}`).is(t, 403, "Forbidden", "")
	f.do("GET", "kv1", "/keys/bad", nil).is(t, 404, "KeyNotFound", "")
}

func TestPrivateTypesPrintRedacted(t *testing.T) {
	t.Parallel()
	j := &jsonWebKey{Kty: "EC", D: []byte("private")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{j, *j, Secret("private")} {
			if got := fmt.Sprintf(verb, v); got != "REDACTED" {
				t.Errorf("%s of %T: %q", verb, v, got)
			}
		}
	}
	if data, err := json.Marshal(SecretSpec{Value: "private"}); err != nil || strings.Contains(string(data), "private") {
		t.Errorf("%s %v", data, err)
	}
}

// FuzzImport feeds bodies to the import: it must refuse or accept, never panic,
// and what it accepts must sign.
func FuzzImport(f *testing.F) {
	f.Add(testECJWK)
	f.Add(`{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB","p":"AQAB","q":"AQAB"}`)
	f.Add(`{"kty":"EC","crv":"P-521","x":"AA","y":"AA","d":"AA"}`)
	f.Add(`{"kty":"EC","crv":"P-256K","x":"AA","y":"AA","d":"AA"}`)
	f.Add(`{"kty":"RSA-HSM","key_hsm":"AAAA"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var body jwkBody
		if json.Unmarshal([]byte(text), &body) != nil {
			return
		}
		jwk, err := body.decode()
		if err != nil {
			return
		}
		kind, key, err := jwk.private(false, SKU{"A", "premium"})
		if err != nil {
			return
		}
		alg := "PS256"
		if kind.ec() {
			alg = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "P-256K": "ES256K"}[kind.Curve]
		}
		digest := make([]byte, map[string]int{"PS256": 32, "ES256": 32, "ES256K": 32, "ES384": 48, "ES512": 64}[alg])
		if _, err := sign(key, kind, alg, digest); err != nil {
			t.Errorf("an imported key does not sign: %v", err)
		}
	})
}
