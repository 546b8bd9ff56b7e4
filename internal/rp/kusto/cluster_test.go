package kusto

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/cluster"
)

func TestClusterLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := clusterPath("demo1")
	a := w.must("PUT", path, v20190907, `{"location":"West Europe","tags":{"a":"b"},`+bodySKU+`,"properties":{"enableStreamingIngest":true}}`)
	if a.Status != http.StatusCreated || a.Header.Get("Location") != "" || a.Header.Get("Azure-AsyncOperation") == "" {
		t.Errorf("create answered %d %v", a.Status, a.Header)
	}
	want := `{"id":"` + testGroup + `/providers/Microsoft.Kusto/Clusters/demo1","name":"demo1","type":"Microsoft.Kusto/Clusters","location":"West Europe","tags":{"a":"b"},` +
		`"sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2},"properties":{"state":"Creating","provisioningState":"Creating","enableStreamingIngest":true}}`
	if diff := cmp.Diff(want, a.text); diff != "" {
		t.Errorf("first answer (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Create", "Start"}, w.runtime.calls); diff != "" {
		t.Errorf("runtime calls (-want +got)\n%s", diff)
	}
	g := w.get("demo1", v20230815)
	for path, want := range map[string]any{
		"location": "West Europe", "properties.state": "Running", "properties.provisioningState": "Succeeded",
		"properties.uri": "https://demo1.westeurope.kusto.windows.net", "properties.dataIngestionUri": "https://ingest-demo1.westeurope.kusto.windows.net",
		"properties.keyVaultProperties": nil, "identity": nil, "etag": `""`, "systemData.createdByType": "Application",
	} {
		if diff := cmp.Diff(want, dig(g, path)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}

	a, op := w.wait("POST", path+"/stop", v20230815, "")
	if a.Status != http.StatusAccepted || a.text != "" || a.Header.Get("Location") == "" || op.Kind != "ClusterSuspend" {
		t.Errorf("stop answered %d %q %v", a.Status, a.text, a.Header)
	}
	if s := dig(w.get("demo1", v20230815), "properties.state"); s != "Stopped" {
		t.Errorf("state after stop: %v", s)
	}
	w.must("POST", path+"/start", v20230815, "")
	if s := dig(w.get("demo1", v20230815), "properties.state"); s != "Running" {
		t.Errorf("state after start: %v", s)
	}

	a = w.must("DELETE", path, v20230815, "")
	if a.Status != http.StatusAccepted {
		t.Errorf("delete answered %d", a.Status)
	}
	gone := w.do("GET", path, v20230815, "")
	if gone.err == nil || gone.err.Status != 404 || gone.err.Message != "The Resource 'Microsoft.Kusto/clusters/demo1' under resource group 'rg1' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix" {
		t.Errorf("GET of a deleted cluster: %v", gone.err)
	}
	if a = w.do("DELETE", path, v20230815, ""); a.Status != http.StatusNoContent {
		t.Errorf("second delete answered %d", a.Status)
	}
	w.must("PUT", path, v20230815, bodyPlain) // the name is free again
}

func TestPatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	path := clusterPath("demo1")
	a := w.must("PATCH", path, v20210827, `{"location":"westeurope","tags":{"x":"1"},"sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":3},"properties":{"enableStreamingIngest":true,"publicNetworkAccess":null,"nonsense":1,"state":"Stopped"}}`)
	if a.Status != http.StatusAccepted || a.Header.Get("Location") == "" || a.Header.Get("Azure-AsyncOperation") == a.Header.Get("Location") {
		t.Errorf("PATCH answered %d %v", a.Status, a.Header)
	}
	if got := dig(a.json, "properties.provisioningState"); got != "Accepted" {
		t.Errorf("provisioningState of the first answer: %v", got)
	}
	g := w.get("demo1", v20230815)
	if dig(g, "properties.enableStreamingIngest") != true || dig(g, "sku.capacity") != 3.0 || dig(g, "tags.x") != "1" {
		t.Errorf("after PATCH: %v", g)
	}
	if g["etag"] != `"2026-01-06T12:00:00.0000000Z"` {
		t.Errorf("etag %v", g["etag"])
	}
	a = w.do("PATCH", path, v20240413, `{"location":"West Europe","properties":{"enableStreamingIngest":true}}`)
	if a.Status != http.StatusOK || a.Header.Get("Azure-AsyncOperation") != "" || a.OperationID != "" || dig(a.json, "properties.provisioningState") != "Succeeded" {
		t.Errorf("PATCH without a change answered %d %v", a.Status, a.Header)
	}
	a = w.must("PATCH", path, v20250214, `{"properties":{"enablePurge":true}}`)
	if got := dig(a.json, "properties.provisioningState"); got != "Running" {
		t.Errorf("provisioningState at 2025-02-14: %v", got)
	}
	if a := w.do("PATCH", clusterPath("other"), v20230815, `{}`); a.err == nil || a.err.Code != "ResourceNotFound" {
		t.Errorf("PATCH of an absent cluster: %v", a.err)
	}
}

