package filter_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/rp/resources/filter"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	vault := filter.Subject{Name: "Vault1", ResourceType: "Microsoft.KeyVault/vaults", ResourceGroup: "Rg1", Location: "westeurope",
		IdentityType: "SystemAssigned", PrincipalID: "p-1", Tags: map[string]string{"Env": "Prod", "team": "x'y"}}
	for text, want := range map[string]bool{
		"resourceType eq 'Microsoft.KeyVault/vaults'":                    true,
		"resourcetype EQ 'microsoft.keyvault/VAULTS'":                    true,
		"resourceType eq 'Microsoft.KeyVault/vaults/keys'":               false,
		"resourceType ne 'Microsoft.Kusto/clusters'":                     true,
		"resourceGroup eq 'rg1' and name eq 'vault1'":                    true,
		"resourceGroup eq 'rg2' or name eq 'vault1'":                     true,
		"name eq 'a' or name eq 'vault1' and resourceGroup eq 'none'":    false,
		"(name eq 'a' or name eq 'vault1') and resourceGroup eq 'rg1'":   true,
		"location eq 'West Europe'":                                      true,
		"tagName eq 'env'":                                               true,
		"tagName eq 'env' and tagValue eq 'Prod'":                        true,
		"tagName eq 'env' and tagValue eq 'prod'":                        false,
		"tagName eq 'env' and tagValue eq 'x''y'":                        false, // another tag has that value
		"tagName eq 'team' and tagValue eq 'x''y'":                       true,
		"tagName eq 'none' or name eq 'vault1'":                          true,
		"startswith(tagName, 'EN')":                                      true,
		"substringof('aul', name)":                                       true,
		"substringof('zzz',name)":                                        false,
		"startswith( name , 'vau' )":                                     true,
		"identity eq 'SystemAssigned' and identity/principalId eq 'p-1'": true,
		"  name   eq   'vault1'  ":                                       true,
		"plan/publisher eq 'x'":                                          false,
		"plan/publisher ne 'x' and name eq 'vault1'":                     true,
		"name eq ''": false,
		"name eq 'vault1' and (tagName eq 'env' or tagName eq 'none')": true,
	} {
		e, err := filter.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := e.Match(vault); got != want {
			t.Errorf("%s = %v", text, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                      "the filter ends early at position 1",
		"name":                                  "the operator '' is not supported for 'name' at position 5",
		"name gt 'a'":                           "the operator 'gt' is not supported for 'name' at position 6",
		"tagName ne 'a'":                        "the operator 'ne' is not supported for 'tagName' at position 9",
		"sku eq 'a'":                            "the property or function 'sku' is not supported at position 1",
		"name eq a":                             "a string in single quotes is expected at position 9",
		"name eq 'a":                            "a string in single quotes is expected at position 9",
		"name eq '":                             "a string in single quotes is expected at position 9",
		"name eq 'a''":                          "the string has no end at position 9",
		"name eq 'a' nonsense":                  "unexpected nonsense at position 13",
		"name eq 'a' and":                       "the filter ends early at position 16",
		"(name eq 'a'":                          "')' is expected at position 13",
		"endswith(name, 'a')":                   "the property or function 'endswith' is not supported at position 1",
		"substringof(name, 'a')":                "a string in single quotes is expected at position 13",
		"startswith(name 'a')":                  "',' is expected at position 17",
		strings.Repeat("(", 60) + "name eq 'a'": "the filter is nested too deeply at position 52",
	} {
		_, err := filter.Parse(text)
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := filter.Parse("name eq 'a'", "tagName", "tagValue"); err == nil {
		t.Error("a property that is not allowed was taken")
	}
}

// exprs draws filters, with values that clash often.
func exprs(depth int) *rapid.Generator[filter.Expr] {
	words := rapid.SampledFrom([]string{"a", "A", "b'c", "", "and", "(", "é", "long name"})
	leaf := rapid.Custom(func(t *rapid.T) filter.Expr {
		p := rapid.SampledFrom([]string{"name", "resourceType", "resourceGroup", "location", "tagName", "tagValue"}).Draw(t, "property")
		if rapid.Bool().Draw(t, "function") {
			return filter.Text{Prefix: rapid.Bool().Draw(t, "prefix"), Property: p, Value: words.Draw(t, "value")}
		}
		return filter.Compare{Property: p, NotEqual: !strings.HasPrefix(p, "tag") && rapid.Bool().Draw(t, "ne"), Value: words.Draw(t, "value")}
	})
	if depth == 0 {
		return leaf
	}
	below := exprs(depth - 1)
	return rapid.OneOf(leaf,
		rapid.Custom(func(t *rapid.T) filter.Expr { return filter.And{Left: below.Draw(t, "l"), Right: below.Draw(t, "r")} }),
		rapid.Custom(func(t *rapid.T) filter.Expr { return filter.Or{Left: below.Draw(t, "l"), Right: below.Draw(t, "r")} }))
}

func subjects() *rapid.Generator[filter.Subject] {
	word := rapid.SampledFrom([]string{"a", "A", "b'c", "", "long name", "longname"})
	return rapid.Custom(func(t *rapid.T) filter.Subject {
		return filter.Subject{Name: word.Draw(t, "name"), ResourceType: word.Draw(t, "type"), ResourceGroup: word.Draw(t, "group"), Location: word.Draw(t, "location"),
			Tags: rapid.MapOfN(word, word, 0, 3).Draw(t, "tags")}
	})
}

func TestParsePrintIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := exprs(4).Draw(t, "filter")
		again, err := filter.Parse(e.String())
		if err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatalf("%s parses to something else (-want +got)\n%s", e, diff)
		}
	})
}

