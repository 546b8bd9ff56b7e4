package kusto

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/cluster"
)

func TestIdentityLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"
	one, two := ids+"one", ids+"two"
	w.users[strings.ToLower(one)] = ServicePrincipal{ObjectID: "o1", ClientID: "c1", TenantID: testTenant}
	w.users[strings.ToLower(two)] = ServicePrincipal{ObjectID: "o2", ClientID: "c2", TenantID: testTenant}
	path := clusterPath("demo1")
	a := w.must("PUT", path, v20190907, `{"location":"westeurope",`+bodySKU+`,"identity":{"type":"systemassigned","userAssignedIdentities":null}}`)
	if diff := cmp.Diff(map[string]any{"type": "SystemAssigned"}, a.json["identity"]); diff != "" {
		t.Errorf("identity in the first answer (-want +got)\n%s", diff)
	}
	identity := func() map[string]any { o, _ := w.get("demo1", v20240413)["identity"].(map[string]any); return o }
	first, _ := identity()["principalId"].(string)
	if !w.identityExists(first) {
		t.Fatalf("identity %v", identity())
	}
	steps := []struct {
		name, method, body string
		typ                any
		users              []string
		system             string // "same", "new", ""
	}{
		{"PUT without a block keeps it", "PUT", bodyPlain, "SystemAssigned", nil, "same"},
		{"PATCH null keeps it", "PATCH", `{"identity":null,"tags":{"a":"b"}}`, "SystemAssigned", nil, "same"},
		{"add a user-assigned one", "PATCH", `{"identity":{"type":"SystemAssigned,UserAssigned","userAssignedIdentities":{"` + one + `":{}}}}`, "SystemAssigned, UserAssigned", []string{one}, "same"},
		{"a second one beside it", "PATCH", `{"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{"` + two + `":{}}}}`, "SystemAssigned, UserAssigned", []string{one, two}, "same"},
		{"null removes one", "PATCH", `{"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{"` + strings.ToUpper(one) + `":null}}}`, "SystemAssigned, UserAssigned", []string{two}, "same"},
		{"without the system's", "PATCH", `{"identity":{"type":"UserAssigned"}}`, "UserAssigned", []string{two}, ""},
		{"the system's again is a new one", "PATCH", `{"identity":{"type":"SystemAssigned"}}`, "SystemAssigned", nil, "new"},
		{"PUT replaces the map", "PUT", `{"location":"westeurope",` + bodySKU + `,"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + one + `":{}}}}`, "UserAssigned", []string{one}, ""},
		{"None", "PATCH", `{"identity":{"type":"None","userAssignedIdentities":null}}`, nil, nil, ""},
	}
	last := first
	for _, s := range steps {
		w.must(s.method, path, v20230815, s.body)
		got := identity()
		if diff := cmp.Diff(s.typ, got["type"]); diff != "" {
			t.Errorf("%s: type (-want +got)\n%s", s.name, diff)
		}
		users, _ := got["userAssignedIdentities"].(map[string]any)
		if len(users) != len(s.users) {
			t.Errorf("%s: users %v", s.name, users)
		}
		for _, u := range s.users {
			if users[u] == nil {
				t.Errorf("%s: %s is missing", s.name, u)
			}
		}
		system, _ := got["principalId"].(string)
		switch s.system {
		case "same":
			if system != first {
				t.Errorf("%s: principalId %q, want %q", s.name, system, first)
			}
		case "new":
			if system == "" || system == first || w.identityExists(first) {
				t.Errorf("%s: principalId %q", s.name, system)
			}
			last = system
		default:
			if system != "" {
				t.Errorf("%s: principalId %q", s.name, system)
			}
		}
	}
	if w.identityExists(last) {
		t.Error("a removed identity is still in the directory")
	}
}

func TestAssignNeedsTheRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.cluster("demo1")
	user := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
	body := `{"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + user + `":{}}}}`
	if a := w.do("PATCH", clusterPath("demo1"), v20230815, body); a.err == nil || a.err.Code != "LinkedAuthorizationFailed" && a.err.Code != "BadRequest" {
		t.Errorf("absent identity: %v", a.err)
	}
	w.users[strings.ToLower(user)] = ServicePrincipal{ObjectID: "o1", ClientID: "c1", TenantID: testTenant}
	w.denied[assignAction] = true
	if a := w.do("PATCH", clusterPath("demo1"), v20230815, body); a.err == nil || a.err.Code != "LinkedAuthorizationFailed" {
		t.Errorf("without the right: %v", a.err)
	}
}

// A failed operation takes back the identity that was made for it.
func TestFailedPatchTakesTheIdentityBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", clusterPath("demo1"), v20230815, bodyPlain)
	w.users[strings.ToLower(testGroup+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one")] = ServicePrincipal{ObjectID: "o1", ClientID: "c1", TenantID: testTenant}
	w.vaultWith("vault1", "key1", "v1")
	w.keys.access["https://vault1.vault.azure.net|o1"] = true
	w.runtime.fail = map[string]error{"ChangeKEK": cluster.ErrEngine}
	user := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
	_, op := w.wait("PATCH", clusterPath("demo1"), v20230815, `{"identity":{"type":"SystemAssigned, UserAssigned","userAssignedIdentities":{"`+user+`":{}}},
		"properties":{"keyVaultProperties":{"keyVaultUri":"`+testVault+`","keyName":"key1","keyVersion":"v1","userIdentity":"`+user+`"}}}`)
	if op.Status != operations.Failed {
		t.Fatalf("operation %s", op.Status)
	}
	g := w.get("demo1", v20230815)
	if g["identity"] != nil || dig(g, "properties.keyVaultProperties") != nil || dig(g, "properties.provisioningState") != "Failed" || dig(g, "properties.state") != "Running" {
		t.Errorf("after the failure: %v", g)
	}
	if w.identityExists("aaaaaaaa-0000-0000-0000-000000000001") {
		t.Error("the identity was left behind")
	}
	w.must("PATCH", clusterPath("demo1"), v20230815, `{"tags":{"a":"b"}}`)
	if s := dig(w.get("demo1", v20230815), "properties.provisioningState"); s != "Succeeded" {
		t.Errorf("provisioningState after the next success: %v", s)
	}
}
