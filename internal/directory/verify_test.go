package directory

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/authz"
)

const vaultAudience = "https://vault.azure.net"

func b64(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func jsonB64(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b64(data)
}

// split gives the parts of a token: header and claims decoded, the signature as text.
func split(t testing.TB, token string) (header, claims map[string]any, signature string) {
	t.Helper()
	parts := strings.Split(token, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims, parts[2]
}

func (f *fixture) token(t testing.TB, audience string) string {
	t.Helper()
	s, _, err := f.sign(principal{ObjectID: f.boot.ObjectID, AppID: f.boot.ClientID, DisplayName: bootstrapName, Kind: kindApplication}, audience, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s.Reveal()
}

// resign signs changed claims with the tenant's own key: what a bug, not an attacker, would make.
func (f *fixture) resign(t testing.TB, changes map[string]any) string {
	t.Helper()
	_, c, _ := split(t, f.token(t, vaultAudience))
	for k, v := range changes {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := f.keys.Load().signer.Sign(data)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	f := open(t)
	want := authz.Principal{TenantID: f.TenantID(), ObjectID: f.boot.ObjectID, AppID: f.boot.ClientID, Issuer: "https://sts.windows.net/" + f.TenantID() + "/", Name: bootstrapName}
	for _, tc := range []struct{ signedFor, accepted string }{
		{vaultAudience, vaultAudience}, {vaultAudience + "/", vaultAudience}, {vaultAudience, vaultAudience + "/"},
	} {
		got, err := f.Verify(t.Context(), f.token(t, tc.signedFor), "https://management.azure.com", tc.accepted)
		if err != nil {
			t.Errorf("%v: %v", tc, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestTokenClaims(t *testing.T) {
	t.Parallel()
	f := open(t)
	header, got, _ := split(t, f.token(t, "https://management.core.windows.net/"))
	kid := f.keys.Load().webKeys[0].KeyID
	if diff := cmp.Diff(map[string]any{"alg": "RS256", "kid": kid, "x5t": kid, "typ": "JWT"}, header); diff != "" {
		t.Errorf("header (-want +got)\n%s", diff)
	}
	if uti, _ := got["uti"].(string); len(uti) != 22 {
		t.Errorf("uti %v", got["uti"])
	}
	delete(got, "uti")
	now := float64(f.clock.at.Unix())
	iss := "https://sts.windows.net/" + f.TenantID() + "/"
	want := map[string]any{"aud": "https://management.core.windows.net/", "iss": iss, "idp": iss, "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
		"app_displayname": "kustos", "appid": f.boot.ClientID, "appidacr": "1", "idtyp": "app", "oid": f.boot.ObjectID, "sub": f.boot.ObjectID, "tid": f.TenantID(), "ver": "1.0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got)\n%s", diff)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	f := open(t)
	good := f.token(t, vaultAudience)
	header, c, signature := split(t, good)
	parts := strings.Split(good, ".")
	other := "https://sts.windows.net/11111111-1111-1111-1111-111111111111/"
	ours := issuer(f.TenantID())
	now := f.clock.at

	foreignKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	foreign := func(extra, changes map[string]any) string {
		h, cl := maps.Clone(header), maps.Clone(c)
		maps.Copy(h, extra)
		maps.Copy(cl, changes)
		input := jsonB64(t, h) + "." + jsonB64(t, cl)
		sum := sha256.Sum256([]byte(input))
		sig, err := foreignKey.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return input + "." + b64(sig)
	}
	changed := func(changes map[string]any) string {
		cl := maps.Clone(c)
		maps.Copy(cl, changes)
		return parts[0] + "." + jsonB64(t, cl) + "." + signature
	}
	unsigned := func(alg any, sig string) string {
		h := maps.Clone(header)
		h["alg"] = alg
		return jsonB64(t, h) + "." + parts[1] + "." + sig
	}
	hs256 := func(secret []byte) string {
		h := maps.Clone(header)
		h["alg"] = "HS256"
		input := jsonB64(t, h) + "." + parts[1]
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(input))
		return input + "." + b64(mac.Sum(nil))
	}
	public := f.keys.Load().public[f.keys.Load().webKeys[0].KeyID]
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) string {
		raw, err := base64.RawURLEncoding.DecodeString(signature)
		if err != nil {
			t.Fatal(err)
		}
		raw[at] ^= 1
		return parts[0] + "." + parts[1] + "." + b64(raw)
	}
	jwk := jose.JSONWebKey{Key: &foreignKey.PublicKey}

	tests := []struct {
		name, token string
		want        TokenError
	}{
		{"none", "", TokenError{Kind: Missing}},
		{"wrong audience", f.token(t, "https://management.azure.com"), TokenError{Kind: Audience, Found: "https://management.azure.com", Expected: vaultAudience}},
		{"no audience", f.resign(t, map[string]any{"aud": ""}), TokenError{Kind: Audience, Expected: vaultAudience}},
		{"slash audience", f.resign(t, map[string]any{"aud": "/"}), TokenError{Kind: Audience, Found: "/", Expected: vaultAudience}},
		{"list audience", f.resign(t, map[string]any{"aud": []string{vaultAudience}}), TokenError{Kind: Malformed}},
		{"wrong issuer, our key", f.resign(t, map[string]any{"iss": other}), TokenError{Kind: Issuer, Found: other, Expected: ours}},
		{"wrong tenant, our key", f.resign(t, map[string]any{"tid": "11111111-1111-1111-1111-111111111111"}), TokenError{Kind: Issuer, Found: other, Expected: ours}},
		{"issuer of a v2 token, our key", f.resign(t, map[string]any{"iss": "https://login.microsoftonline.com/" + f.TenantID() + "/v2.0"}),
			TokenError{Kind: Issuer, Found: "https://login.microsoftonline.com/" + f.TenantID() + "/v2.0", Expected: ours}},
		{"expired", f.resign(t, map[string]any{"exp": now.Add(-30 * time.Second).Unix()}), TokenError{Kind: Expired, Found: "2030-05-17T10:29:30Z", Expected: "2030-05-17T10:30:00Z"}},
		{"not yet valid", f.resign(t, map[string]any{"nbf": now.Add(31 * time.Second).Unix()}), TokenError{Kind: NotYetValid, Found: "2030-05-17T10:30:31Z", Expected: "2030-05-17T10:30:00Z"}},
		{"no expiry", f.resign(t, map[string]any{"exp": nil}), TokenError{Kind: Malformed}},
		{"no nbf", f.resign(t, map[string]any{"nbf": nil}), TokenError{Kind: Malformed}},
		{"expiry as text", f.resign(t, map[string]any{"exp": "never"}), TokenError{Kind: Malformed}},
		{"no object id", f.resign(t, map[string]any{"oid": nil}), TokenError{Kind: Malformed}},
		{"changed oid", changed(map[string]any{"oid": "11111111-1111-1111-1111-111111111111"}), TokenError{Kind: Signature}},
		{"changed expiry", changed(map[string]any{"exp": now.Add(1000 * time.Hour).Unix()}), TokenError{Kind: Signature}},
		{"changed issuer", changed(map[string]any{"iss": other}), TokenError{Kind: Signature}},
		{"first bit of the signature", flipped(0), TokenError{Kind: Signature}},
		{"last bit of the signature", flipped(255), TokenError{Kind: Signature}},
		{"other spelling of the last character", good[:len(good)-1] + string(good[len(good)-1]+1), TokenError{Kind: Malformed}},
		{"short signature", good[:len(good)-6], TokenError{Kind: Signature}},
		{"line end", good + "\n", TokenError{Kind: Malformed}},
		{"padding", good + "==", TokenError{Kind: Malformed}},
		{"no signature", parts[0] + "." + parts[1] + ".", TokenError{Kind: Malformed}},
		{"two parts", parts[0] + "." + parts[1], TokenError{Kind: Malformed}},
		{"four parts", good + "." + signature, TokenError{Kind: Malformed}},
		{"rubbish", "a.b.c", TokenError{Kind: Malformed}},
		{"JSON serialisation", `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + signature + `"}`, TokenError{Kind: Malformed}},
		{"huge", strings.Repeat("A", maxTokenBytes) + "." + parts[1] + "." + signature, TokenError{Kind: Malformed}},
		{"alg none", unsigned("none", signature), TokenError{Kind: Malformed}},
		{"alg none, no signature", unsigned("none", ""), TokenError{Kind: Malformed}},
		{"alg None", unsigned("None", signature), TokenError{Kind: Malformed}},
		{"alg empty", unsigned("", signature), TokenError{Kind: Malformed}},
		{"alg missing", unsigned(nil, signature), TokenError{Kind: Malformed}},
		{"alg PS256", unsigned("PS256", signature), TokenError{Kind: Malformed}},
		{"HS256 with the PEM", hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), TokenError{Kind: Malformed}},
		{"HS256 with the modulus", hs256(public.N.Bytes()), TokenError{Kind: Malformed}},
		{"foreign key under our kid", foreign(nil, nil), TokenError{Kind: Signature}},
		{"foreign key in the header", foreign(map[string]any{"jwk": &jwk}, nil), TokenError{Kind: Signature}},
		{"unknown kid", foreign(map[string]any{"kid": "../../dev/null"}, nil), TokenError{Kind: Signature}},
		{"unknown kid and jwk", foreign(map[string]any{"kid": "mine", "jwk": &jwk}, nil), TokenError{Kind: Signature}},
		{"no kid", foreign(map[string]any{"kid": ""}, nil), TokenError{Kind: Signature}},
		{"token of another tenant", foreign(map[string]any{"kid": "theirs"}, map[string]any{"iss": other}), TokenError{Kind: Issuer, Found: other, Expected: ours}},
		{"issuer that is not one", foreign(map[string]any{"kid": "theirs"}, map[string]any{"iss": "https://sts.windows.net/<script>/"}), TokenError{Kind: Signature}},
		{"critical extension", foreign(map[string]any{"crit": []string{"x"}, "x": 1}, nil), TokenError{Kind: Signature}},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			p, err := f.Verify(t.Context(), tc.token, vaultAudience)
			var got *TokenError
			if !errors.As(err, &got) {
				t.Fatalf("accepted, or no TokenError: %v", err)
			}
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if p.ObjectID != "" || p.TenantID != "" {
				t.Errorf("a refusal names a principal: %+v", p)
			}
			if len(tc.token) > 100 && strings.Contains(err.Error(), tc.token[:20]) {
				t.Error("the error quotes the token")
			}
		})
	}
}

func TestVerifyFollowsTheClock(t *testing.T) {
	t.Parallel()
	f := open(t)
	token := f.token(t, vaultAudience)
	kindAt := func(d time.Duration) TokenErrorKind {
		f.clock.advance(d)
		defer f.clock.advance(-d)
		_, err := f.Verify(t.Context(), token, vaultAudience)
		var e *TokenError
		if errors.As(err, &e) {
			return e.Kind
		}
		return ""
	}
	for d, want := range map[time.Duration]TokenErrorKind{
		-6 * time.Minute: NotYetValid, -5 * time.Minute: "", 0: "", time.Hour: "", time.Hour + verifySkew - time.Second: "", time.Hour + verifySkew: Expired,
	} {
		if got := kindAt(d); got != want {
			t.Errorf("after %v: %q, want %q", d, got, want)
		}
	}
}

func FuzzVerify(f *testing.F) {
	d := open(f)
	good := d.token(f, vaultAudience)
	f.Add(good)
	f.Add(d.resign(f, map[string]any{"exp": 1}))
	f.Add("")
	f.Add("a.b.c")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(b64([]byte(`{"alg":"none"}`)) + "." + b64([]byte(`{}`)) + ".AA")
	f.Fuzz(func(t *testing.T, token string) {
		p, err := d.Verify(t.Context(), token, vaultAudience)
		var e *TokenError
		switch {
		case err == nil && token != good:
			t.Errorf("a token nobody signed is accepted: %q", token)
		case err != nil && !errors.As(err, &e):
			t.Errorf("not a TokenError: %v", err)
		case err != nil && (p.ObjectID != "" || p.TenantID != ""):
			t.Errorf("a refusal names a principal: %+v", p)
		}
	})
}

// verifyWithJWK checks a token as a stranger would: with nothing but the
// published key set.
func verifyWithJWK(keySet, token string) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(keySet), &set); err != nil {
		return err
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return err
	}
	_, err = signed.Verify(&set)
	return err
}
