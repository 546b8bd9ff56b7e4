package expr_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/arm/template/expr"
)

func TestParseAndPrint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`concat('a',parameters('b'))`: `concat('a', parameters('b'))`,
		" a (\n1 , -2,+3 ) ":          `a(1, -2, 3)`,
		`f()[0]['x y'].z[g('k')].$q`:  `f()[0]['x y'].z[g('k')].$q`,
		`'it''s'`:                     `'it''s'`,
		`__bicep.join('a').b`:         `__bicep.join('a').b`,
		`ns . f ( )`:                  `ns.f()`,
		`map(range(0, 3), lambda('i', lambdaVariables('i')))`: `map(range(0, 3), lambda('i', lambdaVariables('i')))`,
		`-9223372036854775808`:                                `-9223372036854775808`,
		`''`:                                                  `''`,
	} {
		e, err := expr.Parse(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := e.String(); got != want {
			t.Errorf("%s printed as %s, wanted %s", in, got, want)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`concat('a', 'b`:          "The language expression 'concat('a', 'b' is not valid: the string constant at position '12' is not terminated. String constants must be enclosed within a pair of single quotes.",
		`add(é, #)`:               "Unable to parse language expression 'add(é, #)': expected token 'LeftParenthesis' and actual 'Comma'.",
		`add('é', #)`:             "The language expression 'add('é', #)' is not valid: the string character '#' at position '9' is not expected.",
		`f(`:                      "Unable to parse language expression 'f(': expected token 'Identifier' and actual 'EndOfData'.",
		`f(1`:                     "Unable to parse language expression 'f(1': expected token 'RightParenthesis' and actual 'EndOfData'.",
		`f(1))`:                   "Unable to parse language expression 'f(1))': expected token 'EndOfData' and actual 'RightParenthesis'.",
		`f`:                       "Unable to parse language expression 'f': expected token 'LeftParenthesis' and actual 'EndOfData'.",
		`f(1,)`:                   "Unable to parse language expression 'f(1,)': expected token 'Identifier' and actual 'RightParenthesis'.",
		`f().`:                    "Unable to parse language expression 'f().': expected token 'Identifier' and actual 'EndOfData'.",
		`f()[1`:                   "Unable to parse language expression 'f()[1': expected token 'RightSquareBracket' and actual 'EndOfData'.",
		``:                        "Unable to parse language expression '': expected token 'Identifier' and actual 'EndOfData'.",
		`f(99999999999999999999)`: "The language expression 'f(99999999999999999999)' is not valid: the value '99999999999999999999' at position '2' cannot be converted to number.",
		`f(-)`:                    "The language expression 'f(-)' is not valid: the string character '-' at position '2' is not expected.",
		`1.5`:                     "Unable to parse language expression '1.5': expected token 'Identifier' and actual 'Integer'.",
	} {
		_, err := expr.Parse(in)
		if err == nil {
			t.Errorf("%s was accepted", in)
		} else if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
	if _, err := expr.Parse(strings.Repeat("a", 24577)); err == nil || err.Error() != "The language expression length limit exceeded. Limit: '24576' and actual: '24577'." {
		t.Error(err)
	}
	for _, deep := range []string{strings.Repeat("f(", 5000) + "1" + strings.Repeat(")", 5000), "f()" + strings.Repeat("[0]", 5000), "f" + strings.Repeat("[f()", 4000)} {
		if _, err := expr.Parse(deep); err == nil {
			t.Error("a very deep expression was accepted")
		}
	}
}

func TestWhatIsAnExpression(t *testing.T) {
	t.Parallel()
	for s, c := range map[string]struct {
		is      bool
		literal string
	}{
		"[f()]": {true, ""}, "[[f()]": {false, "[f()]"}, "[test] value": {false, "[test] value"}, " [f()]": {false, " [f()]"}, "[f()] ": {false, "[f()] "},
		"[[test] value": {false, "[[test] value"}, "": {false, ""}, "[": {false, "["}, "[]": {true, ""}, "[[": {false, "[["}, "[[]": {false, "[]"},
	} {
		if got := expr.IsExpression(s); got != c.is {
			t.Errorf("IsExpression(%q) = %v", s, got)
		}
		if got := expr.Literal(s); !c.is && got != c.literal {
			t.Errorf("Literal(%q) = %q", s, got)
		}
	}
}

func TestEscapeIsTheInverseOfLiteral(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom([]rune("[]a'"))).Draw(t, "s")
		e := expr.Escape(s)
		if expr.IsExpression(e) || expr.Literal(e) != s {
			t.Fatalf("%q escaped as %q means %q", s, e, expr.Literal(e))
		}
	})
}

func tree(t *rapid.T, depth int) expr.Expr {
	ident := rapid.StringMatching(`[a-zA-Z_$][a-zA-Z0-9_$]{0,5}`)
	call := func() expr.Expr {
		c := &expr.Call{Name: ident.Draw(t, "name")}
		if rapid.Bool().Draw(t, "dotted") {
			c.Name += "." + ident.Draw(t, "member")
		}
		for range rapid.IntRange(0, 3).Draw(t, "args") {
			c.Args = append(c.Args, tree(t, depth-1))
		}
		return c
	}
	if depth <= 0 {
		if rapid.Bool().Draw(t, "text") {
			return &expr.Text{Value: rapid.StringOf(rapid.SampledFrom([]rune("a'[] é\n"))).Draw(t, "value")}
		}
		return &expr.Int{Value: rapid.Int64().Draw(t, "value")}
	}
	switch rapid.IntRange(0, 3).Draw(t, "kind") {
	case 0:
		return &expr.Property{X: call(), Name: ident.Draw(t, "property")}
	case 1:
		return &expr.Index{X: call(), At: tree(t, depth-1)}
	}
	return call()
}

func TestPrintThenParse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := tree(t, 4)
		got, err := expr.Parse(want.String())
		if err != nil {
			t.Fatalf("%s: %v", want, err)
		}
		clear := func(e expr.Expr) expr.Expr {
			expr.Walk(e, func(e expr.Expr) bool {
				if c, ok := e.(*expr.Call); ok {
					c.At = 0
				}
				return true
			})
			return e
		}
		if diff := cmp.Diff(clear(want), clear(got)); diff != "" {
			t.Fatalf("%s: %s", want, diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`concat('a', 1)`, `f().b[0]['c']`, `'it''s'`, `a.b(-1)`, `f(`, "é(\n)", `f(1)[g()[h()]]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := expr.Parse(s)
		if err != nil {
			_ = err.Error()
			return
		}
		again, err := expr.Parse(e.String())
		if len(e.String()) <= expr.MaxLength && (err != nil || again.String() != e.String()) {
			t.Fatalf("%q printed as %q: %v", s, e, err)
		}
	})
}
