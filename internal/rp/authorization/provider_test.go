package authorization_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/rp/authorization"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/test/golden"
)

const (
	tenant = "6f0c2b8e-0000-4000-8000-0000000000ff"
	sub    = "/subscriptions/6f0c2b8e-0000-4000-8000-000000000001"
	group  = sub + "/resourceGroups/rg1"
	vault  = group + "/providers/Microsoft.KeyVault/vaults/kv1"
	reader = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	name1  = "11111111-0000-4000-8000-000000000001"
	name2  = "22222222-0000-4000-8000-000000000002"
	alice  = "aaaaaaaa-0000-4000-8000-000000000001"
	bob    = "bbbbbbbb-0000-4000-8000-000000000002"
	bobApp = "bbbbbbbb-0000-4000-8000-0000000000aa"
)

type principals struct{}

// staff is a group, and alice is in it.
const staff = "dddddddd-0000-4000-8000-00000000000d"

func (principals) GroupsOf(id string) []string {
	if strings.EqualFold(id, alice) {
		return []string{staff}
	}
	return nil
}

func (principals) Lookup(_ context.Context, id string) (directory.Entry, error) {
	for _, e := range []directory.Entry{{Type: directory.TypeServicePrincipal, ObjectID: alice}, {Type: directory.TypeServicePrincipal, ObjectID: bob, AppID: bobApp}, {Type: directory.TypeGroup, ObjectID: staff}} {
		if strings.EqualFold(e.ObjectID, id) || strings.EqualFold(e.AppID, id) {
			return e, nil
		}
	}
	return directory.Entry{}, directory.ErrNotFound
}

type fixture struct {
	*authorization.Provider
	engine *authz.Engine
}

func open() fixture {
	now := func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 600, time.UTC) }
	engine := authz.New(authz.Config{Store: memstore.New(), Now: now})
	return fixture{authorization.New(authorization.Config{Engine: engine, Principals: principals{}, TenantID: tenant}), engine}
}

