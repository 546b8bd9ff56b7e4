package directory

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/test/golden"
)

// openGraph is a directory whose first principal is its administrator.
func openGraph(t *testing.T) *fixture {
	t.Helper()
	var engine *authz.Engine
	f := open(t, func(cfg *Config) {
		engine = authz.New(authz.Config{Store: cfg.Store, Now: cfg.Now})
		cfg.Authorizer = engine
	})
	if err := engine.GrantDirectoryAdministrator(t.Context(), f.boot.ObjectID); err != nil {
		t.Fatal(err)
	}
	return f
}

// graphCall sends one request with the first principal's token.
func (f *fixture) graphCall(t testing.TB, method, path, body string) (int, map[string]any, string) {
	t.Helper()
	return f.graphAs(t, f.token(t, "https://graph.microsoft.com/"), method, path, body)
}

func (f *fixture) graphAs(t testing.TB, token, method, path, body string) (int, map[string]any, string) {
	t.Helper()
	r := httptest.NewRequest(method, "https://graph.microsoft.com"+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return f.do(t, f.GraphHandler(), r)
}

func code(body map[string]any) string {
	e, _ := body["error"].(map[string]any)
	c, _ := e["code"].(string)
	return c
}

func values(t *testing.T, body map[string]any) []map[string]any {
	t.Helper()
	list, ok := body["value"].([]any)
	if !ok {
		t.Fatalf("no list: %v", body)
	}
	out := make([]map[string]any, len(list))
	for i, v := range list {
		out[i] = v.(map[string]any)
	}
	return out
}

func query(path, filter string) string { return path + "?$filter=" + url.QueryEscape(filter) }

// TestSecondPrincipal is the way of `az ad sp create-for-rbac`: to a token.
func TestSecondPrincipal(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	for _, path := range []string{query("/v1.0/servicePrincipals", "displayName eq 'loader'"), query("/v1.0/applications", "startswith(displayName,'loader')")} {
		if status, body, text := f.graphCall(t, "GET", path, ""); status != 200 || len(values(t, body)) != 0 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	status, app, text := f.graphCall(t, "POST", "/v1.0/applications", `{"displayName":"loader","keyCredentials":[],"web":null}`)
	if status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	for name, want := range map[string]any{"displayName": "loader", "passwordCredentials": []any{}, "keyCredentials": []any{}, "signInAudience": "AzureADMyOrg"} {
		if diff := cmp.Diff(want, app[name]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	id, appID := app["id"].(string), app["appId"].(string)

	status, password, text := f.graphCall(t, "POST", "/v1.0/applications/"+id+"/addPassword",
		`{"passwordCredential":{"displayName":"rbac","startDateTime":"2030-05-17T10:00:00.123456+00:00","endDateTime":"2031-05-17T10:00:00Z"}}`)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	secret := password["secretText"].(string)
	want := map[string]any{"@odata.context": graphContext + "microsoft.graph.passwordCredential", "customKeyIdentifier": nil, "displayName": "rbac",
		"endDateTime": "2031-05-17T10:00:00Z", "startDateTime": "2030-05-17T10:00:00Z", "hint": secret[:3], "keyId": password["keyId"], "secretText": secret}
	if diff := cmp.Diff(want, password); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	token := func(secret string) int {
		status, _, _ := f.do(t, f.LoginHandler(), post("/"+f.TenantID()+"/oauth2/v2.0/token", f.form("client_id", appID, "client_secret", secret)))
		return status
	}
	if got := token(secret); got != 401 {
		t.Errorf("a token without a service principal: %d", got)
	}
	status, sp, text := f.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`","accountEnabled":true}`)
	if status != 201 || sp["appId"] != appID || sp["displayName"] != "loader" || sp["appOwnerOrganizationId"] != f.TenantID() {
		t.Fatalf("%d %s", status, text)
	}
	spID := sp["id"].(string)
	if status, body, _ := f.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`); status != 409 || code(body) != "Request_MultipleObjectsWithSameKeyValue" {
		t.Errorf("a second service principal: %d %v", status, body)
	}
	if got := token(secret); got != 200 {
		t.Errorf("token: %d", got)
	}

	for _, path := range []string{
		query("/v1.0/servicePrincipals", "servicePrincipalNames/any(c:c eq '"+appID+"')"),
		query("/v1.0/servicePrincipals", "appId eq '"+strings.ToUpper(appID)+"'"),
		query("/v1.0/servicePrincipals", "displayName eq 'Loader'"),
		query("/V1.0/SERVICEPRINCIPALS", "startswith(displayName,'load')") + "&$select=id,appId",
	} {
		status, body, text := f.graphCall(t, "GET", path, "")
		if status != 200 || len(values(t, body)) != 1 || values(t, body)[0]["id"] != spID {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/v1.0/servicePrincipals/" + spID, "/v1.0/servicePrincipals(appId='" + appID + "')"} {
		if status, body, text := f.graphCall(t, "GET", path, ""); status != 200 || body["id"] != spID || body["@odata.context"] != graphContext+"servicePrincipals/$entity" {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, path := range []string{"/v1.0/applications/" + id, "/v1.0/applications(appId='" + appID + "')"} {
		status, body, text := f.graphCall(t, "GET", path, "")
		if status != 200 || body["id"] != id {
			t.Errorf("%s: %d %s", path, status, text)
		}
		if strings.Contains(text, secret) || !strings.Contains(text, `"secretText":null`) {
			t.Error("an application shows its secret, or not that there is one")
		}
	}
	status, body, _ := f.graphCall(t, "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["`+spID+`","`+id+`"],"types":["user","group","servicePrincipal"]}`)
	if found := values(t, body); status != 200 || len(found) != 1 || found[0]["@odata.type"] != "#microsoft.graph.servicePrincipal" {
		t.Errorf("getByIds: %d %v", status, body)
	}

	keyID := password["keyId"].(string)
	if status, _, text := f.graphCall(t, "POST", "/v1.0/applications/"+id+"/removePassword", `{"keyId":"`+keyID+`"}`); status != 204 || text != "" {
		t.Errorf("removePassword: %d %s", status, text)
	}
	if got := token(secret); got != 401 {
		t.Errorf("a token by a removed secret: %d", got)
	}
	if status, _, text := f.graphCall(t, "DELETE", "/v1.0/applications/"+id, ""); status != 204 {
		t.Errorf("delete: %d %s", status, text)
	}
	for _, path := range []string{"/v1.0/applications/" + id, "/v1.0/servicePrincipals/" + spID} {
		if status, body, _ := f.graphCall(t, "GET", path, ""); status != 404 || code(body) != "Request_ResourceNotFound" {
			t.Errorf("%s after the deletion: %d %v", path, status, body)
		}
	}
	if strings.Contains(f.log.String(), secret) {
		t.Error("the log holds the secret")
	}
}

func TestGraphRefusals(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	identity := f.identity(t, "c1", clusterID)
	own := func() (id, keyID string) {
		_, body, _ := f.graphCall(t, "GET", query("/v1.0/applications", "appId eq '"+f.boot.ClientID+"'"), "")
		app := values(t, body)[0]
		return app["id"].(string), app["passwordCredentials"].([]any)[0].(map[string]any)["keyId"].(string)
	}
	ownID, ownKey := own()
	user := func(upn, password string) string {
		return `{"accountEnabled":true,"displayName":"A","mailNickname":"a","userPrincipalName":"` + upn + `","passwordProfile":{"password":"` + password + `","forceChangePasswordNextSignIn":false}}`
	}
	nobody := "00000000-0000-0000-0000-0000000000ff"
	tests := []struct{ name, method, path, body string }{
		{"me as an application", "GET", "/v1.0/me", ""},
		{"beta", "GET", "/beta/applications", ""},
		{"unknown set", "GET", "/v1.0/devices", ""},
		{"root", "GET", "/v1.0/", ""},
		{"unknown application", "GET", "/v1.0/applications/" + nobody, ""},
		{"unknown application id", "GET", "/v1.0/applications(appId='" + nobody + "')", ""},
		{"unknown principal", "GET", "/v1.0/servicePrincipals/" + nobody, ""},
		{"odd key", "GET", "/v1.0/applications(id=1)", ""},
		{"owners", "GET", "/v1.0/applications/" + ownID + "/owners", ""},
		{"update of what is not there", "PATCH", "/v1.0/applications/" + ownID, `{"appRoles":[{"value":"x"}]}`},
		{"put", "PUT", "/v1.0/servicePrincipals/" + identity.ObjectID, `{}`},
		{"broken filter", "GET", query("/v1.0/applications", "displayName eq x"), ""},
		{"filter of an unknown property", "GET", query("/v1.0/applications", "owner eq 'x'"), ""},
		{"any of a single property", "GET", query("/v1.0/applications", "appId/any(c:c eq 'x')"), ""},
		{"eq of a collection", "GET", query("/v1.0/servicePrincipals", "servicePrincipalNames eq 'x'"), ""},
		{"select of an unknown property", "GET", "/v1.0/applications?$select=colour", ""},
		{"expand", "GET", "/v1.0/applications?$expand=owners", ""},
		{"search", "GET", "/v1.0/servicePrincipals?$search=%22displayName:x%22", ""},
		{"page size", "GET", "/v1.0/applications?$top=1000", ""},
		{"body that is not JSON", "POST", "/v1.0/applications", `{"displayName"`},
		{"body that is null", "POST", "/v1.0/applications", `null`},
		{"no name", "POST", "/v1.0/applications", `{}`},
		{"name of the wrong type", "POST", "/v1.0/applications", `{"displayName":7}`},
		{"long name", "POST", "/v1.0/applications", `{"displayName":"` + strings.Repeat("x", 257) + `"}`},
		{"application for personal accounts", "POST", "/v1.0/applications", `{"displayName":"x","signInAudience":"AzureADandPersonalMicrosoftAccount"}`},
		{"certificate", "POST", "/v1.0/applications", `{"displayName":"x","keyCredentials":[{"key":"…"}]}`},
		{"certificate without key", "POST", "/v1.0/applications", `{"displayName":"x","keyCredentials":[{}]}`},
		{"symmetric key", "POST", "/v1.0/applications", `{"displayName":"x","keyCredentials":[{"type":"Symmetric","key":"AAAA"}]}`},
		{"key for signing", "POST", "/v1.0/applications", `{"displayName":"x","keyCredentials":[{"usage":"Sign","key":"AAAA"}]}`},
		{"add a key by proof", "POST", "/v1.0/applications/" + ownID + "/addKey", `{}`},
		{"identifier URI of another", "PATCH", "/v1.0/applications/" + ownID, `{"identifierUris":["api://` + nobody + `"]}`},
		{"redirect to plain http", "PATCH", "/v1.0/applications/" + ownID, `{"web":{"redirectUris":["http://example.com/x"]}}`},
		{"redirect with a wildcard", "PATCH", "/v1.0/applications/" + ownID, `{"publicClient":{"redirectUris":["https://*.example.com"]}}`},
		{"token version 2", "PATCH", "/v1.0/applications/" + ownID, `{"api":{"requestedAccessTokenVersion":2}}`},
		{"federated: unreachable issuer", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"https://token.actions.githubusercontent.com","subject":"repo:x","audiences":["api://AzureADTokenExchange"]}`},
		{"federated: http issuer", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"http://x","subject":"s","audiences":["a"]}`},
		{"federated: no subject", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"https://x","audiences":["a"]}`},
		{"federated: no audience", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"https://x","subject":"s"}`},
		{"federated: bad name", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"a b","issuer":"https://x","subject":"s","audiences":["a"]}`},
		{"federated: bad key set", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"https://x","subject":"s","audiences":["a"],"kustosKeySet":{"keys":[]}}`},
		{"federated: symmetric key set", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"https://x","subject":"s","audiences":["a"],"kustosKeySet":{"keys":[{"kty":"oct","kid":"1","k":"AAAA"}]}}`},
		{"federated: own issuer with keys", "POST", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", `{"name":"fic","issuer":"https://login.microsoftonline.com/` + f.TenantID() + `/v2.0","subject":"s","audiences":["a"],"kustosKeySet":{"keys":[]}}`},
		{"federated: unknown", "GET", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials/nothing", ""},
		{"federated: delete all", "DELETE", "/v1.0/applications/" + ownID + "/federatedIdentityCredentials", ""},
		{"identifier URI", "POST", "/v1.0/applications", `{"displayName":"x","identifierUris":["api://x"]}`},
		{"secret that ends before it begins", "POST", "/v1.0/applications/" + ownID + "/addPassword", `{"passwordCredential":{"endDateTime":"2030-01-01T00:00:00Z"}}`},
		{"secret that is chosen", "POST", "/v1.0/applications/" + ownID + "/addPassword", `{"passwordCredential":{"secretText":"hunter2"}}`},
		{"secret of nobody", "POST", "/v1.0/applications/" + nobody + "/addPassword", `{"passwordCredential":{}}`},
		{"remove an unknown secret", "POST", "/v1.0/applications/" + ownID + "/removePassword", `{"keyId":"` + nobody + `"}`},
		{"remove the way in", "POST", "/v1.0/applications/" + ownID + "/removePassword", `{"keyId":"` + ownKey + `"}`},
		{"delete the way in", "DELETE", "/v1.0/applications/" + ownID, ""},
		{"delete the principal of the way in", "DELETE", "/v1.0/servicePrincipals/" + f.boot.ObjectID, ""},
		{"delete a managed identity", "DELETE", "/v1.0/servicePrincipals(appId='" + identity.ClientID + "')", ""},
		{"principal of no application", "POST", "/v1.0/servicePrincipals", `{"appId":"` + nobody + `"}`},
		{"principal of a managed identity", "POST", "/v1.0/servicePrincipals", `{"appId":"` + identity.ClientID + `"}`},
		{"disabled principal", "POST", "/v1.0/servicePrincipals", `{"appId":"` + f.boot.ClientID + `","accountEnabled":false}`},
		{"delete all", "DELETE", "/v1.0/applications", ""},
		{"unknown directory object", "GET", "/v1.0/directoryObjects/" + nobody, ""},
		{"change of a directory object", "PATCH", "/v1.0/directoryObjects/" + f.boot.ObjectID, "{}"},
		{"unknown user", "GET", "/v1.0/users/nobody@kustos.onmicrosoft.com", ""},
		{"user without a password", "POST", "/v1.0/users", `{"userPrincipalName":"a@kustos.onmicrosoft.com","displayName":"A","mailNickname":"a","accountEnabled":true}`},
		{"user of another domain", "POST", "/v1.0/users", user("a@example.com", "Correct7horse")},
		{"user of no domain", "POST", "/v1.0/users", user("a", "Correct7horse")},
		{"user with a weak password", "POST", "/v1.0/users", user("a@kustos.onmicrosoft.com", "password")},
		{"user with a first password", "POST", "/v1.0/users", `{"passwordProfile":{"password":"Correct7horse","forceChangePasswordNextSignIn":true}}`},
		{"user with more", "POST", "/v1.0/users", `{"jobTitle":"x"}`},
		{"password profile with more", "POST", "/v1.0/users", `{"passwordProfile":{"password":"Correct7horse","x":"hunter2"}}`},
		{"owner of nothing", "GET", "/v1.0/users/nobody@kustos.onmicrosoft.com/manager", ""},
		{"unknown group", "GET", "/v1.0/groups/" + nobody, ""},
		{"group without a name", "POST", "/v1.0/groups", `{"mailNickname":"g"}`},
		{"group without a nickname", "POST", "/v1.0/groups", `{"displayName":"g"}`},
		{"mail group", "POST", "/v1.0/groups", `{"displayName":"g","mailNickname":"g","mailEnabled":true}`},
		{"dynamic group", "POST", "/v1.0/groups", `{"displayName":"g","mailNickname":"g","groupTypes":["DynamicMembership"]}`},
		{"group with an unknown member", "POST", "/v1.0/groups", `{"displayName":"g","mailNickname":"g","members@odata.bind":["https://graph.microsoft.com/v1.0/users/` + nobody + `"]}`},
		{"group with a member elsewhere", "POST", "/v1.0/groups", `{"displayName":"g","mailNickname":"g","members@odata.bind":["https://example.com/v1.0/users/` + nobody + `"]}`},
		{"member of an unknown group", "POST", "/v1.0/groups/" + nobody + "/members/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + nobody + `"}`},
		{"membership of nobody", "POST", "/v1.0/directoryObjects/" + nobody + "/checkMemberGroups", `{"groupIds":["` + nobody + `"]}`},
		{"membership in no group", "POST", "/v1.0/directoryObjects/" + f.boot.ObjectID + "/checkMemberGroups", `{"groupIds":[]}`},
		{"new domain", "POST", "/v1.0/domains", `{"id":"example.com"}`},
	}
	var out strings.Builder
	for _, tc := range tests {
		status, body, text := f.graphCall(t, tc.method, tc.path, tc.body)
		if status < 400 || status >= 500 {
			t.Errorf("%s: %d %s", tc.name, status, text)
		}
		e, _ := body["error"].(map[string]any)
		inner, _ := e["innerError"].(map[string]any)
		if inner["date"] != "2030-05-17T10:30:00" || inner["request-id"] == "" || inner["client-request-id"] == "" {
			t.Errorf("%s: innerError %v", tc.name, inner)
		}
		fmt.Fprintf(&out, "%s\n  %d %v: %s\n", tc.name, status, e["code"], f.masked(fmt.Sprint(e["message"])))
	}
	for _, secret := range []string{"hunter2", "Correct7horse"} {
		if strings.Contains(f.log.String()+out.String(), secret) {
			t.Errorf("a log or a refusal holds %q", secret)
		}
	}
	golden.Compare(t, "graph_refusals.txt", out.String())
	if status, _, _ := f.do(t, f.LoginHandler(), post("/"+f.TenantID()+"/oauth2/v2.0/token", f.form())); status != 200 {
		t.Error("the refusals have locked the first principal out")
	}
}

