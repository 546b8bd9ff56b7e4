package vault

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/azerr"
)

func TestChallengeComesFirst(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	for _, rt := range append(f.routes, route{method: "GET", pattern: ""}, route{method: "GET", pattern: "nothing/here"}, route{method: "POST", pattern: "rng"}, route{method: "GET", pattern: "certificates"}) {
		path := "/" + strings.NewReplacer("{name}", "x", "{version}", strings.Repeat("0", 32)).Replace(rt.pattern)
		a := f.as("", rt.method, "kv1", path, "{nonsense")
		a.is(t, 401, "Unauthorized", "")
		if got := a.header.Get("WWW-Authenticate"); got != challenge {
			t.Errorf("%s %s: challenge %q", rt.method, path, got)
		}
		if _, _, message := a.code(); message != azerr.AKV10000 {
			t.Errorf("%s %s: %q", rt.method, path, message)
		}
	}
	f.do("POST", "kv1", "/keys/x/create", "{nonsense").is(t, 400, "BadParameter", "")
	f.as("", "GET", "absent", "/keys", nil).is(t, 401, "Unauthorized", "")
	f.do("GET", "absent", "/keys", nil).is(t, 404, "VaultNotFound", "")
}

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	for token, want := range map[string]string{
		"wrong-audience": "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com.",
		"wrong-issuer":   "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/" + testTenant + "/, found https://sts.windows.net/u/.",
		"other-tenant":   "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/" + testTenant + "/, found https://sts.windows.net/" + stranger + "/.",
		"expired":        azerr.AKV10021,
		"tampered":       azerr.AKV10001,
	} {
		a := f.as(token, "GET", "kv1", "/keys", nil)
		a.is(t, 401, "Unauthorized", "")
		if _, _, message := a.code(); message != want || a.header.Get("WWW-Authenticate") != challenge {
			t.Errorf("%s: %q", token, message)
		}
	}
	f.as("broken-store", "GET", "kv1", "/keys", nil).is(t, 500, "InternalServerError", "")
}

