package subscription_test

import (
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/armtest"
	"github.com/kustos-io/kustos/internal/ids"
)

const v = "?api-version=2021-04-01"

func at(name string) string { return "/providers/Microsoft.Management/managementGroups/" + name }

func alias(name string) string {
	return "/providers/Microsoft.Subscription/aliases/" + name + "?api-version=2021-10-01"
}

func newSubscription(t *testing.T, h *armtest.House, alias, more string) string {
	t.Helper()
	a := h.Must(t, "PUT", "/providers/Microsoft.Subscription/aliases/"+alias+"?api-version=2021-10-01",
		`{"properties":{"displayName":"Second","workload":"DevTest"`+more+`}}`, 201)
	id, _ := a.Get("properties", "subscriptionId").(string)
	if !ids.IsGUID(id) || a.Get("properties", "provisioningState") != "Succeeded" {
		t.Fatalf("alias: %s", a.Body)
	}
	return "/subscriptions/" + id
}

// A second subscription is as good as the first.
func TestSecondSubscription(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Must(t, "PUT", at("a")+v, `{}`, 200)
	second := newSubscription(t, h, "two", `,"additionalProperties":{"managementGroupId":"`+at("a")+`","tags":{"k":"v"}}`)
	if a := h.Must(t, "PUT", "/providers/Microsoft.Subscription/aliases/TWO?api-version=2021-10-01", `{"properties":{"displayName":"Again"}}`, 200); a.Get("properties", "subscriptionId") != strings.TrimPrefix(second, "/subscriptions/") {
		t.Errorf("another PUT of the alias: %s", a.Body)
	}
	if a := h.Must(t, "GET", at("a")+"/subscriptions"+v, "", 200); a.Names() != strings.TrimPrefix(second, "/subscriptions/") {
		t.Errorf("in the group: %s", a.Body)
	}
	const arm = "?api-version=2022-12-01"
	a := h.Must(t, "GET", second+arm, "", 200)
	if a.Get("displayName") != "Second" || a.Get("state") != "Enabled" || a.Get("tags", "k") != "v" || a.Get("id") != second {
		t.Errorf("subscription: %s", a.Body)
	}
	if a := h.Must(t, "GET", "/subscriptions"+arm, "", 200); !strings.Contains(string(a.Body), `"displayName":"Second"`) || !strings.Contains(string(a.Body), `"displayName":"Kustos"`) {
		t.Errorf("subscriptions: %s", a.Body)
	}
	h.Group(t, "rg1")
	h.Identity(t, "rg1", "identity1")
	h.Must(t, "PUT", second+"/resourceGroups/rg1?api-version=2021-04-01", `{"location":"westeurope"}`, 201)
	id := second + "/resourceGroups/rg1/providers/Microsoft.ManagedIdentity/userAssignedIdentities/identity2"
	h.Must(t, "PUT", id+"?api-version=2023-01-31", `{"location":"westeurope"}`, 201)
	for sub, want := range map[string]string{h.Sub: "identity1", second: "identity2"} {
		if a := h.Must(t, "GET", sub+"/resources?api-version=2021-04-01", "", 200); a.Names() != want {
			t.Errorf("resources of %s: %s", sub, a.Body)
		}
	}
	d := h.Must(t, "PUT", second+"/resourceGroups/rg1/providers/Microsoft.Resources/deployments/d?api-version=2021-04-01", `{"properties":{"mode":"Incremental","template":{
		"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[],
		"outputs":{"s":{"type":"string","value":"[subscription().displayName]"}}}}}`, 201)
	h.Ended(t, d)
	if a := h.Must(t, "GET", second+"/resourceGroups/rg1/providers/Microsoft.Resources/deployments/d?api-version=2021-04-01", "", 200); a.Get("properties", "outputs", "s", "value") != "Second" {
		t.Errorf("deployment: %s", a.Body)
	}
	// rename, cancel, enable
	const change = "?api-version=2021-10-01"
	h.Must(t, "POST", second+"/providers/Microsoft.Subscription/rename"+change, `{"subscriptionName":"Zwei"}`, 200)
	h.Must(t, "POST", second+"/providers/Microsoft.Subscription/rename"+change, `{}`, 400)
	h.Must(t, "POST", second+"/providers/Microsoft.Subscription/cancel"+change, "", 200)
	if a := h.Do(t, "POST", second+"/providers/Microsoft.Subscription/cancel"+change, ""); a.Code() != "SubscriptionStateConflict" {
		t.Errorf("canceled twice: %d %s", a.Status, a.Body)
	}
	if a := h.Do(t, "GET", second+arm, ""); a.Get("state") != "Disabled" || a.Get("displayName") != "Zwei" {
		t.Errorf("canceled: %s", a.Body)
	}
	if a := h.Do(t, "PUT", id+"?api-version=2023-01-31", `{"location":"westeurope"}`); a.Code() != "ReadOnlyDisabledSubscription" {
		t.Errorf("write in a canceled subscription: %d %s", a.Status, a.Body)
	}
	h.Must(t, "GET", id+"?api-version=2023-01-31", "", 200)
	h.Must(t, "DELETE", id+"?api-version=2023-01-31", "", 200)
	h.Must(t, "POST", second+"/providers/Microsoft.Subscription/enable"+change, "", 200)
	h.Must(t, "PUT", id+"?api-version=2023-01-31", `{"location":"westeurope"}`, 201)
	h.Must(t, "DELETE", "/providers/Microsoft.Subscription/aliases/two"+change, "", 200)
	h.Must(t, "DELETE", "/providers/Microsoft.Subscription/aliases/two"+change, "", 204)
	h.Must(t, "GET", second+arm, "", 200)
	// all of it is there after a restart
	again := armtest.New(t, armtest.Options{Store: h.Store})
	if a := again.Must(t, "GET", second+arm, "", 200); a.Get("displayName") != "Zwei" {
		t.Errorf("after a restart: %s", a.Body)
	}
	again.Must(t, "GET", id+"?api-version=2023-01-31", "", 200)
}

