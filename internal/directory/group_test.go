package directory

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGroups(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	ann, bob := f.person(t, "ann"), f.person(t, "bob")
	identity := f.identity(t, "id1", identityID)
	makeGroup := func(name, more string) string {
		t.Helper()
		status, g, text := f.graphCall(t, "POST", "/v1.0/groups", `{"displayName":"`+name+`","mailNickname":"`+name+`","mailEnabled":false,"securityEnabled":true`+more+`}`)
		if status != 201 {
			t.Fatal(text)
		}
		return g["id"].(string)
	}
	ref := func(id string) string {
		return `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + id + `"}`
	}
	add := func(want int, group, id string) {
		t.Helper()
		if status, _, text := f.graphCall(t, "POST", "/v1.0/groups/"+group+"/members/$ref", ref(id)); status != want {
			t.Errorf("add: %d %s", status, text)
		}
	}
	outer, inner := makeGroup("outer", ""), makeGroup("inner", `,"members@odata.bind":["https://graph.microsoft.com/v1.0/users/`+ann.ObjectID+`"],"owners@odata.bind":["https://graph.microsoft.com/v1.0/users/`+bob.ObjectID+`"]`)
	add(204, outer, inner)
	add(204, inner, identity.ObjectID)
	add(204, inner, outer) // in each other
	add(400, inner, identity.ObjectID)
	add(400, inner, inner)
	both := []string{inner, outer}
	slices.Sort(both)
	for name, id := range map[string]string{"user": ann.ObjectID, "identity": identity.ObjectID, "group in a circle": inner} {
		if diff := cmp.Diff(both, f.GroupsOf(id)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	_, body, _ := f.askPassword(t, ann.UPN, annsPassword)
	p, err := f.Verify(t.Context(), body["access_token"].(string), armAud)
	if err != nil || !slices.Equal(p.Groups, both) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, c, _ := split(t, body["access_token"].(string)); fmt.Sprint(c["groups"]) != fmt.Sprint(both) {
		t.Errorf("groups claim %v", c["groups"])
	}

	list := func(path string) (names []string) {
		t.Helper()
		status, body, text := f.graphCall(t, "GET", path, "")
		if status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
			return nil
		}
		for _, v := range values(t, body) {
			names = append(names, fmt.Sprint(v["@odata.type"], " ", v["displayName"]))
		}
		slices.Sort(names)
		return names
	}
	for path, want := range map[string][]string{
		"/v1.0/groups/" + inner + "/members":                         {"#microsoft.graph.group outer", "#microsoft.graph.servicePrincipal id1", "#microsoft.graph.user ann"},
		"/v1.0/groups/" + outer + "/transitiveMembers":               {"#microsoft.graph.group inner", "#microsoft.graph.group outer", "#microsoft.graph.servicePrincipal id1", "#microsoft.graph.user ann"},
		"/v1.0/groups/" + inner + "/owners":                          {"#microsoft.graph.user bob"},
		"/v1.0/users/" + ann.UPN + "/memberOf":                       {"#microsoft.graph.group inner"},
		"/v1.0/users/" + ann.UPN + "/transitiveMemberOf":             {"#microsoft.graph.group inner", "#microsoft.graph.group outer"},
		"/v1.0/servicePrincipals/" + identity.ObjectID + "/memberOf": {"#microsoft.graph.group inner"},
		"/v1.0/directoryObjects/" + bob.ObjectID + "/memberOf":       nil,
	} {
		if diff := cmp.Diff(want, list(path)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
	for path, request := range map[string]string{
		"/v1.0/users/" + ann.UPN + "/getMemberGroups":                   `{"securityEnabledOnly":false}`,
		"/v1.0/directoryObjects/" + ann.ObjectID + "/getMemberObjects":  `{"securityEnabledOnly":true}`,
		"/v1.0/directoryObjects/" + ann.ObjectID + "/checkMemberGroups": `{"groupIds":["` + both[0] + `","00000000-0000-0000-0000-0000000000ff","` + both[1] + `"]}`,
	} {
		status, body, text := f.graphCall(t, "POST", path, request)
		if status != 200 || fmt.Sprint(body["value"]) != fmt.Sprint(both) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	status, got, text := f.graphCall(t, "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["`+ann.ObjectID+`","`+inner+`","`+identity.ObjectID+`"],"types":["user","group","directoryObjectPartnerReference"]}`)
	if status != 200 || len(values(t, got)) != 2 {
		t.Errorf("getByIds: %d %s", status, text)
	}

	// An owner changes the members; nobody else without a right does.
	tokenOf := func(u User) string {
		_, body, _ := f.ask(t, "grant_type", "password", "username", u.UPN, "password", annsPassword, "scope", "https://graph.microsoft.com/.default")
		return body["access_token"].(string)
	}
	for _, tc := range []struct {
		who  User
		want int
	}{{ann, 403}, {bob, 204}} {
		if status, _, text := f.graphAs(t, tokenOf(tc.who), "POST", "/v1.0/groups/"+inner+"/members/$ref", ref(bob.ObjectID)); status != tc.want {
			t.Errorf("%s adds: %d %s", tc.who.UPN, status, text)
		}
	}
	if status, _, text := f.graphAs(t, tokenOf(bob), "DELETE", "/v1.0/groups/"+inner+"/members/"+ann.ObjectID+"/$ref", ""); status != 204 {
		t.Errorf("an owner removes: %d %s", status, text)
	}
	// At once, also for the token from before.
	if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || len(p.Groups) != 0 {
		t.Errorf("%+v, %v", p.Groups, err)
	}
	if status, _, text := f.graphCall(t, "PATCH", "/v1.0/groups/"+inner, `{"description":"d","displayName":"Inner"}`); status != 204 {
		t.Error(text)
	}
	if _, g, text := f.graphCall(t, "GET", "/v1.0/groups/"+inner, ""); g["description"] != "d" || g["displayName"] != "Inner" || g["mailNickname"] != "inner" {
		t.Error(text)
	}

	// Who is deleted is in no group any more.
	if status, _, text := f.graphCall(t, "DELETE", "/v1.0/users/"+bob.ObjectID, ""); status != 204 {
		t.Error(text)
	}
	if got := list("/v1.0/groups/" + inner + "/members"); len(got) != 2 {
		t.Errorf("members %v", got)
	}
	if status, _, text := f.graphCall(t, "DELETE", "/v1.0/groups/"+inner, ""); status != 204 {
		t.Error(text)
	}
	if got := f.GroupsOf(identity.ObjectID); len(got) != 0 {
		t.Errorf("groups of the identity: %v", got)
	}
	again, err := Open(t.Context(), Config{Store: f.store, Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.groups.Load().parents, again.groups.Load().parents); diff != "" {
		t.Errorf("after a restart (-running +restarted)\n%s", diff)
	}
}

func TestGroupsClaimOverage(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	var groups []group
	for i := range maxGroupClaims + 1 {
		groups = append(groups, group{ObjectID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Members: []string{u.ObjectID}})
	}
	f.groups.Store(newMembership(groups))
	_, body, _ := f.askPassword(t, u.UPN, annsPassword)
	_, c, _ := split(t, body["access_token"].(string))
	want := map[string]any{"groups": "src1"}
	if diff := cmp.Diff(want, c["_claim_names"]); diff != "" || c["groups"] != nil || !strings.Contains(fmt.Sprint(c["_claim_sources"]), u.ObjectID+"/getMemberObjects") {
		t.Errorf("%v\n%s", c, diff)
	}
	if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || len(p.Groups) != maxGroupClaims+1 {
		t.Errorf("%d groups, %v", len(p.Groups), err)
	}
}
