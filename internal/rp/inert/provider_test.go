package inert_test

import (
	"encoding/json"
	"strings"
	"testing"

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
	h := armtest.New(t, armtest.Options{Store: s, Providers: []provider.Provider{inert.New(inert.Config{Store: s, Namespace: "Microsoft.Network"})}})
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
	if a := h.Do(t, "POST", net+"/listKeys"+v, ""); a.Code() != "OperationNotSupported" {
		t.Errorf("an action: %d %s", a.Status, a.Body)
	}
	if a := h.Do(t, "PUT", net+v, `{"location":"mars"}`); a.Code() != "LocationNotAvailableForResourceType" {
		t.Errorf("location: %d %s", a.Status, a.Body)
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

func TestInATemplate(t *testing.T) {
	t.Parallel()
	h := open(t)
	d := h.Sub + "/resourceGroups/rg1/providers/Microsoft.Resources/deployments/d?api-version=2021-04-01"
	h.Ended(t, h.Must(t, "PUT", d, `{"properties":{"mode":"Incremental","template":{
		"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[
		{"type":"Microsoft.Network/virtualNetworks","apiVersion":"2023-09-01","name":"net1","location":"westeurope","properties":{"x":"y"}},
		{"type":"Microsoft.Network/virtualNetworks/subnets","apiVersion":"2023-09-01","name":"net1/s1","properties":{},"dependsOn":["net1"]}],
		"outputs":{"x":{"type":"string","value":"[reference('net1').x]"}}}}}`, 201))
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
