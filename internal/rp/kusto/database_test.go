package kusto

import (
	"net/http"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/test/golden"
)

func databasePath(c, name string) string { return clusterPath(c) + "/databases/" + name }

const bodyDatabase = `{"location":"westeurope","kind":"ReadWrite","properties":{"softDeletePeriod":"P3650D","hotCachePeriod":"P31D"}}`

func (w *world) grantsOf(name string) (out []string) {
	w.t.Helper()
	all, err := w.runtime.Grants(w.t.Context(), w.clusterID(name))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, g := range all {
		out = append(out, strings.Join([]string{string(g.Scope), g.Database, g.Role, g.ObjectID, g.AppID}, " "))
	}
	sort.Strings(out)
	return out
}

func TestDatabaseLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	path := databasePath("demo1", "My DB")
	a := w.must("PUT", strings.ReplaceAll(path, " ", "%20"), v20230815, bodyDatabase)
	if a.Status != http.StatusCreated || a.Header.Get("Azure-AsyncOperation") == "" || dig(a.json, "properties.provisioningState") != "Creating" {
		t.Errorf("create: %d %s", a.Status, a.text)
	}
	g := w.do("GET", strings.ReplaceAll(path, " ", "%20"), v20230815, "")
	golden.Compare(t, filepath.Join("database", v20230815+".json"), indent(t, g.text))
	golden.Compare(t, filepath.Join("database", v20190907+".json"), indent(t, w.do("GET", databasePath("demo1", "my%20db"), v20190907, "").text))
	if diff := cmp.Diff([]string{"database My DB Admin 11111111-0000-0000-0000-000000000001 11111111-0000-0000-0000-000000000002"}, w.grantsOf("demo1")); diff != "" {
		t.Errorf("the caller is admin (-want +got)\n%s", diff)
	}
	if a := w.do("PUT", databasePath("demo1", "My%20DB"), v20230815, bodyDatabase); a.Status != 200 || a.OperationID != "" {
		t.Errorf("the same again: %d", a.Status)
	}
	a = w.must("PATCH", databasePath("demo1", "My%20DB"), v20230815, `{"kind":"ReadWrite","properties":{"hotCachePeriod":"P1D"}}`)
	if a.Status != http.StatusAccepted || a.Header.Get("Location") == "" {
		t.Errorf("PATCH: %d", a.Status)
	}
	db, err := w.runtime.Database(t.Context(), w.clusterID("demo1"), "My DB")
	if err != nil || db.HotCache != "P1D" || db.SoftDelete != "P3650D" {
		t.Errorf("runtime has %+v %v", db, err)
	}
	a = w.must("PUT", databasePath("demo1", "other")+"?callerRole=None", v20230815, `{}`)
	if n := len(w.grantsOf("demo1")); a.Status != 201 || n != 1 {
		t.Errorf("callerRole=None: %d, %d grants", a.Status, n)
	}
	if a := w.must("DELETE", databasePath("demo1", "My%20DB"), v20230815, ""); a.Status != http.StatusAccepted {
		t.Errorf("delete: %d", a.Status)
	}
	if a := w.do("GET", databasePath("demo1", "My%20DB"), v20230815, ""); a.err == nil || a.err.Message != "The Resource 'Microsoft.Kusto/clusters/demo1/databases/My DB' under resource group 'rg1' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix" {
		t.Errorf("after delete: %v", a.err)
	}
	if a := w.do("DELETE", databasePath("demo1", "My%20DB"), v20230815, ""); a.Status != http.StatusNoContent {
		t.Errorf("second delete: %d", a.Status)
	}
	if g := w.grantsOf("demo1"); len(g) != 0 {
		t.Errorf("grants left: %v", g)
	}
	w.must("DELETE", clusterPath("demo1"), v20230815, "")
	const cluster = testSub + "/resourceGroups/rg1/providers/Microsoft.Kusto/Clusters/demo1"
	if diff := cmp.Diff([]string{cluster + "/Databases/My DB", cluster}, w.removed); diff != "" {
		t.Errorf("role assignments are removed with what they are on (-want +got)\n%s", diff)
	}
}

