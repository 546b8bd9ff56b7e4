package openapi_test

import "strings"

func (r *recorder) clusters() {
	at := r.group() + "/providers/Microsoft.Kusto/clusters"
	first := at + "/openapi1"
	for i, v := range []string{"2023-08-15", "2019-01-21", "2019-05-15", "2019-09-07", "2019-11-09", "2020-02-15", "2020-06-14", "2020-09-18", "2021-01-01", "2021-08-27", "2022-02-01", "2022-07-07", "2022-11-11", "2022-12-29", "2023-05-02", "2024-04-13", "2025-02-14"} {
		q := "?api-version=" + v
		if i == 0 {
			r.ended(r.call("PUT", first+q, clusterBody, 200, 201))
		}
		r.cluster(at, at+"/openapi2", v)
		r.ended(r.call("PUT", first+"/databases/db1"+q, databaseBody, 200, 201, 202))
		if v >= "2023-05-02" {
			r.ownKey(first, first+"/databases/db1", v)
		}
		r.call("GET", first+q, nil, 200)
		r.call("GET", at+q, nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.Kusto/clusters"+q, nil, 200)
		r.call("GET", at+"/none"+q, nil, 404)
		r.call("GET", r.sub()+"/providers/Microsoft.Kusto/skus"+q, nil, 200)
		if v >= "2022-11-11" {
			r.call("GET", r.sub()+"/providers/Microsoft.Kusto/locations/westeurope/skus"+q, nil, 200)
		}
		r.call("GET", first+"/skus"+q, nil, 200)
		r.call("GET", "/providers/Microsoft.Kusto/operations"+q, nil, 200)
		r.call("POST", r.sub()+"/providers/Microsoft.Kusto/locations/westeurope/checkNameAvailability"+q, `{"name":"openapi1","type":"Microsoft.Kusto/clusters"}`, 200)
		r.call("POST", first+"/checkNameAvailability"+q, `{"name":"db1","type":"Microsoft.Kusto/clusters/databases"}`, 200)
		r.ended(r.call("PATCH", first+q, `{"tags":{"v":"`+v+`"}}`, 200, 201, 202))
		if v >= "2019-11-09" {
			for _, p := range []string{first, first + "/databases/db1"} {
				r.assignments(p, q)
			}
		}
	}
	for _, v := range []string{"2018-11-30", "2023-01-31"} {
		r.call("GET", first+"/providers/Microsoft.ManagedIdentity/identities/default?api-version="+v, nil, 200)
	}
	a := r.call("POST", r.group()+"/exportTemplate?api-version=2022-09-01", `{"resources":["*"],"options":"SkipAllParameterization"}`, 200)
	for _, want := range []string{`"name":"openapi1"`, `"name":"openapi1/db1"`, `"kind":"ReadWrite"`} {
		if !strings.Contains(string(a.Body), want) || strings.Contains(string(a.Body), `"error"`) {
			r.t.Errorf("export of a cluster: no %s in %s", want, a.Body)
		}
	}
}

// ownKey gives a database a key of its own and takes it away again.
func (r *recorder) ownKey(cluster, database, v string) {
	q := "?api-version=" + v
	_, rest, _ := strings.Cut(string(r.call("GET", cluster+q, nil, 200).Body), `"principalId":"`)
	principal, _, _ := strings.Cut(rest, `"`)
	name := "openapiown" + strings.ReplaceAll(v, "-", "")
	tenant := r.c.Conn.TenantID
	r.ended(r.call("PUT", r.group()+keyVault+"/vaults/"+name+"?api-version=2022-07-01", `{"location":"westeurope","properties":{"tenantId":"`+tenant+`","sku":{"family":"A","name":"standard"},
		"enableSoftDelete":true,"enablePurgeProtection":true,"accessPolicies":[
		{"tenantId":"`+tenant+`","objectId":"`+r.me()+`","permissions":{"keys":["all"]}},
		{"tenantId":"`+tenant+`","objectId":"`+principal+`","permissions":{"keys":["get","wrapKey","unwrapKey"]}}]}}`, 200, 201))
	r.vault(name, "POST", "/keys/key1/create?api-version=7.4", `{"kty":"RSA","key_size":2048}`, 200)
	key := `{"location":"westeurope","kind":"ReadWrite","properties":{"keyVaultProperties":{"keyName":"key1","keyVaultUri":"https://` + name + `.vault.azure.net","keyVersion":""}}}`
	r.ended(r.call("PATCH", database+q, key, 200, 201, 202))
	if a := r.call("GET", database+q, nil, 200); !strings.Contains(string(a.Body), `"keyName":"key1"`) {
		r.t.Errorf("own key of a database: %s", a.Body)
	}
	r.ended(r.call("PATCH", database+q, `{"location":"westeurope","kind":"ReadWrite","properties":{"keyVaultProperties":{}}}`, 200, 201, 202))
}

const (
	clusterBody  = `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2},"identity":{"type":"SystemAssigned"}}`
	databaseBody = `{"location":"westeurope","kind":"ReadWrite","properties":{"softDeletePeriod":"P1D"}}`
)

// cluster is the life of a cluster with a database at one api-version.
func (r *recorder) cluster(at, name, v string) {
	q := "?api-version=" + v
	body := clusterBody
	if v < "2019-09-07" {
		body = `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2}}`
	}
	r.ended(r.call("PUT", name+q, body, 200, 201))
	r.call("GET", name+q, nil, 200)
	db := name + "/databases/db2"
	r.ended(r.call("PUT", db+q, databaseBody, 200, 201, 202))
	r.call("GET", db+q, nil, 200)
	r.call("GET", name+"/databases"+q, nil, 200)
	r.ended(r.call("PATCH", db+q, `{"kind":"ReadWrite","properties":{"softDeletePeriod":"P2D"}}`, 200, 201, 202))
	principal := `{"value":[{"name":"p","role":"Viewer","type":"App","fqn":"aadapp=` + r.c.Conn.ClientID + `;` + r.c.Conn.TenantID + `","appId":"` + r.c.Conn.ClientID + `"}]}`
	r.call("POST", db+"/addPrincipals"+q, principal, 200)
	r.call("POST", db+"/listPrincipals"+q, nil, 200)
	r.call("POST", db+"/removePrincipals"+q, principal, 200)
	r.ended(r.call("POST", name+"/stop"+q, nil, 200, 202))
	r.ended(r.call("POST", name+"/start"+q, nil, 200, 202))
	r.ended(r.call("DELETE", db+q, nil, 200, 202))
	r.ended(r.call("DELETE", name+q, nil, 200, 202))
}

// assignments are those of a cluster or of a database.
func (r *recorder) assignments(of, q string) {
	role := "AllDatabasesViewer"
	if strings.Contains(of, "databases") {
		role = "Viewer"
	}
	p := of + "/principalAssignments"
	r.call("POST", of+"/checkPrincipalAssignmentNameAvailability"+q, `{"name":"p1","type":"`+assignmentType(of)+`"}`, 200)
	r.ended(r.call("PUT", p+"/p1"+q, `{"properties":{"principalId":"`+r.c.Conn.ClientID+`","principalType":"App","role":"`+role+`","tenantId":"`+r.c.Conn.TenantID+`"}}`, 200, 201))
	r.call("GET", p+"/p1"+q, nil, 200)
	r.call("GET", p+q, nil, 200)
	r.ended(r.call("DELETE", p+"/p1"+q, nil, 200, 202, 204))
}

func assignmentType(of string) string {
	if strings.Contains(of, "databases") {
		return "Microsoft.Kusto/clusters/databases/principalAssignments"
	}
	return "Microsoft.Kusto/clusters/principalAssignments"
}
