package openapi_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/test/golden"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// recorder sends requests and holds every answer against the documents.
type recorder struct {
	t         *testing.T
	c         *client.Client
	l         *library
	validated map[string]bool
	unknown   map[string]bool

	served      []string     // by a vault: "GET /keys"
	differences map[int]bool // those that were seen
}

// call sends one request; target is a path with its query. The answer must have
// one of the statuses.
func (r *recorder) call(method, target string, body any, statuses ...int) client.Answer {
	r.t.Helper()
	return r.send(client.ARM, "", method, client.ARM+target, body, statuses...)
}

// vault calls the data plane of a vault.
func (r *recorder) vault(name, method, target string, body any, statuses ...int) client.Answer {
	r.t.Helper()
	a := r.send(client.Vault, "data-plane", method, "https://"+name+".vault.azure.net"+target, body, statuses...)
	if a.Status < 400 {
		path, _, _ := strings.Cut(target, "?")
		r.served = append(r.served, method+" "+path)
	}
	return a
}

func (r *recorder) send(audience, under, method, address string, body any, statuses ...int) client.Answer {
	r.t.Helper()
	address = strings.ReplaceAll(address, " ", "%20")
	a, err := r.c.Do(r.t.Context(), audience, method, address, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if !slices.Contains(statuses, a.Status) {
		r.t.Errorf("%s %s: %d %s, want %v", method, address, a.Status, a.Body, statuses)
		return a
	}
	u, err := url.Parse(address)
	if err != nil {
		r.t.Fatal(err)
	}
	found := r.l.find(under, method, u, u.Path)
	if found == nil { // the newest version of a key or a secret has an empty last segment
		found = r.l.find("data-plane", method, u, strings.TrimSuffix(u.Path, "/")+"/newest")
	}
	if found == nil {
		r.unknown[method+" "+u.Path+" "+u.Query().Get("api-version")] = true
	}
	for _, op := range found {
		if a.Status < 400 || method == http.MethodHead { // a refusal says nothing about the answer
			r.validated[op.String()] = true
		}
		for _, problem := range r.l.check(op, a.Status, a.Header, a.Body) {
			if !r.known(op, problem) {
				r.t.Errorf("%s %s %s → %d: %s", method, u.Path, op, a.Status, problem)
			}
		}
	}
	return a
}

// ended polls a long-running operation to its end.
func (r *recorder) ended(a client.Answer) {
	r.t.Helper()
	address := a.Header.Get("Azure-AsyncOperation")
	if address == "" {
		address = a.Header.Get("Location")
	}
	if address == "" {
		return
	}
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for range 2000 {
		got := r.send(client.ARM, "", http.MethodGet, address, nil, 200, 201, 202, 204)
		text := string(got.Body)
		switch {
		case !slices.Contains([]int{200, 201, 202, 204}, got.Status), strings.Contains(text, `"status":"Failed"`):
			r.t.Errorf("operation %s: %d %s", address, got.Status, text)
			return
		case got.Status != http.StatusAccepted && !strings.Contains(text, `"status":"Running"`) && !strings.Contains(text, `"status":"InProgress"`) && !strings.Contains(text, `"status":"Accepted"`):
			if location := a.Header.Get("Location"); location != "" && location != address {
				r.send(client.ARM, "", http.MethodGet, location, nil, 200, 202, 204)
			}
			return
		}
		<-tick.C
	}
	r.t.Errorf("operation %s does not end", address)
}

func TestAnswers(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "specs")
	if _, err := os.Stat(root); err != nil {
		t.Skip("the OpenAPI documents (../shared/specs beside the repository) are not there")
	}
	l, err := openLibrary(root)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{t: t, l: l, c: harness.Start(t, harness.New(t)), validated: map[string]bool{}, unknown: map[string]bool{}, differences: map[int]bool{}}
	r.scopes()
	r.deployments()
	r.access()
	r.tree()
	r.identities()
	r.generic()
	r.vaults()
	r.clusters()
	r.moves()
	r.covered()
	r.end()

	var lines []string
	for name := range r.validated {
		lines = append(lines, name)
	}
	slices.Sort(lines)
	for name := range r.unknown {
		t.Logf("in no document: %s", name)
	}
	golden.Compare(t, "validated.txt", strings.Join(lines, "\n")+"\n")
}

func (r *recorder) sub() string { return "/subscriptions/" + r.c.Conn.SubscriptionID }

func (r *recorder) group() string { return r.sub() + "/resourceGroups/rg1" }

