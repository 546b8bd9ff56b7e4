package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// composed is a composition whose planes are called in this process.
func composed(t *testing.T, cfg config.Config) *parts {
	t.Helper()
	in := mustOpen(t, cfg)
	cfg.ProxyAddr, cfg.DirectAddr = "127.0.0.1:0", "127.0.0.1:0"
	p, err := compose(t.Context(), cfg, in, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(errors.Join(err, in.close()))
	}
	ctx, stop := context.WithCancel(t.Context())
	p.upkeep.begin(ctx)
	t.Cleanup(func() { p.takeDown(t, stop) })
	return p
}

// takeDown ends a composition, once.
func (p *parts) takeDown(t *testing.T, stop context.CancelFunc) {
	t.Helper()
	p.upkeep.close()
	p.tenants.closeOperations()
	err := p.runtime.Close()
	stop()
	p.upkeep.wait()
	p.abandon()
	if err := errors.Join(err, p.in.close()); err != nil {
		t.Error(err)
	}
}

// way is how a principal of a tenant speaks.
type way struct {
	p *parts
	connection.Tenant
	tokens map[string]string
}

func (p *parts) as(t *tenant) *way { return &way{p, t.connection(), map[string]string{}} }

func (p *parts) do(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	p.server.router(w, r)
	return w.Code, w.Header(), w.Body.String()
}

// token signs in for an audience at an authority's segment.
func (w *way) token(t *testing.T, segment, audience string) string {
	t.Helper()
	if have := w.tokens[segment+audience]; have != "" {
		return have
	}
	form := url.Values{"client_id": {w.ClientID}, "client_secret": {w.ClientSecret}, "grant_type": {"client_credentials"}, "scope": {audience + "/.default"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.microsoftonline.com/"+segment+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.p.do(t, r)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil || out.AccessToken == "" {
		t.Fatalf("no token at %s: %d %s", segment, status, body)
	}
	w.tokens[segment+audience] = out.AccessToken
	return out.AccessToken
}

const (
	forARM   = "https://management.azure.com"
	forVault = "https://vault.azure.net"
	forGraph = "https://graph.microsoft.com"
)

// call sends a request with a token for an audience, "" sends none.
func (w *way) call(t *testing.T, audience, method, address, body string) (int, http.Header, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, address, reader)
	if audience != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(t, w.TenantID, audience))
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.p.do(t, r)
}

func (w *way) must(t *testing.T, audience, method, address, body string) string {
	t.Helper()
	status, _, answer := w.call(t, audience, method, address, body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, address, status, answer)
	}
	return answer
}

func (w *way) vaultBody() string {
	return fmt.Sprintf(`{"location":"westeurope","properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},"enableSoftDelete":true,"enableRbacAuthorization":true,"accessPolicies":[]}}`, w.TenantID)
}

func errorOf(t *testing.T, body string) (code, message string) {
	t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("no error: %s", body)
	}
	return e.Error.Code, e.Error.Message
}

// values are the names that a list of ARM or Graph shows.
func values(t *testing.T, body, name string) (out []string) {
	t.Helper()
	var list struct{ Value []map[string]any }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("no list: %s", body)
	}
	for _, v := range list.Value {
		out = append(out, fmt.Sprint(v[name]))
	}
	return out
}

func two(t *testing.T) (p *parts, a, b *way) {
	t.Helper()
	p = composed(t, testConfig(t))
	made, err := p.createTenant(t.Context(), "Contoso", "")
	if err != nil {
		t.Fatal(err)
	}
	if made.Domain != "contoso.onmicrosoft.com" {
		t.Errorf("domain %s", made.Domain)
	}
	return p, p.as(p.tenants.first()), p.as(made)
}

