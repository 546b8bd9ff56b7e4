package keyvault_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

func TestKeysAsResources(t *testing.T) {
	t.Parallel()
	f := setup(t)
	// The policies name somebody else: a template's author needs ARM's right only.
	f.must("PUT", base+"kv1", api, strings.ReplaceAll(props(""), me, other))
	const body = `{"tags":{"a":"1"},"properties":{"kty":"EC","curveName":"P-384","keyOps":["verify","sign"],"attributes":{"exp":1999999999},"rotationPolicy":{"attributes":{"expiryTime":"P1Y"},"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"rotate"}}]}}}`
	first := f.must("PUT", base+"kv1/keys/K1", api, body)
	p := first["properties"].(map[string]any)
	versioned := p["keyUriWithVersion"].(string)
	if p["keyUri"] != "https://kv1.vault.azure.net/keys/K1" || !strings.HasPrefix(versioned, "https://kv1.vault.azure.net/keys/K1/") {
		t.Errorf("uris: %v", p)
	}
	p["keyUriWithVersion"] = strings.Repeat("0", 32)
	f.golden("key.json", first)
	p["keyUriWithVersion"] = versioned
	if diff := cmp.Diff(first, f.must("PUT", base+"kv1/keys/k1", api, `{"properties":{"kty":"RSA"}}`)); diff != "" {
		t.Errorf("a second PUT changed the key (-want +got)\n%s", diff)
	}
	version := versioned[strings.LastIndexByte(versioned, '/')+1:]
	got := f.must("GET", base+"kv1/keys/k1/versions/"+version, api, "")
	if got["id"] != base+"kv1/keys/K1/versions/"+version || got["name"] != version || got["type"] != "Microsoft.KeyVault/vaults/keys/versions" {
		t.Errorf("version: %v", got)
	}
	for _, path := range []string{"kv1/keys", "kv1/keys/k1/versions"} {
		items := f.must("GET", base+path, api, "")["value"].([]any)
		if len(items) != 1 || items[0].(map[string]any)["properties"].(map[string]any)["kty"] != nil {
			t.Errorf("%s: %v", path, items)
		}
	}
	f.refused("ResourceNotFound", "GET", base+"kv1/keys/none", api, "")
	f.refused("ParentResourceNotFound", "PUT", base+"none/keys/k", api, body)
	f.refused("ParentResourceNotFound", "GET", base+"none/keys", api, "")
	f.refused("ParentResourceNotFound", "GET", base+"none/secrets/s", api, "")
	f.refused("ParentResourceNotFound", "PUT", base+"none/accessPolicies/add", api, `{"properties":{"accessPolicies":[]}}`)
	f.refused("BadParameter", "PUT", base+"kv1/keys/k2", api, `{"properties":{"kty":"oct"}}`)
	f.refused("BadParameter", "PUT", base+"kv1/keys/a_b", api, `{"properties":{"kty":"EC"}}`)
	f.refused("NotSupported", "PUT", base+"kv1/keys/k2", api, `{"properties":{"kty":"EC","release_policy":{}}}`)
	f.refused("MethodNotAllowed", "DELETE", base+"kv1/keys/k1", api, "")
}

func TestKeysOfAnRBACVaultNeedTheDataAction(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.must("PUT", base+"kv1", "2026-02-01", props(""))
	_, err := f.do("PUT", base+"kv1/keys/k1", api, `{"properties":{"kty":"EC"}}`)
	e := azerr.From(err)
	if err == nil || e.Status != 400 || e.Code != "ForbiddenByRbac" || e.Inner != "" || !strings.HasPrefix(e.Message, "[ForbiddenByRbac (Forbidden)] Caller is not authorized to perform action on resource.") ||
		!strings.Contains(e.Message, "Caller: name=KeyVault/ManagementPlane;appid=app-1;oid="+me) {
		t.Errorf("got %v", err)
	}
	f.rbac[strings.ToLower("Microsoft.KeyVault/vaults/keys/create/action "+base+"kv1/keys/k1")] = true
	f.must("PUT", base+"kv1/keys/k1", api, `{"properties":{"kty":"EC"}}`)
	// A secret needs ARM's right only.
	f.must("PUT", base+"kv1/secrets/s1", api, `{"properties":{"value":"x"}}`)
}

