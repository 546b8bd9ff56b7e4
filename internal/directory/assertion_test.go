package directory

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/test/golden"
)

// testKeys are made once: RSA keys take their time.
var testKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func selfSigned(t testing.TB, key *rsa.PrivateKey, start, end time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "loader"}, NotBefore: start, NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// client is an application with a certificate and a service principal.
type client struct {
	id, appID, objectID string
	key                 *rsa.PrivateKey
	cert                *x509.Certificate
}

func (f *fixture) client(t *testing.T) client {
	t.Helper()
	c := client{key: testKeys()[0]}
	c.cert = selfSigned(t, c.key, f.clock.at.Add(-time.Hour), f.clock.at.Add(48*time.Hour))
	status, app, text := f.graphCall(t, "POST", "/v1.0/applications", `{"displayName":"loader","keyCredentials":[{"@odata.type":"#microsoft.graph.keyCredential","displayName":null,"type":"AsymmetricX509Cert","usage":"Verify",`+
		`"keyId":"3f0c2b8e-1111-4222-8333-000000000001","key":"`+base64.StdEncoding.EncodeToString(c.cert.Raw)+`"}]}`)
	if status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	c.id, c.appID = app["id"].(string), app["appId"].(string)
	status, sp, text := f.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+c.appID+`"}`)
	if status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	c.objectID = sp["id"].(string)
	return c
}

func (c client) sha1() string   { s := sha1.Sum(c.cert.Raw); return b64(s[:]) }
func (c client) sha256() string { s := sha256.Sum256(c.cert.Raw); return b64(s[:]) }

