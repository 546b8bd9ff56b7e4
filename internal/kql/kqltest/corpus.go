package kqltest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Example is a documented query with its documented answer, as a corpus of JSON cases holds it.
type Example struct {
	ID      string
	Query   string
	Uses    []string
	Compare string // exact, set, columns-only
	Columns []struct {
		Name string
		Type *string
		Also []string
	}
	Rows     [][]string
	Expected [][]any
}

// Check says how a result differs from the documented one, or nothing. Reals are documented rounded: they are equal when
// the value rounded to the digits shown matches.
func (x Example) Check(cols []kql.ResultColumn, rows [][]any) string {
	if len(cols) != len(x.Columns) {
		return fmt.Sprintf("want %d columns, got %v", len(x.Columns), cols)
	}
	for i, c := range x.Columns {
		if c.Name != cols[i].Name && !slices.Contains(c.Also, cols[i].Name) || c.Type != nil && *c.Type != cols[i].Type.String() {
			return fmt.Sprintf("column %d: want %s, got %s:%s", i, c.Name, cols[i].Name, cols[i].Type)
		}
	}
	if x.Compare == "columns-only" {
		return ""
	}
	if len(rows) != len(x.Expected) {
		return fmt.Sprintf("want %d rows, got %v", len(x.Expected), rows)
	}
	used := make([]bool, len(rows))
	for i := range x.Expected {
		found := false
		for j := range rows {
			if used[j] || x.Compare == "exact" && i != j {
				continue
			}
			if x.row(i, cols, rows[j]) {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return fmt.Sprintf("row %d: want %v, got %v", i, x.Expected[i], rows)
		}
	}
	return ""
}

func (x Example) row(i int, cols []kql.ResultColumn, row []any) bool {
	for k, c := range cols {
		shown := ""
		if i < len(x.Rows) && k < len(x.Rows[i]) {
			shown = x.Rows[i][k]
		}
		if !x.cell(c.Type, x.Expected[i][k], shown, row[k]) {
			return false
		}
	}
	return true
}

func (x Example) cell(t types.Type, want any, shown string, got any) bool {
	switch t {
	case types.Dynamic:
		if got == nil {
			return emptyValue(want)
		}
		v, err := decode(got.(string))
		return err == nil && x.json(want, v)
	case types.Real:
		if got == nil || want == nil {
			return got == nil && want == nil
		}
		g := got.(float64)
		if s, ok := want.(string); ok {
			return s == types.FormatReal(g)
		}
		w, _ := strconv.ParseFloat(fmt.Sprint(want), 64)
		return rounded(w, g, shown)
	case types.DateTime, types.TimeSpan:
		if got == nil || want == nil {
			return got == nil && want == nil
		}
		parse := types.ParseDateTime
		if t == types.TimeSpan {
			parse = types.ParseTimeSpan
		}
		n, ok := parse(fmt.Sprint(want))
		return ok && n == got.(int64)
	case types.Decimal:
		return got != nil && want != nil && Equal(t, fmt.Sprint(want), got)
	}
	if want == nil {
		return got == nil
	}
	return fmt.Sprint(want) == fmt.Sprint(got)
}

func emptyValue(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

func rounded(want, got float64, shown string) bool {
	if Equal(types.Real, want, got) {
		return true
	}
	m, _, _ := strings.Cut(strings.ToLower(shown), "e")
	digits := len(strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(m), "0"))
	if digits == 0 || digits > 17 {
		return false
	}
	r, err := strconv.ParseFloat(strconv.FormatFloat(got, 'e', digits-1, 64), 64)
	return err == nil && (r == want || math.Abs(r-want) <= math.Abs(want)*math.Pow(10, float64(1-digits)))
}

// json compares dynamic values: bags without regard to key order, and arrays too where a set function made them.
func (x Example) json(want, got any) bool {
	switch w := want.(type) {
	case json.Number:
		g, ok := got.(json.Number)
		if !ok {
			return false
		}
		a, _ := w.Float64()
		b, _ := g.Float64()
		return w == g || rounded(a, b, string(w))
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		used := make([]bool, len(g))
		for i := range w {
			found := false
			for j := range g {
				if !used[j] && (i == j || x.unordered()) && x.json(w[i], g[j]) {
					used[j], found = true, true
					break
				}
			}
			if !found {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			v, ok := g[k]
			if !ok || !x.json(w[k], v) {
				return false
			}
		}
		return true
	}
	return want == got
}

func (x Example) unordered() bool {
	for _, u := range x.Uses {
		if strings.Contains(u, "set") {
			return true
		}
	}
	return false
}
