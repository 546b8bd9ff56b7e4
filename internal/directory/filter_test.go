package directory

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFilterParsesAndPrints(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"appId eq 'x'":                                 "appId eq 'x'",
		"  displayName   EQ 'it''s'  ":                 "displayName eq 'it''s'",
		"servicePrincipalNames/any(c:c eq 'x')":        "servicePrincipalNames/any(c:c eq 'x')",
		"servicePrincipalNames/any(name: name eq 'x')": "servicePrincipalNames/any(c:c eq 'x')",
		"startswith(displayName,'a b')":                "startswith(displayName,'a b')",
		"startsWith( displayName , 'a')":               "startswith(displayName,'a')",
		"a eq '1' or b eq '2' and c eq '3'":            "(a eq '1' or (b eq '2' and c eq '3'))",
		"(a eq '1' or b eq '2') and c eq '3'":          "((a eq '1' or b eq '2') and c eq '3')",
		"displayName eq ''":                            "displayName eq ''",
		"displayName eq 'größe 漢'":                     "displayName eq 'größe 漢'",
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if f.String() != want {
			t.Errorf("%s prints as %s, want %s", text, f, want)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                   "expected a property or a function at position 0, found the end",
		"appId":                              "expected 'eq' at position 5, found the end",
		"appId ne 'x'":                       "expected 'eq' at position 6, found ne",
		"appId eq x":                         "expected a text in single quotes at position 9, found x",
		"appId eq 'x":                        `expected a text in single quotes at position 9, found "'"`,
		"appId eq 'x' and":                   "expected a property or a function at position 16, found the end",
		"appId eq 'x' x":                     "expected 'and', 'or' or the end at position 13, found x",
		"(appId eq 'x'":                      "expected ')' at position 13, found the end",
		"endswith(a,'x')":                    "the function 'endswith' is not supported",
		"startswith(a 'x')":                  "expected ',' at position 13, found x",
		"names/all(c:c eq 'x')":              "expected 'any' at position 6, found all",
		"names/any(c:d eq 'x')":              "expected 'c' at position 12, found d",
		"appId eq 'x' & b":                   `expected 'and', 'or' or the end at position 13, found "&"`,
		strings.Repeat("(", 40) + "a eq 'x'": "parentheses are nested deeper than 32",
		strings.Repeat("x", 5000):            "the filter is longer than 4096 bytes",
	} {
		if _, err := parseFilter(text); err == nil || err.Error() != want {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func TestFilterMatches(t *testing.T) {
	t.Parallel()
	p := principal{ObjectID: "oid", AppID: "app", DisplayName: "Data Loader", Kind: kindApplication}
	for text, want := range map[string]bool{
		"appId eq 'APP'":                                 true,
		"appId eq 'ap'":                                  false,
		"displayName eq 'data loader'":                   true,
		"startswith(displayName,'data')":                 true,
		"startswith(displayName,'loader')":               false,
		"startswith(displayName,'data loader and more')": false,
		"servicePrincipalNames/any(c:c eq 'app')":        true,
		"servicePrincipalNames/any(c:c eq 'oid')":        false,
		"appId eq 'x' or id eq 'oid'":                    true,
		"appId eq 'x' and id eq 'oid'":                   false,
		"appId eq 'x' and id eq 'oid' or id eq 'oid'":    true,
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.matches(p); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func anyFilter(t *rapid.T, depth int) filter {
	if depth > 0 && rapid.Bool().Draw(t, "junction") {
		return junction{or: rapid.Bool().Draw(t, "or"), left: anyFilter(t, depth-1), right: anyFilter(t, depth-1)}
	}
	return comparison{name: rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9_.]{0,8}`).Draw(t, "name"), text: rapid.String().Draw(t, "text"),
		kind: comparisonKind(rapid.IntRange(0, 2).Draw(t, "kind"))}
}

func TestFilterParseOfPrintIsIdentity(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := anyFilter(t, 4)
		if len(f.String()) > maxFilterBytes {
			return
		}
		back, err := parseFilter(f.String())
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if diff := cmp.Diff(f, back, cmp.AllowUnexported(comparison{}, junction{})); diff != "" {
			t.Fatalf("%s (-want +got)\n%s", f, diff)
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, text := range []string{"", "appId eq 'x'", "servicePrincipalNames/any(c:c eq 'x')", "startswith(displayName,'it''s')", "(a eq '1' or b eq '2') and c eq '3'", "((((", "a eq '", "\x00'", "a/any(c:c eq 'x'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseFilter(text)
		if err != nil {
			return
		}
		printed := parsed.String()
		if len(printed) > maxFilterBytes {
			return
		}
		again, err := parseFilter(printed)
		if err != nil && !strings.Contains(err.Error(), "nested deeper") {
			t.Fatalf("%q prints as %q, which does not parse: %v", text, printed, err)
		}
		if err == nil && again.String() != printed {
			t.Fatalf("%q prints as %q and then as %q", text, printed, again)
		}
	})
}
