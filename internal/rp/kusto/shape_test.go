package kusto

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/test/golden"
)

func TestShapes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
	w.users[strings.ToLower(user)] = ServicePrincipal{ObjectID: "bbbbbbbb-0000-0000-0000-000000000001", ClientID: "dddddddd-0000-0000-0000-000000000001", TenantID: testTenant}
	lower := strings.Replace(user, "resourceGroups", "resourcegroups", 1)
	w.must("PUT", clusterPath("demo1"), v20230815, `{"location":"westeurope","zones":["1","2"],"tags":{"k":"v"},`+bodySKU+`,
		"identity":{"type":"SystemAssigned,UserAssigned","userAssignedIdentities":{"`+lower+`":{}}},"properties":{"enablePurge":true,"trustedExternalTenants":[{"value":"*"}]}}`)
	w.grant("demo1", "vault1", "key1", "v1")
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"properties":{"keyVaultProperties":{"keyVaultUri":"`+testVault+`","keyName":"key1","keyVersion":"v1"}}}`)
	for _, version := range versions() {
		golden.Compare(t, filepath.Join("cluster", version+".json"), indent(t, w.do("GET", clusterPath("demo1"), version, "").text))
	}
}

func TestOperationResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runtime.hold = make(chan struct{})
	a := w.do("PUT", clusterPath("demo1"), v20220201, bodyPlain)
	u := a.Header.Get("Azure-AsyncOperation")
	want := "https://management.azure.com" + testSub + "/providers/Microsoft.Kusto/locations/West%20Europe/operationResults/" + a.OperationID + "?api-version=2022-02-01"
	if diff := cmp.Diff(want, u); diff != "" {
		t.Fatalf("Azure-AsyncOperation (-want +got)\n%s", diff)
	}
	path := strings.TrimPrefix(u, "https://management.azure.com")
	mask := func(a answer) string { return strings.ReplaceAll(a.text, a.json["name"].(string), "{operation}") }
	running := w.do("GET", path, v20220201, "")
	golden.Compare(t, "operation/running.json", indent(t, mask(running)))
	if l := w.do("GET", path+"&operationResultResponseType=Location", v20220201, ""); l.Status != 202 || l.text != "" || l.Header.Get("Location") == "" {
		t.Errorf("Location while running: %d %q %v", l.Status, l.text, l.Header)
	}
	close(w.runtime.hold)
	if _, err := w.ops.Wait(t.Context(), a.OperationID); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "operation/succeeded.json", indent(t, mask(w.do("GET", path, v20220201, ""))))
	golden.Compare(t, "operation/succeeded-2021.json", indent(t, mask(w.do("GET", strings.Replace(path, "operationResults", "operationresults", 1), v20210827, ""))))

	// the last answer of the Location URL: the resource for PATCH, nothing for an action
	last := func(method, path, body string) answer {
		a := w.must(method, path, v20230815, body)
		return w.do("GET", strings.TrimPrefix(a.Header.Get("Location"), "https://management.azure.com"), v20230815, "")
	}
	if l := last("PATCH", clusterPath("demo1"), `{"tags":{"a":"b"}}`); l.Status != 200 || l.json["name"] != "demo1" {
		t.Errorf("Location after PATCH: %d %q", l.Status, l.text)
	}
	if l := last("POST", clusterPath("demo1")+"/stop", ""); l.Status != 200 || l.text != "" {
		t.Errorf("Location after stop: %d %q", l.Status, l.text)
	}
	other := strings.Replace(path, "0b1f6471", "1b1f6471", 1)
	if g := w.do("GET", other, v20220201, ""); g.err == nil || g.err.Status != 404 {
		t.Errorf("operation seen from another subscription: %v", g.err)
	}
}

func TestSKULists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	golden.Compare(t, "skus/cluster.json", indent(t, w.do("GET", clusterPath("demo1")+"/skus", v20230815, "").text))
	golden.Compare(t, "skus/location.json", indent(t, w.do("GET", testSub+"/providers/Microsoft.Kusto/locations/westus2/skus", v20230815, "").text))
	if n := len(w.do("GET", testSub+"/providers/Microsoft.Kusto/skus", v20190121, "").json["value"].([]any)); n != len(skuNames()) {
		t.Errorf("%d sizes", n)
	}
	golden.Compare(t, "operations.json", indent(t, w.do("GET", "/providers/Microsoft.Kusto/operations", v20230815, "").text))
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := testGroup + "/providers/Microsoft.Kusto/clusters"
	if a := w.do("GET", list, v20230815, ""); a.text != `{"value":[]}` {
		t.Errorf("empty list %q", a.text)
	}
	w.cluster("demo1")
	w.must("PUT", strings.Replace(clusterPath("demo2"), "rg1", "rg10", 1), v20230815, bodyPlain)
	names := func(path string) (out []string) {
		for _, v := range w.do("GET", path, v20230815, "").json["value"].([]any) {
			out = append(out, v.(map[string]any)["name"].(string))
		}
		return out
	}
	if diff := cmp.Diff([]string{"demo1"}, names(strings.Replace(list, "rg1", "RG1", 1))); diff != "" {
		t.Errorf("group (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"demo1", "demo2"}, names(testSub+"/providers/Microsoft.Kusto/clusters")); diff != "" {
		t.Errorf("subscription (-want +got)\n%s", diff)
	}
	rs, err := w.p.Resources(t.Context(), strings.TrimPrefix(testSub, "/subscriptions/"), "RG10")
	if err != nil || len(rs) != 1 || rs[0].Name != "demo2" || rs[0].Location != "westeurope" {
		t.Errorf("Resources: %+v %v", rs, err)
	}
}
