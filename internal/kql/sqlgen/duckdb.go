package sqlgen

import (
	"math"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// DuckDB writes SQL for DuckDB 1.5 with the macros of Prelude installed.
type DuckDB struct{}

// Type implements Dialect.
func (DuckDB) Type(t types.Type) string {
	switch t {
	case types.Bool:
		return "BOOLEAN"
	case types.Int:
		return "INTEGER"
	case types.Long, types.DateTime, types.TimeSpan:
		return "BIGINT"
	case types.Real:
		return "DOUBLE"
	case types.Decimal:
		return "DECIMAL(38,18)"
	case types.GUID:
		return "UUID"
	}
	return "VARCHAR"
}

// Literal implements Dialect.
func (d DuckDB) Literal(g *Generator, l *plan.Lit) string {
	if l.Null {
		return "CAST(NULL AS " + d.Type(l.Typ) + ")"
	}
	switch l.Typ {
	case types.Bool:
		if l.Int != 0 {
			return "true"
		}
		return "false"
	case types.Int, types.Long, types.DateTime, types.TimeSpan:
		return "CAST(" + strconv.FormatInt(l.Int, 10) + " AS " + d.Type(l.Typ) + ")"
	case types.Real:
		switch {
		case math.IsNaN(l.Real):
			return "CAST('nan' AS DOUBLE)"
		case math.IsInf(l.Real, 1):
			return "CAST('inf' AS DOUBLE)"
		case math.IsInf(l.Real, -1):
			return "CAST('-inf' AS DOUBLE)"
		}
		return "CAST(" + strconv.FormatFloat(l.Real, 'e', -1, 64) + " AS DOUBLE)"
	case types.Decimal:
		return "CAST('" + l.Text + "' AS DECIMAL(38,18))" // digits only, as the parser made them
	case types.GUID:
		return "CAST(" + g.Param(l.Text) + " AS UUID)"
	}
	return g.Param(l.Text)
}

// OrderBy implements Dialect. Not-a-number sorts beside null, between it and the numbers.
func (DuckDB) OrderBy(keys []plan.Key) string {
	var out []string
	seen := map[plan.ColumnID]bool{}
	for _, k := range keys {
		if seen[k.Col] {
			continue
		}
		seen[k.Col] = true
		out = append(out, orderKey(Name(k.Col), k))
	}
	return strings.Join(out, ", ")
}

func orderKey(x string, k plan.Key) string {
	dir, nulls := " ASC", " NULLS LAST"
	if k.Desc {
		dir = " DESC"
	}
	if k.NullsFirst {
		nulls = " NULLS FIRST"
	}
	if k.Typ != types.Real {
		return x + dir + nulls
	}
	if k.NullsFirst {
		return "CASE WHEN " + x + " IS NULL THEN 0 WHEN isnan(" + x + ") THEN 1 ELSE 2 END, " + x + dir + nulls
	}
	return "CASE WHEN " + x + " IS NULL THEN 2 WHEN isnan(" + x + ") THEN 1 ELSE 0 END, " + x + dir + nulls
}

// Window implements Dialect.
func (d DuckDB) Window(g *Generator, w plan.WindowItem) (string, error) {
	args, err := g.Exprs(w.Args)
	if err != nil {
		return "", err
	}
	part, err := g.Exprs(w.Partition)
	if err != nil {
		return "", err
	}
	over := ""
	if len(part) > 0 {
		over = "PARTITION BY " + strings.Join(part, ", ")
	}
	if len(w.Order) > 0 {
		over += " ORDER BY " + d.OrderBy(w.Order)
	}
	rows := over + " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"
	var s string
	switch w.Func {
	case "row_number":
		s = "row_number() OVER (" + over + ")"
	case "lag", "lead":
		s = w.Func + "(" + strings.Join(args, ", ") + ") OVER (" + over + ")"
		if w.Typ == types.String {
			s = "coalesce(" + s + ", '')"
		}
	case "cumsum":
		s = "sum(" + args[0] + ") OVER (" + rows + ")"
	case "cummax":
		s = "max(" + args[0] + ") OVER (" + rows + ")"
	default:
		return "", errorf("BUG: a window of unknown kind %s", w.Func)
	}
	return "CAST(" + s + " AS " + d.Type(w.Typ) + ")", nil
}

// Range implements Dialect.
func (d DuckDB) Range(g *Generator, r *plan.Range) (string, error) {
	p, err := g.Exprs([]plan.Expr{r.From, r.To, r.Step})
	if err != nil {
		return "", err
	}
	name := Name(r.ID)
	if r.Typ == types.Real {
		return "SELECT a + CAST(i AS DOUBLE) * s AS " + name + " FROM (SELECT a, s, unnest(CASE WHEN n >= 0 THEN generate_series(0, CAST(n AS BIGINT)) ELSE CAST([] AS BIGINT[]) END) AS i FROM (" +
			"SELECT a, s, floor((b - a) / s + 1e-9) AS n FROM (SELECT " + p[0] + " AS a, " + p[1] + " AS b, " + p[2] + " AS s) AS t WHERE s <> 0) AS t) AS t", nil
	}
	for _, x := range []plan.Expr{r.From, r.To, r.Step} {
		if _, ok := x.(*plan.Lit); !ok {
			return "SELECT unnest(generate_series(" + strings.Join(p, ", ") + ")) AS " + name, nil
		}
	}
	return "SELECT i AS " + name + " FROM generate_series(" + strings.Join(p, ", ") + ") AS t(i)", nil
}

// Expand implements Dialect.
func (d DuckDB) Expand(g *Generator, e *plan.Expand, in string) (string, error) {
	var lists, names, lengths []string
	macro := "kq_expand"
	if e.Arrays {
		macro = "kq_expand_pairs"
	}
	for _, it := range e.Items {
		x, err := g.Expr(it.X)
		if err != nil {
			return "", err
		}
		list := macro + "(" + x + ")"
		if e.Limit < math.MaxInt32 {
			list = "list_slice(" + list + ", 1, " + strconv.FormatInt(e.Limit, 10) + ")"
		}
		l := "l" + strconv.Itoa(int(it.ID))
		lists = append(lists, list+" AS "+l)
		names = append(names, "CAST(unnest("+l+") AS VARCHAR) AS "+Name(it.ID))
		lengths = append(lengths, "len("+l+")")
	}
	index := "unnest(range(greatest(" + strings.Join(lengths, ", ") + ", 0))) AS " + Name(e.Index)
	return "SELECT *, " + strings.Join(names, ", ") + ", " + index + " FROM (SELECT *, " + strings.Join(lists, ", ") + " FROM (" + in + ") AS t) AS t", nil
}
