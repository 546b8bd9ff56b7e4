package kusto_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The story of a key in another tenant, with everything real but the engine:
// the service provider's cluster, the customer's vault, and between them an
// application that trusts the cluster's identity.
func TestStoryOfTwoTenants(t *testing.T) {
	t.Parallel()
	in := newInstance(t, "kvcustomer")
	const provider, customer = 0, 1
	const kustoAPI, identityAPI, vaultAPI, groupAPI, graphURL = "2025-02-14", "2023-01-31", "2022-07-01", "2021-04-01", "https://graph.microsoft.com/v1.0"
	graph := func(status int, method, path, body string) map[string]any {
		t.Helper()
		r := in.do(method, graphURL+path, body)
		if r.status != status {
			t.Fatalf("%s %s: %d %v", method, path, r.status, r.body)
		}
		return r.body
	}
	home, theirs := in.tenants[provider].boot, in.tenants[customer].boot

	// The provider: an identity, an application that trusts it, a cluster.
	group := in.subscription + "/resourceGroups/rg1"
	in.must("PUT", group, groupAPI, `{"location":"westeurope"}`)
	identity := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
	principal, _ := at(in.must("PUT", identity, identityAPI, `{"location":"westeurope"}`).body, "properties.principalId").(string)
	app := graph(201, "POST", "/applications", `{"displayName":"keys","signInAudience":"AzureADMultipleOrgs"}`)
	appID, _ := app["appId"].(string)
	appPath := "/applications/" + app["id"].(string)
	credential := fmt.Sprintf(`{"name":"cluster","issuer":"https://login.microsoftonline.com/%s/v2.0","subject":%q,"audiences":["api://AzureADTokenExchange"]}`, home.TenantID, principal)
	graph(201, "POST", appPath+"/federatedIdentityCredentials", credential)
	demo := group + "/providers/Microsoft.Kusto/clusters/demo1"
	in.must("PUT", demo, kustoAPI, `{"location":"westeurope","sku":{"name":"Standard_E2ads_v5","tier":"Standard"},"identity":{"type":"UserAssigned","userAssignedIdentities":{"`+identity+`":{}}}}`)
	key := func(version, members string) string {
		return fmt.Sprintf(`{"properties":{"keyVaultProperties":{"keyVaultUri":"https://kvcustomer.vault.azure.net/","keyName":"key1","keyVersion":%q,"userIdentity":%q%s}}}`, version, identity, members)
	}
	through := `,"federatedIdentityClientId":"` + appID + `"`
	refused := func(when, code, body string) {
		t.Helper()
		if r, _, _ := in.arm("PATCH", demo, kustoAPI, body); r.status != 400 || r.code() != code {
			t.Errorf("%s: %d %v, want %s", when, r.status, r.body, code)
		}
	}
	refused("no vault yet", "KeyVaultNotFound", key("", through))

	// The customer: a vault, and a service principal of that application.
	in.as(customer)
	theirGroup := in.subscription + "/resourceGroups/rg9"
	in.must("PUT", theirGroup, groupAPI, `{"location":"westeurope"}`)
	vaultPath := theirGroup + "/providers/Microsoft.KeyVault/vaults/kvcustomer"
	policy := func(object, keys string) string {
		return fmt.Sprintf(`{"tenantId":%q,"objectId":%q,"permissions":{"keys":[%s]}}`, theirs.TenantID, object, keys)
	}
	in.must("PUT", vaultPath, vaultAPI, fmt.Sprintf(`{"location":"westeurope","properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},"enablePurgeProtection":true,"accessPolicies":[%s]}}`,
		theirs.TenantID, policy(theirs.ObjectID, `"all"`)))
	newVersion := func() string {
		t.Helper()
		r := in.do("POST", "https://kvcustomer.vault.azure.net/keys/key1/create?api-version=7.4", `{"kty":"RSA"}`)
		kid, _ := at(r.body, "key.kid").(string)
		if r.status != http.StatusOK {
			t.Fatalf("key: %d %v", r.status, r.body)
		}
		return kid[strings.LastIndex(kid, "/")+1:]
	}
	v1 := newVersion()
	in.as(provider)
	refused("without the application", "InvalidKeyVaultProperties", key(v1, ""))
	refused("without a service principal", "IdentityDoesNotHaveAccessToKeyVault", key(v1, through))
	in.as(customer)
	sp, _ := graph(201, "POST", "/servicePrincipals", `{"appId":"`+appID+`"}`)["id"].(string)
	in.as(provider)
	refused("without a policy", "IdentityDoesNotHaveAccessToKeyVault", key(v1, through))
	admit := func(object string) {
		t.Helper()
		in.as(customer)
		in.must("PUT", vaultPath+"/accessPolicies/add", vaultAPI, `{"properties":{"accessPolicies":[`+policy(object, `"get","wrapKey","unwrapKey"`)+`]}}`)
		in.as(provider)
	}
	admit(sp)
	refused("unknown application", "IdentityDoesNotHaveAccessToKeyVault", key(v1, `,"federatedIdentityClientId":"`+home.ClientID+`"`))
	in.must("PATCH", demo, kustoAPI, key(v1, through))
	if r := in.must("GET", demo, kustoAPI, ""); at(r.body, "properties.keyVaultProperties.federatedIdentityClientId") != appID || at(r.body, "properties.state") != "Running" {
		t.Fatalf("in force: %v", r.body)
	}

	// Each link can be taken away on its side, and each suspends; each can be given again.
	stopped := func(reason string) {
		t.Helper()
		in.until(demo, func(p map[string]any) bool {
			text, _ := p["stateReason"].(string)
			return p["state"] == "Stopped" && strings.Contains(text, "IdentityDoesNotHaveAccessToKeyVault") && strings.Contains(text, reason)
		})
	}
	running := func() {
		t.Helper()
		in.until(demo, func(p map[string]any) bool { return p["state"] == "Running" })
	}
	graph(204, "DELETE", appPath+"/federatedIdentityCredentials/cluster", "")
	stopped("AADSTS700211")
	graph(201, "POST", appPath+"/federatedIdentityCredentials", credential)
	running()
	graph(204, "PATCH", appPath, `{"signInAudience":"AzureADMyOrg"}`)
	stopped("AADSTS700016")
	graph(204, "PATCH", appPath, `{"signInAudience":"AzureADMultipleOrgs"}`)
	running()
	in.as(customer)
	graph(204, "DELETE", "/servicePrincipals/"+sp, "")
	in.as(provider)
	stopped("AADSTS7000229")
	in.as(customer)
	again, _ := graph(201, "POST", "/servicePrincipals", `{"appId":"`+appID+`"}`)["id"].(string)
	in.as(provider)
	stopped("may not unwrapKey") // the one made anew has no rights
	admit(again)
	running()

	// Another version, a key of the database alone, and a start: all of it through the application.
	in.as(customer)
	v2 := newVersion()
	in.as(provider)
	in.must("PATCH", demo, kustoAPI, key(v2, through))
	in.must("PUT", demo+"/databases/db1", kustoAPI, strings.Replace(key(v1, through), `{"properties"`, `{"location":"westeurope","kind":"ReadWrite","properties"`, 1))
	if r := in.must("GET", demo+"/databases/db1", kustoAPI, ""); at(r.body, "properties.keyVaultProperties.federatedIdentityClientId") != appID {
		t.Errorf("database: %v", r.body)
	}
	in.must("POST", demo+"/stop", kustoAPI, "")
	in.must("POST", demo+"/start", kustoAPI, "")
	in.must("DELETE", demo+"/databases/db1", kustoAPI, "")
	in.must("PATCH", demo, kustoAPI, `{"properties":{"keyVaultProperties":{}}}`)
	graph(204, "DELETE", appPath, "")
	in.must("POST", demo+"/stop", kustoAPI, "")
	in.must("POST", demo+"/start", kustoAPI, "")
}