// Terraform writes back a whole GET body with its read-only members.
func TestPutBack(t *testing.T) {
	t.Parallel()
	for _, version := range versionsSince(v20190907)[:15] {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cluster("demo1")
			text := w.do("GET", clusterPath("demo1"), version, "").text
			a := w.do("PUT", clusterPath("demo1"), version, text)
			if a.err != nil || a.Status != http.StatusOK || a.OperationID != "" {
				t.Fatalf("%v %+v", a.err, a.Response)
			}
			if diff := cmp.Diff(text, w.do("GET", clusterPath("demo1"), version, "").text); diff != "" {
				t.Errorf("(-before +after)\n%s", diff)
			}
			changed := strings.Replace(text, `"enableStreamingIngest":false`, `"enableStreamingIngest":true`, 1)
			if a := w.must("PUT", clusterPath("demo1"), version, changed); a.Status != http.StatusOK {
				t.Errorf("PUT with a change answered %d", a.Status)
			}
			if w.get("demo1", version)["identity"] == nil {
				t.Error("the identity is gone")
			}
		})
	}
}

func TestRefusedBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	put := func(members string) string { return `{"location":"westeurope",` + bodySKU + `,` + members + `}` }
	tests := map[string]struct{ method, name, body, code, in string }{
		"name too short":      {"PUT", "abc", bodyPlain, "InvalidResourceName", "4 to 22"},
		"name with dash":      {"PUT", "demo-2", bodyPlain, "InvalidResourceName", "demo-2"},
		"no sku":              {"PUT", "demo2", `{"location":"westeurope"}`, "BadRequest", "'sku'"},
		"no location":         {"PUT", "demo2", `{` + bodySKU + `}`, "LocationRequired", ""},
		"unknown location":    {"PUT", "demo2", `{"location":"mars",` + bodySKU + `}`, "LocationNotAvailableForResourceType", "mars"},
		"location changed":    {"PUT", "demo1", `{"location":"eastus",` + bodySKU + `}`, "InvalidResourceLocation", "westeurope"},
		"capacity":            {"PUT", "demo2", `{"location":"westeurope","sku":{"name":"Standard_E2ads_v5","tier":"Standard","capacity":1}}`, "BadRequest", "Invalid SKU capacity provided, the SKU Standard_E2ads_v5 should be between 2 and 1000"},
		"dev capacity":        {"PUT", "demo2", `{"location":"westeurope","sku":{"name":"Dev(No SLA)_Standard_D11_v2","tier":"Basic","capacity":2}}`, "BadRequest", "between 1 and 1"},
		"tier":                {"PUT", "demo2", `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Basic","capacity":2}}`, "BadRequest", "'sku.tier'"},
		"capacity text":       {"PATCH", "demo1", `{"sku":{"capacity":"3"}}`, "BadRequest", "'sku.capacity'"},
		"body not object":     {"PUT", "demo2", `[]`, "InvalidRequestContent", ""},
		"properties":          {"PUT", "demo2", put(`"properties":[]`), "BadRequest", "'properties'"},
		"bool":                {"PUT", "demo2", put(`"properties":{"enableStreamingIngest":"yes"}`), "BadRequest", "'properties.enableStreamingIngest'"},
		"enum":                {"PUT", "demo2", put(`"properties":{"restrictOutboundNetworkAccess":"Maybe"}`), "BadRequest", "'properties.restrictOutboundNetworkAccess'"},
		"tenants":             {"PUT", "demo2", put(`"properties":{"trustedExternalTenants":[{"value":"x"}]}`), "BadRequest", "trustedExternalTenants[0].value"},
		"autoscale":           {"PUT", "demo2", put(`"properties":{"optimizedAutoscale":{"version":1,"isEnabled":true,"minimum":3,"maximum":2}}`), "BadRequest", "optimizedAutoscale"},
		"autoscale member":    {"PUT", "demo2", put(`"properties":{"optimizedAutoscale":{"version":1,"isEnabled":true,"minimum":3}}`), "BadRequest", "optimizedAutoscale.maximum"},
		"double encryption":   {"PUT", "demo2", put(`"properties":{"enableDoubleEncryption":"yes"}`), "BadRequest", "'properties.enableDoubleEncryption'"},
		"doubled later":       {"PUT", "demo1", put(`"properties":{"enableDoubleEncryption":true}`), "BadRequest", "'properties.enableDoubleEncryption' cannot be changed"},
		"doubled by PATCH":    {"PATCH", "demo1", `{"properties":{"enableDoubleEncryption":true}}`, "BadRequest", "'properties.enableDoubleEncryption' cannot be changed"},
		"network":             {"PUT", "demo2", put(`"properties":{"virtualNetworkConfiguration":{"subnetId":"x"}}`), "FeatureNotSupported", "virtualNetworkConfiguration"},
		"private only":        {"PUT", "demo2", put(`"properties":{"publicNetworkAccess":"Disabled"}`), "FeatureNotSupported", "publicNetworkAccess"},
		"address list":        {"PATCH", "demo1", `{"properties":{"allowedIpRangeList":["10.0.0.0/8"]}}`, "FeatureNotSupported", "allowedIpRangeList"},
		"extensions":          {"PATCH", "demo1", `{"properties":{"languageExtensions":{"value":[{"languageExtensionName":"PYTHON"}]}}}`, "FeatureNotSupported", "languageExtensions"},
		"identity type":       {"PATCH", "demo1", `{"identity":{"type":"Both"}}`, "BadRequest", "identity.type"},
		"identity without id": {"PATCH", "demo1", `{"identity":{"type":"UserAssigned","userAssignedIdentities":null}}`, "BadRequest", "userAssignedIdentities"},
		"identity id":         {"PATCH", "demo1", `{"identity":{"type":"UserAssigned","userAssignedIdentities":{"/x":{}}}}`, "BadRequest", "userAssignedIdentities"},
		"tags":                {"PATCH", "demo1", `{"tags":{"a":1}}`, "BadRequest", "'tags'"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.do(tt.method, clusterPath(tt.name), v20230815, tt.body)
			if a.err == nil || a.err.Code != tt.code || !strings.Contains(a.err.Message, tt.in) {
				t.Errorf("got %v, want %s with %q", a.err, tt.code, tt.in)
			}
			if err := w.p.Preflight(t.Context(), w.request(tt.method, clusterPath(tt.name), v20230815, tt.body)); tt.method == "PUT" && azerr.From(err).Code != tt.code {
				t.Errorf("preflight: %v", err)
			}
		})
	}
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	etag := w.get("demo1", v20230815)["etag"].(string)
	tests := map[string]struct {
		name, version, header, value string
		ok                           bool
	}{
		"create only, exists": {"demo1", v20210101, "If-None-Match", "*", false},
		"create only, absent": {"demo2", v20210101, "If-None-Match", "*", true},
		"update only, exists": {"demo1", v20210101, "If-Match", "*", true},
		"update only, absent": {"demo3", v20210101, "If-Match", "*", false},
		"right etag":          {"demo1", v20210101, "If-Match", etag, true},
		"wrong etag":          {"demo1", v20210101, "If-Match", `"x"`, false},
		"old version":         {"demo1", v20200918, "If-None-Match", "*", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := w.do("PUT", clusterPath(tt.name), tt.version, bodyPlain, tt.header, tt.value)
			if tt.ok && a.err != nil || !tt.ok && (a.err == nil || a.err.Status != 412) {
				t.Errorf("got %v", a.err)
			}
		})
	}
}

