package openapi_test

import "strings"

const keyVault = "/providers/Microsoft.KeyVault"

func (r *recorder) vaults() {
	for i, v := range []string{"2019-09-01", "2021-10-01", "2022-07-01", "2022-11-01", "2023-02-01", "2023-07-01", "2024-11-01", "2025-05-01", "2026-02-01"} {
		q := "?api-version=" + v
		name := "openapi" + strings.Repeat("v", i+1)
		at := r.group() + keyVault + "/vaults"
		r.ended(r.call("PUT", at+"/"+name+q, r.vaultBody(true), 200, 201))
		r.call("GET", at+"/"+name+q, nil, 200)
		r.call("PATCH", at+"/"+name+q, `{"tags":{"a":"1"},"properties":{"networkAcls":{"defaultAction":"Allow","bypass":"AzureServices","ipRules":[{"value":"192.0.2.0/24"}]}}}`, 200)
		r.call("GET", at+q, nil, 200)
		r.call("GET", r.sub()+keyVault+"/vaults"+q, nil, 200)
		r.call("GET", r.sub()+"/resources"+q+"&$filter=resourceType%20eq%20'Microsoft.KeyVault/vaults'", nil, 200)
		r.call("GET", r.sub()+"/resources?api-version=2015-11-01&$filter=resourceType%20eq%20'Microsoft.KeyVault/vaults'", nil, 200)
		r.call("POST", r.sub()+keyVault+"/checkNameAvailability"+q, `{"name":"`+name+`","type":"Microsoft.KeyVault/vaults"}`, 200)
		r.call("POST", r.sub()+keyVault+"/checkNameAvailability"+q, `{"name":"openapifree","type":"Microsoft.KeyVault/vaults"}`, 200)
		policy := `{"properties":{"accessPolicies":[{"tenantId":"` + r.c.Conn.TenantID + `","objectId":"` + r.principal() + `","permissions":{"keys":["get"]}}]}}`
		for _, kind := range []string{"add", "replace", "remove"} {
			r.call("PUT", at+"/"+name+"/accessPolicies/"+kind+q, policy, 200, 201)
		}
		r.call("GET", keyVault+"/operations"+q, nil, 200)
		r.call("GET", at+"/"+name+"/privateEndpointConnections"+q, nil, 200)
		r.ended(r.call("PUT", at+"/"+name+q, r.vaultBody(false), 200, 201))
		r.subresources(at+"/"+name, q)
		r.call("DELETE", at+"/"+name+q, nil, 200)
		r.call("GET", r.sub()+keyVault+"/deletedVaults"+q, nil, 200)
		gone := r.sub() + keyVault + "/locations/westeurope/deletedVaults/" + name
		r.call("GET", gone+q, nil, 200)
		r.ended(r.call("POST", gone+"/purge"+q, nil, 200, 202))
		r.call("GET", at+"/"+name+q, nil, 404)
		if v >= "2021-10-01" {
			r.call("GET", r.group()+keyVault+"/managedHSMs"+q, nil, 200)
			r.call("GET", r.sub()+keyVault+"/managedHSMs"+q, nil, 200)
			r.call("GET", r.sub()+keyVault+"/deletedManagedHSMs"+q, nil, 200)
		}
	}
	r.ended(r.call("PUT", r.group()+keyVault+"/vaults/openapidata?api-version=2022-07-01", r.vaultBody(false), 200, 201))
	for i, v := range []string{"7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6-preview.1", "2025-07-01"} {
		r.keys("openapidata", "key"+strings.Repeat("k", i), v)
		r.secrets("openapidata", "secret"+strings.Repeat("s", i), v)
	}
}

// vaultBody describes a vault that the client itself may do everything with.
func (r *recorder) vaultBody(rbac bool) string {
	policies, roles := `[{"tenantId":"`+r.c.Conn.TenantID+`","objectId":"`+r.me()+`","permissions":{"keys":["all","purge"],"secrets":["all","purge"]}}]`, "false"
	if rbac {
		policies, roles = `[]`, "true"
	}
	return `{"location":"westeurope","properties":{"tenantId":"` + r.c.Conn.TenantID + `","sku":{"family":"A","name":"standard"},"enableRbacAuthorization":` + roles + `,"accessPolicies":` + policies + `}}`
}

// subresources are the keys and the secrets of a vault as resources.
func (r *recorder) subresources(vault, q string) {
	key := r.call("PUT", vault+"/keys/k1"+q, `{"properties":{"kty":"RSA","keySize":2048,"keyOps":["wrapKey","unwrapKey"],"attributes":{"enabled":true}},"tags":{"a":"1"}}`, 200)
	r.call("PUT", vault+"/keys/k2"+q, `{"properties":{"kty":"EC","curveName":"P-256"}}`, 200)
	r.call("GET", vault+"/keys/k1"+q, nil, 200)
	r.call("GET", vault+"/keys"+q, nil, 200)
	r.call("GET", vault+"/keys/k1/versions"+q, nil, 200)
	r.call("GET", vault+"/keys/k1/versions/"+after(key.Body, "/keys/k1/")+q, nil, 200)
	r.call("PUT", vault+"/secrets/s1"+q, `{"properties":{"value":"x","contentType":"text/plain","attributes":{"enabled":true,"exp":4102444800}},"tags":{"a":"1"}}`, 200, 201)
	r.call("GET", vault+"/secrets/s1"+q, nil, 200)
	r.call("GET", vault+"/secrets"+q, nil, 200)
	r.call("PATCH", vault+"/secrets/s1"+q, `{"tags":{"b":"1"},"properties":{"value":"y"}}`, 200, 201)
}

// me is the object id of the client's own principal.
func (r *recorder) me() string {
	r.t.Helper()
	token, err := r.c.Do(r.t.Context(), "https://graph.microsoft.com", "GET", "https://graph.microsoft.com/v1.0/servicePrincipals(appId='"+r.c.Conn.ClientID+"')", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return after(token.Body, `"id":"`)
}

// after is what stands in a body from a text to the next quotation mark.
func after(body []byte, text string) string {
	_, rest, _ := strings.Cut(string(body), text)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}