func TestRouting(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	want := f.must("POST", "kv1", "/keys/Mine/create", `{"kty":"EC"}`)
	v := want.version()
	if !regexp.MustCompile(`^https://kv1\.vault\.azure\.net/keys/Mine/[0-9a-f]{32}$`).MatchString(want.str("key", "kid")) {
		t.Errorf("kid %s", want.str("key", "kid"))
	}
	for _, path := range []string{"/keys/Mine", "/keys/mine/", "//keys/MINE", "//keys//mine//", "/KEYS/mine/" + v, "/keys/mine/" + strings.ToUpper(v), "/keys/mine?api%2Dversion=7.4", "/keys/m%69ne"} {
		if diff := cmp.Diff(want.text, f.must("GET", "kv1", path, nil).text); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
	f.must("GET", "kv1", "/keys/mine?api-version=7.4&client-request-id=1", nil)
	if a := f.must("GET", "kv1", "/keys?API-Version=7.4&MaxResults=1&api-version=7.4", nil); len(a.at("value").([]any)) != 1 {
		t.Errorf("names of the query in capitals: %s", a.text)
	}
	for _, path := range []string{"/keys/mine?", "/keys/mine?api-version=", "/keys/mine?api-version=8", "/keys/mine?api-version=x", "/keys/a_b", "/keys/a%20b", "/keys/a%2Fb", "/keys/" + strings.Repeat("x", 128)} {
		f.do("GET", "kv1", path, nil).is(t, 400, "BadParameter", "")
	}
	for _, version := range []string{"7.0", "7.1", "7.4-preview.1", "7.6", "2016-10-01", "2025-07-01", "2027-01-01-preview"} {
		f.must("GET", "kv1", "/keys/mine?api-version="+version, nil)
	}
	f.do("POST", "kv1", "/keys", nil).is(t, 405, "MethodNotAllowed", "")
	f.do("GET", "kv1", "/nothing", nil).is(t, 404, "NotFound", "")
	f.do("GET", "kv1", "/", nil).is(t, 404, "NotFound", "")
	f.do("GET", "kv1", "/certificates/contacts", nil).is(t, 404, "ContactsNotFound", "")
	for _, path := range []string{"/certificates", "/certificates/c", "/deletedcertificates", "/storage"} {
		f.do("GET", "kv1", path, nil).is(t, 400, "NotSupported", "")
	}
	f.do("POST", "kv1", "/rng", `{"count":1}`).is(t, 400, "BadParameter", "")
	f.do("POST", "kv1", "/keys/mine/release", `{}`).is(t, 400, "NotSupported", "")
	if f.must("GET", "kv1", "/keys/mine?api-version=7.0", nil).at("attributes", "recoverableDays") != nil {
		t.Error("7.0 shows recoverableDays")
	}
	a := f.must("GET", "kv1", "/keys", nil)
	if a.header.Get("x-ms-keyvault-region") != "westeurope" || a.header.Get("x-ms-keyvault-network-info") != "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;" || a.header.Get("x-ms-request-id") == "" {
		t.Errorf("headers: %v", a.header)
	}
}

// TestVaultOnAnotherPort: a client on a port of its own finds that port in the
// challenge, in the audience and in identifiers.
func TestVaultOnAnotherPort(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	kid := f.must("POST", "kv1", "/keys/k/create", `{"kty":"EC"}`).str("key", "kid")
	ask := func(host, token string) answer {
		t.Helper()
		req := httptest.NewRequest("GET", "https://"+host+"/keys/k?api-version=7.4", nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, req)
		a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			t.Fatal(err)
		}
		return a
	}
	for host, port := range map[string]string{"kv1.vault.azure.net": "", "KV1.vault.azure.net:443": "", "kv1.vault.azure.net:8443": ":8443"} {
		resource := "https://vault.azure.net" + port
		if got, want := ask(host, "").header.Get("WWW-Authenticate"), strings.Replace(challenge, "https://vault.azure.net", resource, 1); got != want {
			t.Errorf("%s: challenge %s", host, got)
		}
		if got, want := ask(host, owner).str("key", "kid"), strings.Replace(kid, ".net/", ".net"+port+"/", 1); got != want {
			t.Errorf("%s: kid %s", host, got)
		}
		if _, _, message := ask(host, "wrong-audience").code(); !strings.Contains(message, "Expected "+resource+", found:") {
			t.Errorf("%s: %s", host, message)
		}
		f.audiences = nil
		ask(host, owner)
		want := []string{resource, "https://vault.azure.net", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"}
		if diff := cmp.Diff(want, f.audiences); diff != "" {
			t.Errorf("%s: audiences (-want +got)\n%s", host, diff)
		}
	}
}

func TestFirewall(t *testing.T) {
	t.Parallel()
	f := setup(t)
	deny := func(bypass string, rules ...string) func(*Input) {
		return func(in *Input) {
			in.NetworkACLs = &NetworkACLs{Bypass: bypass, DefaultAction: "Deny"}
			for _, r := range rules {
				in.NetworkACLs.IPRules = append(in.NetworkACLs.IPRules, IPRule{r})
			}
		}
	}
	f.vault("closed", deny("AzureServices", "10.0.0.0/8"))
	f.vault("nobypass", deny("None"))
	f.vault("opened", deny("None", "127.0.0.1"))
	f.vault("private", func(in *Input) { in.PublicAccess = ptr("disabled") })
	f.do("GET", "closed", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByFirewall")
	f.as("cluster", "GET", "closed", "/keys", nil).is(t, 200, "", "")
	f.as("cluster", "GET", "nobypass", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByFirewall")
	f.do("GET", "opened", "/keys", nil).is(t, 200, "", "")
	f.do("GET", "private", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByConnection")
	f.as("cluster", "GET", "private", "/keys", nil).is(t, 200, "", "")
	// The token comes before the firewall, the firewall before the permission.
	f.as("", "GET", "closed", "/keys", nil).is(t, 401, "Unauthorized", "")
	f.as(stranger, "GET", "closed", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByFirewall")
	// A connection of our own services passes with any identity, and gives no right.
	f.Trusted = func(context.Context) bool { return true }
	f.do("GET", "closed", "/keys", nil).is(t, 200, "", "")
	f.do("GET", "private", "/keys", nil).is(t, 200, "", "")
	f.do("GET", "nobypass", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByFirewall")
	f.as(stranger, "GET", "closed", "/keys", nil).is(t, 403, "Forbidden", "AccessDenied")
}

// subjects makes what the operations of the matrix work on.
type subject struct {
	method, path string
	body         string
}

// operations lists a request for every route, by pattern. It makes fresh
// subjects as the owner.
func (f *fixture) operation(rt route, n int) subject {
	name := "k" + strings.Repeat("x", n%7) + string(rune('a'+n%26)) + string(rune('a'+n/26%26))
	secret := strings.HasPrefix(rt.right.word(0), "secrets")
	kind := "keys"
	if secret {
		kind = "secrets"
	}
	body := ""
	create := func() string {
		if secret {
			return f.must("PUT", "kv1", "/secrets/"+name, `{"value":"v"}`).str("id")
		}
		return f.must("POST", "kv1", "/keys/"+name+"/create", `{"kty":"RSA"}`).str("key", "kid")
	}
	id := create()
	version := id[strings.LastIndexByte(id, '/')+1:]
	gone := func() { f.must("DELETE", "kv1", "/"+kind+"/"+name, nil) }
	switch {
	case strings.HasSuffix(rt.pattern, "create"):
		body = `{"kty":"EC"}`
	case strings.HasSuffix(rt.pattern, "keys/restore"), strings.HasSuffix(rt.pattern, "secrets/restore"):
		blob := f.must("POST", "kv1", "/"+kind+"/"+name+"/backup", nil).str("value")
		gone()
		f.do("DELETE", "kv1", "/deleted"+kind+"/"+name, nil)
		body = `{"value":"` + blob + `"}`
	case rt.method == "PUT" && rt.pattern == "keys/{name}":
		body = `{"key":` + testECJWK + `}`
	case rt.method == "PUT" && rt.pattern == "secrets/{name}":
		body = `{"value":"w"}`
	case rt.method == "PUT":
		body = `{"lifetimeActions":[]}`
	case rt.method == "PATCH":
		body = `{"tags":{"a":"b"}}`
	case strings.HasPrefix(rt.pattern, "deleted") && strings.Contains(rt.pattern, "{name}"):
		gone()
	case strings.HasSuffix(rt.pattern, "/encrypt"), strings.HasSuffix(rt.pattern, "/wrapkey"):
		body = `{"alg":"RSA-OAEP","value":"YQ"}`
	case strings.HasSuffix(rt.pattern, "/decrypt"), strings.HasSuffix(rt.pattern, "/unwrapkey"):
		body = `{"alg":"RSA-OAEP","value":"` + f.must("POST", "kv1", "/keys/"+name+"/encrypt", `{"alg":"RSA-OAEP","value":"YQ"}`).str("value") + `"}`
	case strings.HasSuffix(rt.pattern, "/sign"):
		body = `{"alg":"RS256","value":"` + text64(make([]byte, 32)) + `"}`
	case strings.HasSuffix(rt.pattern, "/verify"):
		body = `{"alg":"RS256","digest":"` + text64(make([]byte, 32)) + `","value":"AAAA"}`
	}
	return subject{rt.method, "/" + strings.NewReplacer("{name}", name, "{version}", version).Replace(rt.pattern), body}
}

// TestAuthorisationMatrix runs every operation without a right, with every
// right but its own, and with only its own, in both models.
func TestAuthorisationMatrix(t *testing.T) {
	t.Parallel()
	const secretNames = "get list set delete backup restore recover purge"
	keyNames := strings.TrimPrefix(permissionNames()[0], "all ")
	f := setup(t)
	f.vault("kv1", nil)
	base := vaultID("kv1").Key()
	allActions := map[string]bool{}
	for _, rt := range f.routes {
		allActions[rt.right.action()] = true
	}
	set := func(rbac bool, policy AccessPolicy, actions ...string) {
		t.Helper()
		if _, err := f.Patch(t.Context(), vaultID("kv1"), nil, Input{RBAC: &rbac, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all"), policy}}, actor()); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		clear(f.roles)
		for _, a := range actions {
			f.roles[strings.ToLower(stranger+" "+a+" "+base)] = true
		}
	}
	without := func(names, name string) string {
		var out []string
		for _, n := range strings.Fields(names) {
			if !strings.EqualFold(n, name) {
				out = append(out, n)
			}
		}
		return strings.Join(out, " ")
	}
	for n, rt := range f.routes {
		key := rt.method + " " + rt.pattern
		set(false, grant(stranger, "", ""))
		op := f.operation(rt, n)
		try := func(status int, inner, when string) {
			t.Helper()
			a := f.as(stranger, op.method, "kv1", op.path, op.body)
			_, got, message := a.code()
			ok := a.status == status && got == inner
			if status == 200 {
				ok = a.status == 200 || a.status == 204 || rt.right == keyRelease && a.status == 400
			}
			if !ok {
				t.Errorf("%s %s: wanted %d %s, got %d %s", key, when, status, inner, a.status, a.text)
			}
			if inner == "AccessDenied" && !strings.Contains(message, " does not have "+rt.right.word(0)+" "+rt.right.permission()+" permission on key vault 'kv1;location=westeurope'.") {
				t.Errorf("%s %s: %s", key, when, message)
			}
		}
		try(403, "AccessDenied", "without a right")
		perm, keys, secrets := rt.right.permission(), keyNames, secretNames
		own := grant(stranger, perm, "")
		if rt.right.area() == areaSecrets {
			secrets, own = without(secretNames, perm), grant(stranger, "", perm)
		} else {
			keys = without(keyNames, perm)
		}
		set(false, grant(stranger, keys, secrets))
		try(403, "AccessDenied", "with all others")
		var others []string
		for a := range allActions {
			if a != rt.right.action() {
				others = append(others, a)
			}
		}
		set(true, grant(stranger, "all", "all"), others...)
		try(403, "ForbiddenByRbac", "with all other data actions")
		if n%2 == 0 {
			set(false, own)
		} else {
			set(true, grant(stranger, "", ""), rt.right.action())
		}
		try(200, "", "with only its own")
	}
}

func TestRBACOnOneKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", func(in *Input) { in.RBAC = ptr(true) })
	for _, a := range []string{"create/action", "read", "wrap/action"} {
		f.roles[owner+" microsoft.keyvault/vaults/keys/"+a+" "+vaultID("kv1").Key()] = true
	}
	f.must("POST", "kv1", "/keys/One/create", `{"kty":"RSA"}`)
	f.must("POST", "kv1", "/keys/two/create", `{"kty":"RSA"}`)
	f.roles[stranger+" microsoft.keyvault/vaults/keys/read "+vaultID("kv1").Key()+"/keys/one"] = true
	f.as(stranger, "GET", "kv1", "/keys/ONE", nil).is(t, 200, "", "")
	a := f.as(stranger, "GET", "kv1", "/keys/two", nil)
	a.is(t, 403, "Forbidden", "ForbiddenByRbac")
	_, _, message := a.code()
	if !strings.Contains(message, "Action: 'Microsoft.KeyVault/vaults/keys/read'\r\nResource: '"+vaultID("kv1").Key()+"/keys/two'\r\n") {
		t.Error(message)
	}
	f.as(stranger, "GET", "kv1", "/keys", nil).is(t, 403, "Forbidden", "ForbiddenByRbac")
	// Without a right, an absent key looks like a present one.
	f.as(stranger, "GET", "kv1", "/keys/none", nil).is(t, 403, "Forbidden", "ForbiddenByRbac")
}

func TestPoliciesCompareIdentities(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", func(in *Input) {
		app := grant(stranger, "get", "")
		app.ApplicationID = owner // on behalf of: this application only
		*in.AccessPolicies = append(*in.AccessPolicies, app, grant(strings.ToUpper(stranger), "LIST", ""))
	})
	f.as(stranger, "GET", "kv1", "/keys", nil).is(t, 200, "", "")
	f.as(stranger, "GET", "kv1", "/keys/k", nil).is(t, 403, "Forbidden", "AccessDenied")
}

// TestRefusalsNameThePerson: a person is named with the application through
// which he signed in, a service principal with its own.
func TestRefusalsNameThePerson(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.vault("kvr", func(in *Input) { in.RBAC = ptr(true) })
	f.vault("kvx", func(in *Input) { in.NetworkACLs = &NetworkACLs{DefaultAction: "Deny"} })
	const iss = ";iss=https://sts.windows.net/" + testTenant + "/"
	for token, want := range map[string]string{stranger: "appid=app-" + stranger[:8] + ";oid=" + stranger + iss, "person": "appid=az;oid=" + stranger + iss} {
		for _, vault := range []string{"kv1", "kvr", "kvx"} {
			if _, _, message := f.as(token, "GET", vault, "/keys", nil).code(); !strings.Contains(message, want) {
				t.Errorf("%s: %s", vault, message)
			}
		}
	}
}

func TestNoRedirects(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	if a := f.do(http.MethodPost, "kv1", "//keys//k//create", `{"kty":"EC"}`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.text)
	}
}
