package kusto_test

import (
	"fmt"
	"strings"
	"testing"
)

// The story of a key, with everything real but the engine.
func TestStoryOfAKey(t *testing.T) {
	t.Parallel()
	in := newInstance(t)
	group := in.subscription + "/resourceGroups/rg1"
	demo := group + "/providers/Microsoft.Kusto/clusters/demo1"
	const kustoAPI, seed, vaultAPI = "2023-08-15", "2019-09-07", "2022-07-01"
	in.must("PUT", group, "2021-04-01", `{"location":"westeurope"}`)
	in.must("PUT", demo, seed, `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2},"properties":{}}`)
	in.must("PATCH", demo, seed, `{"identity":{"type":"SystemAssigned"}}`)
	r := in.must("GET", demo, kustoAPI, "")
	id, _ := at(r.body, "identity.principalId").(string)
	if id == "" || at(r.body, "properties.state") != "Running" {
		t.Fatalf("cluster %v", r.body)
	}
	policy := func(object, keys string) string {
		return fmt.Sprintf(`{"tenantId":%q,"objectId":%q,"permissions":{"keys":[%s]}}`, in.secret.TenantID, object, keys)
	}
	mine := policy(in.secret.ObjectID, `"all"`)
	theirs := policy(id, `"wrapKey","unwrapKey","get","recover"`)
	vaultBody := func(location, protections, policies string) string {
		return fmt.Sprintf(`{"location":%q,"properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},%s"accessPolicies":[%s]}}`, location, in.secret.TenantID, protections, policies)
	}
	vaultPath := func(name string) string { return group + "/providers/Microsoft.KeyVault/vaults/" + name }
	const both = `"enableSoftDelete":true,"enablePurgeProtection":true,`
	in.must("PUT", vaultPath("kvgood"), vaultAPI, vaultBody("westeurope", both, mine+","+theirs))
	in.must("PUT", vaultPath("kvclosed"), vaultAPI, vaultBody("westeurope", both, mine))
	in.must("PUT", vaultPath("kvnopurge"), vaultAPI, vaultBody("westeurope", "", mine+","+theirs))
	in.must("PUT", vaultPath("kvnosoft"), "2018-02-14", vaultBody("westeurope", `"enableSoftDelete":false,`, mine+","+theirs))
	in.must("PUT", vaultPath("kvfar"), vaultAPI, vaultBody("eastus", both, mine+","+theirs))
	newKey := func(vault, name, body string) string {
		r := in.do("POST", "https://"+vault+".vault.azure.net/keys/"+name+"/create?api-version=7.4", body)
		kid, _ := at(r.body, "key.kid").(string)
		if kid == "" {
			t.Fatalf("key: %d %v", r.status, r.body)
		}
		return kid[strings.LastIndex(kid, "/")+1:]
	}
	v1 := newKey("kvgood", "key1", `{"kty":"RSA"}`)
	ec := newKey("kvgood", "ec", `{"kty":"EC"}`)
	signs := newKey("kvgood", "signs", `{"kty":"RSA","key_ops":["sign","verify"]}`)
	for _, v := range []string{"kvclosed", "kvnopurge", "kvnosoft", "kvfar"} {
		newKey(v, "key1", `{"kty":"RSA"}`)
	}
	key := func(uri, name, version string) string {
		return fmt.Sprintf(`{"properties":{"keyVaultProperties":{"keyVaultUri":%q,"keyName":%q,"keyVersion":%q}}}`, uri, name, version)
	}
	refusals := []struct{ uri, key, version, code, message string }{
		{"this is not an address", "key1", v1, "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvgood.vault.azure.net/", "ec", ec, "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvgood.vault.azure.net/", "signs", signs, "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvfar.vault.azure.net/", "key1", "", "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvnone.vault.azure.net/", "key1", v1, "KeyVaultNotFound", "KeyVault 'https://kvnone.vault.azure.net/' was not found"},
		{"https://kvgood.vault.azure.net/", "nokey", v1, "KeyNotFound", "Key 'nokey' was not found in KeyVault 'https://kvgood.vault.azure.net/'"},
		{"https://kvclosed.vault.azure.net/", "key1", "", "IdentityDoesNotHaveAccessToKeyVault", "Cluster identity does not have access to KeyVault 'https://kvclosed.vault.azure.net/'"},
		{"https://kvnopurge.vault.azure.net", "key1", "", "KeyVaultNotPurgeProtected", "KeyVault 'https://kvnopurge.vault.azure.net' is not Purge Protected"},
		{"https://kvnosoft.vault.azure.net", "key1", "", "KeyVaultNotSoftDeleteEnabled", "KeyVault 'https://kvnosoft.vault.azure.net' is not Soft-Delete enabled"},
	}
	for _, c := range refusals {
		r, _, _ := in.arm("PATCH", demo, seed, key(c.uri, c.key, c.version))
		if r.status != 400 || r.code() != c.code || at(r.body, "error.message") != c.message {
			t.Errorf("%s: %d %v", c.code, r.status, r.body)
		}
	}
	in.must("PATCH", demo, seed, key("https://kvgood.vault.azure.net/", "key1", v1))
	if r := in.must("GET", demo, seed, ""); at(r.body, "properties.keyVaultProperties.keyVersion") != v1 || at(r.body, "properties.provisioningState") != "Succeeded" {
		t.Errorf("in force: %v", r.body)
	}
	in.must("PUT", demo+"/databases/db1", kustoAPI, `{"location":"westeurope","kind":"ReadWrite","properties":{}}`)
	in.must("PUT", demo+"/principalAssignments/me", kustoAPI, `{"properties":{"principalId":"`+in.secret.ClientID+`","principalType":"App","role":"AllDatabasesAdmin"}}`)

	// revoked: the cluster is suspended for the true reason, and comes back by itself
	enable := func(version string, on bool) {
		r := in.do("PATCH", "https://kvgood.vault.azure.net/keys/key1/"+version+"?api-version=7.4", fmt.Sprintf(`{"attributes":{"enabled":%t}}`, on))
		if r.status != 200 {
			t.Fatalf("enable: %d %v", r.status, r.body)
		}
	}
	enable(v1, false)
	p := in.until(demo, func(p map[string]any) bool { return p["state"] == "Stopped" })
	if reason, _ := p["stateReason"].(string); !strings.Contains(reason, "disabled") || !strings.Contains(reason, "IdentityDoesNotHaveAccessToKeyVault") || p["provisioningState"] != "Succeeded" {
		t.Errorf("suspended: %v", p)
	}
	if r, _, _ := in.arm("GET", demo+"/databases/db1", kustoAPI, ""); r.status != 400 || at(r.body, "error.message") != "Cannot fetch databases while resource is in state 'Stopped'." {
		t.Errorf("database while suspended: %d %v", r.status, r.body)
	}
	if r, _, _ := in.arm("PATCH", demo, kustoAPI, `{"properties":{"keyVaultProperties":{}}}`); r.status != 400 || r.code() != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("key off while suspended: %d %v", r.status, r.body)
	}
	if r, status, failure := in.arm("POST", demo+"/start", kustoAPI, ""); r.status != 202 || status != "Failed" || failure != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("start while the key is away: %d %s %v", r.status, status, failure)
	}
	enable(v1, true)
	in.until(demo, func(p map[string]any) bool { return p["state"] == "Running" })

	// rotation, then following the newest version, then off
	v2 := newKey("kvgood", "key1", `{"kty":"RSA"}`)
	in.must("PATCH", demo, kustoAPI, key("https://kvgood.vault.azure.net/", "key1", v2))
	enable(v1, false)
	in.must("POST", demo+"/stop", kustoAPI, "")
	in.must("POST", demo+"/start", kustoAPI, "")
	in.must("PATCH", demo, kustoAPI, key("https://kvgood.vault.azure.net/", "key1", ""))
	if r := in.must("GET", demo, kustoAPI, ""); at(r.body, "properties.keyVaultProperties.keyVersion") != "" || at(r.body, "properties.state") != "Running" {
		t.Errorf("versionless: %v", r.body)
	}
	in.must("PATCH", demo, kustoAPI, `{"properties":{"keyVaultProperties":{}}}`)
	if r := in.do("DELETE", "https://kvgood.vault.azure.net/keys/key1?api-version=7.4", ""); r.status != 200 {
		t.Errorf("delete key: %d", r.status)
	}
	in.must("POST", demo+"/stop", kustoAPI, "")
	in.must("POST", demo+"/start", kustoAPI, "")
	in.must("DELETE", demo, kustoAPI, "")
	if r, _, _ := in.arm("GET", demo, kustoAPI, ""); r.status != 404 {
		t.Errorf("after delete: %d", r.status)
	}
}

