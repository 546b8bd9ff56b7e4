package directory

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/test/golden"
)

// masked replaces what differs from run to run by names.
func (f *fixture) masked(text string) string {
	text = strings.NewReplacer(f.TenantID(), "{tenant}", f.boot.ClientID, "{client}", f.boot.ObjectID, "{object}").Replace(text)
	text = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`).ReplaceAllString(text, "{guid}")
	return regexp.MustCompile(`"eyJ[^"]+"`).ReplaceAllString(text, `"{token}"`)
}

func (f *fixture) do(t testing.TB, h http.Handler, r *http.Request) (int, map[string]any, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var body map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s %s: not JSON: %q", r.Method, r.URL, w.Body)
		}
	}
	return w.Code, body, w.Body.String()
}

func (f *fixture) form(changes ...string) url.Values {
	v := url.Values{"client_id": {f.boot.ClientID}, "client_secret": {f.boot.ClientSecret.Reveal()}, "grant_type": {"client_credentials"}, "scope": {vaultAudience + "/.default"}, "client_info": {"1"}}
	for i := 0; i < len(changes); i += 2 {
		if v.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			v.Del(changes[i])
		}
	}
	return v
}

func post(path string, form url.Values) *http.Request {
	r := httptest.NewRequest("POST", "https://login.microsoftonline.com"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestTokenScopes(t *testing.T) {
	t.Parallel()
	f := open(t)
	for scope, audience := range map[string]string{
		"https://management.core.windows.net//.default":                               "https://management.core.windows.net/",
		"https://management.core.windows.net//.default openid offline_access profile": "https://management.core.windows.net/",
		"openid https://management.azure.com/.default":                                "https://management.azure.com",
		"https://graph.microsoft.com//.default":                                       "https://graph.microsoft.com/",
		"https://vault.azure.net/.default":                                            "https://vault.azure.net",
		"https://kusto.kusto.windows.net/.default":                                    "https://kusto.kusto.windows.net",
		"https://c1.westeurope.kusto.windows.net/.default":                            "https://c1.westeurope.kusto.windows.net",
		"00000003-0000-0000-c000-000000000000/.default":                               "00000003-0000-0000-c000-000000000000",
	} {
		status, body, text := f.do(t, f.LoginHandler(), post("/"+f.TenantID()+"/oauth2/v2.0/token", f.form("scope", scope)))
		if status != 200 {
			t.Errorf("%s: %d %s", scope, status, text)
			continue
		}
		p, err := f.Verify(t.Context(), body["access_token"].(string), audience)
		if err != nil || p.ObjectID != f.boot.ObjectID {
			t.Errorf("%s: %v", scope, err)
		}
		if _, c, _ := split(t, body["access_token"].(string)); c["aud"] != audience {
			t.Errorf("%s: aud %q, want %q", scope, c["aud"], audience)
		}
		delete(body, "access_token")
		if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": 3599.0, "ext_expires_in": 3599.0}, body); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestTokenV1IsAllText(t *testing.T) {
	t.Parallel()
	f := open(t)
	status, body, text := f.do(t, f.LoginHandler(), post("/"+strings.ToUpper(f.TenantID())+"/oauth2/token", f.form("scope", "", "resource", "https://management.azure.com/")))
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if _, err := f.Verify(t.Context(), body["access_token"].(string), "https://management.azure.com"); err != nil {
		t.Error(err)
	}
	delete(body, "access_token")
	want := map[string]any{"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599", "expires_on": "1905247800", "not_before": "1905243900", "resource": "https://management.azure.com/"}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTokenBasicAuthentication(t *testing.T) {
	t.Parallel()
	f := open(t)
	path := "/" + f.TenantID() + "/oauth2/v2.0/token"
	basic := func(form url.Values, id, secret string) *http.Request {
		r := post(path, form)
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return r
	}
	secret := f.boot.ClientSecret.Reveal()
	tests := []struct {
		name string
		r    *http.Request
		want int
	}{
		{"id and secret", basic(f.form("client_secret", "", "client_id", ""), f.boot.ClientID, secret), 200},
		{"same id in the body", basic(f.form("client_secret", ""), f.boot.ClientID, secret), 200},
		{"wrong secret", basic(f.form("client_secret", "", "client_id", ""), f.boot.ClientID, secret+"x"), 401},
		{"two methods", basic(f.form(), f.boot.ClientID, secret), 400},
		{"two clients", basic(f.form("client_secret", "", "client_id", "x"), f.boot.ClientID, secret), 400},
	}
	for _, tc := range tests {
		if got, _, text := f.do(t, f.LoginHandler(), tc.r); got != tc.want {
			t.Errorf("%s: %d %s", tc.name, got, text)
		}
	}
}

func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	identity := f.identity(t, "id1", identityID)
	token := "/" + f.TenantID() + "/oauth2/v2.0/token"
	v1 := "/" + f.TenantID() + "/oauth2/token"
	other := "00000000-0000-0000-0000-0000000000ff"
	get := func(path string) *http.Request {
		return httptest.NewRequest("GET", "https://login.microsoftonline.com"+path, nil)
	}
	tests := []struct {
		name string
		r    *http.Request
	}{
		{"unknown tenant", post("/"+other+"/oauth2/v2.0/token", f.form())},
		{"tenant common", post("/common/oauth2/v2.0/token", f.form())},
		{"unknown client", post(token, f.form("client_id", other))},
		{"wrong secret", post(token, f.form("client_secret", "wrong"))},
		{"object id for client id", post(token, f.form("client_id", f.boot.ObjectID))},
		{"a managed identity has no secret here", post(token, f.form("client_id", identity.ClientID, "client_secret", identity.Secret.Reveal()))},
		{"no grant type", post(token, f.form("grant_type", ""))},
		{"no client id", post(token, f.form("client_id", ""))},
		{"no secret", post(token, f.form("client_secret", ""))},
		{"client assertion", post(token, f.form("client_secret", "", "client_assertion", "x.y.z"))},
		{"client assertion that is no JWT", post(token, f.form("client_secret", "", "client_assertion_type", assertionTypeJWT, "client_assertion", "x.y.z"))},
		{"secret and assertion", post(token, f.form("client_assertion_type", assertionTypeJWT, "client_assertion", "x.y.z"))},
		{"a parameter twice", httptest.NewRequest("POST", "https://login.microsoftonline.com"+token, strings.NewReader(f.form().Encode()+"&client_id=x"))},
		{"v1 password grant", post(v1, f.form("grant_type", "password"))},
		{"no scope", post(token, f.form("scope", ""))},
		{"scope without .default", post(token, f.form("scope", "https://vault.azure.net/user_impersonation"))},
		{"two resources", post(token, f.form("scope", "https://vault.azure.net/.default https://management.azure.com/.default"))},
		{"unknown resource", post(token, f.form("scope", "https://example.com/.default"))},
		{"v1 without resource", post(v1, f.form("scope", ""))},
		{"v1 with an unknown resource", post(v1, f.form("scope", "", "resource", "https://example.com"))},
		{"unknown grant", post(token, f.form("grant_type", "telepathy"))},
		{"password grant", post(token, f.form("grant_type", "password"))},
		{"refresh token grant", post(token, f.form("grant_type", "refresh_token"))},
		{"device code grant", post(token, f.form("grant_type", "urn:ietf:params:oauth:grant-type:device_code"))},
		{"authorization code grant", post(token, f.form("grant_type", "authorization_code"))},
		{"password grant without a name", post(token, f.form("grant_type", "password"))},
		{"password grant with a narrow scope", post(token, f.form("grant_type", "password", "username", "a", "password", "b", "scope", "User.Read"))},
		{"password grant without a scope", post(token, f.form("grant_type", "password", "username", "a", "password", "b", "scope", ""))},
		{"password of nobody", post(token, f.form("grant_type", "password", "username", "a@kustos.onmicrosoft.com", "password", "b"))},
		{"password grant of an unknown client", post(token, f.form("grant_type", "password", "username", "a", "password", "b", "client_id", other))},
		{"password grant of a client without its proof", post(token, f.form("grant_type", "password", "username", "a", "password", "b", "client_secret", ""))},
		{"password grant of a client with a wrong proof", post(token, f.form("grant_type", "password", "username", "a", "password", "b", "client_secret", "wrong"))},
		{"public client with a secret", post(token, f.form("grant_type", "password", "username", "a", "password", "b", "client_id", cliID))},
		{"unknown refresh token", post(token, f.form("grant_type", "refresh_token", "refresh_token", "wrong"))},
		{"unknown device code", post(token, f.form("grant_type", grantDevice, "device_code", "wrong"))},
		{"unknown code", post(token, f.form("grant_type", "authorization_code", "code", "wrong", "redirect_uri", "http://localhost"))},
		{"on behalf of", post(token, f.form("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"))},
		{"device code endpoint of an unknown client", post("/organizations/oauth2/v2.0/devicecode", f.form("client_id", other))},
		{"device code endpoint of an unknown resource", post("/organizations/oauth2/v2.0/devicecode", f.form("scope", "https://example.com/.default"))},
		{"device code endpoint of v1", post("/organizations/oauth2/devicecode", f.form())},
		{"get a token", get(token)},
		{"body that is no form", httptest.NewRequest("POST", "https://login.microsoftonline.com"+token, strings.NewReader("a=%zz"))},
		{"huge body", post(token, f.form("x", strings.Repeat("x", maxFormBytes)))},
		{"unknown instance", get("/common/discovery/instance?authorization_endpoint=https%3A%2F%2Flogin.example.com%2Fcommon%2Foauth2%2Fauthorize")},
		{"discovery without endpoint", get("/common/discovery/instance?api-version=1.1")},
		{"configuration of an unknown tenant", get("/" + other + "/v2.0/.well-known/openid-configuration")},
		{"keys of an unknown tenant", get("/" + other + "/discovery/v2.0/keys")},
		{"no such endpoint", get("/" + f.TenantID() + "/oauth2/v3.0/token")},
		{"root", get("/")},
	}
	var out strings.Builder
	for _, tc := range tests {
		status, body, text := f.do(t, f.LoginHandler(), tc.r)
		if status < 400 || body["access_token"] != nil {
			t.Errorf("%s: %d %s", tc.name, status, text)
		}
		out.WriteString(tc.name + "\n  " + http.StatusText(status) + " " + f.masked(text) + "\n")
	}
	golden.Compare(t, "signin_refusals.txt", out.String())
	for _, secret := range []string{f.boot.ClientSecret.Reveal(), identity.Secret.Reveal(), "client_secret", "wrong"} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestSecretHasATime(t *testing.T) {
	t.Parallel()
	f := open(t)
	now := f.clock.at
	pw, secret := newPassword("x", now, now.Add(time.Hour))
	app := application{AppID: f.boot.ClientID, Passwords: []password{pw}}
	for offset, want := range map[time.Duration]string{
		-time.Second: "AADSTS7000215", 0: "", time.Hour - 1: "", time.Hour: "AADSTS7000222",
	} {
		err := checkSecret(app, secret, now.Add(offset))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("after %v: %v, want %q", offset, err, want)
		}
	}
}

func TestSignInDocuments(t *testing.T) {
	t.Parallel()
	f := open(t)
	var out strings.Builder
	for _, path := range []string{
		"/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com/common/oauth2/authorize",
		"/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com/" + f.TenantID() + "/oauth2/v2.0/authorize",
		"/" + f.TenantID() + "/v2.0/.well-known/openid-configuration",
		"/" + f.TenantID() + "/.well-known/openid-configuration",
		"/common/v2.0/.well-known/openid-configuration",
		"/organizations/v2.0/.well-known/openid-configuration",
		"/common/.well-known/openid-configuration",
		"/common/userrealm/a@example.com?api-version=1.0",
		"/common/userrealm/a@Kustos.onmicrosoft.com?api-version=1.0",
		"/kustos.onmicrosoft.com/v2.0/.well-known/openid-configuration",
	} {
		status, body, text := f.do(t, f.LoginHandler(), httptest.NewRequest("GET", "https://login.microsoftonline.com"+path, nil))
		if status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
		}
		data, err := json.MarshalIndent(body, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(f.masked("GET "+path+"\n"+string(data)) + "\n")
	}
	golden.Compare(t, "signin_documents.txt", out.String())
}

func TestPublishedKeysVerifyTokens(t *testing.T) {
	t.Parallel()
	f := open(t)
	for _, path := range []string{"/" + f.TenantID() + "/discovery/v2.0/keys", "/common/discovery/keys"} {
		status, body, text := f.do(t, f.LoginHandler(), httptest.NewRequest("GET", "https://login.microsoftonline.com"+path, nil))
		if status != 200 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
		keys := body["keys"].([]any)
		got := keys[0].(map[string]any)
		header, _, _ := split(t, f.token(t, vaultAudience))
		if got["kid"] != header["kid"] || got["x5t"] != header["x5t"] {
			t.Errorf("kid %v, the token has %v", got["kid"], header["kid"])
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, ok := got[private]; ok {
				t.Errorf("the key set shows %q", private)
			}
		}
		if err := verifyWithJWK(text, f.token(t, vaultAudience)); err != nil {
			t.Error(err)
		}
	}
}

func TestCorrelationIDComesBack(t *testing.T) {
	t.Parallel()
	f := open(t)
	id := "6f0c2b8e-1111-4222-8333-000000000001"
	for _, r := range []*http.Request{
		post("/"+f.TenantID()+"/oauth2/v2.0/token?client-request-id="+id, f.form("client_secret", "wrong")),
		func() *http.Request {
			r := post("/"+f.TenantID()+"/oauth2/v2.0/token", f.form("client_secret", "wrong"))
			r.Header.Set("client-request-id", id)
			return r
		}(),
	} {
		if _, body, text := f.do(t, f.LoginHandler(), r); body["correlation_id"] != id {
			t.Error(text)
		}
	}
}