// sign makes a JWT; a nil claim is left out.
func signJWT(t testing.TB, key any, alg jose.SignatureAlgorithm, header, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	for k, v := range header {
		options.WithHeader(jose.HeaderKey(k), v)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range claims {
		if v == nil {
			delete(claims, k)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (f *fixture) assertionClaims(c client, changes map[string]any) map[string]any {
	now := float64(f.clock.at.Unix())
	out := map[string]any{"aud": "https://login.microsoftonline.com/" + f.TenantID() + "/oauth2/v2.0/token", "iss": c.appID, "sub": c.appID,
		"jti": newUniqueID(), "iat": now + 0.25, "nbf": now, "exp": now + 600.5}
	for k, v := range changes {
		out[k] = v
	}
	return out
}

func (f *fixture) tokenByAssertion(t testing.TB, appID, assertion string) (int, map[string]any, string) {
	t.Helper()
	return f.do(t, f.LoginHandler(), post("/"+f.TenantID()+"/oauth2/v2.0/token",
		f.form("client_id", appID, "client_secret", "", "client_assertion_type", assertionTypeJWT, "client_assertion", assertion)))
}

func TestCertificateAssertions(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	c := f.client(t)
	other := testKeys()[1]
	now := float64(f.clock.at.Unix())
	sha1Header := map[string]any{"x5t": c.sha1()}
	type change = map[string]any
	tests := []struct {
		name    string
		key     any
		alg     jose.SignatureAlgorithm
		header  map[string]any
		changes change
		code    float64 // 0: a token
	}{
		{"RS256 and x5t", c.key, jose.RS256, sha1Header, nil, 0},
		{"PS256 and x5t#S256", c.key, jose.PS256, change{"x5t#S256": c.sha256()}, nil, 0},
		{"both thumbprints", c.key, jose.PS256, change{"x5t": c.sha1(), "x5t#S256": c.sha256()}, nil, 0},
		{"padded thumbprint", c.key, jose.RS256, change{"x5t": c.sha1() + "="}, nil, 0},
		{"thumbprint in ordinary base64", c.key, jose.PS256, change{"x5t#S256": strings.NewReplacer("-", "+", "_", "/").Replace(c.sha256()) + "="}, nil, 0},
		{"audience of v1", c.key, jose.RS256, sha1Header, change{"aud": "https://sts.windows.net/" + f.TenantID() + "/oauth2/token"}, 0},
		{"audience is the issuer", c.key, jose.RS256, sha1Header, change{"aud": "https://login.microsoftonline.com/" + f.TenantID() + "/v2.0"}, 0},
		{"audience in a list", c.key, jose.RS256, sha1Header, change{"aud": []string{"https://login.microsoftonline.com/" + f.TenantID() + "/oauth2/v2.0/token"}}, 0},
		{"no nbf and iat", c.key, jose.RS256, sha1Header, change{"nbf": nil, "iat": nil}, 0},

		{"another key", other, jose.RS256, sha1Header, nil, 700027},
		{"no thumbprint", c.key, jose.RS256, nil, nil, 50027},
		{"unknown thumbprint", c.key, jose.RS256, change{"x5t": "AAAA"}, nil, 700027},
		{"one thumbprint of two is wrong", c.key, jose.RS256, change{"x5t": c.sha1(), "x5t#S256": "AAAA"}, nil, 700027},
		{"own chain in the header", other, jose.RS256, change{"x5t": "AAAA", "x5c": []string{base64.StdEncoding.EncodeToString(selfSigned(t, other, f.clock.at, f.clock.at.Add(time.Hour)).Raw)}}, nil, 700027},
		{"HS256 with the certificate as key", c.cert.Raw, jose.HS256, sha1Header, nil, 50027},
		{"RS512", c.key, jose.RS512, sha1Header, nil, 50027},
		{"subject of another", c.key, jose.RS256, sha1Header, change{"sub": f.boot.ClientID}, 700021},
		{"issuer of another", c.key, jose.RS256, sha1Header, change{"iss": f.boot.ClientID}, 700211},
		{"audience of another tenant", c.key, jose.RS256, sha1Header, change{"aud": "https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000ff/oauth2/v2.0/token"}, 700023},
		{"audience of another host", c.key, jose.RS256, sha1Header, change{"aud": "https://example.com/" + f.TenantID() + "/oauth2/v2.0/token"}, 700023},
		{"two audiences", c.key, jose.RS256, sha1Header, change{"aud": []string{"https://login.microsoftonline.com/" + f.TenantID() + "/oauth2/v2.0/token", "x"}}, 700023},
		{"no audience", c.key, jose.RS256, sha1Header, change{"aud": nil}, 700023},
		{"no jti", c.key, jose.RS256, sha1Header, change{"jti": nil}, 50027},
		{"no exp", c.key, jose.RS256, sha1Header, change{"exp": nil}, 50027},
		{"exp is text", c.key, jose.RS256, sha1Header, change{"exp": "soon"}, 50027},
		{"expired", c.key, jose.RS256, sha1Header, change{"exp": now - 60}, 700024},
		{"not yet", c.key, jose.RS256, sha1Header, change{"nbf": now + 3600}, 700024},
		{"made in the future", c.key, jose.RS256, sha1Header, change{"iat": now + 3600}, 700024},
		{"valid for days", c.key, jose.RS256, sha1Header, change{"exp": now + 25*3600}, 700024},
	}
	var golden0 strings.Builder
	for _, tc := range tests {
		text := signJWT(t, tc.key, tc.alg, tc.header, f.assertionClaims(c, tc.changes))
		status, body, answer := f.tokenByAssertion(t, c.appID, text)
		if tc.code == 0 {
			if status != 200 {
				t.Errorf("%s: %d %s", tc.name, status, answer)
				continue
			}
			if _, got, _ := split(t, body["access_token"].(string)); got["appidacr"] != "2" || got["oid"] != c.objectID {
				t.Errorf("%s: claims %v", tc.name, got)
			}
			continue
		}
		codes, _ := body["error_codes"].([]any)
		if status < 400 || body["access_token"] != nil || len(codes) != 1 || codes[0] != tc.code {
			t.Errorf("%s: %d %s, want code %v", tc.name, status, answer, tc.code)
		}
		description := strings.NewReplacer(c.sha1(), "{x5t}", certificate{DER: c.cert.Raw}.thumbprint(), "{thumbprint}").Replace(fmt.Sprint(body["error_description"]))
		description, _, _ = strings.Cut(f.masked(description), " Trace ID")
		fmt.Fprintf(&golden0, "%s\n  %d %v %s\n", tc.name, status, body["error"], description)
		if strings.Contains(f.log.String(), text) {
			t.Errorf("%s: the log holds the assertion", tc.name)
		}
	}
	golden.Compare(t, "assertion_refusals.txt", golden0.String())
}

func TestAssertionReplay(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	c := f.client(t)
	header := map[string]any{"x5t": c.sha1()}
	first := signJWT(t, c.key, jose.RS256, header, f.assertionClaims(c, map[string]any{"jti": "one"}))
	second := signJWT(t, c.key, jose.RS256, header, f.assertionClaims(c, map[string]any{"jti": "one", "exp": f.clock.at.Unix() + 60}))
	for _, tc := range []struct {
		name, text string
		want       int
	}{{"first", first, 200}, {"the same again, as client libraries do", first, 200}, {"its jti in another", second, 401}, {"still the same", first, 200}} {
		if status, _, text := f.tokenByAssertion(t, c.appID, tc.text); status != tc.want {
			t.Errorf("%s: %d %s", tc.name, status, text)
		}
	}
	f.clock.advance(time.Hour)
	if err := f.Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := signJWT(t, c.key, jose.RS256, header, f.assertionClaims(c, map[string]any{"jti": "one"}))
	if status, _, text := f.tokenByAssertion(t, c.appID, again); status != 200 {
		t.Errorf("after the first is over: %d %s", status, text)
	}
	if status, _, _ := f.tokenByAssertion(t, c.appID, first); status != 401 {
		t.Errorf("an expired assertion: %d", status)
	}
}

func TestCertificateEndsAndIsReplaced(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	c := f.client(t)
	get := func() []any {
		_, app, _ := f.graphCall(t, "GET", "/v1.0/applications/"+c.id, "")
		return app["keyCredentials"].([]any)
	}
	want := []any{map[string]any{"customKeyIdentifier": certificate{DER: c.cert.Raw}.thumbprint(), "displayName": nil, "endDateTime": graphTime(c.cert.NotAfter), "startDateTime": graphTime(c.cert.NotBefore),
		"key": nil, "keyId": "3f0c2b8e-1111-4222-8333-000000000001", "type": "AsymmetricX509Cert", "usage": "Verify"}}
	if diff := cmp.Diff(want, get()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// What was read can be sent back, with a second one.
	second := selfSigned(t, testKeys()[1], f.clock.at, f.clock.at.Add(24*time.Hour))
	list, err := json.Marshal(append(get(), map[string]any{"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(second.Raw)}))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, text := f.graphCall(t, "PATCH", "/v1.0/applications/"+c.id, `{"keyCredentials":`+string(list)+`}`); status != 204 {
		t.Fatalf("%d %s", status, text)
	}
	if n := len(get()); n != 2 {
		t.Fatalf("%d certificates", n)
	}
	sign := func() string {
		return signJWT(t, c.key, jose.RS256, map[string]any{"x5t": c.sha1()}, f.assertionClaims(c, nil))
	}
	if status, _, text := f.tokenByAssertion(t, c.appID, sign()); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	f.clock.advance(49 * time.Hour)
	if status, body, _ := f.tokenByAssertion(t, c.appID, sign()); status != 401 || !strings.Contains(fmt.Sprint(body["error_description"]), "The key was expired") {
		t.Errorf("after its end: %d %v", status, body)
	}
	if status, _, text := f.graphCall(t, "PATCH", "/v1.0/applications/"+c.id, `{"keyCredentials":[]}`); status != 204 || len(get()) != 0 {
		t.Errorf("%d %s", status, text)
	}
}

// TestAzureIdentityCertificate signs in with the Azure SDK's own certificate
// credential, twice with one credential object.
func TestAzureIdentityCertificate(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	f.clock.at = time.Now() // the library looks at the real clock
	c := f.client(t)
	options := azcore.ClientOptions{Transport: planes{f}}
	for _, chain := range []bool{false, true} {
		credential, err := azidentity.NewClientCertificateCredential(f.TenantID(), c.appID, []*x509.Certificate{c.cert}, c.key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, SendCertificateChain: chain})
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range []string{vaultAudience, "https://management.core.windows.net/"} {
			token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{resource + "/.default"}})
			if err != nil {
				t.Errorf("%s: %v", resource, err)
				continue
			}
			if p, err := f.Verify(t.Context(), token.Token, resource); err != nil || p.ObjectID != c.objectID {
				t.Errorf("%s: %+v, %v", resource, p, err)
			}
		}
	}
}

func FuzzParseAssertion(f *testing.F) {
	f.Add("a.b.c")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add(b64([]byte(`{"alg":"RS256","x5t":"AAAA","x5c":["AA=="]}`)) + "." + b64([]byte(`{"iss":"a","aud":["b"],"exp":1e300}`)) + ".AAAA")
	f.Add(b64([]byte(`{"alg":"PS256","crit":["x"]}`)) + "." + b64([]byte(`{"exp":-1,"aud":{}}`)) + ".AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAssertion(text)
		if err == nil && a.verifiedBy(&testKeys()[0].PublicKey) {
			t.Errorf("accepted %q", text)
		}
	})
}

func FuzzParseTokenForm(f *testing.F) {
	f.Add("grant_type=client_credentials&client_id=a&client_secret=b")
	f.Add("client_id=a&client_id=b")
	f.Add("a=%zz;b")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := parseTokenForm(body)
		if err == nil && form.secret != "" && form.assertion != "" {
			t.Error("two proofs at once")
		}
	})
}