// A cluster that is made under a user-assigned identity's key, in one request.
func TestStoryOfAUserIdentity(t *testing.T) {
	t.Parallel()
	in := newInstance(t)
	group := in.subscription + "/resourceGroups/rg1"
	in.must("PUT", group, "2021-04-01", `{"location":"westeurope"}`)
	mi := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
	r := in.must("PUT", mi, "2023-01-31", `{"location":"westeurope"}`)
	id, _ := at(r.body, "properties.principalId").(string)
	in.must("PUT", group+"/providers/Microsoft.KeyVault/vaults/kvuser", "2022-07-01", fmt.Sprintf(`{"location":"westeurope","properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},
		"enablePurgeProtection":true,"accessPolicies":[{"tenantId":%q,"objectId":%q,"permissions":{"keys":["all"]}},{"tenantId":%q,"objectId":%q,"permissions":{"keys":["get","wrapKey","unwrapKey"]}}]}}`,
		in.secret.TenantID, in.secret.TenantID, in.secret.ObjectID, in.secret.TenantID, id))
	if r := in.do("POST", "https://kvuser.vault.azure.net/keys/key1/create?api-version=7.4", `{"kty":"RSA","key_size":3072}`); r.status != 200 {
		t.Fatalf("key: %d %v", r.status, r.body)
	}
	demo := group + "/providers/Microsoft.Kusto/clusters/demo2"
	in.must("PUT", demo, "2024-04-13", `{"location":"westeurope","sku":{"name":"Standard_E2ads_v5","tier":"Standard"},"identity":{"type":"UserAssigned","userAssignedIdentities":{"`+mi+`":{}}},
		"properties":{"keyVaultProperties":{"keyVaultUri":"https://kvuser.vault.azure.net/","keyName":"key1","userIdentity":"`+mi+`"}}}`)
	r = in.must("GET", demo, "2024-04-13", "")
	if at(r.body, "properties.state") != "Running" || at(r.body, "properties.keyVaultProperties.userIdentity") != mi || at(r.body, "identity.type") != "UserAssigned" {
		t.Fatalf("cluster %v", r.body)
	}
	in.must("DELETE", mi, "2023-01-31", "") // cannot be refused: it is a revocation
	p := in.until(demo, func(p map[string]any) bool { return p["state"] == "Stopped" })
	if reason, _ := p["stateReason"].(string); !strings.Contains(reason, "IdentityDoesNotHaveAccessToKeyVault") {
		t.Errorf("suspended: %v", p)
	}
	in.must("DELETE", demo, "2024-04-13", "")
}
