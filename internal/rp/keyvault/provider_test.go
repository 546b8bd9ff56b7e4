package keyvault_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/rp/keyvault"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/internal/vault"
	"github.com/kustos-io/kustos/test/golden"
)

const (
	sub    = "0b1f6471-1bf0-4dda-aec3-111122223333"
	tenant = "11111111-2222-4333-8444-555555555555"
	me     = "aaaaaaaa-0000-4000-8000-000000000001"
	other  = "aaaaaaaa-0000-4000-8000-000000000002"
	base   = "/subscriptions/" + sub + "/resourceGroups/g/providers/Microsoft.KeyVault/vaults/"
)

// fixture is a provider over an empty store and a clock that a test moves.
type fixture struct {
	*testing.T
	rp    provider.Provider
	vault *vault.Service
	now   time.Time
	rbac  map[string]bool // "action scope" in lower case
	hints []string
}

func (f *fixture) Authorize(context.Context, authz.Principal, string, string) (authz.Decision, error) {
	return authz.Decision{}, nil
}

func (f *fixture) AuthorizeData(_ context.Context, _ authz.Principal, action, scope string) (authz.Decision, error) {
	return authz.Decision{Allowed: f.rbac[strings.ToLower(action+" "+scope)]}, nil
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, now: time.Date(2030, 5, 17, 10, 30, 0, 0, time.UTC), rbac: map[string]bool{}}
	log := slog.New(slog.DiscardHandler)
	f.vault = vault.New(vault.Config{Store: memstore.New(), Authorizer: f, Now: func() time.Time { return f.now }, Log: log,
		TenantID: tenant, Hint: func(name string) { f.hints = append(f.hints, name) }})
	f.rp = keyvault.New(keyvault.Config{Vault: f.vault, Log: log})
	return f
}

// do sends one request; path is an id, with the query behind it, body JSON text or "".
func (f *fixture) do(method, path, api, body string) (*provider.Response, error) {
	f.Helper()
	path, query, _ := strings.Cut(path, "?")
	action := ""
	for _, a := range []string{"purge", "checkNameAvailability"} {
		if method == "POST" && strings.HasSuffix(path, "/"+a) {
			path, action = strings.TrimSuffix(path, "/"+a), a
		}
	}
	id, err := ids.Parse(path)
	if err != nil {
		f.Fatal(err)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		f.Fatal(err)
	}
	req := &provider.Request{Method: method, ID: id, Action: action, APIVersion: api, Shape: api, Query: q, BaseURL: "https://management.azure.com",
		Principal: authz.Principal{TenantID: tenant, ObjectID: me, AppID: "app-1"}}
	if body != "" {
		req.Body = json.RawMessage(body)
	}
	return f.rp.Handle(f.Context(), req)
}

func (f *fixture) must(method, path, api, body string) map[string]any {
	f.Helper()
	resp, err := f.do(method, path, api, body)
	if err != nil {
		f.Fatalf("%s %s: %v", method, path, err)
	}
	data, err := json.Marshal(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		f.Fatal(err)
	}
	return out
}

func (f *fixture) refused(code, method, path, api, body string) {
	f.Helper()
	_, err := f.do(method, path, api, body)
	if err == nil || azerr.From(err).Code != code {
		f.Errorf("%s %s %s: got %v, wanted %s", method, path, body, err, code)
	}
}

func (f *fixture) golden(file string, v any) {
	f.Helper()
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		f.Fatal(err)
	}
	golden.Compare(f, file, string(data)+"\n")
}

// props is a vault body with more properties.
func props(more string) string {
	if more != "" {
		more = "," + more
	}
	return `{"location":"West Europe","tags":{"a":"1"},"properties":{"tenantId":"` + tenant + `","sku":{"family":"A","name":"standard"},"accessPolicies":[{"tenantId":"` +
		tenant + `","objectId":"` + me + `","permissions":{"keys":["all"],"secrets":["Get"]}}]` + more + `}}`
}

