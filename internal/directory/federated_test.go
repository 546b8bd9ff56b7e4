package directory

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestFederatedCredentials(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	c := f.client(t)
	identity := f.identity(t, "id1", identityID)
	foreign := testKeys()[1]
	jwks, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &foreign.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1.0/applications/" + c.id + "/federatedIdentityCredentials"
	const external = "https://token.actions.githubusercontent.com"
	for _, body := range []string{
		`{"name":"own","issuer":"https://login.microsoftonline.com/` + f.TenantID() + `/v2.0","subject":"` + identity.ObjectID + `","audiences":["api://AzureADTokenExchange"]}`,
		`{"name":"actions","issuer":"` + external + `","subject":"repo:o/r:ref:refs/heads/main","audiences":["api://AzureADTokenExchange"],"description":"d","kustosKeySet":` + string(jwks) + `}`,
	} {
		if status, _, text := f.graphCall(t, "POST", path, body); status != 201 {
			t.Fatalf("%d %s", status, text)
		}
	}
	if status, body, _ := f.graphCall(t, "POST", path, `{"name":"OWN","issuer":"https://x","subject":"s","audiences":["a"],"kustosKeySet":`+string(jwks)+`}`); status != http.StatusConflict {
		t.Errorf("a second of the same name: %d %v", status, body)
	}

	own, _, err := f.IdentityToken(t.Context(), identity.ObjectID, exchangeAudience)
	if err != nil {
		t.Fatal(err)
	}
	ordinary, _, err := f.IdentityToken(t.Context(), identity.ObjectID, vaultAudience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(t.Context(), own, exchangeAudience); err == nil {
		t.Error("a token for exchange passes as an access token")
	}
	other := f.identity(t, "id2", identityID+"2")
	others, _, err := f.IdentityToken(t.Context(), other.ObjectID, exchangeAudience)
	if err != nil {
		t.Fatal(err)
	}
	now := f.clock.at.Unix()
	ext := func(key any, kid string, changes map[string]any) string {
		claims := map[string]any{"iss": external, "sub": "repo:o/r:ref:refs/heads/main", "aud": exchangeAudience, "exp": now + 300, "iat": now}
		for k, v := range changes {
			claims[k] = v
		}
		return signJWT(t, key, jose.RS256, map[string]any{"kid": kid}, claims)
	}
	tests := []struct {
		name, text string
		code       float64
	}{
		{"own identity", own, 0},
		{"external", ext(foreign, "k1", nil), 0},
		{"token for another audience", ordinary, 700211},
		{"another identity", others, 700213},
		{"external, other key", ext(c.key, "k1", nil), 50013},
		{"external, other kid", ext(foreign, "k2", nil), 50013},
		{"external, other issuer", ext(foreign, "k1", map[string]any{"iss": "https://evil.example"}), 700211},
		{"own issuer under the external key", ext(foreign, "k1", map[string]any{"iss": issuer2(f.TenantID()), "sub": identity.ObjectID}), 50013},
		{"external, other subject", ext(foreign, "k1", map[string]any{"sub": "repo:o/r:ref:refs/heads/MAIN"}), 700213},
		{"external, other audience", ext(foreign, "k1", map[string]any{"aud": "api://else"}), 700212},
		{"external, expired", ext(foreign, "k1", map[string]any{"exp": now - 60}), 700024},
		{"external, no exp", ext(foreign, "k1", map[string]any{"exp": nil}), 50027},
	}
	for _, tc := range tests {
		status, body, text := f.tokenByAssertion(t, c.appID, tc.text)
		codes, _ := body["error_codes"].([]any)
		if tc.code == 0 && status != 200 || tc.code != 0 && (len(codes) != 1 || codes[0] != tc.code) {
			t.Errorf("%s: %d %s, want %v", tc.name, status, text, tc.code)
		}
	}
	if status, body, text := f.graphCall(t, "GET", path+"/actions", ""); status != 200 || body["description"] != "d" {
		t.Errorf("%d %s", status, text)
	}
	if status, body, text := f.graphCall(t, "GET", path, ""); status != 200 || len(values(t, body)) != 2 {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := f.graphCall(t, "PATCH", path+"/own", `{"subject":"`+other.ObjectID+`"}`); status != 204 {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := f.tokenByAssertion(t, c.appID, others); status != 200 {
		t.Errorf("after the change: %d %s", status, text)
	}
	if status, _, text := f.tokenByAssertion(t, c.appID, own); status != 401 {
		t.Errorf("after the change, the old subject: %d %s", status, text)
	}
	if status, _, _ := f.graphCall(t, "DELETE", path+"/actions", ""); status != 204 {
		t.Error(status)
	}
	if status, _, _ := f.tokenByAssertion(t, c.appID, ext(foreign, "k1", nil)); status != 401 {
		t.Errorf("after the credential is gone: %d", status)
	}
}