// Match agrees with the plain meaning: some choice of one tag, or of none,
// makes the formula true.
func TestMatchAgreesWithMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e, s := exprs(3).Draw(t, "filter"), subjects().Draw(t, "subject")
		want := meaning(e, s, "", "", false)
		for name, value := range s.Tags {
			want = want || meaning(e, s, name, value, true)
		}
		if got := e.Match(s); got != want {
			t.Fatalf("%s about %+v = %v, want %v", e, s, got, want)
		}
	})
}

func meaning(e filter.Expr, s filter.Subject, name, value string, tagged bool) bool {
	of := func(property string) (string, bool) {
		switch property {
		case "tagName":
			return name, tagged
		case "tagValue":
			return value, tagged
		}
		return map[string]string{"name": s.Name, "resourceType": s.ResourceType, "resourceGroup": s.ResourceGroup, "location": s.Location}[property], true
	}
	switch e := e.(type) {
	case filter.And:
		return meaning(e.Left, s, name, value, tagged) && meaning(e.Right, s, name, value, tagged)
	case filter.Or:
		return meaning(e.Left, s, name, value, tagged) || meaning(e.Right, s, name, value, tagged)
	case filter.Compare:
		text, ok := of(e.Property)
		want := e.Value
		if e.Property == "location" {
			text, want = strings.ReplaceAll(text, " ", ""), strings.ReplaceAll(want, " ", "")
		}
		if e.Property == "tagValue" {
			return ok && text == want
		}
		return ok && strings.EqualFold(text, want) != e.NotEqual
	case filter.Text:
		text, ok := of(e.Property)
		text, part := strings.ToLower(text), strings.ToLower(e.Value)
		return ok && (e.Prefix && strings.HasPrefix(text, part) || !e.Prefix && strings.Contains(text, part))
	}
	panic(fmt.Sprintf("BUG: %T", e))
}

func FuzzParse(f *testing.F) {
	f.Add("resourceType eq 'Microsoft.KeyVault/vaults'")
	f.Add("tagName eq 'a' and (tagValue eq 'b''c' or substringof('x', name))")
	f.Add("((((name eq '")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := filter.Parse(text)
		if err != nil {
			return
		}
		again, err := filter.Parse(e.String())
		if err != nil || again.String() != e.String() {
			t.Fatalf("%q prints as %q, which reads as %v, %v", text, e, again, err)
		}
		e.Match(filter.Subject{Name: text, Tags: map[string]string{text: text}})
	})
}