// call sends one request as alice and renders the answer: status and body.
func (f fixture) call(t *testing.T, method, path, shape, body string) (int, string) {
	t.Helper()
	path, rawQuery, _ := strings.Cut(path, "?")
	id, err := ids.Parse(path)
	if err != nil {
		t.Fatal(err)
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		t.Fatal(err)
	}
	req := &provider.Request{Method: method, ID: id, APIVersion: shape, Shape: shape, Query: query, Principal: authz.Principal{ObjectID: alice}}
	if body != "" {
		req.Body = json.RawMessage(body)
	}
	resp, err := f.Handle(t.Context(), req)
	if err != nil {
		e := azerr.From(err)
		return e.Status, e.Code + ": " + e.Message
	}
	if resp.Body == nil {
		return resp.Status, ""
	}
	data, err := json.MarshalIndent(resp.Body, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return resp.Status, string(data)
}

func at(scope, name string) string {
	return strings.TrimSuffix(scope, "/") + "/providers/Microsoft.Authorization/roleAssignments/" + name
}

func assignment(role, principal string, more ...string) string {
	extra := ""
	for _, m := range more {
		extra += "," + m
	}
	return fmt.Sprintf(`{"properties":{"roleDefinitionId":"%s/providers/Microsoft.Authorization/roleDefinitions/%s","principalId":"%s"%s}}`, sub, role, principal, extra)
}

func TestStory(t *testing.T) {
	t.Parallel()
	f := open()
	var out strings.Builder
	step := func(wantStatus int, method, path, shape, body string) {
		t.Helper()
		status, text := f.call(t, method, path, shape, body)
		if status != wantStatus {
			t.Errorf("%s %s: %d %s", method, path, status, text)
		}
		fmt.Fprintf(&out, "%s %s (%s) %s\n%d %s\n\n", method, path, shape, body, status, text)
	}
	const newest = "2022-04-01"
	step(201, "PUT", at(vault, name1), newest, assignment(reader, alice, `"principalType":"ServicePrincipal"`, `"description":"why"`, `"condition":null`, `"createdOn":"1999-01-01T00:00:00Z"`))
	step(200, "PUT", at(vault, name1), newest, assignment(reader, strings.ToUpper(alice), `"description":"why"`))
	step(200, "GET", at(strings.ToLower(vault), name1), newest, "")
	step(200, "GET", at(vault, name1), "2018-01-01-preview", "")
	step(200, "GET", at(vault, name1), "2015-07-01", "")
	step(201, "PUT", at(sub, name2), newest, assignment(authz.RoleOwner, bob))
	step(200, "GET", at(vault, "")+"?$filter=atScope()", newest, "")
	step(200, "GET", at(group, "")+"?$filter=atScope()", newest, "")
	step(200, "GET", at(sub, "")+"?$filter=principalId+eq+%27"+bob+"%27", newest, "")
	step(200, "GET", at(sub, "")+"?$filter=atScope()+and+assignedTo('"+alice+"')", newest, "")
	step(200, "GET", vault+"/providers/Microsoft.Authorization/permissions", newest, "")
	step(400, "DELETE", at(sub, name2), newest, "")
	step(200, "DELETE", at(vault, name1), newest, "")
	step(204, "DELETE", at(vault, name1), newest, "")
	step(404, "GET", at(vault, name1), newest, "")
	golden.Compare(t, "assignments.txt", out.String())
}

// Whoever asks for it hears the scope of every committed change, and of nothing else.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	var told []string
	engine := authz.New(authz.Config{Store: memstore.New(), Now: time.Now})
	f := fixture{authorization.New(authorization.Config{Engine: engine, Principals: principals{}, TenantID: tenant, Changed: func(scope string) { told = append(told, scope) }}), engine}
	const newest = "2022-04-01"
	for _, s := range []struct {
		method, path, body string
		status             int
	}{
		{"PUT", at(vault, name1), assignment(reader, alice), 201},
		{"PUT", at(vault, name1), assignment(reader, alice), 200}, // nothing changes
		{"PUT", at(vault, name2), assignment("nonsense", alice), 400},
		{"GET", at(vault, name1), "", 200},
		{"DELETE", at(vault, name1), "", 200},
		{"DELETE", at(vault, name1), "", 204},
	} {
		if status, text := f.call(t, s.method, s.path, newest, s.body); status != s.status {
			t.Errorf("%s %s: %d %s", s.method, s.path, status, text)
		}
	}
	if diff := cmp.Diff([]string{vault, vault}, told); diff != "" {
		t.Errorf("told (-want +got)\n%s", diff)
	}
}

func TestAssignmentRefusals(t *testing.T) {
	t.Parallel()
	f := open()
	if status, text := f.call(t, "PUT", at(vault, name1), "2022-04-01", assignment(reader, alice)); status != 201 {
		t.Fatal(status, text)
	}
	var out strings.Builder
	for _, tc := range []struct{ name, path, body string }{
		{"name that is no GUID", at(vault, "x"), assignment(reader, alice)},
		{"no body", at(vault, name2), ""},
		{"no properties", at(vault, name2), `{"name":"x"}`},
		{"unknown role", at(vault, name2), assignment("33333333-0000-4000-8000-000000000003", alice)},
		{"role without its id", at(vault, name2), `{"properties":{"roleDefinitionId":"` + reader + `","principalId":"` + alice + `"}}`},
		{"role of another subscription", at(vault, name2), strings.Replace(assignment(reader, alice), "000000000001", "000000000009", 1)},
		{"unknown principal", at(vault, name2), assignment(reader, "cccccccc-0000-4000-8000-000000000003")},
		{"client id for object id", at(vault, name2), assignment(reader, bobApp)},
		{"principal that is no GUID", at(vault, name2), assignment(reader, "alice")},
		{"wrong type of principal", at(vault, name2), assignment(reader, bob, `"principalType":"User"`)},
		{"no type of principal", at(vault, name2), assignment(reader, bob, `"principalType":"Robot"`)},
		{"condition", at(vault, name2), assignment(reader, bob, `"condition":"@Resource[x] StringEquals 'y'"`)},
		{"delegated identity", at(vault, name2), assignment(reader, bob, `"delegatedManagedIdentityResourceId":"/x"`)},
		{"the same by another name", at(vault, name2), assignment(reader, alice)},
		{"another principal by the same name", at(vault, name1), assignment(reader, bob)},
		{"another role by the same name", at(vault, name1), assignment(authz.RoleOwner, alice)},
		{"another scope by the same name", at(group, name1), assignment(reader, alice)},
	} {
		status, text := f.call(t, "PUT", tc.path, "2022-04-01", tc.body)
		if status < 400 {
			t.Errorf("%s: %d %s", tc.name, status, text)
		}
		fmt.Fprintf(&out, "%s\n  %d %s\n", tc.name, status, text)
	}
	for _, filter := range []string{"principalId eq x", "principalId eq '1' or principalId eq '2'", "assignedTo()", "atScope('x')", "roleName eq 'Owner'", "and", "principalId eq '1' and principalId eq '2'", "atScope("} {
		status, text := f.call(t, "GET", at(vault, "")+"?$filter="+url.QueryEscape(filter), "2022-04-01", "")
		if status != 400 {
			t.Errorf("%s: %d", filter, status)
		}
		fmt.Fprintf(&out, "filter %s\n  %d %s\n", filter, status, text)
	}
	golden.Compare(t, "assignment_refusals.txt", out.String())
	all, err := f.engine.List(t.Context(), authz.Filter{Scope: "/"})
	if err != nil || len(all) != 1 {
		t.Errorf("refusals left %d assignments, %v", len(all), err)
	}
}

