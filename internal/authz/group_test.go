package authz_test

import (
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/authz"
)

const staff = "33333333-aaaa-4aaa-8aaa-000000000001"

// TestRightsThroughGroups: a role of a group is its members', and nothing else is.
func TestRightsThroughGroups(t *testing.T) {
	t.Parallel()
	f := engine()
	reader, ok := authz.Role("acdd72a7-3385-48ef-bd42-f606fba81ae7")
	if !ok {
		t.Fatal("no Reader")
	}
	_, _, err := f.Create(t.Context(), authz.Assignment{Name: "33333333-aaaa-4aaa-8aaa-0000000000aa", Scope: vault, RoleID: reader.ID, PrincipalID: staff, PrincipalType: "Group"})
	if err != nil {
		t.Fatal(err)
	}
	member, stranger := alice(), bob()
	member.Groups = []string{"33333333-aaaa-4aaa-8aaa-000000000002", strings.ToUpper(staff)}
	group := authz.Principal{Groups: []string{staff}} // nobody in it
	tests := []struct {
		name   string
		p      authz.Principal
		action string
		scope  string
		want   bool
	}{
		{"member reads", member, "Microsoft.KeyVault/vaults/read", vault, true},
		{"member sees the subscription", member, "Microsoft.Resources/subscriptions/read", vault[:strings.Index(vault, "/resourceGroups")], true},
		{"member writes", member, "Microsoft.KeyVault/vaults/write", vault, false},
		{"stranger reads", stranger, "Microsoft.KeyVault/vaults/read", vault, false},
		{"no object id", group, "Microsoft.KeyVault/vaults/read", vault, false},
		{"directory rights do not come from groups", member, "microsoft.directory/users/standard/read", "/", false},
	}
	for _, tc := range tests {
		got, err := f.Authorize(t.Context(), tc.p, tc.action, tc.scope)
		if err != nil || got.Allowed != tc.want {
			t.Errorf("%s: %+v, %v", tc.name, got, err)
		}
		if got.Allowed && tc.action == "Microsoft.KeyVault/vaults/read" && !strings.Contains(got.Rule, "through group "+staff) {
			t.Errorf("%s: rule %q", tc.name, got.Rule)
		}
	}
	permissions, err := f.Permissions(t.Context(), member, vault)
	if err != nil || len(permissions) != 1 {
		t.Errorf("%v, %v", permissions, err)
	}
	for _, tc := range []struct {
		ids  []string
		want int
	}{{[]string{member.ObjectID}, 0}, {append([]string{member.ObjectID}, member.Groups...), 1}, {[]string{staff, staff}, 1}} {
		if got, err := f.List(t.Context(), authz.Filter{Scope: vault, PrincipalIDs: tc.ids}); err != nil || len(got) != tc.want {
			t.Errorf("%v: %d, %v", tc.ids, len(got), err)
		}
	}
}
