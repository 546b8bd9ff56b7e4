package value_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func TestObjectLookup(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 20} { // below and above the size that has an index
		o := value.NewObject(0)
		for i := range n {
			o.Set(fmt.Sprintf("Name%d", i), int64(i))
		}
		o.Set("NAME1", "other case")
		o.Set("Name0", "replaced")
		for name, want := range map[string]value.Value{"Name0": "replaced", "name0": "replaced", "Name1": int64(1), "NAME1": "other case", "name1": int64(1)} {
			if got, ok := o.Get(name); !ok || got != want {
				t.Errorf("%d members: %s is %v, wanted %v", n, name, got, want)
			}
		}
		if _, ok := o.Get("absent"); ok {
			t.Error("found a member that is not there")
		}
		if o.Members()[0].Name != "Name0" || o.Len() != n+1 {
			t.Errorf("replacing moved a member: %v", o.Members())
		}
		o.Delete("name1")
		if o.Len() != n-1 {
			t.Errorf("delete left %d members", o.Len())
		}
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	parse := func(s string) value.Value {
		v, err := value.FromJSON([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a":1,"b":[2]}`, `{"b":[2],"a":1}`, true},
		{`{"a":1}`, `{"A":1}`, false},
		{`1`, `"1"`, false}, {`1`, `1.0`, false}, {`1`, `1`, true}, {`"x"`, `"X"`, false},
		{`[1,2]`, `[2,1]`, false}, {`null`, `null`, true}, {`null`, `[]`, false}, {`[]`, `{}`, false},
		{`123456789012345678901234567890`, `123456789012345678901234567890`, true},
		{`123456789012345678901234567890`, `123456789012345678901234567891`, false},
		{`true`, `1`, false},
	} {
		if got := value.Equal(parse(c.a), parse(c.b)); got != c.want {
			t.Errorf("Equal(%s, %s) = %v", c.a, c.b, got)
		}
		if got := value.Equal(parse(c.b), parse(c.a)); got != c.want {
			t.Errorf("Equal(%s, %s) = %v", c.b, c.a, got)
		}
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	v, err := value.FromJSON([]byte(`{"z":1,"a":[true,null,1.5,2.0,1e30,123456789012345678901],"s":"q\"'\\\n\u0001é😀\u2028<&>"}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"z":1,"a":[true,null,1.5,2.0,1E+30,123456789012345678901],"s":"q\"'\\\n\u0001é😀\u2028<&>"}`, value.JSON(v)); diff != "" {
		t.Error(diff)
	}
	if got := string(value.AppendSingleQuoted(nil, value.Of(value.Member{Name: "a", Value: "it's"}))); got != `{'a':'it\'s'}` {
		t.Error(got)
	}
	if got := value.JSON(math.Inf(1)); got != `"Infinity"` {
		t.Error(got)
	}
}

// The service's published order: case is looked at last, and then lower case
// comes first; digits come before letters.
func TestCompareText(t *testing.T) {
	t.Parallel()
	want := []string{"", "_x", "-x", "1a", "10", "2", "a", "A", "abc", "abcKey", "ABCKey", "abd", "b", "B", "defKey", "é", "f", "ß", "Ж"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortStableFunc(got, value.CompareText)
	// é sorts with e, before f
	if !slices.Equal(got, []string{"", "_x", "-x", "10", "1a", "2", "a", "A", "abc", "abcKey", "ABCKey", "abd", "b", "B", "defKey", "é", "f", "ß", "Ж"}) {
		t.Error(got)
	}
	if value.CompareText("A", "a") <= 0 || value.CompareText("e", "é") >= 0 || value.CompareText("éa", "eb") >= 0 {
		t.Error("case or accents weigh too much or too little")
	}
}

func TestCompareTextIsAnOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringOf(rapid.SampledFrom([]rune("aAbBéÉ1-_ 'ж")))
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if value.CompareText(a, b) != -value.CompareText(b, a) {
			t.Fatalf("%q and %q are not antisymmetric", a, b)
		}
		if value.CompareText(a, b) <= 0 && value.CompareText(b, c) <= 0 && value.CompareText(a, c) > 0 {
			t.Fatalf("%q %q %q are not transitive", a, b, c)
		}
		if (value.CompareText(a, b) == 0) != (a == b) {
			t.Fatalf("%q and %q compare equal", a, b)
		}
	})
}

// Values draws any value.
func values() *rapid.Generator[value.Value] {
	return rapid.Custom(func(t *rapid.T) value.Value { return draw(t, 3) })
}

func draw(t *rapid.T, depth int) value.Value {
	switch rapid.IntRange(0, 4+min(depth, 2)).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Int64().Draw(t, "int")
	case 3:
		return rapid.Float64Range(-1e300, 1e300).Draw(t, "float")
	case 4:
		return strings.ToValidUTF8(rapid.String().Draw(t, "string"), "?")
	case 5:
		out := make([]value.Value, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range out {
			out[i] = draw(t, depth-1)
		}
		return out
	}
	out := value.NewObject(0)
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		out.Set(rapid.StringMatching(`[a-zA-Z]{0,5}`).Draw(t, "name"), draw(t, depth-1))
	}
	return out
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := values().Draw(t, "value")
		text := value.JSON(v)
		if !json.Valid([]byte(text)) {
			t.Fatalf("not JSON: %s", text)
		}
		back, err := value.FromJSON([]byte(text))
		if err != nil || !value.Equal(v, back) {
			t.Fatalf("%s came back as %s (%v)", text, value.JSON(back), err)
		}
	})
}
