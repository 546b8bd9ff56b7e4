package openapi_test

import (
	"encoding/base64"
	"strings"
)

func (r *recorder) vaults() {
	for i, v := range []string{"2019-09-01", "2021-10-01", "2022-07-01", "2023-02-01", "2023-07-01"} {
		q := "?api-version=" + v
		name := "openapi" + strings.Repeat("v", i+1)
		at := r.group() + "/providers/Microsoft.KeyVault/vaults"
		body := `{"location":"westeurope","properties":{"tenantId":"` + r.c.Conn.TenantID + `","sku":{"family":"A","name":"standard"},"enableRbacAuthorization":true,"accessPolicies":[]}}`
		r.ended(r.call("PUT", at+"/"+name+q, body, 200, 201))
		r.call("GET", at+"/"+name+q, nil, 200)
		r.call("PATCH", at+"/"+name+q, `{"tags":{"a":"1"}}`, 200)
		r.call("GET", at+q, nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.KeyVault/vaults"+q, nil, 200)
		r.call("POST", r.sub()+"/providers/Microsoft.KeyVault/checkNameAvailability"+q, `{"name":"`+name+`","type":"Microsoft.KeyVault/vaults"}`, 200)
		policy := `{"properties":{"accessPolicies":[{"tenantId":"` + r.c.Conn.TenantID + `","objectId":"` + r.principal() + `","permissions":{"keys":["get"]}}]}}`
		r.call("PUT", at+"/"+name+"/accessPolicies/add"+q, policy, 200, 201)
		r.call("GET", "/providers/Microsoft.KeyVault/operations"+q, nil, 200)
		r.call("DELETE", at+"/"+name+q, nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.KeyVault/deletedVaults"+q, nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/"+name+q, nil, 200)
		r.ended(r.call("POST", r.sub()+"/providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/"+name+"/purge"+q, nil, 200, 202))
		r.call("GET", at+"/"+name+q, nil, 404)
	}
	const name = "openapidata"
	at := r.group() + "/providers/Microsoft.KeyVault/vaults/" + name + "?api-version=2022-07-01"
	all := `{"keys":["all","purge"],"secrets":["all","purge"]}`
	r.ended(r.call("PUT", at, `{"location":"westeurope","properties":{"tenantId":"`+r.c.Conn.TenantID+`","sku":{"family":"A","name":"standard"},"accessPolicies":[{"tenantId":"`+r.c.Conn.TenantID+
		`","objectId":"`+r.me()+`","permissions":`+all+`}]}}`, 200, 201))
	for i, v := range []string{"7.0", "7.1", "7.2", "7.3", "7.4", "7.5"} {
		r.keys(name, "key"+strings.Repeat("k", i), v)
		r.secrets(name, "secret"+strings.Repeat("s", i), v)
	}
}

// me is the object id of the client's own principal.
func (r *recorder) me() string {
	r.t.Helper()
	token, err := r.c.Do(r.t.Context(), "https://graph.microsoft.com", "GET", "https://graph.microsoft.com/v1.0/servicePrincipals(appId='"+r.c.Conn.ClientID+"')", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(token.Body), `"id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

func (r *recorder) keys(vault, key, v string) {
	q := "?api-version=" + v
	at := "/keys/" + key
	r.vault(vault, "POST", at+"/create"+q, `{"kty":"RSA","key_size":2048,"tags":{"a":"1"}}`, 200)
	r.vault(vault, "GET", at+q, nil, 200)
	r.vault(vault, "GET", "/keys"+q, nil, 200)
	r.vault(vault, "GET", at+"/versions"+q, nil, 200)
	a := r.vault(vault, "GET", at+q, nil, 200)
	_, rest, _ := strings.Cut(string(a.Body), "/keys/"+key+"/")
	version, _, _ := strings.Cut(rest, `"`)
	r.vault(vault, "PATCH", at+"/"+version+q, `{"tags":{"b":"1"}}`, 200)
	value := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	wrapped := r.vault(vault, "POST", at+"/"+version+"/wrapkey"+q, `{"alg":"RSA-OAEP-256","value":"`+value+`"}`, 200)
	_, rest, _ = strings.Cut(string(wrapped.Body), `"value":"`)
	text, _, _ := strings.Cut(rest, `"`)
	r.vault(vault, "POST", at+"/"+version+"/unwrapkey"+q, `{"alg":"RSA-OAEP-256","value":"`+text+`"}`, 200)
	r.vault(vault, "POST", at+"/"+version+"/encrypt"+q, `{"alg":"RSA-OAEP","value":"`+value+`"}`, 200)
	r.vault(vault, "POST", at+"/"+version+"/sign"+q, `{"alg":"RS256","value":"`+value+`"}`, 200)
	r.vault(vault, "POST", at+"/backup"+q, nil, 200)
	if v >= "7.3" {
		r.vault(vault, "POST", at+"/rotate"+q, nil, 200)
		r.vault(vault, "GET", at+"/rotationpolicy"+q, nil, 200)
	}
	r.vault(vault, "GET", "/keys/none"+q, nil, 404)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "GET", "/deletedkeys"+q, nil, 200)
	r.vault(vault, "GET", "/deletedkeys/"+key+q, nil, 200)
	r.vault(vault, "POST", "/deletedkeys/"+key+"/recover"+q, nil, 200)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "DELETE", "/deletedkeys/"+key+q, nil, 204)
}