const api = "2022-07-01"

func TestVaultBodies(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.golden("vault-put.json", f.must("PUT", base+"KV1", api, props("")))
	f.golden("vault-2016.json", f.must("GET", base+"kv1", "2016-10-01", ""))
	f.must("PUT", base+"kv2", api, props(`"enablePurgeProtection":true,"softDeleteRetentionInDays":7,"vaultUri":"","provisioningState":"RegisteringDns","networkAcls":{"defaultAction":"deny","ipRules":[{"value":"1.2.3.4"}],"virtualNetworkRules":[{"id":"/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/N/subnets/D"}]}`))
	f.golden("vault-full.json", f.must("GET", base+"kv2", api, ""))
	f.golden("vault-list.json", f.must("GET", strings.TrimSuffix(base, "/")+"?$top=1", api, ""))
	f.must("DELETE", base+"kv2", api, "")
	f.golden("vault-deleted.json", f.must("GET", "/subscriptions/"+sub+"/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv2", api, ""))
	if diff := cmp.Diff([]string{"kv1", "kv2", "kv2"}, f.hints); diff != "" {
		t.Errorf("hints (-want +got)\n%s", diff)
	}
}

func TestPutOfGetChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.must("PUT", base+"kv1", api, props(`"enablePurgeProtection":true,"networkAcls":{"bypass":"None","defaultAction":"Deny"}`))
	got := f.must("GET", base+"kv1", api, "")
	body, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, f.must("PUT", base+"kv1", api, string(body))); diff != "" {
		t.Errorf("(-get +put)\n%s", diff)
	}
	// A silent PUT keeps the firewall and the protections.
	again := f.must("PUT", base+"kv1", api, props(""))["properties"].(map[string]any)
	if again["enablePurgeProtection"] != true || again["networkAcls"].(map[string]any)["defaultAction"] != "Deny" {
		t.Errorf("a PUT that says nothing changed protections: %v", again)
	}
}

func TestOneWayRules(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.must("PUT", base+"plain", api, props(""))
	f.must("PUT", base+"safe", api, props(`"enablePurgeProtection":true`))
	f.must("PUT", base+"old", "2019-09-01", props(`"enableSoftDelete":false`))
	for _, c := range []struct{ name, code, method, vault, api, body string }{
		{"purge protection false on create", "BadRequest", "PUT", "new", api, props(`"enablePurgeProtection":false`)},
		{"false on an unprotected vault", "BadRequest", "PUT", "plain", api, props(`"enablePurgeProtection":false`)},
		{"false on a protected vault", "BadRequest", "PATCH", "safe", api, `{"properties":{"enablePurgeProtection":false}}`},
		{"another retention", "BadRequest", "PATCH", "safe", api, `{"properties":{"softDeleteRetentionInDays":50}}`},
		{"retention out of range", "BadRequest", "PUT", "new", api, props(`"softDeleteRetentionInDays":91`)},
		{"no soft delete at a current version", "BadRequest", "PUT", "new", api, props(`"enableSoftDelete":false`)},
		{"soft delete off again", "BadRequest", "PATCH", "plain", "2019-09-01", `{"properties":{"enableSoftDelete":false}}`},
		{"purge protection without soft delete", "BadRequest", "PATCH", "old", api, `{"properties":{"enablePurgeProtection":true}}`},
		{"location", "InvalidResourceLocation", "PUT", "plain", api, strings.Replace(props(""), "West Europe", "eastus", 1)},
		{"region", "RegionNotSupported", "PUT", "new", api, strings.Replace(props(""), "West Europe", "mars", 1)},
		{"sku", "SkuNotSupported", "PUT", "new", api, strings.Replace(props(""), "standard", "gold", 1)},
		{"tenant", "BadRequest", "PUT", "new", api, `{"location":"westeurope","properties":{"tenantId":"x","sku":{"family":"A","name":"standard"},"accessPolicies":[]}}`},
		{"foreign tenant in a policy", "BadRequest", "PUT", "new", api, strings.Replace(props(""), `[{"tenantId":"`+tenant, `[{"tenantId":"`+other, 1)},
		{"unknown permission", "BadRequest", "PUT", "new", api, strings.Replace(props(""), `"all"`, `"fly"`, 1)},
		{"no policies", "BadRequest", "PUT", "new", api, `{"location":"westeurope","properties":{"tenantId":"` + tenant + `","sku":{"family":"A","name":"standard"}}}`},
		{"no body", "InvalidRequestContent", "PUT", "new", api, ""},
		{"wrong type", "InvalidRequestContent", "PUT", "new", api, props(`"enableSoftDelete":"yes"`)},
		{"recover nothing", "SoftDeletedVaultDoesNotExist", "PUT", "new", api, `{"location":"westeurope","properties":{"createMode":"recover"}}`},
		{"absent", "ResourceNotFound", "GET", "new", api, ""},
		{"private endpoint", "NotSupported", "PUT", "plain/privateEndpointConnections/p", api, "{}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := *f
			f.T = t
			f.refused(c.code, c.method, base+c.vault, c.api, c.body)
		})
	}
	if got := f.must("GET", base+"old", api, "")["properties"].(map[string]any); got["enableSoftDelete"] != false {
		t.Errorf("a vault of 2019 without soft delete shows %v", got["enableSoftDelete"])
	}
	got := f.must("PATCH", base+"old", api, `{"properties":{"enableSoftDelete":true,"enablePurgeProtection":true,"softDeleteRetentionInDays":9}}`)["properties"].(map[string]any)
	if got["enableSoftDelete"] != true || got["softDeleteRetentionInDays"] != 9.0 || got["enablePurgeProtection"] != true {
		t.Errorf("soft delete turned on: %v", got)
	}
}