func (r *recorder) scopes() {
	s := r.sub()
	for _, v := range []string{"2016-06-01", "2019-06-01", "2019-11-01", "2021-01-01", "2022-12-01"} {
		r.call("GET", "/subscriptions?api-version="+v, nil, 200)
		r.call("GET", s+"?api-version="+v, nil, 200)
		r.call("GET", s+"/locations?api-version="+v, nil, 200)
		r.call("GET", "/tenants?api-version="+v, nil, 200)
	}
	for _, v := range []string{"2019-10-01", "2021-04-01", "2022-09-01", "2024-07-01"} {
		q := "?api-version=" + v
		r.call("GET", s+"/providers"+q, nil, 200)
		r.call("GET", "/providers"+q, nil, 200)
		r.call("GET", "/providers/Microsoft.Kusto"+q, nil, 200)
		r.call("GET", s+"/providers/Microsoft.KeyVault"+q, nil, 200)
		r.call("GET", s+"/providers/Microsoft.None"+q, nil, 404)
		r.call("POST", s+"/providers/Microsoft.Other/register"+q, nil, 200)
		r.call("POST", s+"/providers/Microsoft.Other/unregister"+q, nil, 200)
		r.call("PUT", r.group()+q, `{"location":"westeurope","tags":{"a":"1"}}`, 200, 201)
		r.call("GET", r.group()+q, nil, 200)
		r.call("HEAD", r.group()+q, nil, 204)
		r.call("HEAD", s+"/resourceGroups/none"+q, nil, 404)
		r.call("GET", s+"/resourceGroups/none"+q, nil, 404)
		r.call("PATCH", r.group()+q, `{"tags":{"a":"2"}}`, 200)
		r.call("GET", s+"/resourcegroups"+q+"&$top=1", nil, 200)
		r.call("GET", s+"/resources"+q+"&$expand=createdTime,changedTime,provisioningState", nil, 200)
		r.call("GET", r.group()+"/resources"+q, nil, 200)
		r.call("PUT", s+"/tagNames/env"+q, nil, 200, 201)
		r.call("PUT", s+"/tagNames/env/tagValues/prod"+q, nil, 200, 201)
		r.call("GET", s+"/tagNames"+q, nil, 200)
		r.call("DELETE", s+"/tagNames/env/tagValues/prod"+q, nil, 200)
		r.call("DELETE", s+"/tagNames/env"+q, nil, 200)
		tags := r.group() + "/providers/Microsoft.Resources/tags/default" + q
		r.call("PUT", tags, `{"properties":{"tags":{"a":"1"}}}`, 200)
		r.call("PATCH", tags, `{"operation":"Merge","properties":{"tags":{"b":"1"}}}`, 200)
		r.call("GET", tags, nil, 200)
		r.call("DELETE", tags, nil, 200)
	}
}

