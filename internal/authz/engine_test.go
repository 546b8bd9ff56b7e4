package authz_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/test/golden"
)

const (
	sub   = "/subscriptions/6f0c2b8e-0000-4000-8000-000000000001"
	group = sub + "/resourceGroups/RG1"
	vault = group + "/providers/Microsoft.KeyVault/vaults/kv1"
	key   = vault + "/keys/key1"
)

func alice() authz.Principal {
	return authz.Principal{ObjectID: "aaaaaaaa-0000-4000-8000-000000000001"}
}
func bob() authz.Principal { return authz.Principal{ObjectID: "bbbbbbbb-0000-4000-8000-000000000002"} }

type fixture struct {
	*authz.Engine
	store store.Store
	log   *strings.Builder
}

func engine() fixture {
	st, log := memstore.New(), &strings.Builder{}
	now := func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }
	return fixture{authz.New(authz.Config{Store: st, Now: now, Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}), st, log}
}

func roleID(t *testing.T, name string) string {
	t.Helper()
	for _, r := range authz.Roles() {
		if r.Name == name {
			return r.ID
		}
	}
	t.Fatalf("no role %q", name)
	return ""
}

func (f fixture) assign(t *testing.T, p authz.Principal, role, scope string) authz.Assignment {
	t.Helper()
	a, created, err := f.Create(t.Context(), authz.Assignment{Name: ids.NewGUID(), Scope: scope, RoleID: roleID(t, role), PrincipalID: p.ObjectID, PrincipalType: "ServicePrincipal"})
	if err != nil || !created {
		t.Fatalf("assign %s at %s: created %v, %v", role, scope, created, err)
	}
	return a
}

func (f fixture) allowed(t *testing.T, p authz.Principal, action, scope string, data bool) bool {
	t.Helper()
	decide := f.Authorize
	if data {
		decide = f.AuthorizeData
	}
	d, err := decide(t.Context(), p, action, scope)
	if err != nil {
		t.Fatal(err)
	}
	if d.Rule == "" {
		t.Error("a decision names no rule")
	}
	return d.Allowed
}

// actions are asked of every role; the data actions stand below.
func actions() []string {
	return []string{
		"Microsoft.Kusto/clusters/read", "Microsoft.Kusto/clusters/write", "Microsoft.Kusto/clusters/stop/action",
		"Microsoft.KeyVault/vaults/read", "Microsoft.KeyVault/vaults/write", "Microsoft.KeyVault/locations/deletedVaults/purge/action",
		"Microsoft.Resources/deployments/write", "Microsoft.Resources/subscriptions/resourceGroups/write",
		"Microsoft.Authorization/roleAssignments/read", "Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete",
		"Microsoft.ManagedIdentity/userAssignedIdentities/write", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
		"microsoft.directory/applications/create",
	}
}

func dataActions() []string {
	out := []string{"Microsoft.KeyVault/vaults/keyrotationpolicies/read", "Microsoft.KeyVault/vaults/keyrotationpolicies/write",
		"Microsoft.KeyVault/vaults/secrets/getSecret/action", "Microsoft.KeyVault/vaults/secrets/readMetadata/action", "Microsoft.KeyVault/vaults/secrets/setSecret/action"}
	for _, op := range strings.Fields("read create/action import/action update/action delete recover/action purge/action backup/action restore/action encrypt/action decrypt/action wrap/action unwrap/action sign/action verify/action rotate/action release/action") {
		out = append(out, "Microsoft.KeyVault/vaults/keys/"+op)
	}
	return out
}