func TestDatabaseList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	for _, n := range []string{"a", "b", "c"} {
		w.must("PUT", databasePath("demo1", n), v20230815, `{}`)
	}
	path := clusterPath("demo1") + "/databases?$top=2"
	var names []string
	for range 5 {
		a := w.do("GET", path, v20230815, "")
		for _, v := range a.json["value"].([]any) {
			names = append(names, v.(map[string]any)["name"].(string))
		}
		next, _ := a.json["nextLink"].(string)
		if next == "" {
			break
		}
		path = strings.TrimPrefix(next, "https://management.azure.com")
	}
	if diff := cmp.Diff([]string{"demo1/a", "demo1/b", "demo1/c"}, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	a := w.do("POST", clusterPath("demo1")+"/checkNameAvailability", v20230815, `{"name":"A","type":"Microsoft.Kusto/clusters/databases"}`)
	if a.json["nameAvailable"] != false {
		t.Errorf("name check: %s %v", a.text, a.err)
	}
}

func TestDatabaseRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	tests := map[string]struct{ method, path, version, body, code, in string }{
		"name":          {"PUT", databasePath("demo1", "a$b"), v20230815, `{}`, "InvalidResourceName", "a$b"},
		"kind":          {"PUT", databasePath("demo1", "db2"), v20230815, `{"kind":"Other"}`, "BadRequest", "'kind'"},
		"follower":      {"PUT", databasePath("demo1", "db2"), v20230815, `{"kind":"ReadOnlyFollowing"}`, "FeatureNotSupported", "'kind'"},
		"duration":      {"PUT", databasePath("demo1", "db2"), v20230815, `{"properties":{"softDeletePeriod":"365 days"}}`, "BadRequest", "softDeletePeriod"},
		"empty":         {"PUT", databasePath("demo1", "db2"), v20230815, `{"properties":{"hotCachePeriod":"P"}}`, "BadRequest", "hotCachePeriod"},
		"location":      {"PUT", databasePath("demo1", "db2"), v20230815, `{"location":"eastus"}`, "BadRequest", "'location'"},
		"own key":       {"PATCH", databasePath("demo1", "db1"), v20230502, `{"properties":{"keyVaultProperties":{"keyName":"k"}}}`, "InvalidKeyVaultProperties", "invalid"},
		"own key, old":  {"PUT", databasePath("demo1", "db2"), v20190907, `{"properties":{"keyVaultProperties":{"keyName":"k"}}}`, "FeatureNotSupported", "properties.keyVaultProperties"},
		"caller":        {"PUT", databasePath("demo1", "db2") + "?callerRole=King", v20230815, `{}`, "InvalidQueryParameterValue", "callerRole"},
		"no cluster":    {"PUT", databasePath("none", "db1"), v20230815, `{}`, "ParentResourceNotFound", "clusters/none"},
		"absent":        {"PATCH", databasePath("demo1", "db9"), v20230815, `{}`, "ResourceNotFound", "db9"},
		"data":          {"POST", databasePath("demo1", "db1") + "/dataConnectionValidation", v20230815, `{}`, "FeatureNotSupported", "dataconnectionvalidation"},
		"follower name": {"POST", clusterPath("demo1") + "/checkNameAvailability", v20230815, `{"name":"x","type":"Microsoft.Kusto/clusters/attachedDatabaseConfigurations"}`, "FeatureNotSupported", "attachedDatabaseConfigurations"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.do(tt.method, tt.path, tt.version, tt.body)
			if a.err == nil || a.err.Code != tt.code || !strings.Contains(a.err.Message, tt.in) {
				t.Errorf("got %v, want %s with %q", a.err, tt.code, tt.in)
			}
		})
	}
}

func TestDatabasesNeedARunningCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	w.must("POST", clusterPath("demo1")+"/stop", v20230815, "")
	for _, r := range [][3]string{{"GET", databasePath("demo1", "db1"), ""}, {"GET", clusterPath("demo1") + "/databases", ""}, {"PUT", databasePath("demo1", "db2"), `{}`},
		{"PATCH", databasePath("demo1", "db1"), `{}`}, {"DELETE", databasePath("demo1", "db1"), ""}, {"POST", databasePath("demo1", "db1") + "/listPrincipals", ""}} {
		a := w.do(r[0], r[1], v20230815, r[2])
		if a.err == nil || a.err.Status != 400 || a.err.Code != "BadRequest" || a.err.Message != "Cannot fetch databases while resource is in state 'Stopped'." {
			t.Errorf("%s %s: %v", r[0], r[1], a.err)
		}
	}
	w.must("DELETE", clusterPath("demo1"), v20230815, "")
	if a := w.do("GET", databasePath("demo1", "db1"), v20230815, ""); a.err == nil || a.err.Code != "ParentResourceNotFound" {
		t.Errorf("without the cluster: %v", a.err)
	}
}

func TestDatabaseOperationFailsAndRunsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.runtime.fail = map[string]error{"CreateDatabase": cluster.ErrNotRunning}
	_, op := w.wait("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	if op.Status != operations.Failed || op.Error.Code != "BadRequest" {
		t.Errorf("%s %v", op.Status, op.Error)
	}
	if s := dig(w.do("GET", databasePath("demo1", "db1"), v20230815, "").json, "properties.provisioningState"); s != "Failed" {
		t.Errorf("provisioningState %v", s)
	}
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)

	// the process stops between the catalogue and the record
	id := w.clusterID("demo1")
	w.runtime.mu.Lock()
	c := w.runtime.clusters[id]
	w.runtime.mu.Unlock()
	crash := &crashing{fakeRuntime: w.runtime, at: "CreateDatabase", reached: make(chan struct{})}
	w.config.Runtime = crash
	w.restart()
	a := w.do("PUT", databasePath("demo1", "db2"), v20230815, bodyDatabase)
	<-crash.reached
	w.config.Runtime = w.runtime
	w.restart()
	if err := w.ops.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	if op, err := w.ops.Wait(t.Context(), a.OperationID); err != nil || op.Status != operations.Succeeded {
		t.Errorf("%s %v %v", op.Status, op.Error, err)
	}
	if len(c.databases) != 2 {
		t.Errorf("databases %v", c.databases)
	}
}