func TestSecretsAsResources(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.must("PUT", base+"kv1", api, props(`"enabledForTemplateDeployment":true`))
	first := f.must("PUT", base+"kv1/secrets/S1", api, `{"tags":{"a":"1"},"properties":{"value":"hush","contentType":"text/plain","attributes":{"nbf":1}}}`)
	uri := first["properties"].(map[string]any)["secretUriWithVersion"]
	first["properties"].(map[string]any)["secretUriWithVersion"] = "-"
	f.golden("secret.json", first)
	same := f.must("PATCH", base+"kv1/secrets/s1", api, `{"properties":{"contentType":"x"}}`)["properties"].(map[string]any)
	if same["secretUriWithVersion"] != uri || same["contentType"] != "x" {
		t.Errorf("patched: %v", same)
	}
	again := f.must("PATCH", base+"kv1/secrets/s1", api, `{"properties":{"value":"hush2"}}`)["properties"].(map[string]any)
	if again["secretUriWithVersion"] == uri {
		t.Error("a new value made no new version")
	}
	f.must("GET", base+"kv1/secrets/s1", api, "")
	if items := f.must("GET", base+"kv1/secrets", api, "")["value"].([]any); len(items) != 1 || strings.Contains(items[0].(map[string]any)["id"].(string), "hush") {
		t.Errorf("list: %v", items)
	}
	f.refused("BadRequest", "PUT", base+"kv1/secrets/s2", api, `{"properties":{}}`)
	f.refused("ResourceNotFound", "PATCH", base+"kv1/secrets/s2", api, `{}`)

	id, err := ids.Parse(base + "kv1")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := f.vault.DeploymentSecret(t.Context(), id, "s1", "", authz.Principal{ObjectID: "o1"}); err != nil || got.Reveal() != "hush2" {
		t.Errorf("deployment secret: %v", err)
	}
	f.must("PATCH", base+"kv1", api, `{"properties":{"enabledForTemplateDeployment":false}}`)
	if _, err := f.vault.DeploymentSecret(t.Context(), id, "s1", "", authz.Principal{ObjectID: "o1"}); azerr.From(err).Status != 403 {
		t.Errorf("deployment secret of a vault that is not enabled: %v", err)
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, path := range []string{"deletedManagedHSMs", "managedHSMs"} {
		if got := f.must("GET", "/subscriptions/"+sub+"/providers/Microsoft.KeyVault/"+path, api, "")["value"].([]any); len(got) != 0 {
			t.Errorf("%s: %v", path, got)
		}
	}
	if got := f.must("GET", "/providers/Microsoft.KeyVault/operations", api, "")["value"].([]any); len(got) < 30 {
		t.Errorf("operations: %d", len(got))
	}
	f.refused("NotSupported", "PUT", "/subscriptions/"+sub+"/resourceGroups/g/providers/Microsoft.KeyVault/managedHSMs/h", api, `{}`)
	f.must("PUT", base+"kv1", api, props(""))
	resources, err := f.rp.Resources(t.Context(), sub, "G")
	if err != nil || len(resources) != 1 || resources[0].IDText != base+"kv1" {
		t.Errorf("resources: %v %v", resources, err)
	}
}

func TestPreflightChangesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t)
	check := func(body string) error {
		id, err := ids.Parse(base + "kv1")
		if err != nil {
			t.Fatal(err)
		}
		return f.rp.(provider.Preflighter).Preflight(t.Context(), &provider.Request{Method: "PUT", ID: id, APIVersion: api, Shape: api, Body: []byte(body)})
	}
	if err := check(props("")); err != nil {
		t.Error(err)
	}
	f.refused("ResourceNotFound", "GET", base+"kv1", api, "")
	if err := check(props(`"enablePurgeProtection":false`)); azerr.From(err).Message != azerr.VaultPurgeProtectionFixed().Message {
		t.Errorf("got %v", err)
	}
}