func TestDefaultAccessModelFollowsTheVersion(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for version, want := range map[string]bool{"2019-09-01": false, "2022-07-01": false, "2025-05-01": false, "2026-02-01": true} {
		name := "v" + strings.ReplaceAll(version, "-", "")
		got := f.must("PUT", base+name, version, props(""))["properties"].(map[string]any)["enableRbacAuthorization"]
		if got != want {
			t.Errorf("%s: enableRbacAuthorization %v", version, got)
		}
		// An update never flips it.
		if got := f.must("PUT", base+name, "2026-02-01", props(""))["properties"].(map[string]any)["enableRbacAuthorization"]; got != want {
			t.Errorf("%s, updated by 2026-02-01: %v", version, got)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, name := range []string{"ab", "1abc", "a--bc", "abc-", strings.Repeat("a", 25), "a_b"} {
		f.refused("VaultNameNotValid", "PUT", base+name, api, props(""))
	}
	f.must("PUT", base+"Taken", api, props(""))
	elsewhere := strings.Replace(base, "/g/", "/h/", 1)
	f.refused("VaultAlreadyExists", "PUT", elsewhere+"taken", api, props(""))
	f.refused("ResourceNotFound", "GET", elsewhere+"taken", api, "")
	check := func(name string, want any) {
		t.Helper()
		got := f.must("POST", "/subscriptions/"+sub+"/providers/Microsoft.KeyVault/checkNameAvailability", api, `{"name":"`+name+`","type":"Microsoft.KeyVault/vaults"}`)
		if got["reason"] != want || got["nameAvailable"] != (want == nil) {
			t.Errorf("checkNameAvailability %s: %v", name, got)
		}
	}
	check("free-1", nil)
	check("TAKEN", "AlreadyExists")
	check("1", "AccountNameInvalid")
	f.must("DELETE", base+"taken", api, "")
	check("taken", "AlreadyExists")
}

func TestLifeAndDeath(t *testing.T) {
	t.Parallel()
	f := setup(t)
	gone := "/subscriptions/" + sub + "/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv1"
	f.refused("DeletedVaultNotFound", "GET", gone, api, "")
	f.must("PUT", base+"kv1", api, props(""))
	f.must("DELETE", base+"kv1", api, "")
	if resp, err := f.do("DELETE", base+"kv1", api, ""); err != nil || resp.Status != 204 {
		t.Errorf("second delete: %v %v", resp, err)
	}
	f.refused("ConflictError", "PUT", base+"kv1", api, props(""))
	f.refused("VaultAlreadyExists", "PUT", strings.Replace(base, sub, other, 1)+"kv1", api, props(""))
	got := f.must("PUT", base+"kv1", "2026-02-01", `{"location":"westeurope","properties":{"createMode":"recover"}}`)
	if len(got["properties"].(map[string]any)["accessPolicies"].([]any)) != 1 || got["properties"].(map[string]any)["enableRbacAuthorization"] != false {
		t.Errorf("recovered: %v", got)
	}
	f.must("DELETE", base+"kv1", api, "")
	resp, err := f.do("POST", strings.Replace(gone, "westeurope", "West Europe", 1)+"/purge", api, "")
	if err != nil || resp.Status != 202 || resp.Body != nil || !strings.Contains(resp.Header.Get("Location"), "/locations/westeurope/operationResults/") {
		t.Fatalf("purge: %+v %v", resp, err)
	}
	poll, _, _ := strings.Cut(strings.TrimPrefix(resp.Header.Get("Location"), "https://management.azure.com"), "?")
	if resp, err := f.do("GET", poll, api, ""); err != nil || resp.Status != 200 || resp.Body != nil {
		t.Errorf("poll: %+v %v", resp, err)
	}
	f.refused("DeletedVaultNotFound", "GET", gone, api, "")
	f.must("PUT", base+"kv1", api, props(`"enablePurgeProtection":true`))
	f.must("DELETE", base+"kv1", api, "")
	f.refused("MethodNotAllowed", "POST", gone+"/purge", api, "")
	f.now = f.now.Add(90 * 24 * time.Hour)
	f.refused("DeletedVaultNotFound", "GET", gone, api, "")
	f.must("PUT", base+"kv1", api, props(""))
}

func TestPolicyOperations(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.must("PUT", base+"kv1", api, props(""))
	do := func(kind, keys string) []any {
		t.Helper()
		got := f.must("PUT", base+"kv1/accessPolicies/"+kind, api, `{"properties":{"accessPolicies":[{"tenantId":"`+tenant+`","objectId":"`+other+`","permissions":{"keys":[`+keys+`]}}]}}`)
		if got["type"] != "Microsoft.KeyVault/vaults/accessPolicies" || got["id"] != base+"kv1/accessPolicies/" {
			t.Errorf("%s: %v", kind, got)
		}
		all := f.must("GET", base+"kv1", api, "")["properties"].(map[string]any)["accessPolicies"].([]any)
		if all[0].(map[string]any)["objectId"] != me {
			t.Errorf("%s: the other entry did not survive: %v", kind, all)
		}
		if len(all) == 1 {
			return nil
		}
		return all[1].(map[string]any)["permissions"].(map[string]any)["keys"].([]any)
	}
	for _, c := range []struct {
		kind, keys string
		want       []any
	}{
		{"add", `"get"`, []any{"get"}},
		{"add", `"WrapKey","GET"`, []any{"get", "WrapKey"}},
		{"replace", `"list","unwrapKey"`, []any{"list", "unwrapKey"}},
		{"remove", `"LIST"`, []any{"unwrapKey"}},
		{"remove", `"unwrapkey"`, nil},
		{"remove", `"get"`, nil},
	} {
		if diff := cmp.Diff(c.want, do(c.kind, c.keys)); diff != "" {
			t.Errorf("%s %s (-want +got)\n%s", c.kind, c.keys, diff)
		}
	}
	f.refused("BadRequest", "PUT", base+"kv1/accessPolicies/merge", api, `{"properties":{"accessPolicies":[]}}`)
}
