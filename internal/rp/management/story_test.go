package management_test

import (
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/armtest"
	"github.com/kustos-io/kustos/internal/ids"
)

const v = "?api-version=2021-04-01"

func at(name string) string { return "/providers/Microsoft.Management/managementGroups/" + name }

func parentBody(parent string) string {
	return `{"properties":{"displayName":"x","details":{"parent":{"id":"` + at(parent) + `"}}}}`
}

func assign(t *testing.T, h *armtest.House, scope, role, object string) {
	t.Helper()
	h.Must(t, "PUT", scope+"/providers/Microsoft.Authorization/roleAssignments/"+ids.NewGUID()+"?api-version=2022-04-01",
		`{"properties":{"principalId":"`+object+`","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/`+role+`"}}`, 201)
}

const (
	reader      = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	contributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
)

func TestTree(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	root := h.Boot.TenantID
	if a := h.Must(t, "GET", at(root)+v, "", 200); a.Get("properties", "displayName") != "Tenant Root Group" || a.Get("properties", "details", "parent") != nil {
		t.Errorf("root: %s", a.Body)
	}
	for _, step := range []struct {
		method, target, body string
		status               int
		code                 string
	}{
		{"PUT", at("a") + v, `{"properties":{"displayName":"Group A"}}`, 200, ""},
		{"PUT", at("b") + v, parentBody("A"), 200, ""},
		{"PUT", at("c") + v, parentBody("b"), 200, ""},
		{"PUT", at("a") + v, parentBody("c"), 400, "HierarchyLoop"},
		{"PATCH", at("a") + v, `{"parentGroupId":"` + at("a") + `"}`, 400, "HierarchyLoop"},
		{"PUT", at("d") + v, parentBody("none"), 404, "ManagementGroupNotFound"},
		{"PUT", at("d.") + v, `{}`, 400, "InvalidGroupId"},
		{"PUT", at(root) + v, parentBody("a"), 400, "RootGroupImmutable"},
		{"PATCH", at("none") + v, `{"displayName":"x"}`, 404, "ManagementGroupNotFound"},
		{"PATCH", at("B") + v, `{"displayName":"Group B"}`, 200, ""},
		{"DELETE", at("a") + v, "", 400, "GroupHasChildren"},
		{"DELETE", at(root) + v, "", 400, "RootGroupImmutable"},
		{"GET", at("none") + v, "", 404, "ManagementGroupNotFound"},
		{"GET", at("none") + "/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01", "", 404, "ManagementGroupNotFound"},
		{"GET", at("a") + v + "&$expand=colour", "", 400, "InvalidQueryParameterValue"},
		{"GET", at("a") + "/settings/default" + v, "", 404, "InvalidResourceType"},
		{"PUT", at("d1") + v, parentBody("c"), 200, ""}, {"PUT", at("d2") + v, parentBody("d1"), 200, ""}, {"PUT", at("d3") + v, parentBody("d2"), 200, ""},
		{"PUT", at("d4") + v, parentBody("d3"), 400, "HierarchyDepthExceeded"},
		{"PUT", at("e") + v, `{}`, 200, ""},
		{"PATCH", at("a") + v, `{"parentGroupId":"` + at("e") + `"}`, 400, "HierarchyDepthExceeded"},
		{"DELETE", at("d3") + v, "", 204, ""}, {"DELETE", at("d3") + v, "", 204, ""}, {"DELETE", at("d2") + v, "", 204, ""}, {"DELETE", at("d1") + v, "", 204, ""}, {"DELETE", at("e") + v, "", 204, ""},
		// a subscription in the middle
		{"PUT", at("b") + "/subscriptions/" + h.Boot.SubscriptionID + v, "", 200, ""},
		{"GET", at("b") + "/subscriptions/" + h.Boot.SubscriptionID + v, "", 200, ""},
		{"GET", at("c") + "/subscriptions/" + h.Boot.SubscriptionID + v, "", 404, "SubscriptionNotFound"},
		{"PUT", at("b") + "/subscriptions/" + root + v, "", 404, "SubscriptionNotFound"},
		{"DELETE", at("c") + v, "", 204, ""},
		{"DELETE", at("b") + v, "", 400, "GroupHasChildren"},
	} {
		if a := h.Do(t, step.method, step.target, step.body); a.Status != step.status || a.Code() != step.code {
			t.Errorf("%s %s %s: %d %s, want %d %s", step.method, step.target, step.body, a.Status, a.Body, step.status, step.code)
		}
	}
	// expand, descendants, entities
	a := h.Must(t, "GET", at("a")+v+"&$expand=children&$recurse=true", "", 200)
	for _, want := range []string{`"name":"b","displayName":"Group B","children":[{"type":"/subscriptions","id":"` + h.Sub + `"`, `"version":1`} {
		if !strings.Contains(string(a.Body), want) {
			t.Errorf("no %s in %s", want, a.Body)
		}
	}
	if a := h.Must(t, "GET", at("b")+v+"&$expand=ancestors", "", 200); !strings.Contains(string(a.Body), `"managementGroupAncestors":["a","`+root+`"]`) {
		t.Errorf("ancestors: %s", a.Body)
	}
	if a := h.Must(t, "GET", at(root)+"/descendants"+v, "", 200); a.Names() != "a b "+h.Boot.SubscriptionID {
		t.Errorf("descendants: %s", a.Body)
	}
	a = h.Must(t, "GET", at(root)+"/descendants"+v+"&$top=2", "", 200)
	next, _ := a.Get("nextLink").(string)
	if b := h.Must(t, "GET", next, "", 200); a.Names() != "a b" || b.Names() != h.Boot.SubscriptionID || b.Get("nextLink") != nil {
		t.Errorf("pages: %s %s", a.Body, b.Body)
	}
	if a := h.Must(t, "POST", "/providers/Microsoft.Management/getEntities"+v, "", 200); a.Get("count") != 4.0 || !strings.Contains(string(a.Body), `"parentNameChain":["`+root+`","a"]`) {
		t.Errorf("entities: %s", a.Body)
	}
	if a := h.Must(t, "POST", "/providers/Microsoft.Management/checkNameAvailability"+v, `{"name":"A","type":"Microsoft.Management/managementGroups"}`, 200); a.Get("reason") != "AlreadyExists" {
		t.Errorf("name: %s", a.Body)
	}
}

