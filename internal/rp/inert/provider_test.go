package inert_test

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/armtest"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/provider/providertest"
	"github.com/kustos-io/kustos/internal/rp/inert"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

const v = "?api-version=2023-09-01"

func open(t *testing.T) *armtest.House {
	t.Helper()
	s := memstore.New()
	h := armtest.New(t, armtest.Options{Store: s, Late: func(front *arm.Front) []provider.Provider {
		return []provider.Provider{inert.New(inert.Config{Store: s, Namespace: "Microsoft.Network", Front: front}), inert.New(inert.Config{Store: s, Namespace: "Microsoft.Insights", Front: front})}
	}})
	h.Group(t, "rg1")
	return h
}

func TestMarkedEverywhere(t *testing.T) {
	t.Parallel()
	h := open(t)
	net := h.Sub + "/resourceGroups/rg1/providers/Microsoft.Network/virtualNetworks/net1"
	const body = `{"location":"westeurope","tags":{"a":"1"},"properties":{"addressSpace":{"addressPrefixes":["10.0.0.0/16"]}}}`
	marked := func(a armtest.Answer) {
		t.Helper()
		if a.Header.Get("X-Ms-Kustos-Inert")+a.Header.Get("X-Kustos-Inert") != "true" {
			t.Errorf("no header: %v", a.Header)
		}
	}
	a := h.Must(t, "PUT", net+v, body, 201)
	marked(a)
	if a.Get("kustosInert") != true || a.Get("properties", "provisioningState") != "Succeeded" || a.Get("properties", "addressSpace") == nil || a.Get("type") != "Microsoft.Network/virtualNetworks" {
		t.Errorf("%s", a.Body)
	}
	marked(h.Must(t, "PUT", net+v, body, 200))
	marked(h.Must(t, "PATCH", net+v, `{"tags":{"b":"2"}}`, 200))
	if a := h.Must(t, "GET", net+v, "", 200); a.Get("tags", "a") != nil || a.Get("tags", "b") != "2" || a.Get("tags", inert.Tag) != nil {
		t.Errorf("after PATCH: %s", a.Body)
	}
	h.Must(t, "PUT", net+"/subnets/s1"+v, `{"properties":{}}`, 201)
	if a := h.Do(t, "PUT", net+"x/subnets/s1"+v, `{}`); a.Code() != "ParentResourceNotFound" {
		t.Errorf("no parent: %d %s", a.Status, a.Body)
	}
	for _, list := range []string{h.Sub + "/resources?api-version=2021-04-01", h.Sub + "/providers/Microsoft.Network/virtualNetworks" + v, h.Sub + "/resourceGroups/rg1/providers/Microsoft.Network/virtualNetworks" + v, net + "/subnets" + v} {
		a := h.Must(t, "GET", list, "", 200)
		if !strings.Contains(string(a.Body), `"kustos-inert":"true"`) || len(strings.Fields(a.Names())) != 1 {
			t.Errorf("%s: %s", list, a.Body)
		}
	}
	if a := h.Must(t, "GET", h.Sub+"/resources?api-version=2021-04-01&$filter=tagName eq 'kustos-inert' and tagValue eq 'true'", "", 200); a.Names() != "net1" {
		t.Errorf("by tag: %s", a.Body)
	}
	for _, r := range [][4]string{{"POST", net + "/listKeys" + v, "", "OperationNotSupported"}, {"PUT", net + v, `{"location":"mars"}`, "LocationNotAvailableForResourceType"},
		{"GET", net + "x" + v, "", "ResourceNotFound"}, {"PATCH", net + "x" + v, `{}`, "ResourceNotFound"}} {
		a := h.Do(t, r[0], r[1], r[2])
		if a.Code() != r[3] {
			t.Errorf("%s %s: %d %s", r[0], r[1], a.Status, a.Body)
		}
		marked(a)
	}
	if a := h.Must(t, "GET", h.Sub+"/providers/Microsoft.Network?api-version=2021-04-01", "", 200); !strings.Contains(string(a.Body), `"apiVersions":["2023-09-01","2000-01-01"]`) {
		t.Errorf("registration: %s", a.Body)
	}
	if ns, err := inert.Namespaces(t.Context(), h.Store); err != nil || len(ns) != 1 || ns[0] != "microsoft.network" {
		t.Errorf("namespaces %v, %v", ns, err)
	}
	// other namespaces are as unknown as before
	if a := h.Do(t, "PUT", strings.Replace(net, "Network", "Compute", 1)+v, body); a.Code() != "InvalidResourceNamespace" || a.Header.Get("X-Kustos-Inert") != "" {
		t.Errorf("Microsoft.Compute: %d %s", a.Status, a.Body)
	}
	// an extension of a resource goes with the group, too
	h.Must(t, "PUT", h.Identity(t, "rg1", "identity1")+"/providers/Microsoft.Network/labels/l"+v, `{}`, 201)
	if a := h.Ended(t, h.Must(t, "DELETE", h.Sub+"/resourceGroups/rg1?api-version=2021-04-01", "", 202)); a.Status != 200 {
		t.Fatalf("group: %d %s", a.Status, a.Body)
	}
	if ns, err := inert.Namespaces(t.Context(), h.Store); err != nil || len(ns) != 0 {
		t.Errorf("left after the group: %v, %v", ns, err)
	}
}

