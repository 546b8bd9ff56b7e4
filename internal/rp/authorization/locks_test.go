package authorization_test

import (
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/armtest"
)

const (
	lockVersion = "?api-version=2020-05-01"
	idVersion   = "?api-version=2023-01-31"
	armVersion  = "?api-version=2021-04-01"
)

func lockAt(scope, name string) string {
	return scope + "/providers/Microsoft.Authorization/locks/" + name + lockVersion
}

func body(level string) string { return `{"properties":{"level":"` + level + `","notes":"why"}}` }

// What each level forbids, at the three scopes, from above and from below.
func TestLocksForbid(t *testing.T) {
	t.Parallel()
	const tagsBody = `{"properties":{"tags":{"a":"1"}}}`
	tests := map[string]struct {
		level, at                 string // at: sub, group, resource
		write, remove, removeRest bool   // whether the resource, and the group, can be changed
	}{
		"delete, resource":       {"CanNotDelete", "resource", true, false, false},
		"delete, group":          {"CanNotDelete", "group", true, false, false},
		"delete, subscription":   {"canNotDelete", "sub", true, false, false},
		"readonly, resource":     {"ReadOnly", "resource", false, false, false},
		"readonly, group":        {"ReadOnly", "group", false, false, false},
		"readonly, subscription": {"ReadOnly", "sub", false, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := armtest.New(t, armtest.Options{})
			h.Group(t, "rg1")
			id := h.Identity(t, "rg1", "identity1")
			group := h.Sub + "/resourceGroups/rg1"
			scope := map[string]string{"sub": h.Sub, "group": group, "resource": id}[tt.at]
			a := h.Must(t, "PUT", lockAt(scope, "l1"), body(tt.level), 201)
			if !strings.EqualFold(a.Get("properties", "level").(string), tt.level) || a.Get("id") != scope+"/providers/Microsoft.Authorization/locks/l1" {
				t.Errorf("lock: %s", a.Body)
			}
			check := func(allowed bool, operation, locked, method, target, body string) {
				t.Helper()
				a := h.Do(t, method, target, body)
				if allowed {
					if a.Status >= 300 {
						t.Errorf("%s %s: %d %s", method, target, a.Status, a.Body)
					}
					return
				}
				resource, _, _ := strings.Cut(target, "?")
				want := "The scope '" + resource + "' cannot perform " + operation + " operation because following scope(s) are locked: '" + locked + "'. Please remove the lock and try again."
				if a.Status != 409 || a.Code() != "ScopeLocked" || a.Message() != want {
					t.Errorf("%s %s: %d %s\nwant %s", method, target, a.Status, a.Body, want)
				}
			}
			check(tt.write, "write", scope, "PUT", id+idVersion, `{"location":"westeurope"}`)
			check(tt.write, "write", scope, "PATCH", id+idVersion, `{"tags":{"a":"2"}}`)
			check(tt.write, "write", scope, "PUT", id+"/providers/Microsoft.Resources/tags/default"+armVersion, tagsBody)
			check(tt.remove, "delete", scope, "DELETE", id+idVersion, "")
			check(tt.removeRest, "delete", scope, "DELETE", group+armVersion, "")
			check(tt.write || tt.at == "resource", "write", scope, "PUT", group+armVersion, `{"location":"westeurope"}`)
			check(true, "", "", "GET", id+idVersion, "")
			check(tt.write || tt.at == "resource", "write", scope, "PUT", group+"/providers/Microsoft.Resources/deployments/d"+armVersion,
				`{"properties":{"mode":"Incremental","template":{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[]}}}`)
			// other names are free, and without the lock everything is
			h.Must(t, "PUT", lockAt(scope, "L1"), body("ReadOnly"), 200)
			h.Must(t, "DELETE", lockAt(scope, "l1"), "", 200)
			h.Must(t, "DELETE", lockAt(scope, "l1"), "", 204)
			check(true, "", "", "DELETE", id+idVersion, "")
			if a := h.Ended(t, h.Must(t, "DELETE", group+armVersion, "", 202)); a.Status != 200 {
				t.Errorf("group: %d %s", a.Status, a.Body)
			}
		})
	}
}

func TestLockAPI(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Group(t, "rg1")
	id := h.Identity(t, "rg1", "identity1")
	group := h.Sub + "/resourceGroups/rg1"
	for _, tt := range []struct{ method, target, body, code string }{
		{"GET", lockAt(h.Sub, "none"), "", "LockNotFound"},
		{"PUT", lockAt(id+"x", "l"), body("ReadOnly"), "ResourceNotFound"},
		{"PUT", lockAt(h.Sub+"/resourceGroups/none", "l"), body("ReadOnly"), "ResourceGroupNotFound"},
		{"PUT", lockAt(group, "a%3Cb"), body("ReadOnly"), "InvalidLockName"},
		{"PUT", lockAt(group, "l"), body("NotSpecified"), "InvalidRequestContent"},
		{"PUT", lockAt(group, "l"), `{}`, "InvalidRequestContent"},
		{"PATCH", lockAt(group, "l"), body("ReadOnly"), "MethodNotAllowed"},
		{"GET", group + "/providers/Microsoft.Authorization/locks" + lockVersion + "&$filter=name eq 'x'", "", "UnsupportedQuery"},
	} {
		if a := h.Do(t, tt.method, tt.target, tt.body); a.Code() != tt.code {
			t.Errorf("%s %s: %d %s, want %s", tt.method, tt.target, a.Status, a.Body, tt.code)
		}
	}
	h.Must(t, "PUT", lockAt(id, "r"), body("CanNotDelete"), 201)
	h.Must(t, "PUT", lockAt(group, "g"), body("CanNotDelete"), 201)
	h.Must(t, "PUT", lockAt(h.Sub, "s"), body("CanNotDelete"), 201)
	for target, want := range map[string]string{
		h.Sub: "s r g", group: "s g r", id: "s g r",
	} {
		if a := h.Do(t, "GET", target+"/providers/Microsoft.Authorization/locks"+lockVersion, ""); a.Names() != want {
			t.Errorf("locks of %s: %s", target, a.Body)
		}
	}
	if a := h.Do(t, "GET", group+"/providers/Microsoft.Authorization/locks"+lockVersion+"&$filter=atScope()", ""); a.Names() != "s g" {
		t.Errorf("locks at the group: %s", a.Body)
	}
	// a lock needs a right that a Contributor has not
	object, token := h.Principal(t, "contributor")
	h.Must(t, "PUT", h.Sub+"/providers/Microsoft.Authorization/roleAssignments/11111111-0000-4000-8000-000000000009?api-version=2022-04-01",
		`{"properties":{"principalId":"`+object+`","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/b24988ac-6180-42a0-ab88-20f7382dd24c"}}`, 201)
	for _, method := range []string{"PUT", "DELETE"} {
		if a := h.As(t, token, method, lockAt(group, "g"), body("ReadOnly")); a.Code() != "AuthorizationFailed" {
			t.Errorf("a contributor's %s: %d %s", method, a.Status, a.Body)
		}
	}
}