func (r *recorder) secrets(vault, secret, v string) {
	q := "?api-version=" + v
	at := "/secrets/" + secret
	r.vault(vault, "PUT", at+q, `{"value":"x","tags":{"a":"1"},"contentType":"text/plain"}`, 200)
	r.vault(vault, "GET", at+"/"+q, nil, 200)
	r.vault(vault, "GET", "/secrets"+q, nil, 200)
	r.vault(vault, "GET", at+"/versions"+q, nil, 200)
	r.vault(vault, "POST", at+"/backup"+q, nil, 200)
	r.vault(vault, "GET", "/secrets/none"+q, nil, 404)
	r.vault(vault, "DELETE", at+q, nil, 200)
	r.vault(vault, "GET", "/deletedsecrets"+q, nil, 200)
	r.vault(vault, "GET", "/deletedsecrets/"+secret+q, nil, 200)
	r.vault(vault, "DELETE", "/deletedsecrets/"+secret+q, nil, 204)
}

func (r *recorder) clusters() {
	at := r.group() + "/providers/Microsoft.Kusto/clusters"
	first := at + "/openapi1"
	for i, v := range []string{"2023-08-15", "2019-01-21", "2019-05-15", "2019-09-07", "2019-11-09", "2020-02-15", "2020-06-14", "2020-09-18", "2021-01-01", "2021-08-27", "2022-02-01", "2022-07-07", "2022-11-11", "2022-12-29", "2023-05-02"} {
		q := "?api-version=" + v
		if i == 0 {
			r.ended(r.call("PUT", first+q, `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2},"identity":{"type":"SystemAssigned"}}`, 200, 201))
			r.ended(r.call("PUT", first+"/databases/db1"+q, `{"location":"westeurope","kind":"ReadWrite","properties":{"softDeletePeriod":"P1D"}}`, 200, 201, 202))
		}
		r.call("GET", first+q, nil, 200)
		r.call("GET", at+q, nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.Kusto/clusters"+q, nil, 200)
		r.call("GET", first+"/databases"+q, nil, 200)
		r.call("GET", first+"/databases/db1"+q, nil, 200)
		r.call("GET", at+"/none"+q, nil, 404)
		r.call("GET", r.sub()+"/providers/Microsoft.Kusto/skus"+q, nil, 200)
		r.call("GET", first+"/skus"+q, nil, 200)
		r.call("GET", "/providers/Microsoft.Kusto/operations"+q, nil, 200)
		r.call("POST", r.sub()+"/providers/Microsoft.Kusto/locations/westeurope/checkNameAvailability"+q, `{"name":"openapi1","type":"Microsoft.Kusto/clusters"}`, 200)
		r.call("POST", first+"/checkNameAvailability"+q, `{"name":"db1","type":"Microsoft.Kusto/clusters/databases"}`, 200)
		r.ended(r.call("PATCH", first+q, `{"tags":{"v":"`+v+`"}}`, 200, 201, 202))
		if v >= "2019-11-09" {
			for _, p := range []string{first + "/principalAssignments", first + "/databases/db1/principalAssignments"} {
				role := "AllDatabasesViewer"
				if strings.Contains(p, "databases") {
					role = "Viewer"
				}
				r.ended(r.call("PUT", p+"/p1"+q, `{"properties":{"principalId":"`+r.c.Conn.ClientID+`","principalType":"App","role":"`+role+`","tenantId":"`+r.c.Conn.TenantID+`"}}`, 200, 201))
				r.call("GET", p+"/p1"+q, nil, 200)
				r.call("GET", p+q, nil, 200)
				r.ended(r.call("DELETE", p+"/p1"+q, nil, 200, 202, 204))
			}
		}
	}
	const q = "?api-version=2023-08-15"
	a := r.call("POST", r.group()+"/exportTemplate?api-version=2022-09-01", `{"resources":["*"],"options":"SkipAllParameterization"}`, 200)
	for _, want := range []string{`"name":"openapi1"`, `"name":"openapi1/db1"`, `"kind":"ReadWrite"`} {
		if !strings.Contains(string(a.Body), want) || strings.Contains(string(a.Body), `"error"`) {
			r.t.Errorf("export of a cluster: no %s in %s", want, a.Body)
		}
	}
	r.ended(r.call("POST", first+"/stop"+q, nil, 200, 202))
	r.ended(r.call("POST", first+"/start"+q, nil, 200, 202))
	r.ended(r.call("DELETE", first+"/databases/db1"+q, nil, 200, 202))
	r.ended(r.call("DELETE", first+q, nil, 200, 202))
}
