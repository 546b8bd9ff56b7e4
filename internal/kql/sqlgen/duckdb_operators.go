package sqlgen

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Predicate implements Dialect. Comparisons are written bare here, so that the engine can use them to skip data; a null
// result drops the row as false would.
func (d DuckDB) Predicate(g *Generator, x plan.Expr) (string, error) {
	c, ok := x.(*plan.Call)
	if !ok {
		return g.Expr(x)
	}
	switch c.Op {
	case "and", "or":
		parts := make([]string, len(c.Args))
		for i, a := range c.Args {
			s, err := d.Predicate(g, a)
			if err != nil {
				return "", err
			}
			parts[i] = s
		}
		return "(" + strings.Join(parts, " "+strings.ToUpper(c.Op)+" ") + ")", nil
	case "eq", "ne":
		return d.equality(g, c, true)
	}
	return g.Expr(x)
}

func constant(x plan.Expr) bool {
	l, ok := x.(*plan.Lit)
	return ok && !l.Null && !math.IsNaN(l.Real)
}

// equality is two-valued unless both sides are null.
func (d DuckDB) equality(g *Generator, c *plan.Call, pred bool) (string, error) {
	args, err := g.Exprs(c.Args)
	if err != nil {
		return "", err
	}
	a, b := args[0], args[1]
	oneConstant := constant(c.Args[0]) || constant(c.Args[1])
	nan := ""
	if c.Args[0].Type() == types.Real && !oneConstant {
		nan = "isnan(" + a + ")"
	}
	if c.Op == "eq" {
		s := a + " = " + b
		if nan != "" {
			s = "(" + s + " AND NOT " + nan + ")"
		}
		switch {
		case pred || c.Args[0].Type() == types.String && c.Args[1].Type() == types.String:
			return "(" + s + ")", nil
		case oneConstant:
			return "coalesce(" + s + ", false)", nil
		}
		return "CASE WHEN " + a + " IS NULL AND " + b + " IS NULL THEN NULL ELSE coalesce(" + s + ", false) END", nil
	}
	s := a + " <> " + b
	if nan != "" {
		s = "(" + s + " OR " + nan + ")"
	}
	switch {
	case c.Args[0].Type() == types.String && c.Args[1].Type() == types.String:
		return "(" + s + ")", nil
	case oneConstant:
		return "coalesce(" + s + ", true)", nil
	}
	s = "CASE WHEN " + a + " IS NULL AND " + b + " IS NULL THEN NULL ELSE coalesce(" + s + ", true) END"
	return s, nil
}

// order writes < <= > >=. The engine takes not-a-number for the greatest number; the language has it compare false.
func (d DuckDB) order(g *Generator, c *plan.Call) (string, error) {
	args, err := g.Exprs(c.Args)
	if err != nil {
		return "", err
	}
	op := map[string]string{"lt": "<", "le": "<=", "gt": ">", "ge": ">="}[c.Op]
	s := args[0] + " " + op + " " + args[1]
	if c.Args[0].Type() == types.Real {
		guarded := 0
		if op[0] == '<' {
			guarded = 1
		}
		if !constant(c.Args[guarded]) {
			s += " AND NOT isnan(" + args[guarded] + ")"
		}
	}
	return "(" + s + ")", nil
}

// text writes the string operators.
func (d DuckDB) text(g *Generator, c *plan.Call) (string, error) {
	args, err := g.Exprs(c.Args)
	if err != nil {
		return "", err
	}
	op := strings.TrimPrefix(c.Op, "text.")
	op, fold := strings.CutSuffix(op, ".fold")
	a, b := args[0], args[1]
	if strings.HasPrefix(op, "has") {
		return d.terms(g, c, op, a, b, fold)
	}
	if fold {
		a, b = "lower("+a+")", "lower("+b+")"
	}
	switch op {
	case "contains":
		return "contains(" + a + ", " + b + ")", nil
	case "startswith":
		return "starts_with(" + a + ", " + b + ")", nil
	case "endswith":
		return "ends_with(" + a + ", " + b + ")", nil
	case "equals":
		return "(" + a + " = " + b + ")", nil
	case "matches":
		return "regexp_matches(" + a + ", " + b + ")", nil
	}
	return "", errorf("BUG: a string operator of unknown kind %s", op)
}

// A term is a maximal run of letters and digits; the needle must begin or end at the border of one.
const (
	before = `(?:^|[^\p{L}\p{N}])`
	after  = `(?:$|[^\p{L}\p{N}])`
)

func term(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// terms writes the operators that look for whole terms. A constant needle becomes a pattern here; one that folds and is
// plain ASCII is looked for in the folded text, which is cheaper than a pattern that folds.
func (d DuckDB) terms(g *Generator, c *plan.Call, op, a, b string, fold bool) (string, error) {
	folded, needle := a, b
	if fold {
		folded, needle = "lower("+a+")", "lower("+b+")"
	}
	l, ok := c.Args[1].(*plan.Lit)
	if !ok {
		return "kq_" + op + "(" + folded + ", " + needle + ")", nil
	}
	if l.Text == "" {
		return "true", nil
	}
	in, pattern := a, regexp.QuoteMeta(l.Text)
	switch {
	case fold && ascii(l.Text):
		in, pattern = folded, strings.ToLower(pattern)
	case fold:
		pattern = "(?i:" + pattern + ")"
	}
	first, _ := utf8.DecodeRuneInString(l.Text)
	last, _ := utf8.DecodeLastRuneInString(l.Text)
	if op != "hassuffix" && term(first) {
		pattern = before + pattern
	}
	if op != "hasprefix" && term(last) {
		pattern += after
	}
	return "(contains(" + folded + ", " + needle + ") AND regexp_matches(" + in + ", " + g.Param(pattern) + "))", nil
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// path writes the constant steps into a dynamic value.
func (d DuckDB) path(g *Generator, c *plan.Call) (string, error) {
	x, err := g.Expr(c.Args[0])
	if err != nil {
		return "", err
	}
	path := "$"
	flush := func() {
		if path != "$" {
			x = "nullif(CAST(json_extract(" + x + ", " + g.Param(path) + ") AS VARCHAR), 'null')"
			path = "$"
		}
	}
	for _, a := range c.Args[1:] {
		l := a.(*plan.Lit) // the binder puts constants here only
		if l.Typ == types.String {
			if strings.ContainsAny(l.Text, `"\*`) || l.Text == "" {
				flush()
				x = "kq_key(" + x + ", " + g.Param(l.Text) + ")"
				continue
			}
			path += `."` + l.Text + `"`
			continue
		}
		if l.Int < 0 {
			path += "[#" + strconv.FormatInt(l.Int, 10) + "]"
		} else {
			path += "[" + strconv.FormatInt(l.Int, 10) + "]"
		}
	}
	flush()
	return x, nil
}