func TestAssignments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.must("PUT", databasePath("demo1", "db1")+"?callerRole=None", v20230815, bodyDatabase)
	onCluster := clusterPath("demo1") + "/principalAssignments/"
	onDatabase := databasePath("demo1", "db1") + "/principalAssignments/"
	body := func(id, typ, role string) string {
		return `{"properties":{"principalId":"` + id + `","principalType":"` + typ + `","role":"` + role + `","tenantId":"` + testTenant + `"}}`
	}
	a := w.do("PUT", onCluster+"me", v20230815, body(knownApp, "App", "AllDatabasesAdmin"))
	if a.err != nil || a.Status != http.StatusCreated || dig(a.json, "properties.provisioningState") != "Succeeded" {
		t.Fatalf("%v %s", a.err, a.text)
	}
	golden.Compare(t, "assignment/cluster.json", indent(t, a.text))
	a = w.do("PUT", onDatabase+"her", v20191109, body("33333333-0000-0000-0000-000000000001", "app", "viewer"))
	golden.Compare(t, "assignment/database-2019.json", indent(t, a.text))
	w.do("PUT", onDatabase+"team", v20230815, `{"properties":{"principalId":"team@example.test","principalType":"Group","role":"Ingestor"}}`)
	want := []string{
		"cluster  AllDatabasesAdmin " + knownObject + " " + knownApp,
		"database db1 Ingestor  ",
		"database db1 Viewer 33333333-0000-0000-0000-000000000001 33333333-0000-0000-0000-000000000001",
	}
	if diff := cmp.Diff(want, w.grantsOf("demo1")); diff != "" {
		t.Errorf("grants (-want +got)\n%s", diff)
	}
	if a := w.do("PUT", onDatabase+"HER", v20230815, body(knownApp, "App", "Admin")); a.Status != 200 || a.json["name"] != "demo1/db1/her" {
		t.Errorf("replace: %d %s", a.Status, a.text)
	}
	if n := len(w.do("GET", strings.TrimSuffix(onDatabase, "/"), v20230815, "").json["value"].([]any)); n != 2 {
		t.Errorf("%d assignments", n)
	}
	check := w.do("POST", databasePath("demo1", "db1")+"/checkPrincipalAssignmentNameAvailability", v20230815, `{"name":"her","type":"Microsoft.Kusto/clusters/databases/principalAssignments"}`)
	if check.json["nameAvailable"] != false {
		t.Errorf("name check: %v %s", check.err, check.text)
	}
	if a := w.do("DELETE", onDatabase+"her", v20230815, ""); a.Status != 200 {
		t.Errorf("delete: %v", a.err)
	}
	if a := w.do("DELETE", onDatabase+"her", v20230815, ""); a.Status != 204 {
		t.Errorf("second delete: %v", a.err)
	}
	if a := w.do("GET", onDatabase+"her", v20230815, ""); a.err == nil || a.err.Code != "ResourceNotFound" || !strings.Contains(a.err.Message, "clusters/demo1/databases/db1/principalAssignments/her") {
		t.Errorf("after delete: %v", a.err)
	}
	for name, tt := range map[string][3]string{
		"role of the other kind": {onCluster + "x", v20230815, body(knownApp, "App", "Admin")},
		"role too new":           {onCluster + "x", v20230815, body(knownApp, "App", "AllDatabasesMonitor")},
		"type":                   {onCluster + "x", v20230815, body(knownApp, "Robot", "AllDatabasesViewer")},
		"app without id":         {onCluster + "x", v20230815, body("me", "App", "AllDatabasesViewer")},
		"no principal":           {onCluster + "x", v20230815, body("", "User", "AllDatabasesViewer")},
		"no properties":          {onCluster + "x", v20230815, `{}`},
		"tenant":                 {onCluster + "x", v20230815, `{"properties":{"principalId":"` + knownApp + `","principalType":"App","role":"AllDatabasesViewer","tenantId":"x"}}`},
	} {
		a := w.do("PUT", tt[0], tt[1], tt[2])
		if a.err == nil || a.err.Code != "BadRequest" {
			t.Errorf("%s: %v", name, a.err)
		}
		if err := w.p.Preflight(t.Context(), w.request("PUT", tt[0], tt[1], tt[2])); azerr.From(err) == nil || azerr.From(err).Code != "BadRequest" {
			t.Errorf("%s: preflight %v", name, err)
		}
	}
	if a := w.do("PUT", onCluster+"m", v20240413, body(knownApp, "App", "AllDatabasesMonitor")); a.err != nil {
		t.Error(a.err)
	}
	if a := w.do("PUT", databasePath("demo1", "none")+"/principalAssignments/x", v20230815, body(knownApp, "App", "Admin")); a.err == nil || a.err.Code != "ParentResourceNotFound" {
		t.Errorf("without the database: %v", a.err)
	}
}

func TestPrincipalActions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	w.must("PUT", databasePath("demo1", "db1"), v20230815, bodyDatabase)
	path := databasePath("demo1", "db1")
	add := `{"value":[{"name":"Some app","role":"Viewer","type":"App","fqn":"aadapp=` + knownApp + `;` + testTenant + `","email":"","appId":""},{"name":"She","role":"User","type":"User","email":"she@example.test"}]}`
	a := w.do("POST", path+"/addPrincipals", v20190907, add)
	if a.err != nil {
		t.Fatal(a.err)
	}
	golden.Compare(t, "principals.json", indent(t, a.text))
	if b := w.do("POST", path+"/listPrincipals", v20190907, ""); b.text != a.text {
		t.Errorf("list: %s", b.text)
	}
	a = w.do("POST", path+"/removePrincipals", v20190907, `{"value":[{"name":"Some app","role":"Viewer","type":"App","appId":"`+knownApp+`"}]}`)
	if a.err != nil || len(a.json["value"].([]any)) != 2 {
		t.Errorf("remove: %v %s", a.err, a.text)
	}
	if a := w.do("POST", path+"/addPrincipals", v20190907, `{"value":[{"name":"x","role":"King","type":"App","appId":"`+knownApp+`"}]}`); a.err == nil || !strings.Contains(a.err.Message, "value[0].role") {
		t.Errorf("role: %v", a.err)
	}
}

func TestStreamingFlag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	id := w.clusterID("demo1")
	read := func() bool {
		on, err := w.p.StreamingIngest(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return on
	}
	if read() {
		t.Error("on by default")
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"properties":{"enableStreamingIngest":true}}`)
	if !read() {
		t.Error("off after PATCH")
	}
	id = "unknown"
	if read() {
		t.Error("on for an unknown cluster")
	}
}
