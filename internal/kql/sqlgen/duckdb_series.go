package sqlgen

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// pairwise are the operations on two arrays of numbers; x and y are items at the same place.
var pairwise = map[string]string{
	"series_add": "x + y", "series_subtract": "x - y", "series_multiply": "x * y", "series_divide": "x / y", "series_pow": "pow(x, y)",
	"series_equals": "x = y", "series_not_equals": "x <> y", "series_greater": "x > y", "series_greater_equals": "x >= y",
	"series_less": "x < y", "series_less_equals": "x <= y",
}

// itemwise are the operations on one array of numbers.
var itemwise = map[string]string{
	"series_exp": "exp(x)", "series_log": "CASE WHEN x > 0 THEN ln(x) END", "series_sin": "sin(x)", "series_cos": "cos(x)", "series_tan": "tan(x)",
	"series_asin": "CASE WHEN x BETWEEN -1 AND 1 THEN asin(x) END", "series_acos": "CASE WHEN x BETWEEN -1 AND 1 THEN acos(x) END",
	"series_atan": "atan(x)", "series_sign": "CAST(sign(x) AS DOUBLE)",
}

// series writes the functions over arrays of numbers.
func series(op string, a []string) (string, bool) {
	if f, ok := pairwise[op]; ok {
		return "kq_reals(list_transform(kq_pairs(kq_numbers(" + a[0] + "), kq_numbers(" + a[1] + ")), lambda p: " + over("p", f) + "))", true
	}
	if f, ok := itemwise[op]; ok {
		return "kq_reals(list_transform(kq_numbers(" + a[0] + "), lambda x: " + f + "))", true
	}
	switch op {
	case "series_sum":
		return "list_sum(kq_numbers(" + a[0] + "))", true
	case "series_product":
		return "list_product(kq_numbers(" + a[0] + "))", true
	case "series_magnitude":
		return "sqrt(list_sum(list_transform(kq_numbers(" + a[0] + "), lambda x: x * x)))", true
	case "series_dot_product":
		return "list_sum(list_transform(kq_pairs(kq_numbers(" + a[0] + "), kq_numbers(" + a[1] + ")), lambda p: p[1] * p[2]))", true
	}
	return "", false
}

// over replaces the operands x and y of a short formula by the items of a pair.
func over(pair, formula string) string {
	r := strings.NewReplacer("x", pair+"[1]", "y", pair+"[2]")
	return r.Replace(formula)
}

// replaceEach replaces each text in turn by a character no text has, and those at the end by what stands for them.
func replaceEach(a []string) string {
	s := a[0]
	const noncharacters = 0xFDD0
	for i := 1; i < len(a); i += 2 {
		s = "replace(" + s + ", " + a[i] + ", chr(" + strconv.Itoa(noncharacters+i/2) + "))"
	}
	for i := 1; i < len(a); i += 2 {
		s = "replace(" + s + ", chr(" + strconv.Itoa(noncharacters+i/2) + "), " + a[i+1] + ")"
	}
	return s
}

// hasKey tells whether the last constant step exists in the bag the others lead to.
func (d DuckDB) hasKey(g *Generator, c *plan.Call, x string) string {
	last := c.Args[len(c.Args)-1].(*plan.Lit) // the function puts constants here only
	if steps := c.Args[1 : len(c.Args)-1]; len(steps) > 0 {
		inner, err := d.path(g, &plan.Call{Op: "dynamic.path", Args: c.Args[:len(c.Args)-1], Typ: types.Dynamic})
		if err == nil {
			x = inner
		}
	}
	if last.Typ == types.Long {
		return "coalesce(json_array_length(kq_array_text(" + x + ")) > " + strconv.FormatInt(last.Int, 10) + ", false)"
	}
	return "(kq_raw(" + x + ", " + g.Param(last.Text) + ") IS NOT NULL)"
}