func TestDefinitions(t *testing.T) {
	t.Parallel()
	f := open()
	if err := f.engine.GrantTenantOwner(t.Context(), alice); err != nil {
		t.Fatal(err)
	}
	mine := func(name, more string) string {
		return `{"properties":{"roleName":"` + name + `","description":"d","permissions":[{"actions":["Microsoft.Kusto/*/read"],"notActions":[]` + more + `}],"assignableScopes":["` + sub + `"]}}`
	}
	path := func(scope, rest string) string {
		return scope + "/providers/Microsoft.Authorization/roleDefinitions" + rest
	}
	var out strings.Builder
	for _, tc := range []struct {
		want               int
		method, path, body string
	}{
		{200, "GET", path(vault, "?$filter=roleName+eq+'key+vault+crypto+service+encryption+user'"), ""},
		{200, "GET", path("", "?$filter=roleName+eq+'Owner'+and+type+eq+'BuiltInRole'"), ""},
		{200, "GET", path(sub, "?$filter=type+eq+'CustomRole'"), ""},
		{200, "GET", path(sub, "?$filter=roleName+eq+'Nobody''s'"), ""},
		{200, "GET", path(sub, "/"+strings.ToUpper(reader)), ""},
		{404, "GET", path(sub, "/"+name1), ""},
		{400, "PUT", path(sub, "/"+name1), `{"properties":{"roleName":"mine"}}`},
		{400, "PUT", path(sub, "/"+reader), `{"properties":{"roleName":"mine"}}`},
		{400, "PUT", path(sub, "/x"), mine("mine", "")},
		{400, "PUT", path(sub, "/"+name1), strings.Replace(mine("mine", ""), `"`+sub+`"`, "", 1)},
		{400, "PUT", path(sub, "/"+name1), strings.Replace(mine("mine", ""), `"`+sub+`"`, `"/"`, 1)},
		{400, "PUT", path(sub, "/"+name1), mine("mine", `,"dataActions":["rubbish"]`)},
		{409, "PUT", path(sub, "/"+name1), mine("owner", "")},
		{201, "PUT", path(sub, "/"+name1), mine("mine", `,"dataActions":["Microsoft.KeyVault/vaults/keys/read"]`)},
		{409, "PUT", path(sub, "/"+name2), mine("Mine", "")},
		{200, "GET", path(sub, "/"+name1), ""},
		{200, "GET", path(vault, "?$filter=type+eq+'CustomRole'"), ""},
		{200, "GET", path("/subscriptions/6f0c2b8e-0000-4000-8000-000000000002", "?$filter=type+eq+'CustomRole'"), ""},
		{201, "PUT", at(sub, name2), assignment(name1, bob)},
		{400, "PUT", at("/subscriptions/6f0c2b8e-0000-4000-8000-000000000002", "33333333-0000-4000-8000-000000000003"), strings.Replace(assignment(name1, bob), sub, "", 1)},
		{400, "DELETE", path(sub, "/"+name1), ""},
		{400, "PUT", path(sub, "/"+name1), strings.Replace(mine("mine", ""), `"`+sub+`"`, `"`+group+`"`, 1)},
		{200, "DELETE", at(sub, name2), ""},
		{200, "DELETE", path(sub, "/"+name1), ""},
		{200, "GET", sub + "/providers/Microsoft.Authorization/denyAssignments", ""},
		{400, "DELETE", path(sub, "/"+reader), ""},
		{204, "DELETE", path(sub, "/"+name1), ""},
		{400, "GET", path(sub, "?$filter=colour+eq+'red'"), ""},
		{405, "PATCH", path(sub, "/"+reader), "{}"},
	} {
		status, text := f.call(t, tc.method, tc.path, "2022-04-01", tc.body)
		if status != tc.want {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, status, text)
		}
		fmt.Fprintf(&out, "%s %s\n%d %s\n\n", tc.method, tc.path, status, text)
	}
	golden.Compare(t, "definitions.txt", out.String())
	_, text := f.call(t, "GET", path(sub, "?$filter=atScopeAndBelow()"), "2022-04-01", "")
	if got := strings.Count(text, `"BuiltInRole"`); got != len(authz.Roles()) {
		t.Errorf("%d of %d roles listed", got, len(authz.Roles()))
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	f := open()
	for body, wantErr := range map[string]bool{
		assignment(reader, alice):                                  false,
		assignment(reader, "cccccccc-0000-4000-8000-000000000003"): false, // may be made by the same template
		assignment(name1, alice):                                   true,
		`{}`:                                                       true,
	} {
		id, err := ids.Parse(at(vault, name1))
		if err != nil {
			t.Fatal(err)
		}
		err = f.Preflight(t.Context(), &provider.Request{Method: http.MethodPut, ID: id, Body: json.RawMessage(body)})
		if (err != nil) != wantErr {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"atScope()", "atScope() and assignedTo('x')", "principalId eq 'it''s'", "a eq '", "and and", "x( 'y' )"} {
		f.Add(s)
	}
	fix := open()
	f.Fuzz(func(t *testing.T, filter string) {
		id, err := ids.Parse(at(vault, ""))
		if err != nil {
			t.Fatal(err)
		}
		_, err = fix.Handle(t.Context(), &provider.Request{Method: "GET", ID: id, Shape: "2022-04-01", Query: url.Values{"$filter": {filter}}})
		if e := azerr.From(err); e != nil && e.Status != 400 {
			t.Errorf("%q: %v", filter, err)
		}
	})
}

// TestAssignmentToGroup gives a role to a group: listed for its members by
// assignedTo, and not by principalId.
func TestAssignmentToGroup(t *testing.T) {
	t.Parallel()
	f := open()
	call := func(method, path, body string) (int, string) {
		t.Helper()
		status, text := f.call(t, method, path, "2022-04-01", body)
		return status, text
	}
	if status, text := call("PUT", at(vault, name1), assignment(reader, staff, `"principalType":"User"`)); status != 400 {
		t.Errorf("a wrong type: %d %s", status, text)
	}
	if status, text := call("PUT", at(vault, name1), assignment(reader, staff, `"principalType":"Group"`)); status != 201 || !strings.Contains(text, `"principalType": "Group"`) {
		t.Fatalf("%d %s", status, text)
	}
	for filter, want := range map[string]bool{
		"assignedTo('" + alice + "')": true, "assignedTo('" + bob + "')": false, "assignedTo('" + staff + "')": true,
		"principalId eq '" + alice + "'": false, "principalId eq '" + staff + "'": true,
	} {
		status, text := call("GET", at(vault, "")+"?$filter="+url.QueryEscape(filter), "")
		if status != 200 || strings.Contains(text, staff) != want {
			t.Errorf("%s: %d %s", filter, status, text)
		}
	}
}