func TestGraphNeedsADirectoryRight(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	stranger := principal{ObjectID: "6f0c2b8e-1111-4222-8333-000000000001", AppID: "6f0c2b8e-1111-4222-8333-000000000002", Kind: kindApplication}
	token, _, err := f.sign(stranger, "https://graph.microsoft.com", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range [][3]string{
		{"GET", "/v1.0/applications", ""}, {"GET", "/v1.0/applications/x", ""}, {"POST", "/v1.0/applications", `{"displayName":"x"}`}, {"POST", "/v1.0/applications", `{`},
		{"POST", "/v1.0/applications/x/addPassword", `{}`}, {"POST", "/v1.0/applications/x/removePassword", `{}`}, {"DELETE", "/v1.0/applications/x", ""},
		{"GET", "/v1.0/servicePrincipals", ""}, {"GET", "/v1.0/servicePrincipals/" + f.boot.ObjectID, ""}, {"POST", "/v1.0/servicePrincipals", `{}`},
		{"DELETE", "/v1.0/servicePrincipals/" + f.boot.ObjectID, ""}, {"POST", "/v1.0/directoryObjects/getByIds", `{}`},
		{"GET", "/v1.0/users", ""}, {"GET", "/v1.0/users/x", ""}, {"POST", "/v1.0/users", "{}"}, {"PATCH", "/v1.0/users/x", "{}"}, {"DELETE", "/v1.0/users/x", ""}, {"POST", "/v1.0/users/x/revokeSignInSessions", ""},
		{"GET", "/v1.0/groups", ""}, {"GET", "/v1.0/groups/x", ""}, {"POST", "/v1.0/groups", "{}"}, {"PATCH", "/v1.0/groups/x", "{}"}, {"DELETE", "/v1.0/groups/x", ""}, {"GET", "/v1.0/groups/x/members", ""},
		{"POST", "/v1.0/groups/x/members/$ref", `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/00000000-0000-0000-0000-0000000000ff"}`}, {"DELETE", "/v1.0/groups/x/members/y/$ref", ""},
		{"POST", "/v1.0/directoryObjects/" + f.boot.ObjectID + "/getMemberGroups", "{}"}, {"GET", "/v1.0/directoryObjects/" + f.boot.ObjectID, ""}, {"GET", "/v1.0/domains", ""}, {"PATCH", "/v1.0/applications/x", "{}"},
		{"GET", "/v1.0/applications/x/federatedIdentityCredentials", ""}, {"POST", "/v1.0/applications/x/federatedIdentityCredentials", "{}"},
	} {
		status, body, text := f.graphAs(t, token.Reveal(), tc[0], tc[1], tc[2])
		if status != 403 || code(body) != "Authorization_RequestDenied" {
			t.Errorf("%v: %d %s", tc, status, text)
		}
	}
	if status, body, _ := f.graphAs(t, token.Reveal(), "GET", "/v1.0/me", ""); status != 400 || code(body) != "BadRequest" {
		t.Errorf("me: %d %v", status, body)
	}
	nobodyDecides := open(t)
	if status, body, _ := nobodyDecides.graphCall(t, "GET", "/v1.0/applications", ""); status != 403 || code(body) != "Authorization_RequestDenied" {
		t.Errorf("without an authorizer: %d %v", status, body)
	}
}

func TestGraphTokens(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	for name, token := range map[string]string{"none": "", "of the vault": f.token(t, vaultAudience), "rubbish": "a.b.c", "expired": f.resign(t, map[string]any{"aud": "https://graph.microsoft.com", "exp": 1})} {
		status, body, text := f.graphAs(t, token, "GET", "/v1.0/applications", "")
		if status != 401 || code(body) != "InvalidAuthenticationToken" {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	if status, _, text := f.graphAs(t, f.token(t, "00000003-0000-0000-c000-000000000000"), "GET", "/v1.0/applications", ""); status != http.StatusOK {
		t.Errorf("token for Graph's application id: %d %s", status, text)
	}
}

func TestGraphPages(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	names := map[string]bool{}
	for i := range 7 {
		name := fmt.Sprintf("app%d", i)
		names[name] = true
		if status, _, text := f.graphCall(t, "POST", "/v1.0/applications", `{"displayName":"`+name+`"}`); status != 201 {
			t.Fatal(text)
		}
	}
	path, pages := "/v1.0/applications?$top=3&$count=true&$filter="+url.QueryEscape("startswith(displayName,'app')"), 0
	for path != "" {
		status, body, text := f.graphCall(t, "GET", path, "")
		if status != 200 || body["@odata.count"] != 7.0 {
			t.Fatalf("%d %s", status, text)
		}
		for _, app := range values(t, body) {
			if name := app["displayName"].(string); !names[name] {
				t.Errorf("%s twice, or not asked for", name)
			} else {
				delete(names, name)
			}
		}
		next, _ := body["@odata.nextLink"].(string)
		path = strings.TrimPrefix(next, "https://graph.microsoft.com")
		pages++
	}
	if pages != 3 || len(names) != 0 {
		t.Errorf("%d pages, missing %v", pages, names)
	}
}

func TestGraphEntities(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	user := f.identity(t, "id1", identityID)
	var out strings.Builder
	for _, path := range []string{
		query("/v1.0/applications", "appId eq '"+f.boot.ClientID+"'"),
		"/v1.0/servicePrincipals/" + f.boot.ObjectID,
		"/v1.0/servicePrincipals/" + user.ObjectID,
		query("/v1.0/servicePrincipals", "servicePrincipalType eq 'ManagedIdentity'") + "&$select=displayName,servicePrincipalType",
	} {
		status, body, text := f.graphCall(t, "GET", path, "")
		if status != 200 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
		data, err := json.MarshalIndent(body, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), user.Secret.Reveal()) {
			t.Errorf("%s shows an identity's secret", path)
		}
		out.WriteString(f.masked("GET "+path+"\n"+string(data)) + "\n")
	}
	golden.Compare(t, "graph_entities.txt", strings.ReplaceAll(out.String(), f.boot.ClientSecret.Reveal()[:3], "{hint}"))
}
