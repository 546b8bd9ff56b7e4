package resources_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/armtest"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/rp/inert"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

func openWithToys(t *testing.T) *armtest.House {
	t.Helper()
	s := memstore.New()
	h := armtest.New(t, armtest.Options{Store: s, Providers: []provider.Provider{inert.New(inert.Config{Store: s, Namespace: "Contoso.Toys"})}})
	h.Group(t, "rg1")
	h.Group(t, "rg2")
	return h
}

func moveBody(target string, resources ...string) string {
	data, _ := json.Marshal(map[string]any{"resources": resources, "targetResourceGroup": target})
	return string(data)
}

const toys = "?api-version=2024-01-01"

func TestMove(t *testing.T) {
	t.Parallel()
	h := openWithToys(t)
	group := func(n string) string { return h.Sub + "/resourceGroups/" + n }
	box := func(g, n string) string { return group(g) + "/providers/Contoso.Toys/boxes/" + n }
	for _, n := range []string{"a", "a2", "b"} {
		h.Must(t, "PUT", box("rg1", n)+toys, `{"location":"westeurope","tags":{"n":"`+n+`"}}`, 201)
	}
	h.Must(t, "PUT", box("rg1", "a")+"/lids/l"+toys, `{"properties":{}}`, 201)
	id := h.Identity(t, "rg1", "identity1")
	object, token := h.Principal(t, "reader of a")
	h.Must(t, "PUT", box("rg1", "a")+"/providers/Microsoft.Authorization/roleAssignments/11111111-0000-4000-8000-000000000009?api-version=2022-04-01",
		`{"properties":{"principalId":"`+object+`","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"}}`, 201)
	validate, move := group("rg1")+"/validateMoveResources"+v, group("rg1")+"/moveResources"+v

	// refused at once
	for body, code := range map[string]string{
		`{}`: "InvalidResourceMoveRequest", moveBody("rg2", box("rg1", "a")): "InvalidResourceMoveRequest", moveBody(group("RG1"), box("rg1", "a")): "InvalidResourceMoveRequest",
		moveBody(group("rg2")):                                                           "InvalidResourceMoveRequest",
		moveBody(group("rg2"), box("rg2", "a")):                                          "InvalidResourceMoveRequest",
		moveBody(group("rg2"), box("rg1", "a")+"/lids/l"):                                "InvalidResourceMoveRequest",
		moveBody(group("rg2"), box("rg1", "a"), box("rg1", "A")):                         "InvalidResourceMoveRequest",
		moveBody(group("none"), box("rg1", "a")):                                         "ResourceGroupNotFound",
		moveBody("/subscriptions/"+h.Boot.TenantID+"/resourceGroups/g", box("rg1", "a")): "SubscriptionNotFound",
	} {
		if a := h.Do(t, "POST", move, body); a.Code() != code {
			t.Errorf("%s: %d %s, want %s", body, a.Status, a.Body, code)
		}
	}
	if a := h.As(t, token, "POST", move, moveBody(group("rg2"), box("rg1", "a"))); a.Code() != "AuthorizationFailed" {
		t.Errorf("a stranger: %d %s", a.Status, a.Body)
	}
	// all or nothing: the identity cannot move, so the box does not
	for _, target := range []string{validate, move} {
		a := h.Ended(t, h.Must(t, "POST", target, moveBody(group("rg2"), box("rg1", "a"), id, box("rg1", "none")), 202))
		if a.Status != 409 || a.Code() != "ResourceMoveProviderValidationFailed" || !strings.Contains(string(a.Body), "Resource move is not supported for resource types 'Microsoft.ManagedIdentity/userAssignedIdentities'") ||
			!strings.Contains(string(a.Body), "boxes/none' under resource group 'rg1' was not found") {
			t.Errorf("%s: %d %s", target, a.Status, a.Body)
		}
	}
	h.Must(t, "GET", box("rg1", "a")+toys, "", 200)
	// locks
	for _, at := range []string{box("rg1", "b"), group("rg1"), group("rg2")} {
		lock := at + "/providers/Microsoft.Authorization/locks/l?api-version=2020-05-01"
		h.Must(t, "PUT", lock, `{"properties":{"level":"ReadOnly"}}`, 201)
		if a := h.Do(t, "POST", move, moveBody(group("rg2"), box("rg1", "a"), box("rg1", "b"))); a.Code() != "ScopeLocked" {
			t.Errorf("locked %s: %d %s", at, a.Status, a.Body)
		}
		h.Must(t, "DELETE", lock, "", 200)
	}
	// a subscription that does not know the namespace, and one that is disabled
	alias := h.Must(t, "PUT", "/providers/Microsoft.Subscription/aliases/second?api-version=2021-10-01", `{"properties":{"displayName":"Second","workload":"Production","billingScope":"b"}}`, 200, 201)
	other, _ := alias.Get("properties", "subscriptionId").(string)
	there := "/subscriptions/" + other
	h.Must(t, "PUT", there+"/resourceGroups/rg1"+v, `{"location":"westeurope"}`, 201)
	h.Must(t, "POST", there+"/providers/Contoso.Toys/unregister"+v, "", 200)
	if a := h.Do(t, "POST", move, moveBody(there+"/resourceGroups/rg1", box("rg1", "a"))); a.Code() != "MissingSubscriptionRegistration" {
		t.Errorf("not registered: %d %s", a.Status, a.Body)
	}
	h.Must(t, "POST", there+"/providers/Contoso.Toys/register"+v, "", 200)
	h.Must(t, "POST", there+"/providers/Microsoft.Subscription/cancel?api-version=2021-10-01", "", 200)
	if a := h.Do(t, "POST", move, moveBody(there+"/resourceGroups/rg1", box("rg1", "a"))); a.Code() != "ReadOnlyDisabledSubscription" {
		t.Errorf("disabled: %d %s", a.Status, a.Body)
	}
	// the ids have the casing of the group, however it was named
	body := moveBody(group("RG2"), box("rg1", "a"), box("rg1", "b"))
	if a := h.Ended(t, h.Must(t, "POST", validate, body, 202)); a.Status != 204 {
		t.Errorf("validate: %d %s", a.Status, a.Body)
	}
	h.Must(t, "GET", box("rg1", "a")+toys, "", 200)
	if a := h.Ended(t, h.Must(t, "POST", move, body, 202)); a.Status != 204 {
		t.Errorf("move: %d %s", a.Status, a.Body)
	}
	for _, n := range []string{"a", "b"} {
		h.Must(t, "GET", box("rg1", n)+toys, "", 404)
		if a := h.Must(t, "GET", box("rg2", n)+toys, "", 200); a.Get("id") != box("rg2", n) || a.Get("tags", "n") != n {
			t.Errorf("moved: %s", a.Body)
		}
	}
	h.Must(t, "GET", box("rg2", "a")+"/lids/l"+toys, "", 200)
	h.Must(t, "GET", box("rg1", "a2")+toys, "", 200)
	// the assignment has not moved, and does not wait for a new resource
	h.Must(t, "PUT", box("rg1", "a")+toys, `{"location":"westeurope"}`, 201)
	for _, g := range []string{"rg1", "rg2"} {
		if a := h.As(t, token, "GET", box(g, "a")+toys, ""); a.Status != 403 {
			t.Errorf("the old right reaches %s: %d", g, a.Status)
		}
	}
	if a := h.Ended(t, h.Must(t, "POST", move, moveBody(group("rg2"), box("rg1", "a")), 202)); a.Code() != "ResourceMoveProviderValidationFailed" || !strings.Contains(string(a.Body), "ResourceMoveTargetExists") {
		t.Errorf("onto another: %d %s", a.Status, a.Body)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	h := openWithToys(t)
	id := h.Identity(t, "rg1", "identity1")
	h.Must(t, "PATCH", id+"?api-version=2023-01-31", `{"tags":{"a":"[x","b":"[y]"}}`, 200)
	h.Must(t, "PUT", id+"/federatedIdentityCredentials/cred1?api-version=2023-01-31",
		`{"properties":{"issuer":"https://login.microsoftonline.com/`+h.Boot.TenantID+`/v2.0","subject":"s","audiences":["api://AzureADTokenExchange"]}}`, 201)
	h.Must(t, "PUT", h.Sub+"/resourceGroups/rg1/providers/Contoso.Toys/boxes/b"+toys, `{"location":"westeurope"}`, 201)
	export := h.Sub + "/resourceGroups/rg1/exportTemplate" + v
	a := h.Must(t, "POST", export, `{"resources":["*"],"options":"IncludeParameterDefaultValue"}`, 200)
	if a.Get("error", "code") != "ExportTemplateCompletedWithErrors" || !strings.Contains(string(a.Body), "'Contoso.Toys/boxes'") {
		t.Errorf("error: %s", a.Body)
	}
	if p := a.Get("template", "parameters", "userAssignedIdentities_identity1_name", "defaultValue"); p != "identity1" {
		t.Errorf("parameters: %s", a.Body)
	}
	// what was exported makes the same in another group
	template, err := json.Marshal(a.Get("template"))
	if err != nil {
		t.Fatal(err)
	}
	d := h.Sub + "/resourceGroups/rg2/providers/Microsoft.Resources/deployments/d"
	h.Ended(t, h.Must(t, "PUT", d+v, `{"properties":{"mode":"Incremental","template":`+string(template)+`}}`, 201))
	if a := h.Must(t, "GET", d+v, "", 200); a.Get("properties", "provisioningState") != "Succeeded" {
		t.Fatalf("deployment: %s", a.Body)
	}
	moved := strings.Replace(id, "rg1", "rg2", 1)
	if a := h.Must(t, "GET", moved+"?api-version=2023-01-31", "", 200); a.Get("tags", "a") != "[x" || a.Get("tags", "b") != "[y]" {
		t.Errorf("made again: %s", a.Body)
	}
	if a := h.Must(t, "GET", moved+"/federatedIdentityCredentials/cred1?api-version=2023-01-31", "", 200); a.Get("properties", "subject") != "s" {
		t.Errorf("made again: %s", a.Body)
	}
	// literal names, one resource
	a = h.Must(t, "POST", export, `{"resources":["`+id+`"],"options":"SkipAllParameterization"}`, 200)
	if a.Get("error") != nil || !strings.Contains(string(a.Body), `"name":"identity1/cred1"`) || !strings.Contains(string(a.Body), `"parameters":{}`) {
		t.Errorf("literal: %s", a.Body)
	}
	for body, code := range map[string]string{`{}`: "InvalidRequestContent", `{"resources":["*"],"options":"x"}`: "InvalidRequestContent", `{"resources":["/x"]}`: "InvalidRequestContent",
		`{"resources":["*"],"outputFormat":"Bicep"}`: "OperationNotSupported"} {
		if a := h.Do(t, "POST", export, body); a.Code() != code {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
}

func TestTagNames(t *testing.T) {
	t.Parallel()
	h := openWithToys(t)
	at := func(rest string) string { return h.Sub + "/tagNames" + rest + v }
	h.Must(t, "PUT", at("/env"), "", 201)
	h.Must(t, "PUT", at("/ENV"), "", 200)
	h.Must(t, "PUT", at("/env/tagValues/prod"), "", 201)
	h.Must(t, "PUT", at("/env/tagValues/prod"), "", 200)
	if a := h.Do(t, "PUT", at("/none/tagValues/x"), ""); a.Code() != "TagNotFound" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Do(t, "PUT", at("/a%3Cb"), ""); a.Code() != "InvalidTagName" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	h.Must(t, "PATCH", h.Sub+"/resourceGroups/rg1"+v, `{"tags":{"Env":"prod","team":"t"}}`, 200)
	a := h.Must(t, "GET", at(""), "", 200)
	for _, want := range []string{`"tagName":"env","count":{"type":"Total","value":1}`, `"tagValue":"prod","count":{"type":"Total","value":1}`, `"tagName":"team"`} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("no %s in %s", want, a.Body)
		}
	}
	if a := h.Do(t, "DELETE", at("/env"), ""); a.Code() != "TagInUse" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	h.Must(t, "PATCH", h.Sub+"/resourceGroups/rg1"+v, `{"tags":{}}`, 200)
	h.Must(t, "DELETE", at("/env/tagValues/prod"), "", 200)
	h.Must(t, "DELETE", at("/env/tagValues/prod"), "", 204)
	h.Must(t, "DELETE", at("/env"), "", 200)
	h.Must(t, "DELETE", at("/env"), "", 204)
	if a := h.Must(t, "GET", at(""), "", 200); string(a.Body) != `{"value":[]}` {
		t.Errorf("%s", a.Body)
	}
}