func TestRoleMatrix(t *testing.T) {
	t.Parallel()
	short := func(a string) string {
		return strings.NewReplacer("Microsoft.KeyVault/vaults/", "", "Microsoft.", "", "/action", "").Replace(a)
	}
	var out strings.Builder
	for _, role := range authz.Roles() {
		f := engine()
		f.assign(t, alice(), role.Name, vault)
		out.WriteString(role.ID + " " + role.Name + "\n")
		for _, list := range []struct {
			name    string
			actions []string
			data    bool
		}{{"actions", actions(), false}, {"data actions", dataActions(), true}} {
			var granted []string
			for _, a := range list.actions {
				if f.allowed(t, alice(), a, key, list.data) {
					granted = append(granted, short(a))
				}
				if f.allowed(t, bob(), a, key, list.data) {
					t.Errorf("%s of alice gives %s to bob", role.Name, a)
				}
				if f.allowed(t, alice(), a, group, list.data) {
					t.Errorf("%s at a vault gives %s at its group", role.Name, a)
				}
			}
			out.WriteString("  " + list.name + ": " + strings.Join(granted, ", ") + "\n")
		}
	}
	golden.Compare(t, "role_matrix.txt", out.String())
}

func TestInheritance(t *testing.T) {
	t.Parallel()
	const read = "Microsoft.KeyVault/vaults/keys/read"
	scopes := []string{"/", sub, group, vault, key}
	for i, granted := range scopes {
		f := engine()
		f.assign(t, alice(), "Key Vault Administrator", granted)
		for j, asked := range scopes {
			if got := f.allowed(t, alice(), read, strings.ToUpper(asked), true); got != (j >= i) {
				t.Errorf("granted at %s, asked at %s: %v", granted, asked, got)
			}
		}
		for _, asked := range []string{sub + "0", group + "x", vault + "2", key + "2", "", "nonsense", "subscriptions/x", sub + "/x"} {
			if granted != "/" && strings.HasPrefix(asked, granted+"/") {
				continue
			}
			if granted == "/" && strings.HasPrefix(asked, "/subscriptions") && asked != sub+"/x" {
				continue
			}
			if f.allowed(t, alice(), read, asked, true) {
				t.Errorf("granted at %s, allowed at %q", granted, asked)
			}
		}
	}
}

