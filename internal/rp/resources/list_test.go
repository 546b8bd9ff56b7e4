package resources_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResources(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.group(t, "rg1")
	h.group(t, "rg2")
	h.put(t, "Contoso.Base", "rg1", "v1")
	h.put(t, "Contoso.Base", "rg2", "v2")
	h.put(t, "Contoso.Top", "rg1", "c1")
	for path, want := range map[string]string{
		"/resources" + v:                                                                     "v1 c1 v2",
		"/resourceGroups/RG1/resources" + v:                                                  "v1 c1",
		"/resourceGroups/rg2/resources" + v:                                                  "v2",
		"/resources" + v + "&$filter=resourceType eq 'Contoso.Base/things'":                  "v1 v2",
		"/resources" + v + "&%24filter=resourceType+eq+%27contoso.base%2Fthings%27":          "v1 v2",
		"/resources" + v + "&$filter=resourceGroup eq 'rg1'&$expand=createdTime,changedTime": "v1 c1",
		"/resources" + v + "&$filter=name eq 'C1' and resourceType eq 'Contoso.Top/things'":  "c1",
		"/resources" + v + "&$filter=name eq 'v2' or name eq 'c1'":                           "c1 v2",
		"/resources" + v + "&$filter=tagName eq 'shelf' and tagValue eq 'Contoso.Top'":       "c1",
		"/resources" + v + "&$filter=substringof('1', name) and startswith(name,'v')":        "v1",
		"/resourceGroups/rg1/resources" + v + "&$filter=location eq 'West Europe'&$top=10":   "v1 c1",
	} {
		a := h.do(t, "GET", sub+path, "")
		if got := a.names(); a.status != 200 || got != want {
			t.Errorf("%s: %d %q, want %q", path, a.status, got, want)
		}
	}
	for path, want := range map[string]string{
		"/resources" + v + "&$filter=sku eq 'x'": "InvalidFilterInQueryString",
		"/resources" + v + "&$filter=name eq":    "InvalidFilterInQueryString",
		"/resources" + v + "&$expand=everything": "InvalidQueryParameterValue",
		"/resourceGroups/none/resources" + v:     "ResourceGroupNotFound",
	} {
		if a := h.do(t, "GET", sub+path, ""); a.code() != want {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for expand, want := range map[string][3]bool{"": {}, "createdTime": {true}, "changedTime, provisioningState": {false, true, true}} {
		a := h.do(t, "GET", sub+"/resources"+v+"&$expand="+expand, "")
		got := [3]bool{strings.Contains(a.body, "createdTime"), strings.Contains(a.body, "changedTime"), strings.Contains(a.body, "provisioningState")}
		if got != want {
			t.Errorf("expand %q: %s", expand, a.body)
		}
	}
	first := h.do(t, "GET", sub+"/resources"+v+"&$top=2", "")
	next, _ := first.json["nextLink"].(string)
	if second := h.do(t, "GET", next, ""); first.names() != "v1 c1" || second.names() != "v2" || second.json["nextLink"] != nil {
		t.Errorf("pages %q, %q", first.names(), second.body)
	}
	if a := h.as(t, "stranger", "GET", sub+"/resources"+v, ""); a.status != 403 {
		t.Errorf("a stranger's list: %d %s", a.status, a.body)
	}
}

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	a := h.do(t, "GET", "/subscriptions?api-version=2022-12-01", "")
	value, _ := a.json["value"].([]any)
	if a.status != 200 || len(value) != 1 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if one := h.do(t, "GET", sub+"?api-version=2022-12-01", ""); !cmp.Equal(value[0], any(one.json)) || one.json["subscriptionId"] != subID || one.json["state"] != "Enabled" {
		t.Errorf("%s", one.body)
	}
	if a := h.as(t, "stranger", "GET", "/subscriptions?api-version=2022-12-01", ""); a.status != 200 || !strings.Contains(a.body, `"value":[]`) {
		t.Errorf("a stranger sees %s", a.body)
	}
	if a := h.do(t, "GET", "/tenants?api-version=2022-12-01", ""); !strings.Contains(a.body, `"tenantCategory":"Home"`) {
		t.Errorf("%s", a.body)
	}
	if a := h.do(t, "GET", sub+"/locations?api-version=2022-12-01", ""); !strings.Contains(a.body, `"displayName":"West Europe"`) {
		t.Errorf("%s", a.body)
	}
}

func TestRegistrations(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.group(t, "rg1")
	one := h.do(t, "GET", sub+"/providers/contoso.top"+v, "")
	want := `{"id":"` + sub + `/providers/Contoso.Top","namespace":"Contoso.Top","registrationPolicy":"RegistrationRequired","registrationState":"Registered","resourceTypes":[{"resourceType":"things","locations":["West Europe"],"apiVersions":["2025-01-01-preview","2024-01-01"],"defaultApiVersion":"2024-01-01","capabilities":"None"}]}`
	if one.body != want {
		t.Errorf("%s", one.body)
	}
	if a := h.do(t, "GET", "/providers/Contoso.Top"+v, ""); a.status != 200 || strings.Contains(a.body, "registrationState") {
		t.Errorf("at the tenant: %s", a.body)
	}
	if a := h.do(t, "GET", sub+"/providers/Contoso.None"+v, ""); a.code() != "InvalidResourceNamespace" {
		t.Errorf("unknown: %s", a.body)
	}
	state := func(a answer) any { return a.json["registrationState"] }
	if a := h.do(t, "POST", sub+"/providers/contoso.top/unregister"+v, ""); state(a) != "Unregistered" {
		t.Errorf("unregister: %s", a.body)
	}
	put := thing("Contoso.Top", "rg1", "c") + "?api-version=2024-01-01"
	if a := h.do(t, "PUT", put, `{}`); a.status != 409 || a.code() != "MissingSubscriptionRegistration" {
		t.Errorf("PUT while unregistered: %d %s", a.status, a.body)
	}
	if a := h.do(t, "POST", sub+"/providers/Contoso.Top/register"+v, ""); state(a) != "Registered" {
		t.Errorf("register: %s", a.body)
	}
	h.put(t, "Contoso.Top", "rg1", "c")
	if a := h.do(t, "POST", sub+"/providers/Contoso.Top/unregister"+v, ""); a.status != 409 {
		t.Errorf("unregister in use: %d %s", a.status, a.body)
	}
	// a namespace nobody serves: remembered, and still empty
	if a := h.do(t, "POST", sub+"/providers/Contoso.Later/register"+v, ""); state(a) != "Registered" || !strings.Contains(a.body, `"resourceTypes":[]`) {
		t.Errorf("register of nothing: %s", a.body)
	}
	if a := h.do(t, "PUT", thing("Contoso.Later", "rg1", "c")+"?api-version=2024-01-01", `{}`); a.code() != "InvalidResourceNamespace" {
		t.Errorf("its resource: %d %s", a.status, a.body)
	}
	if a := h.do(t, "POST", sub+"/providers/nonsense/register"+v, ""); a.code() != "InvalidResourceNamespace" {
		t.Errorf("nonsense: %d %s", a.status, a.body)
	}
	list := h.do(t, "GET", sub+"/providers"+v+"&$expand=metadata", "")
	for _, ns := range []string{"Contoso.Base", "Contoso.Top", "Microsoft.Resources", "Contoso.Later"} {
		if strings.Count(list.body, `"namespace":"`+ns+`"`) != 1 {
			t.Errorf("list lacks %s: %s", ns, list.body)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.group(t, "rg1")
	h.put(t, "Contoso.Top", "rg1", "c")
	for _, at := range []string{sub, sub + "/resourceGroups/rg1", thing("Contoso.Top", "rg1", "c")} {
		path := at + "/providers/Microsoft.Resources/tags/default" + v
		for _, step := range []struct{ method, body, want string }{
			{"PUT", `{"properties":{"tags":{"a":"1","b":"2"}}}`, `"tags":{"a":"1","b":"2"}`},
			{"GET", "", `{"id":"` + at + `/providers/Microsoft.Resources/tags/default","name":"default","type":"Microsoft.Resources/tags","properties":{"tags":{"a":"1","b":"2"}}}`},
			{"PATCH", `{"operation":"Merge","properties":{"tags":{"A":"x","c":"3"}}}`, `"tags":{"A":"x","b":"2","c":"3"}`},
			{"PATCH", `{"operation":"delete","properties":{"tags":{"b":"2","c":"other"}}}`, `"tags":{"A":"x","c":"3"}`},
			{"PATCH", `{"operation":"Replace","properties":{"tags":{"z":"9"}}}`, `"tags":{"z":"9"}`},
			{"PATCH", `{"operation":"Other","properties":{"tags":{"z":"9"}}}`, `"InvalidRequestContent"`},
			{"PUT", `{"properties":{}}`, `"InvalidRequestContent"`},
			{"PUT", `{"properties":{"tags":{"a?":"1"}}}`, `"InvalidTagName"`},
			{"GET", "", `"tags":{"z":"9"}`},
			{"DELETE", "", ""},
			{"GET", "", `"tags":{}`},
		} {
			if a := h.do(t, step.method, path, step.body); !strings.Contains(a.body, step.want) {
				t.Errorf("%s %s %s: %d %s", step.method, path, step.body, a.status, a.body)
			}
		}
	}
	if a := h.do(t, "PUT", sub+"/providers/Microsoft.Resources/tags/other"+v, `{"properties":{"tags":{}}}`); a.status != 404 {
		t.Errorf("another name: %d %s", a.status, a.body)
	}
	if a := h.do(t, "PUT", thing("Contoso.Top", "rg1", "c")+"/parts/p/providers/Microsoft.Resources/tags/default"+v, `{"properties":{"tags":{}}}`); a.status < 400 {
		t.Errorf("a type without tags: %d %s", a.status, a.body)
	}
	if a := h.as(t, "stranger", "GET", sub+"/providers/Microsoft.Resources/tags/default"+v, ""); a.status != 403 {
		t.Errorf("a stranger: %d", a.status)
	}
}