// What a PUT of an alias may not say, by code.
func TestAliasRefusals(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	first := newSubscription(t, h, "one", "")
	with := func(more string) string { return `{"properties":{"displayName":"x"` + more + `}}` }
	for name, r := range map[string]struct{ alias, body, code string }{
		"no body":              {"a", "", "InvalidRequestContent"},
		"no properties":        {"a", `{}`, "InvalidRequestContent"},
		"another type":         {"a", `{"properties":[]}`, "InvalidRequestContent"},
		"name":                 {"a(b)", with(""), "BadRequest"},
		"long name":            {strings.Repeat("a", 64), with(""), "BadRequest"},
		"no display name":      {"a", `{"properties":{}}`, "BadRequest"},
		"long display name":    {"a", `{"properties":{"displayName":"` + strings.Repeat("é", 65) + `"}}`, "BadRequest"},
		"workload":             {"a", with(`,"workload":"Test"`), "BadRequest"},
		"another tenant":       {"a", with(`,"additionalProperties":{"subscriptionTenantId":"11111111-2222-4333-8444-555555555555"}`), "BadRequest"},
		"another owner":        {"a", with(`,"additionalProperties":{"subscriptionOwnerId":"11111111-2222-4333-8444-555555555555"}`), "BadRequest"},
		"not a group's id":     {"a", with(`,"additionalProperties":{"managementGroupId":"g"}`), "BadRequest"},
		"an unknown group":     {"a", with(`,"additionalProperties":{"managementGroupId":"` + at("none") + `"}`), "ManagementGroupNotFound"},
		"tags":                 {"a", with(`,"additionalProperties":{"tags":{"<":"x"}}`), "InvalidTagName"},
		"no subscription id":   {"a", with(`,"subscriptionId":"x"`), "InvalidSubscriptionId"},
		"no such subscription": {"a", with(`,"subscriptionId":"11111111-2222-4333-8444-555555555555"`), "SubscriptionNotFound"},
		"alias of another":     {"ONE", with(`,"subscriptionId":"` + h.Boot.SubscriptionID + `"`), "AliasConflict"},
	} {
		if a := h.Do(t, "PUT", alias(r.alias), r.body); a.Status < 400 || a.Code() != r.code {
			t.Errorf("%s: %d %s, want %s", name, a.Status, a.Body, r.code)
		}
	}
	for target, code := range map[string]string{alias("none"): "SubscriptionAliasNotFound", first + "/providers/Microsoft.Subscription/aliases/one?api-version=2021-10-01": "InvalidResourceType"} {
		if a := h.Do(t, "GET", target, ""); a.Code() != code {
			t.Errorf("GET %s: %d %s", target, a.Status, a.Body)
		}
	}
	if a := h.Do(t, "POST", first+"/providers/Microsoft.Subscription/enable?api-version=2021-10-01", ""); a.Code() != "SubscriptionStateConflict" {
		t.Errorf("enabled twice: %d %s", a.Status, a.Body)
	}
	if a := h.Do(t, "POST", first+"/providers/Microsoft.Subscription/acceptOwnership?api-version=2021-10-01", ""); a.Code() != "OperationNotSupported" {
		t.Errorf("ownership: %d %s", a.Status, a.Body)
	}
	if a := h.Must(t, "GET", "/providers/Microsoft.Subscription/aliases?api-version=2021-10-01", "", 200); a.Names() != "one" {
		t.Errorf("what was refused left something: %s", a.Body)
	}
	if a := h.Must(t, "GET", "/providers/Microsoft.Subscription/operations?api-version=2021-10-01", "", 200); !strings.Contains(string(a.Body), `"Microsoft.Subscription/aliases/write"`) {
		t.Errorf("operations: %s", a.Body)
	}
}