func TestDenyByDefault(t *testing.T) {
	t.Parallel()
	f := engine()
	for _, p := range []authz.Principal{{}, alice(), {TenantID: "t", AppID: "a"}} {
		if f.allowed(t, p, "Microsoft.Kusto/clusters/read", sub, false) {
			t.Errorf("%+v is allowed", p)
		}
	}
	f.assign(t, alice(), "Owner", sub)
	for _, tc := range []struct{ action, scope string }{{"", sub}, {"Microsoft.Kusto/clusters/read", "/"}, {"Microsoft.Kusto/clusters/read", "/subscriptions/other"}, {"microsoft.directory/applications/create", "/"}, {"Microsoft.Directory/applications/create", sub}} {
		if f.allowed(t, alice(), tc.action, tc.scope, false) {
			t.Errorf("%+v is allowed", tc)
		}
	}
	if !strings.Contains(f.log.String(), `"msg":"authorisation decision"`) || !strings.Contains(f.log.String(), "no role assignment grants it") {
		t.Error("decisions are not in the log")
	}
	for scope, want := range map[string]bool{"/": true, "/providers/Microsoft.Authorization/roleDefinitions/" + authz.RoleOwner: true, sub: false, vault: false} {
		if got := f.allowed(t, bob(), "Microsoft.Authorization/roleDefinitions/read", scope, false); got != want {
			t.Errorf("role definitions at %s: %v", scope, got)
		}
		if f.allowed(t, authz.Principal{}, "Microsoft.Authorization/roleDefinitions/read", scope, false) {
			t.Errorf("role definitions at %s for nobody", scope)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := f.Authorize(cancelled, alice(), "Microsoft.Kusto/clusters/read", sub); err == nil || d.Allowed {
		t.Errorf("no store, yet decided: %+v, %v", d, err)
	}
}

func TestSubscriptionIsVisibleByAnyRoleInIt(t *testing.T) {
	t.Parallel()
	f := engine()
	f.assign(t, alice(), "Key Vault Crypto User", key)
	for _, tc := range []struct {
		p             authz.Principal
		action, scope string
		want          bool
	}{
		{alice(), "Microsoft.Resources/subscriptions/read", sub, true},
		{alice(), "Microsoft.Resources/subscriptions/read", sub + "1", false},
		{alice(), "Microsoft.Resources/subscriptions/read", "/", false},
		{alice(), "Microsoft.Resources/subscriptions/read", group, false},
		{alice(), "Microsoft.Resources/subscriptions/resourceGroups/read", sub, false},
		{alice(), "Microsoft.Resources/subscriptions/write", sub, false},
		{bob(), "Microsoft.Resources/subscriptions/read", sub, false},
	} {
		if got := f.allowed(t, tc.p, tc.action, tc.scope, false); got != tc.want {
			t.Errorf("%s at %s: %v", tc.action, tc.scope, got)
		}
		if f.allowed(t, tc.p, tc.action, tc.scope, true) {
			t.Errorf("%s at %s as data", tc.action, tc.scope)
		}
	}
}

func TestFirstPartyReadsOnly(t *testing.T) {
	t.Parallel()
	f := engine()
	f.assign(t, alice(), "Owner", sub)
	p := authz.Principal{ObjectID: alice().ObjectID, FirstParty: "Microsoft.Kusto"}
	if !f.allowed(t, p, "Microsoft.KeyVault/vaults/read", vault, false) {
		t.Error("a first party may not read")
	}
	for _, action := range []string{"Microsoft.KeyVault/vaults/write", "Microsoft.KeyVault/vaults/delete", "Microsoft.KeyVault/vaults/read/action", "read"} {
		if f.allowed(t, p, action, vault, false) {
			t.Errorf("a first party may %s", action)
		}
	}
	if f.allowed(t, p, "Microsoft.KeyVault/vaults/keys/read", vault, true) {
		t.Error("a first party reads data")
	}
}

func TestGrantsAreMadeOnce(t *testing.T) {
	t.Parallel()
	f := engine()
	subscription := strings.TrimPrefix(sub, "/subscriptions/")
	for range 2 {
		if err := f.GrantOwner(t.Context(), subscription, strings.ToUpper(alice().ObjectID)); err != nil {
			t.Fatal(err)
		}
		if err := f.GrantDirectoryAdministrator(t.Context(), alice().ObjectID); err != nil {
			t.Fatal(err)
		}
	}
	owners, err := f.List(t.Context(), authz.Filter{Scope: sub})
	if err != nil || len(owners) != 1 {
		t.Fatalf("%d owners, %v", len(owners), err)
	}
	if !f.allowed(t, alice(), "Microsoft.Kusto/clusters/write", group, false) || !f.allowed(t, alice(), "microsoft.directory/applications/create", "/", false) {
		t.Error("the grants do not work")
	}
	if f.allowed(t, bob(), "microsoft.directory/applications/create", "/", false) {
		t.Error("everyone is a directory administrator")
	}
	if _, err := f.Delete(t.Context(), sub, owners[0].Name); !errors.Is(err, authz.ErrLastOwner) {
		t.Errorf("the last owner was deleted: %v", err)
	}
	f.assign(t, bob(), "Owner", sub)
	if _, err := f.Delete(t.Context(), sub, owners[0].Name); err != nil {
		t.Fatal(err)
	}
	if err := f.GrantOwner(t.Context(), subscription, alice().ObjectID); err != nil {
		t.Fatal(err)
	}
	if f.allowed(t, alice(), "Microsoft.Kusto/clusters/read", sub, false) {
		t.Error("a deleted owner came back")
	}
}

func TestAssignmentLife(t *testing.T) {
	t.Parallel()
	f := engine()
	a := f.assign(t, alice(), "Reader", group)
	got, err := f.Get(t.Context(), strings.ToLower(group), strings.ToUpper(a.Name))
	if diff := cmp.Diff(a, got); err != nil || diff != "" {
		t.Fatalf("%v (-want +got)\n%s", err, diff)
	}
	if _, err := f.Get(t.Context(), vault, a.Name); !errors.Is(err, authz.ErrAssignmentNotFound) {
		t.Errorf("found at another scope: %v", err)
	}

	again, created, err := f.Create(t.Context(), a)
	if err != nil || created || cmp.Diff(a, again) != "" {
		t.Errorf("the same again: created %v, %v", created, err)
	}
	described := a
	described.Description = "why"
	if got, created, err := f.Create(t.Context(), described); err != nil || created || got.Description != "why" {
		t.Errorf("new description: %+v, %v", got, err)
	}
	for name, change := range map[string]func(*authz.Assignment){
		"scope":     func(a *authz.Assignment) { a.Scope = vault },
		"role":      func(a *authz.Assignment) { a.RoleID = authz.RoleOwner },
		"principal": func(a *authz.Assignment) { a.PrincipalID = bob().ObjectID },
	} {
		other := a
		change(&other)
		if _, _, err := f.Create(t.Context(), other); !errors.Is(err, authz.ErrAssignmentImmutable) {
			t.Errorf("changed %s: %v", name, err)
		}
	}
	twin := a
	twin.Name = ids.NewGUID()
	twin.Scope = strings.ToUpper(group)
	var exists *authz.AssignmentExistsError
	if _, _, err := f.Create(t.Context(), twin); !errors.As(err, &exists) || exists.Name != a.Name {
		t.Errorf("a second assignment of the same: %v", err)
	}
	unknown := twin
	unknown.RoleID = ids.NewGUID()
	if _, _, err := f.Create(t.Context(), unknown); !errors.Is(err, authz.ErrRoleNotFound) {
		t.Errorf("unknown role: %v", err)
	}

	if _, err := f.Delete(t.Context(), vault, a.Name); !errors.Is(err, authz.ErrAssignmentNotFound) {
		t.Errorf("deleted at another scope: %v", err)
	}
	if _, err := f.Delete(t.Context(), group, a.Name); err != nil {
		t.Fatal(err)
	}
	if f.allowed(t, alice(), "Microsoft.Kusto/clusters/read", group, false) {
		t.Error("a deleted assignment still grants")
	}
}

func TestListAndRemoveScope(t *testing.T) {
	t.Parallel()
	f := engine()
	at := map[string]string{}
	for name, scope := range map[string]string{"sub": sub, "group": group, "vault": vault, "vault2": vault + "2", "key": key} {
		at[f.assign(t, alice(), "Reader", scope).Name] = name
	}
	at[f.assign(t, bob(), "Reader", vault).Name] = "bob"
	list := func(filter authz.Filter) map[string]bool {
		found, err := f.List(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for _, a := range found {
			got[at[a.Name]] = true
		}
		return got
	}
	all := func(names ...string) map[string]bool {
		m := map[string]bool{}
		for _, n := range names {
			m[n] = true
		}
		return m
	}
	for _, tc := range []struct {
		filter authz.Filter
		want   map[string]bool
	}{
		{authz.Filter{Scope: vault}, all("sub", "group", "vault", "key", "bob")},
		{authz.Filter{Scope: vault, AtScope: true}, all("sub", "group", "vault", "bob")},
		{authz.Filter{Scope: vault, PrincipalIDs: []string{strings.ToUpper(bob().ObjectID)}}, all("bob")},
		{authz.Filter{Scope: sub, AtScope: true}, all("sub")},
		{authz.Filter{Scope: "/"}, all("sub", "group", "vault", "vault2", "key", "bob")},
	} {
		if diff := cmp.Diff(tc.want, list(tc.filter)); diff != "" {
			t.Errorf("%+v (-want +got)\n%s", tc.filter, diff)
		}
	}
	err := f.store.Update(t.Context(), func(tx store.Tx) error { return f.RemoveScope(tx, strings.ToUpper(vault)) })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all("sub", "group", "vault2"), list(authz.Filter{Scope: "/"})); diff != "" {
		t.Errorf("after RemoveScope (-want +got)\n%s", diff)
	}
	permissions, err := f.Permissions(t.Context(), alice(), vault)
	if err != nil || len(permissions) != 2 {
		t.Errorf("permissions %v, %v", permissions, err)
	}
}
