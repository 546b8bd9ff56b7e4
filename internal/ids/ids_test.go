package ids_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/ids"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const sub = "/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333"
	tests := map[string]struct {
		in, out, typ, name string
	}{
		"tenant":          {"/", "/", "", ""},
		"subscription":    {sub, sub, "", ""},
		"resource group":  {sub + "/resourcegroups/rg1", sub + "/resourceGroups/rg1", "", ""},
		"cluster":         {sub + "/resourcegroups/rg1/providers/Microsoft.Kusto//clusters/x", sub + "/resourceGroups/rg1/providers/Microsoft.Kusto/clusters/x", "Microsoft.Kusto/clusters", "x"},
		"database":        {sub + "/resourceGroups/rg1/providers/Microsoft.Kusto/clusters/x/databases/d b", sub + "/resourceGroups/rg1/providers/Microsoft.Kusto/clusters/x/databases/d b", "Microsoft.Kusto/clusters/databases", "d b"},
		"collection":      {sub + "/providers/Microsoft.KeyVault/vaults", sub + "/providers/Microsoft.KeyVault/vaults", "Microsoft.KeyVault/vaults", ""},
		"extension":       {sub + "/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/providers/Microsoft.Authorization/roleAssignments/r", sub + "/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/providers/Microsoft.Authorization/roleAssignments/r", "Microsoft.Authorization/roleAssignments", "r"},
		"tenant resource": {"/providers/Microsoft.Management/managementGroups/mg", "/providers/Microsoft.Management/managementGroups/mg", "Microsoft.Management/managementGroups", "mg"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, err := ids.Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{id.String(), id.Type(), id.Name()}
			if diff := cmp.Diff([]string{tt.out, tt.typ, tt.name}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "subscriptions/x", "/subscriptions", "/subscriptions/x/resourceGroups", "/nonsense/x", "/subscriptions/x/providers"} {
		if id, err := ids.Parse(in); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, id)
		}
	}
}

func TestExtensionScope(t *testing.T) {
	t.Parallel()
	id, err := ids.Parse("/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v/providers/Microsoft.Authorization/locks/l")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := id.Scope().String(), "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"; got != want {
		t.Errorf("Scope() = %q, want %q", got, want)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/subscriptions/s/resourceGroups/g/providers/Microsoft.Kusto/clusters/c/databases/d")
	f.Add("/providers/A/b/providers/C/d/e")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ids.Parse(text)
		if err != nil {
			return
		}
		again, err := ids.Parse(id.String())
		if err != nil {
			t.Fatalf("Parse(%q).String() = %q does not parse: %v", text, id, err)
		}
		if again.Key() != id.Key() {
			t.Fatalf("%q prints as %q, which parses to %q", text, id, again)
		}
	})
}

func TestGUID(t *testing.T) {
	t.Parallel()
	a, b := ids.NewGUID(), ids.NewGUID()
	if !ids.IsGUID(a) || a == b {
		t.Errorf("NewGUID gave %q and %q", a, b)
	}
	for _, bad := range []string{"", "x", a + "0", "0b1f6471-1bf0-4dda-aec3-11112222333g"} {
		if ids.IsGUID(bad) {
			t.Errorf("IsGUID(%q)", bad)
		}
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	l := ids.ParseLocation("West Europe")
	if l != "westeurope" || l.Display() != "West Europe" || !l.Known() || ids.ParseLocation("Mars").Known() {
		t.Errorf("location %q %q", l, l.Display())
	}
}

func TestGUIDRoundTrip(t *testing.T) {
	t.Parallel()
	text := ids.NewGUID()
	b, err := ids.ParseGUID(strings.ToUpper(text))
	if err != nil || ids.FormatGUID(b) != text {
		t.Errorf("%s became %s, %v", text, ids.FormatGUID(b), err)
	}
	if _, err := ids.ParseGUID(text[1:]); err == nil {
		t.Error("a short guid was taken")
	}
}