// What one tenant has, another neither sees nor reaches.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	p, a, b := two(t)
	for _, w := range []*way{a, b} {
		sub := forARM + "/subscriptions/" + w.SubscriptionID
		w.must(t, forARM, "PUT", sub+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
		w.must(t, forARM, "PUT", sub+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-"+w.TenantID[:8]+"?api-version=2022-07-01", w.vaultBody())
		w.must(t, forGraph, "POST", forGraph+"/v1.0/applications", `{"displayName":"app of `+w.TenantName+`"}`)
		if diff := cmp.Diff([]string{w.SubscriptionID}, values(t, w.must(t, forARM, "GET", forARM+"/subscriptions?api-version=2021-04-01", ""), "subscriptionId")); diff != "" {
			t.Errorf("subscriptions of %s (-want +got)\n%s", w.TenantName, diff)
		}
		if diff := cmp.Diff([]string{w.TenantID}, values(t, w.must(t, forARM, "GET", forARM+"/tenants?api-version=2021-04-01", ""), "tenantId")); diff != "" {
			t.Errorf("tenants of %s (-want +got)\n%s", w.TenantName, diff)
		}
		w.must(t, forARM, "PUT", forARM+"/providers/Microsoft.Management/managementGroups/same?api-version=2021-04-01", `{"properties":{"displayName":"of `+w.TenantName+`"}}`)
	}
	for _, c := range [][2]*way{{a, b}, {b, a}} {
		mine, theirs := c[0], c[1]
		sub := forARM + "/subscriptions/" + theirs.SubscriptionID
		for _, request := range [][3]string{
			{"GET", sub + "/resourceGroups?api-version=2021-04-01"}, {"GET", sub + "?api-version=2021-04-01"},
			{"PUT", sub + "/resourceGroups/new?api-version=2021-04-01", `{"location":"westeurope"}`}, {"DELETE", sub + "/resourceGroups/rg?api-version=2021-04-01"},
			{"GET", strings.ToUpper(sub[len(forARM):]) + "/resourceGroups?api-version=2021-04-01"},
		} {
			if !strings.HasPrefix(request[1], forARM) {
				request[1] = forARM + request[1]
			}
			status, header, body := mine.call(t, forARM, request[0], request[1], request[2])
			code, message := errorOf(t, body)
			if status != http.StatusUnauthorized || code != "InvalidAuthenticationTokenTenant" || !strings.Contains(message, "https://sts.windows.net/"+theirs.TenantID+"/") ||
				!strings.Contains(header.Get("WWW-Authenticate"), "https://login.microsoftonline.com/"+theirs.TenantID) {
				t.Errorf("%s %s of another tenant: %d %s %s, %v", request[0], request[1], status, code, message, header["Www-Authenticate"])
			}
		}
		if status, header, _ := mine.call(t, "", "GET", sub+"?api-version=2021-04-01", ""); status != http.StatusUnauthorized || !strings.Contains(header.Get("WWW-Authenticate"), theirs.TenantID) {
			t.Errorf("without a token: %d %v", status, header["Www-Authenticate"])
		}
		vault := "https://kv-" + theirs.TenantID[:8] + ".vault.azure.net/keys?api-version=7.4"
		status, header, body := mine.call(t, forVault, "GET", vault, "")
		want := fmt.Sprintf("AKV10032: Invalid issuer. Expected one of https://sts.windows.net/%s/, found https://sts.windows.net/%s/.", theirs.TenantID, mine.TenantID)
		if _, message := errorOf(t, body); status != http.StatusUnauthorized || message != want || !strings.Contains(header.Get("WWW-Authenticate"), theirs.TenantID) {
			t.Errorf("vault of another tenant: %d %q, want %q, %v", status, message, want, header["Www-Authenticate"])
		}
		names := values(t, mine.must(t, forGraph, "GET", forGraph+"/v1.0/applications", ""), "displayName")
		if strings.Contains(strings.Join(names, ","), "app of "+theirs.TenantName) {
			t.Errorf("%s sees applications %v", mine.TenantName, names)
		}
		if body := mine.must(t, forARM, "GET", forARM+"/providers/Microsoft.Management/managementGroups/same?api-version=2021-04-01", ""); !strings.Contains(body, "of "+mine.TenantName) {
			t.Errorf("management group of %s: %s", mine.TenantName, body)
		}
		if status, _, body := mine.call(t, forARM, "GET", forARM+"/providers/Microsoft.Management/managementGroups/"+theirs.TenantID+"?api-version=2021-04-01", ""); status < 400 {
			t.Errorf("root group of another tenant: %d %s", status, body)
		}
	}
	// A name of a vault is taken for all.
	status, _, body := b.call(t, forARM, "PUT", forARM+"/subscriptions/"+b.SubscriptionID+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-"+a.TenantID[:8]+"?api-version=2022-07-01", b.vaultBody())
	if code, _ := errorOf(t, body); status != http.StatusConflict || code != "VaultAlreadyExists" {
		t.Errorf("a vault's name twice: %d %s", status, body)
	}
	if _, err := p.tenants.named("contoso"); err != nil {
		t.Error(err)
	}
}

// A role at the root of a tenant reaches no vault in a subscription of another,
// also when that vault takes tokens of the first.
func TestRootRolesEndAtTheTenant(t *testing.T) {
	t.Parallel()
	p, a, b := two(t)
	sub := forARM + "/subscriptions/" + b.SubscriptionID
	b.must(t, forARM, "PUT", sub+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
	// The vault of tenant B's subscription trusts tenant A.
	b.must(t, forARM, "PUT", sub+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-odd?api-version=2022-07-01", strings.Replace(b.vaultBody(), b.TenantID, a.TenantID, 1))
	me := p.tenants.first().bootstrap.ObjectID
	const keyAdmin = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
	a.must(t, forARM, "PUT", forARM+"/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555?api-version=2022-04-01",
		`{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/`+keyAdmin+`","principalId":"`+me+`","principalType":"ServicePrincipal"}}`)
	status, _, body := a.call(t, forVault, "GET", "https://kv-odd.vault.azure.net/keys?api-version=7.4", "")
	if status != http.StatusForbidden {
		t.Errorf("keys of another tenant's subscription: %d %s", status, body)
	}
	// In its own subscription the same role is enough.
	own := forARM + "/subscriptions/" + a.SubscriptionID
	a.must(t, forARM, "PUT", own+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
	a.must(t, forARM, "PUT", own+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-own?api-version=2022-07-01", a.vaultBody())
	a.must(t, forVault, "GET", "https://kv-own.vault.azure.net/keys?api-version=7.4", "")
}

// What is deleted takes the role assignments at it along, in its own tenant.
func TestDeletedVaultTakesItsRightsAlong(t *testing.T) {
	t.Parallel()
	_, _, b := two(t)
	at := forARM + "/subscriptions/" + b.SubscriptionID + "/resourceGroups/rg"
	b.must(t, forARM, "PUT", at+"?api-version=2021-04-01", `{"location":"westeurope"}`)
	vault := at + "/providers/Microsoft.KeyVault/vaults/kv-gone"
	b.must(t, forARM, "PUT", vault+"?api-version=2022-07-01", b.vaultBody())
	b.must(t, forARM, "PUT", vault+"/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555?api-version=2022-04-01",
		`{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/00482a5a-887f-4fb3-b363-3b7fe8e74483","principalId":"`+b.p.tenants.byID(b.TenantID).bootstrap.ObjectID+`","principalType":"ServicePrincipal"}}`)
	b.must(t, forVault, "GET", "https://kv-gone.vault.azure.net/keys?api-version=7.4", "")
	b.must(t, forARM, "DELETE", vault+"?api-version=2022-07-01", "")
	b.must(t, forARM, "PUT", vault+"?api-version=2022-07-01", strings.Replace(b.vaultBody(), `"properties":{`, `"properties":{"createMode":"recover",`, 1))
	if status, _, body := b.call(t, forVault, "GET", "https://kv-gone.vault.azure.net/keys?api-version=7.4", ""); status != http.StatusForbidden {
		t.Errorf("after the vault came back: %d %s", status, body)
	}
}

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

// A tenant is there as a whole or not at all: whatever step fails, nothing of
// it is left, and the same name can be tried again.
func TestTenantIsMadeWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	p := composed(t, testConfig(t))
	whole := p.store
	for step := 1; ; step++ {
		if step > 100 {
			t.Fatal("the making of a tenant has no end")
		}
		broken := &failing{Store: whole, left: step}
		p.store = broken
		before := entries(t, p)
		made, err := p.createTenant(t.Context(), "Contoso", "")
		p.store = whole
		if !broken.struck {
			if err != nil || made == nil || step < 10 || len(entries(t, p)) < 10 {
				t.Fatalf("after %d writes: %v, %v", step, err, entries(t, p))
			}
			break
		}
		if err == nil || len(p.tenants.all()) != 1 {
			t.Fatalf("write %d failed and a tenant was made: %v", step, err)
		}
		if diff := cmp.Diff(before, entries(t, p)); diff != "" {
			t.Fatalf("write %d failed and left something (-before +after)\n%s", step, diff)
		}
	}
	if _, err := p.createTenant(t.Context(), "contoso", "other.example"); err == nil {
		t.Error("a name twice")
	}
}

// A tenant whose making was cut after it was durable is served from the next start.
func TestTenantOutlivesARestart(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	in := mustOpen(t, cfg)
	open := func() *parts {
		t.Helper()
		next := cfg
		next.ProxyAddr, next.DirectAddr = "127.0.0.1:0", "127.0.0.1:0"
		p, err := compose(t.Context(), next, in, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	ctx, stop := context.WithCancel(t.Context())
	p.upkeep.begin(ctx)
	made, err := p.createTenant(t.Context(), "Contoso", "contoso.example")
	if err != nil {
		t.Fatal(err)
	}
	want := made.connection()
	p.takeDown(t, stop)

	in = mustOpen(t, cfg)
	p = open()
	ctx, stop = context.WithCancel(t.Context())
	p.upkeep.begin(ctx)
	defer p.takeDown(t, stop)
	if len(p.tenants.all()) != 2 {
		t.Fatalf("%d tenants after a restart", len(p.tenants.all()))
	}
	if diff := cmp.Diff(want, p.tenants.all()[1].connection()); diff != "" {
		t.Errorf("after a restart (-want +got)\n%s", diff)
	}
	again := p.as(p.tenants.all()[1])
	again.must(t, forARM, "PUT", forARM+"/subscriptions/"+again.SubscriptionID+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
}

func TestTenantNamesAreChecked(t *testing.T) {
	t.Parallel()
	p := composed(t, testConfig(t))
	for _, c := range []struct{ name, domain, want string }{
		{"", "", "1 to 64 characters"}, {"  ", "", "1 to 64 characters"}, {strings.Repeat("x", 65), "", "1 to 64 characters"}, {"a\nb", "", "control character"},
		{"11111111-2222-3333-4444-555555555555", "", "cannot be a GUID"}, {"東京", "", "give one with --domain"}, {"a", "nodots", "is not a domain name"},
		{"a", "a..b", "is not a domain name"}, {"kustos", "x.example", "there is a tenant"}, {"a", "Kustos.onmicrosoft.com", "is that of the tenant"}, {"kustos.onmicrosoft.com", "x.example", "there is a tenant"},
	} {
		if _, err := p.createTenant(t.Context(), c.name, c.domain); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("tenant %q %q: %v, want %q", c.name, c.domain, err, c.want)
		}
	}
	p.upkeep.close()
	if _, err := p.createTenant(t.Context(), "late", ""); !errors.Is(err, errStopping) {
		t.Errorf("while stopping: %v", err)
	}
}

// failing is a store whose Put number left fails.
type failing struct {
	store.Store
	left   int
	struck bool
}

var errStruck = errors.New("struck")

func (f *failing) Update(ctx context.Context, fn func(store.Tx) error) error {
	return f.Store.Update(ctx, func(tx store.Tx) error { return fn(failingTx{tx, f}) })
}

type failingTx struct {
	store.Tx
	f *failing
}

func (t failingTx) Put(bucket, key string, value []byte) error {
	if t.f.left--; t.f.left == 0 {
		t.f.struck = true
		return errStruck
	}
	return t.Tx.Put(bucket, key, value)
}

// entries are the keys of everything that tenants but the first have, as they
// are in the file.
func entries(t *testing.T, p *parts) (keys []string) {
	t.Helper()
	problems, err := sqlstore.Check(t.Context(), filepath.Join(p.in.dir, stateName), func(bucket, key string, _ []byte) error {
		if bucket == tenantBucket || strings.HasPrefix(bucket, "tenants/") {
			keys = append(keys, bucket+" "+key)
		}
		return nil
	})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return keys
}