// TestExtensions: an extension lives no longer, and no earlier, than what it extends.
func TestExtensions(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.Group(t, "rg2")
	id := h.Identity(t, "rg1", "identity1")
	net := h.Sub + "/resourceGroups/rg1/providers/Microsoft.Network/virtualNetworks/net1"
	h.Must(t, "PUT", net+v, `{"location":"westeurope"}`, 201)
	h.Must(t, "PUT", net+"/subnets/s1"+v, `{}`, 201)
	const setting = "/providers/Microsoft.Insights/diagnosticSettings/d"
	if a := h.Do(t, "PUT", id+"x"+setting+v, `{}`); a.Code() != "ResourceNotFound" {
		t.Errorf("of nothing: %d %s", a.Status, a.Body)
	}
	if a := h.Do(t, "PUT", h.Sub+"/resourceGroups/none"+setting+v, `{}`); a.Code() != "ResourceGroupNotFound" {
		t.Errorf("of no group: %d %s", a.Status, a.Body)
	}
	extended := []string{id, net, net + "/subnets/s1", h.Sub + "/resourceGroups/rg1"}
	for _, at := range extended {
		h.Must(t, "PUT", at+setting+v, `{"properties":{"logs":[]}}`, 201)
		if a := h.Must(t, "GET", at+"/providers/Microsoft.Insights/diagnosticSettings"+v, "", 200); a.Names() != "d" || !strings.Contains(string(a.Body), `"kustosInert":true`) {
			t.Errorf("of %s: %s", at, a.Body)
		}
	}
	h.Must(t, "DELETE", id+"?api-version=2023-01-31", "", 200)
	h.Identity(t, "rg1", "identity1") // another one
	h.Must(t, "GET", id+setting+v, "", 404)
	move, _ := json.Marshal(map[string]any{"resources": []string{net}, "targetResourceGroup": h.Sub + "/resourceGroups/rg2"})
	if a := h.Ended(t, h.Must(t, "POST", h.Sub+"/resourceGroups/rg1/moveResources?api-version=2021-04-01", string(move), 202)); a.Status != 204 {
		t.Fatalf("move: %d %s", a.Status, a.Body)
	}
	moved := strings.Replace(net, "/rg1/", "/rg2/", 1)
	h.Must(t, "GET", moved+"/subnets/s1"+v, "", 200)
	for _, at := range []string{net, net + "/subnets/s1", moved, moved + "/subnets/s1"} {
		h.Must(t, "GET", at+setting+v, "", 404)
	}
	h.Must(t, "GET", h.Sub+"/resourceGroups/rg1"+setting+v, "", 200) // of the group, which has not moved
	// what extends a child goes with the parent
	h.Must(t, "PUT", moved+"/subnets/s1"+setting+v, `{}`, 201)
	h.Must(t, "DELETE", moved+v, "", 200)
	h.Must(t, "GET", moved+"/subnets/s1"+setting+v, "", 404)
}

func TestInATemplate(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.Sub + "/resourceGroups/rg1/providers/Microsoft.Resources/deployments/d?api-version=2021-04-01"
	const body = `{"properties":{"mode":"Incremental","template":{
		"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[
		{"type":"Microsoft.Network/virtualNetworks","apiVersion":"2023-09-01","name":"net1","location":"westeurope","properties":{"x":"y"}},
		{"type":"Microsoft.Network/virtualNetworks/subnets","apiVersion":"2023-09-01","name":"net1/s1","properties":{},"dependsOn":["net1"]}],
		"outputs":{"x":{"type":"string","value":"[reference('net1').x]"}}}}}`
	whatIf := func() string {
		t.Helper()
		a := h.Must(t, "POST", strings.Replace(d, "?", "/whatIf?", 1), body, 200)
		return strings.Join(slices.Sorted(changes(a)), " ")
	}
	if got := whatIf(); got != "Create Create" {
		t.Errorf("before: %s", got)
	}
	h.Ended(t, h.Must(t, "PUT", d, body, 201))
	if got := whatIf(); got != "NoChange NoChange" {
		t.Errorf("deployed once: %s", got)
	}
	if a := h.Must(t, "GET", d, "", 200); a.Get("properties", "provisioningState") != "Succeeded" || a.Get("properties", "outputs", "x", "value") != "y" {
		t.Errorf("%s", a.Body)
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Suite{
		New: func(_ *testing.T, h *providertest.House) provider.Provider {
			return fixed{inert.New(inert.Config{Store: h.Store, Namespace: "Microsoft.Network"})}
		},
		Type: "virtualNetworks", APIVersion: "2023-09-01", Body: json.RawMessage(`{"location":"westeurope"}`),
	})
}

// fixed lists one type, as the suite expects of a provider that is built.
type fixed struct{ provider.Provider }

func (fixed) Types() []provider.ResourceType {
	return []provider.ResourceType{{Type: "virtualNetworks", APIVersions: []string{"2023-09-01"}, Locations: []string{"West Europe", "East US"}, Tracked: true}}
}

// changes are the types of the changes of a what-if.
func changes(a armtest.Answer) iter.Seq[string] {
	return func(yield func(string) bool) {
		list, _ := a.Get("properties", "changes").([]any)
		for _, c := range list {
			kind, _ := c.(map[string]any)["changeType"].(string)
			if !yield(kind) {
				return
			}
		}
	}
}
