package authz

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "Microsoft.Kusto/clusters/write", true},
		{"*", "", true},
		{"*/read", "Microsoft.Kusto/clusters/read", true},
		{"*/read", "Microsoft.Kusto/clusters/READ", true},
		{"*/read", "Microsoft.Kusto/clusters/read/action", false},
		{"*/read", "read", false},
		{"Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/keys/read", true},
		{"Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/secrets/versions/read", true},
		{"Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaults/read", true},
		{"Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/vaultsread", false},
		{"Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action", "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", true},
		{"a/*/b/*/c", "a/b/c", true},
		{"a/*/b/*/c", "a/x/b/c", true},
		{"a/*/b/*/c", "a/c", false},
		{"Microsoft.KeyVault/vaults/keys/*", "Microsoft.KeyVault/vaults/keysets/read", false},
		{"Microsoft.Authorization/*/Write", "microsoft.authorization/roleassignments/write", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "ac", false},
		{"a*a", "a", false},
		{"a**b", "ab", true},
		{"Microsoft.Kusto/clusters/read", "Microsoft.Kusto/clusters/read", true},
		{"Microsoft.Kusto/clusters/read", "Microsoft.Kusto/clusters/readers", false},
		{"", "", true},
		{"", "x", false},
	} {
		if got := matches(tc.pattern, tc.name); got != tc.want {
			t.Errorf("matches(%q, %q) = %v", tc.pattern, tc.name, got)
		}
	}
}

func TestGlobIsTheRegularExpression(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[abA/*]{0,8}`).Draw(t, "pattern")
		name := rapid.StringMatching(`[abB/]{0,10}`).Draw(t, "name")
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		want := regexp.MustCompile("^(?i:" + strings.Join(parts, ".*") + ")$").MatchString(name)
		if got := glob(pattern, name); got != want {
			t.Fatalf("glob(%q, %q) = %v", pattern, name, got)
		}
	})
}

func TestCovers(t *testing.T) {
	t.Parallel()
	vault := "/subscriptions/s/resourcegroups/g/providers/microsoft.keyvault/vaults/v"
	for _, tc := range []struct {
		granted, asked string
		want           bool
	}{
		{"/", vault, true},
		{"/", "/", true},
		{"/subscriptions/s", vault, true},
		{"/subscriptions/s", "/subscriptions/s", true},
		{"/subscriptions/s", "/subscriptions/s2", false},
		{"/subscriptions/s/resourcegroups/g", "/subscriptions/s/resourcegroups/g2", false},
		{vault, vault + "/keys/k", true},
		{vault + "/keys/k", vault + "/keys/k2", false},
		{vault + "/keys/k", vault, false},
		{vault, "/subscriptions/s", false},
	} {
		if got := covers(tc.granted, tc.asked); got != tc.want {
			t.Errorf("covers(%q, %q) = %v", tc.granted, tc.asked, got)
		}
	}
}
