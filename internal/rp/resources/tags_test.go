package resources_test

import (
	"strings"
	"testing"
)

const tagContributor = "4a9ae827-6dc8-4573-8ac7-8239d42aa03f"

// TestTagContributor: the right to tags needs none to what has them, and gives none.
func TestTagContributor(t *testing.T) {
	t.Parallel()
	h := openWithToys(t)
	group := h.Sub + "/resourceGroups/rg1"
	id, box := h.Identity(t, "rg1", "identity1"), group+"/providers/Contoso.Toys/boxes/b"
	h.Must(t, "PUT", box+toys, `{"location":"westeurope","tags":{"a":"1"},"properties":{"secret":"x"}}`, 201)
	h.Must(t, "PUT", box+"/lids/l"+toys, `{"properties":{}}`, 201)
	object, token := h.Principal(t, "tagger")
	h.Must(t, "PUT", group+"/providers/Microsoft.Authorization/roleAssignments/11111111-0000-4000-8000-00000000000a?api-version=2022-04-01",
		`{"properties":{"principalId":"`+object+`","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/`+tagContributor+`"}}`, 201)
	const tags = "/providers/Microsoft.Resources/tags/default" + v
	for _, at := range []string{group, box, id} {
		for _, step := range []struct{ method, body, want string }{
			{"PUT", `{"properties":{"tags":{"a":"1","b":"2"}}}`, `"tags":{"a":"1","b":"2"}`},
			{"PATCH", `{"operation":"Merge","properties":{"tags":{"c":"3"}}}`, `"tags":{"a":"1","b":"2","c":"3"}`},
			{"PATCH", `{"operation":"Delete","properties":{"tags":{"b":"2"}}}`, `"tags":{"a":"1","c":"3"}`},
			{"GET", "", `"tags":{"a":"1","c":"3"}`},
		} {
			if a := h.As(t, token, step.method, at+tags, step.body); a.Status != 200 || !strings.Contains(string(a.Body), step.want) {
				t.Errorf("%s %s: %d %s", step.method, at, a.Status, a.Body)
			}
		}
	}
	if a := h.Must(t, "GET", box+toys, "", 200); a.Get("properties", "secret") != "x" || a.Get("tags", "c") != "3" {
		t.Errorf("the resource: %s", a.Body)
	}
	for _, r := range []struct{ method, target, body string }{
		{"GET", box + toys, ""}, {"PUT", box + toys, `{"location":"westeurope"}`}, {"PATCH", box + toys, `{"tags":{}}`}, {"DELETE", box + toys, ""},
		{"PATCH", id + "?api-version=2023-01-31", `{"tags":{}}`}, {"PATCH", group + v, `{"tags":{}}`}, {"PUT", group + v, `{"location":"westeurope"}`}, {"DELETE", group + v, ""},
		{"PUT", h.Sub + tags, `{"properties":{"tags":{}}}`}, {"PUT", h.Sub + "/resourceGroups/rg2" + tags, `{"properties":{"tags":{}}}`},
	} {
		if a := h.As(t, token, r.method, r.target, r.body); a.Code() != "AuthorizationFailed" {
			t.Errorf("%s %s: %d %s", r.method, r.target, a.Status, a.Body)
		}
	}
	// locks hold it as they hold every write
	h.Must(t, "PUT", box+"/providers/Microsoft.Authorization/locks/l?api-version=2020-05-01", `{"properties":{"level":"ReadOnly"}}`, 201)
	if a := h.As(t, token, "PUT", box+tags, `{"properties":{"tags":{}}}`); a.Code() != "ScopeLocked" {
		t.Errorf("locked: %d %s", a.Status, a.Body)
	}
	h.Must(t, "DELETE", box+"/providers/Microsoft.Authorization/locks/l?api-version=2020-05-01", "", 200)
	// a type without tags: a patch of them would change nothing
	for _, method := range []string{"GET", "PUT"} {
		if a := h.Do(t, method, box+"/lids/l"+tags, `{"properties":{"tags":{"a":"1"}}}`); a.Code() != "OperationNotSupported" {
			t.Errorf("%s of a child: %d %s", method, a.Status, a.Body)
		}
	}
}

func TestProvidersInPages(t *testing.T) {
	t.Parallel()
	h := openWithToys(t)
	seen := map[string]bool{}
	for target, n := h.Sub+"/providers"+v+"&$top=3", 0; target != ""; n++ {
		a := h.Must(t, "GET", target, "", 200)
		for _, item := range a.JSON["value"].([]any) {
			ns := item.(map[string]any)["namespace"].(string)
			if seen[ns] {
				t.Errorf("%s twice", ns)
			}
			seen[ns] = true
		}
		target, _ = a.JSON["nextLink"].(string)
	}
	if want := len(h.Front.Providers()); len(seen) != want {
		t.Errorf("%d of %d namespaces", len(seen), want)
	}
}