func (r *recorder) access() {
	for _, v := range []string{"2016-09-01", "2020-05-01"} {
		q := "?api-version=" + v
		for _, scope := range []string{r.sub(), r.group()} {
			at := scope + "/providers/Microsoft.Authorization/locks"
			r.call("PUT", at+"/l1"+q, `{"properties":{"level":"CanNotDelete","notes":"n"}}`, 201)
			r.call("GET", at+"/l1"+q, nil, 200)
			r.call("GET", at+q, nil, 200)
			r.call("DELETE", at+"/l1"+q, nil, 200)
			r.call("DELETE", at+"/l1"+q, nil, 204)
			r.call("GET", at+"/l1"+q, nil, 404)
		}
	}
	vault := r.group() + keyVault + "/vaults/openapiscope"
	r.call("PUT", vault+"?api-version=2022-07-01", r.vaultBody(true), 200, 201)
	for _, v := range []string{"2016-09-01", "2020-05-01"} {
		q := "?api-version=" + v
		at := vault + "/providers/Microsoft.Authorization/locks"
		r.call("PUT", at+"/l1"+q, `{"properties":{"level":"CanNotDelete"}}`, 201)
		r.call("GET", at+"/l1"+q, nil, 200)
		r.call("GET", at+q, nil, 200)
		r.call("DELETE", at+"/l1"+q, nil, 200)
	}
	for _, v := range []string{"2015-07-01", "2022-04-01"} {
		q := "?api-version=" + v
		r.call("GET", vault+"/providers/Microsoft.Authorization/permissions"+q, nil, 200)
		r.call("GET", vault+"/providers/Microsoft.Authorization/roleAssignments"+q, nil, 200)
		definitions := r.sub() + "/providers/Microsoft.Authorization/roleDefinitions"
		name := ids.NewGUID()
		r.call("GET", definitions+q, nil, 200)
		role := `{"properties":{"roleName":"r` + v + `","type":"CustomRole","permissions":[{"actions":["*/read"]}],"assignableScopes":["` + r.sub() + `"]}}`
		r.call("PUT", definitions+"/"+name+q, role, 201)
		r.call("GET", definitions+"/"+name+q, nil, 200)
		r.call("DELETE", definitions+"/"+name+q, nil, 200)
		r.call("DELETE", definitions+"/"+name+q, nil, 204)
		r.call("GET", r.group()+"/providers/Microsoft.Authorization/permissions"+q, nil, 200)
		assignments := r.group() + "/providers/Microsoft.Authorization/roleAssignments"
		body := `{"properties":{"roleDefinitionId":"` + definitions + `/acdd72a7-3385-48ef-bd42-f606fba81ae7","principalId":"` + r.principal() + `"}}`
		r.call("PUT", assignments+"/"+name+q, body, 201)
		r.call("GET", assignments+"/"+name+q, nil, 200)
		r.call("GET", assignments+q+"&$filter=atScope()", nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.Authorization/roleAssignments"+q, nil, 200)
		r.call("DELETE", assignments+"/"+name+q, nil, 200)
		r.call("GET", assignments+"/"+name+q, nil, 404)
	}
	r.call("GET", r.sub()+"/providers/Microsoft.Authorization/denyAssignments?api-version=2022-04-01", nil, 200)
}

// principal is an identity's object id.
func (r *recorder) principal() string {
	r.t.Helper()
	var made struct{ Properties struct{ PrincipalID string } }
	if err := r.c.ARM(r.t.Context(), "PUT", r.group()+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/principal1", "2023-01-31", `{"location":"westeurope"}`, &made); err != nil {
		r.t.Fatal(err)
	}
	return made.Properties.PrincipalID
}

func (r *recorder) tree() {
	const q = "?api-version=2021-04-01"
	at := "/providers/Microsoft.Management/managementGroups"
	r.call("PUT", at+"/a"+q, `{"properties":{"displayName":"A"}}`, 200)
	r.call("PATCH", at+"/a"+q, `{"displayName":"B"}`, 200)
	r.call("GET", at+q, nil, 200)
	r.call("GET", at+"/none"+q, nil, 404)
	r.call("PUT", at+"/a/subscriptions/"+r.c.Conn.SubscriptionID+q, nil, 200)
	r.call("GET", at+"/a/subscriptions/"+r.c.Conn.SubscriptionID+q, nil, 200)
	r.call("GET", at+"/a/subscriptions"+q, nil, 200)
	for _, more := range []string{"", "&$expand=children&$recurse=true", "&$expand=path", "&$expand=ancestors"} {
		r.call("GET", at+"/a"+q+more, nil, 200)
	}
	r.call("GET", at+"/"+r.c.Conn.TenantID+"/descendants"+q, nil, 200)
	r.call("POST", "/providers/Microsoft.Management/getEntities"+q, nil, 200)
	r.call("POST", "/providers/Microsoft.Management/checkNameAvailability"+q, `{"name":"a","type":"Microsoft.Management/managementGroups"}`, 200)
	r.call("POST", "/providers/Microsoft.Management/startTenantBackfill"+q, nil, 200)
	r.call("POST", "/providers/Microsoft.Management/tenantBackfillStatus"+q, nil, 200)
	r.call("GET", "/providers/Microsoft.Management/operations"+q, nil, 200)
	r.call("DELETE", at+"/a/subscriptions/"+r.c.Conn.SubscriptionID+q, nil, 200)
	r.call("DELETE", at+"/a"+q, nil, 202, 204)
}

func (r *recorder) identities() {
	for _, v := range []string{"2018-11-30", "2023-01-31"} {
		q := "?api-version=" + v
		list := r.group() + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
		r.call("PUT", list+"/identity1"+q, `{"location":"westeurope","tags":{"a":"1"}}`, 200, 201)
		r.call("PATCH", list+"/identity1"+q, `{"tags":{"a":"2"}}`, 200)
		r.call("GET", list+"/identity1"+q, nil, 200)
		r.call("GET", list+q, nil, 200)
		r.call("GET", r.sub()+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities"+q, nil, 200)
		r.call("GET", "/providers/Microsoft.ManagedIdentity/operations"+q, nil, 200)
		if v != "2018-11-30" {
			f := list + "/identity1/federatedIdentityCredentials"
			r.call("PUT", f+"/cred1"+q, `{"properties":{"issuer":"https://login.microsoftonline.com/`+r.c.Conn.TenantID+`/v2.0","subject":"s","audiences":["api://AzureADTokenExchange"]}}`, 200, 201)
			r.call("GET", f+"/cred1"+q, nil, 200)
			r.call("GET", f+q, nil, 200)
			r.call("DELETE", f+"/cred1"+q, nil, 200)
			r.call("DELETE", f+"/cred1"+q, nil, 204)
			r.call("GET", f+"/cred1"+q, nil, 404)
		}
		r.call("GET", list+"/none"+q, nil, 404)
		r.call("PUT", list+"/identity2"+q, `{"location":"westeurope"}`, 200, 201)
		r.call("DELETE", list+"/identity2"+q, nil, 200)
	}
}

// generic are the operations on resources of any type, with an api-version that
// no document of the type has.
func (r *recorder) generic() {
	for _, v := range []string{"2019-10-01", "2021-04-01", "2022-09-01", "2024-07-01"} {
		q := "?api-version=" + v
		at := r.group() + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/generic"
		r.call("PUT", at+q, `{"location":"westeurope"}`, 200, 201)
		r.call("GET", at+q, nil, 200)
		r.call("HEAD", at+q, nil, 204)
		r.call("PATCH", at+q, `{"tags":{"a":"1"}}`, 200)
		r.call("DELETE", at+q, nil, 200)
		r.call("HEAD", at+q, nil, 404)
	}
}

// moves takes a vault to another group and back, and exports what is there.
func (r *recorder) moves() {
	const vaults = "/providers/Microsoft.KeyVault/vaults/openapimove"
	body := `{"location":"westeurope","properties":{"tenantId":"` + r.c.Conn.TenantID + `","sku":{"family":"A","name":"standard"},"accessPolicies":[{"tenantId":"` + r.c.Conn.TenantID +
		`","objectId":"` + r.me() + `","permissions":{"keys":["create","get"]}}]}}`
	r.call("PUT", r.group()+vaults+"?api-version=2022-07-01", body, 200, 201)
	r.vault("openapimove", "POST", "/keys/k/create?api-version=7.4", `{"kty":"RSA"}`, 200)
	other := r.sub() + "/resourceGroups/rg2"
	for _, v := range []string{"2019-10-01", "2021-04-01", "2022-09-01", "2024-07-01"} {
		q := "?api-version=" + v
		r.call("PUT", other+q, `{"location":"westeurope"}`, 200, 201)
		r.call("POST", r.group()+"/exportTemplate"+q, `{"resources":["*"]}`, 200)
		r.ended(r.call("POST", r.group()+"/validateMoveResources"+q, `{"resources":["`+r.group()+vaults+`"],"targetResourceGroup":"`+other+`"}`, 202))
		r.ended(r.call("POST", r.group()+"/moveResources"+q, `{"resources":["`+r.group()+vaults+`"],"targetResourceGroup":"`+other+`"}`, 202))
		r.call("GET", r.group()+vaults+"?api-version=2022-07-01", nil, 404)
		r.call("GET", other+vaults+"?api-version=2022-07-01", nil, 200)
		r.vault("openapimove", "GET", "/keys/k?api-version=7.4", nil, 200) // its address, policies and keys have not moved
		r.ended(r.call("POST", other+"/moveResources"+q, `{"resources":["`+other+vaults+`"],"targetResourceGroup":"`+r.group()+`"}`, 202))
	}
	r.ended(r.call("DELETE", other+"?api-version=2021-04-01", nil, 202))
	for _, v := range []string{"2019-10-01", "2021-04-01", "2022-09-01", "2024-07-01"} {
		r.call("PUT", r.sub()+"/resourceGroups/rg3?api-version="+v, `{"location":"westeurope"}`, 200, 201)
		r.ended(r.call("DELETE", r.sub()+"/resourceGroups/rg3?api-version="+v, nil, 202))
	}
}

// end takes everything away again.
func (r *recorder) end() {
	const q = "?api-version=2021-04-01"
	r.ended(r.call("DELETE", r.group()+q, nil, 202))
	r.call("GET", r.group()+q, nil, 404)
}
