package openapi_test

import (
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/client"
)

const template = `{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0",
	"parameters":{"n":{"type":"string","defaultValue":"id0"}},
	"resources":[{"type":"Microsoft.ManagedIdentity/userAssignedIdentities","apiVersion":"2023-01-31","name":"[parameters('n')]","location":"westeurope"},
	{"type":"Microsoft.Authorization/locks","apiVersion":"2020-05-01","name":"l0","scope":"[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities',parameters('n'))]","dependsOn":["[parameters('n')]"],"properties":{"level":"CanNotDelete"}}],
	"outputs":{"o":{"type":"string","value":"x"}}}`

func (r *recorder) deployments() {
	for _, v := range []string{"2019-10-01", "2021-04-01", "2022-09-01", "2024-07-01"} {
		q := "?api-version=" + v
		body := `{"properties":{"mode":"Incremental","template":` + template + `}}`
		at := r.group() + "/providers/Microsoft.Resources/deployments"
		r.call("POST", at+"/d1/validate"+q, body, 200)
		r.call("POST", at+"/d1/validate"+q, `{"properties":{"mode":"Incremental","template":{"resources":1}}}`, 400)
		r.ended(r.call("PUT", at+"/d1"+q, body, 200, 201))
		r.call("GET", at+"/d1"+q, nil, 200)
		r.call("HEAD", at+"/d1"+q, nil, 204)
		r.call("HEAD", at+"/none"+q, nil, 404)
		r.call("GET", at+"/none"+q, nil, 404)
		r.call("GET", at+"/"+q, nil, 200)
		list := r.call("GET", r.group()+"/deployments/d1/operations"+q, nil, 200)
		r.call("GET", r.group()+"/deployments/d1/operations/"+after(list.Body, `"operationId":"`)+q, nil, 200)
		r.canceled(r.group(), q)
		r.call("POST", at+"/d1/exportTemplate"+q, nil, 200)
		r.call("POST", at+"/d1/cancel"+q, nil, 409)
		r.ended(r.call("POST", at+"/d1/whatIf"+q, body, 200, 202))
		r.call("POST", "/providers/Microsoft.Resources/calculateTemplateHash"+q, template, 200)
		r.ended(r.call("DELETE", at+"/d1"+q, nil, 202, 204))
		empty := `{"location":"westeurope","properties":{"mode":"Incremental","template":{"$schema":"https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[]}}}`
		for _, scope := range []string{r.sub(), "", "/providers/Microsoft.Management/managementGroups/" + r.c.Conn.TenantID} {
			r.deployment(scope, empty, q)
		}
	}
	r.call("DELETE", r.group()+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id0/providers/Microsoft.Authorization/locks/l0?api-version=2020-05-01", nil, 200)
}

// deployment is the life of an empty deployment at a scope other than a group.
func (r *recorder) deployment(scope, body, q string) {
	at := scope + "/providers/Microsoft.Resources/deployments"
	r.canceled(scope, q)
	r.call("POST", at+"/d2/validate"+q, body, 200)
	r.ended(r.call("POST", at+"/d2/whatIf"+q, body, 200, 202))
	r.ended(r.call("PUT", at+"/d2"+q, body, 200, 201))
	r.call("GET", at+"/d2"+q, nil, 200)
	r.call("HEAD", at+"/d2"+q, nil, 204)
	r.call("GET", at+"/"+q, nil, 200)
	r.call("POST", at+"/d2/exportTemplate"+q, nil, 200)
	list := r.call("GET", at+"/d2/operations"+q, nil, 200)
	r.call("GET", at+"/d2/operations/"+after(list.Body, `"operationId":"`)+q, nil, 200)
	r.ended(r.call("DELETE", at+"/d2"+q, nil, 202, 204))
}

// canceled cancels a deployment at a scope while it runs: two clusters, one
// after the other, take their time.
func (r *recorder) canceled(scope, q string) {
	const clusters = `{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[
	{"type":"Microsoft.Kusto/clusters","apiVersion":"2023-08-15","name":"openapi3","location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2}},
	{"type":"Microsoft.Kusto/clusters","apiVersion":"2023-08-15","name":"openapi4","dependsOn":["openapi3"],"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2}}]}`
	body := `{"properties":{"mode":"Incremental","template":` + clusters + `}}`
	if scope != r.group() {
		body = `{"location":"westeurope","properties":{"mode":"Incremental","template":{"$schema":"https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[
		{"type":"Microsoft.Resources/deployments","apiVersion":"2022-09-01","name":"inner","subscriptionId":"` + r.c.Conn.SubscriptionID + `","resourceGroup":"rg1","properties":{"mode":"Incremental","template":` + clusters + `}}]}}}`
	}
	at := scope + "/providers/Microsoft.Resources/deployments/d3" + q
	r.call("PUT", at, body, 200, 201)
	r.call("POST", scope+"/providers/Microsoft.Resources/deployments/d3/cancel"+q, nil, 204)
	r.eventually(at, 200, `"provisioningState":"Canceled"`)
	r.call("DELETE", at, nil, 202, 204)
	if scope != r.group() { // it may not have begun
		r.eventually(r.group()+"/providers/Microsoft.Resources/deployments/inner"+q, 404, `"provisioningState":"Canceled"`)
	}
	for _, name := range []string{"openapi3", "openapi4"} {
		// A cluster whose creation had begun is created to its end, as in Azure; until then it cannot be deleted.
		r.eventually(r.group()+"/providers/Microsoft.Kusto/clusters/"+name+"?api-version=2023-08-15", 404, `"provisioningState":"Succeeded"`)
		r.ended(r.call("DELETE", r.group()+"/providers/Microsoft.Kusto/clusters/"+name+"?api-version=2023-08-15", nil, 200, 202, 204))
	}
}

// eventually asks until an answer has the status or says so.
func (r *recorder) eventually(target string, status int, want string) {
	r.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	var a client.Answer
	for range 1000 {
		a = r.call("GET", target, nil, 200, 404)
		if strings.Contains(string(a.Body), want) || status != 200 && a.Status == status {
			return
		}
		<-tick.C
	}
	r.t.Fatalf("GET %s never says %s: %s", target, want, a.Body)
}