// A role at a management group reaches what is in it, from the moment of the
// move to the moment of the next.
func TestRightsFollowTheTree(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Group(t, "rg1")
	id := h.Identity(t, "rg1", "identity1")
	h.Must(t, "PUT", at("a")+v, `{}`, 200)
	h.Must(t, "PUT", at("b")+v, parentBody("a"), 200)
	object, token := h.Principal(t, "reader of a")
	assign(t, h, at("a"), reader, object)
	can := func(want int) {
		t.Helper()
		if a := h.As(t, token, "GET", id+"?api-version=2023-01-31", ""); a.Status != want {
			t.Errorf("GET %s: %d %s, want %d", id, a.Status, a.Body, want)
		}
		seen := strings.Contains(string(h.As(t, token, "GET", "/subscriptions?api-version=2022-12-01", "").Body), h.Boot.SubscriptionID)
		if seen != (want == 200) {
			t.Errorf("the subscription is seen: %v", seen)
		}
	}
	can(403)
	h.Must(t, "PUT", at("b")+"/subscriptions/"+h.Boot.SubscriptionID+v, "", 200)
	can(200)
	if a := h.As(t, token, "GET", "/providers/Microsoft.Management/managementGroups"+v, ""); a.Names() != "a b" {
		t.Errorf("groups: %s", a.Body)
	}
	if a := h.Do(t, "GET", id+"/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=principalId eq '"+object+"'", ""); !strings.Contains(string(a.Body), at("a")) {
		t.Errorf("assignments that reach the identity: %s", a.Body)
	}
	if a := h.Do(t, "GET", at("a")+"/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01", ""); !strings.Contains(string(a.Body), h.Sub) {
		t.Errorf("assignments below the group: %s", a.Body)
	}
	for _, target := range []string{at("b") + "/subscriptions/" + h.Boot.SubscriptionID + v, at("new") + v, at("a") + v, "/providers/Microsoft.Subscription/aliases/x?api-version=2021-10-01"} {
		if a := h.As(t, token, "PUT", target, `{}`); a.Code() != "AuthorizationFailed" {
			t.Errorf("a reader's PUT %s: %d %s", target, a.Status, a.Body)
		}
	}
	// A contributor of both groups may not move what it cannot give access to.
	other, otherToken := h.Principal(t, "contributor")
	assign(t, h, at("a"), contributor, other)
	if a := h.As(t, otherToken, "PUT", at("a")+"/subscriptions/"+h.Boot.SubscriptionID+v, ""); a.Code() != "AuthorizationFailed" || !strings.Contains(a.Message(), "roleAssignments/write") {
		t.Errorf("a contributor moves: %d %s", a.Status, a.Body)
	}
	h.Must(t, "DELETE", at("b")+"/subscriptions/"+h.Boot.SubscriptionID+v, "", 200)
	can(403)
	h.Must(t, "DELETE", at("b")+v, "", 204)
	h.Must(t, "DELETE", at("a")+v, "", 204)
	h.Must(t, "PUT", at("a")+v, `{}`, 200)
	if a := h.As(t, token, "GET", at("a")+v, ""); a.Status != 403 {
		t.Errorf("the new group inherits rights: %d %s", a.Status, a.Body)
	}
}
