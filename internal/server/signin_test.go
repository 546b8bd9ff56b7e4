package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/directory"
)

// The sign-in host knows each tenant by its GUID and its domain.
func TestSignInByTenant(t *testing.T) {
	t.Parallel()
	p, a, b := two(t)
	for _, w := range []*way{a, b} {
		for _, segment := range []string{w.TenantID, strings.ToUpper(w.TenantID), w.TenantDomain} {
			if got := directory.ClaimedTenant(w.token(t, segment, forARM)); got != w.TenantID {
				t.Errorf("token at %s is of %s, want %s", segment, got, w.TenantID)
			}
		}
		status, _, body := p.do(t, httptest.NewRequestWithContext(t.Context(), "GET", "https://login.microsoftonline.com/"+w.TenantDomain+"/v2.0/.well-known/openid-configuration", nil))
		if status != http.StatusOK || !strings.Contains(body, w.TenantID+"/v2.0") {
			t.Errorf("discovery of %s: %d %s", w.TenantDomain, status, body)
		}
		_, _, body = p.do(t, httptest.NewRequestWithContext(t.Context(), "GET", "https://login.microsoftonline.com/common/userrealm/x@"+w.TenantDomain, nil))
		if !strings.Contains(body, `"Managed"`) {
			t.Errorf("realm of %s: %s", w.TenantDomain, body)
		}
	}
	_, _, body := p.do(t, httptest.NewRequestWithContext(t.Context(), "GET", "https://login.microsoftonline.com/common/discovery/v2.0/keys", nil))
	var keys struct{ Keys []struct{ Issuer string } }
	if err := json.Unmarshal([]byte(body), &keys); err != nil || len(keys.Keys) != 2 {
		t.Errorf("keys of all tenants: %s, %v", body, err)
	}
	for _, c := range []struct{ segment, want string }{{"nobody.example", "AADSTS90002"}, {"11111111-2222-3333-4444-555555555555", "AADSTS90002"}, {"common", "AADSTS"}} {
		form := url.Values{"client_id": {b.ClientID}, "client_secret": {b.ClientSecret}, "grant_type": {"client_credentials"}, "scope": {forARM + "/.default"}}
		r := httptest.NewRequestWithContext(t.Context(), "POST", "https://login.microsoftonline.com/"+c.segment+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if status, _, body := p.do(t, r); status < 400 || !strings.Contains(body, c.want) {
			t.Errorf("sign-in at %s: %d %s, want %s", c.segment, status, body, c.want)
		}
	}
	// A person is found by the domain of the name, and so is the session after it.
	if _, err := p.tenants.byID(b.TenantID).directory.CreateUser(t.Context(), directory.NewUser{UPN: "ann", Password: "correct-horse-Battery-9"}); err != nil {
		t.Fatal(err)
	}
	const az = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	form := url.Values{"client_id": {az}, "grant_type": {"password"}, "username": {"ann@" + b.TenantDomain}, "password": {"correct-horse-Battery-9"}, "scope": {forARM + "/.default offline_access"}}
	for range 2 {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "https://login.microsoftonline.com/organizations/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		status, _, body := p.do(t, r)
		var out struct {
			AccessToken  string `json:"access_token"`
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal([]byte(body), &out); err != nil || directory.ClaimedTenant(out.AccessToken) != b.TenantID {
			t.Fatalf("%s of ann: %d %s", form.Get("grant_type"), status, body)
		}
		form = url.Values{"client_id": {az}, "grant_type": {"refresh_token"}, "refresh_token": {out.RefreshToken}, "scope": {forARM + "/.default offline_access"}}
	}
}

// A device's code is typed into a page that names no tenant.
func TestDeviceFlowOfTheSecondTenant(t *testing.T) {
	t.Parallel()
	p, _, b := two(t)
	const az = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	post := func(path string, form url.Values, cookies []*http.Cookie) (int, *http.Response, string) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), "POST", "https://login.microsoftonline.com"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		p.server.router(w, r)
		return w.Code, w.Result(), w.Body.String()
	}
	hidden := func(page, name string) string {
		_, rest, _ := strings.Cut(page, `name="`+name+`" value="`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	if _, err := p.tenants.byID(b.TenantID).directory.CreateUser(t.Context(), directory.NewUser{UPN: "ann", Password: "correct-horse-Battery-9"}); err != nil {
		t.Fatal(err)
	}
	_, _, body := post("/"+b.TenantID+"/oauth2/v2.0/devicecode", url.Values{"client_id": {az}, "scope": {forARM + "/.default"}}, nil)
	var flow struct {
		UserCode   string `json:"user_code"`
		DeviceCode string `json:"device_code"`
	}
	if err := json.Unmarshal([]byte(body), &flow); err != nil {
		t.Fatal(body)
	}
	w := httptest.NewRecorder()
	p.server.router(w, httptest.NewRequestWithContext(t.Context(), "GET", "https://login.microsoftonline.com/common/oauth2/deviceauth", nil))
	cookies := w.Result().Cookies()
	_, _, page := post("/common/oauth2/deviceauth", url.Values{"csrf": {hidden(w.Body.String(), "csrf")}, "user_code": {flow.UserCode}}, cookies)
	status, _, done := post("/common/oauth2/signin", url.Values{"csrf": {hidden(page, "csrf")}, "flow": {hidden(page, "flow")}, "decision": {"accept"}, "username": {"ann@" + b.TenantDomain}, "password": {"correct-horse-Battery-9"}}, cookies)
	if status != http.StatusOK {
		t.Fatalf("sign-in page: %d %s", status, done)
	}
	_, _, body = post("/organizations/oauth2/v2.0/token", url.Values{"client_id": {az}, "grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {flow.DeviceCode}}, nil)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil || directory.ClaimedTenant(out.AccessToken) != b.TenantID {
		t.Errorf("token of the device: %s", body)
	}
}

// A process gets the tokens of an identity in the identity's own tenant, by the
// user of its proxy and by its secret.
func TestIdentityOfTheSecondTenant(t *testing.T) {
	t.Parallel()
	p, a, b := two(t)
	for _, w := range []*way{a, b} {
		group := "/subscriptions/" + w.SubscriptionID + "/resourceGroups/rg"
		w.must(t, forARM, "PUT", forARM+group+"?api-version=2021-04-01", `{"location":"westeurope"}`)
		id := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
		w.must(t, forARM, "PUT", forARM+id+"?api-version=2023-01-31", `{"location":"westeurope"}`)
		dir := p.tenants.byID(w.TenantID).directory
		identity, err := dir.IdentityOf(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		metadata := httptest.NewRequestWithContext(directory.WithProxyUser(t.Context(), identity.ClientID, identity.Secret.Reveal()), "GET",
			"http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource="+forVault, nil)
		metadata.Header.Set("Metadata", "true")
		endpoint := httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/msi/token?api-version=2019-08-01&resource="+forVault, nil)
		endpoint.Header.Set("X-IDENTITY-HEADER", identity.Secret.Reveal())
		for r, plane := range map[*http.Request]http.Handler{metadata: p.server.planes.Identity, endpoint: p.server.planes.IdentityEndpoint} {
			rec := httptest.NewRecorder()
			plane.ServeHTTP(rec, r)
			var out struct {
				AccessToken string `json:"access_token"`
			}
			if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || directory.ClaimedTenant(out.AccessToken) != w.TenantID {
				t.Errorf("%s of %s: %d %s", r.URL.Path, w.TenantName, rec.Code, rec.Body)
			}
		}
	}
	// Another's secret is refused.
	r := httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1/msi/token?api-version=2019-08-01&resource="+forVault, nil)
	r.Header.Set("X-IDENTITY-HEADER", "nobody's")
	rec := httptest.NewRecorder()
	p.server.planes.IdentityEndpoint.ServeHTTP(rec, r)
	if rec.Code != http.StatusUnauthorized {
		t.Errorf("nobody's secret: %d %s", rec.Code, rec.Body)
	}
}

// Nothing of a token but its issuer is read before its tenant verifies it.
func TestClaimedTenant(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]string{"": "", "a.b": "", "a.b.c": "", "a.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC94LyJ9.c": "",
		"a.eyJpc3MiOiJodHRwczovL3N0cy53aW5kb3dzLm5ldC8xMTExMTExMS0yMjIyLTMzMzMtNDQ0NC01NTU1NTU1NTU1NTUvIn0.c": "11111111-2222-3333-4444-555555555555"} {
		if got := directory.ClaimedTenant(token); got != want {
			t.Errorf("token %q claims %q, want %q", token, got, want)
		}
	}
}