// An alias can stand for a subscription that is there, for whoever may give
// access to it; a reader may do nothing of all this.
func TestRights(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	second := newSubscription(t, h, "two", "")
	id := strings.TrimPrefix(second, "/subscriptions/")
	if a := h.Must(t, "PUT", alias("again"), `{"properties":{"subscriptionId":"`+strings.ToUpper(id)+`"}}`, 201); a.Get("properties", "subscriptionId") != id {
		t.Errorf("for one that is there: %s", a.Body)
	}
	object, token := h.Principal(t, "reader")
	h.Must(t, "PUT", second+"/providers/Microsoft.Authorization/roleAssignments/"+ids.NewGUID()+"?api-version=2022-04-01",
		`{"properties":{"principalId":"`+object+`","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"}}`, 201)
	for _, r := range [][3]string{
		{"PUT", alias("mine"), `{"properties":{"displayName":"x"}}`}, {"GET", alias("two"), ""}, {"DELETE", alias("two"), ""},
		{"POST", second + "/providers/Microsoft.Subscription/rename?api-version=2021-10-01", `{"subscriptionName":"x"}`},
		{"POST", second + "/providers/Microsoft.Subscription/cancel?api-version=2021-10-01", ""},
	} {
		if a := h.As(t, token, r[0], r[1], r[2]); a.Code() != "AuthorizationFailed" {
			t.Errorf("a reader's %s %s: %d %s", r[0], r[1], a.Status, a.Body)
		}
	}
	// the owner of a new subscription is who made it
	h.Group(t, "rg1")
	a := h.Must(t, "GET", second+"/providers/Microsoft.Authorization/roleAssignments"+"?api-version=2022-04-01&$filter=atScope()", "", 200)
	if !strings.Contains(string(a.Body), h.Boot.ObjectID) || !strings.Contains(string(a.Body), "8e3af657-a8ff-443c-a75c-2fe8c4bcb635") {
		t.Errorf("assignments: %s", a.Body)
	}
}