func TestConflictWhileRunning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runtime.hold = make(chan struct{})
	a := w.do("PUT", clusterPath("demo1"), v20230815, bodyPlain)
	if a.err != nil {
		t.Fatal(a.err)
	}
	want := "Cannot modify resource with id '" + testGroup + "/providers/Microsoft.Kusto/Clusters/demo1' because the resource entity provisioning state is not terminal. Please wait for the provisioning state to become terminal and then retry the request."
	for _, r := range [][2]string{{"PUT", bodyPlain}, {"PATCH", `{}`}, {"DELETE", ""}} {
		if b := w.do(r[0], clusterPath("demo1"), v20230815, r[1]); b.err == nil || b.err.Status != 409 || b.err.Code != "RequestConflict" || b.err.Message != want {
			t.Errorf("%s: %v", r[0], b.err)
		}
	}
	g := w.get("demo1", v20230815)
	if dig(g, "properties.state") != "Creating" || dig(g, "properties.uri") != nil {
		t.Errorf("while creating: %v", g["properties"])
	}
	close(w.runtime.hold)
	if op, err := w.ops.Wait(t.Context(), a.OperationID); err != nil || op.Status != operations.Succeeded {
		t.Fatal(op, err)
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"tags":{"a":"b"}}`)
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", clusterPath("Demo1"), v20230815, bodyPlain)
	other := strings.Replace(clusterPath("demo1"), "/rg1/", "/rg2/", 1)
	if a := w.do("PUT", other, v20230815, bodyPlain); a.err == nil || a.err.Status != 409 || a.err.Message != "Name 'demo1' with type Engine is already taken. Please specify a different name" {
		t.Errorf("taken name: %v", a.err)
	}
	if got := w.get("DEMO1", v20230815)["name"]; got != "Demo1" {
		t.Errorf("name %v", got)
	}
	check := testSub + "/providers/Microsoft.Kusto/locations/East US/checkNameAvailability"
	for name, want := range map[string]string{
		"dEmo1": `{"nameAvailable":false,"name":"dEmo1","message":"Name 'dEmo1' with type Engine is already taken. Please specify a different name","reason":"AlreadyExists"}`,
		"demo2": `{"nameAvailable":true,"name":"demo2","message":null}`,
	} {
		a := w.do("POST", strings.ReplaceAll(check, " ", "%20"), v20230815, `{"name":"`+name+`","type":"Microsoft.Kusto/clusters"}`)
		if diff := cmp.Diff(want, a.text); diff != "" {
			t.Errorf("%s %v (-want +got)\n%s", name, a.err, diff)
		}
	}
}

func TestCreationFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runtime.fail = map[string]error{"Start": cluster.ErrEngine}
	_, op := w.wait("PUT", clusterPath("demo1"), v20230815, bodyPlain)
	if op.Status != operations.Failed {
		t.Fatalf("operation %s", op.Status)
	}
	g := w.get("demo1", v20230815)
	if dig(g, "properties.state") != "Unavailable" || dig(g, "properties.provisioningState") != "Failed" {
		t.Errorf("after a failed creation: %v", g["properties"])
	}
	if a := w.must("PUT", clusterPath("demo1"), v20230815, bodyPlain); a.Status != http.StatusCreated {
		t.Errorf("second attempt answered %d", a.Status)
	}
	if s := dig(w.get("demo1", v20230815), "properties.state"); s != "Running" {
		t.Errorf("state %v", s)
	}
}

func TestUnknownOperationsAreRefusedByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	for _, action := range []string{"addLanguageExtensions", "diagnoseVirtualNetwork", "migrate", "detachFollowerDatabases", "listCalloutPolicies"} {
		if a := w.do("POST", clusterPath("demo1")+"/"+action, v20240413, `{}`); a.err == nil || a.err.Code != "FeatureNotSupported" || !strings.Contains(strings.ToLower(a.err.Message), strings.ToLower(action)) {
			t.Errorf("%s: %v", action, a.err)
		}
	}
}
