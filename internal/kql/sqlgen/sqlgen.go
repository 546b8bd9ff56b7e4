package sqlgen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// maxSQL bounds the text of one statement.
const maxSQL = 4 << 20

// Use is a stored table a statement reads: its placeholder in the text and the environment's name for it.
type Use struct {
	Placeholder string
	Ref         string
	// Branches are pieces of the text that may be repeated for each part of the table.
	Branches []branch.Branch
}

// Statement is SQL with its parameters, numbered from $1, and the tables it reads.
type Statement struct {
	SQL    string
	Params []any
	Tables []Use
}

// Dialect writes expressions for one engine. Expressions of type string never yield NULL.
type Dialect interface {
	// Call writes an operation whose arguments are written by g.
	Call(g *Generator, c *plan.Call) (string, error)
	// Predicate writes a condition of which only true matters.
	Predicate(g *Generator, x plan.Expr) (string, error)
	// Literal writes a constant; strings go through g.Param.
	Literal(g *Generator, l *plan.Lit) string
	// Aggregate writes an aggregate; with Outs it yields a struct with the fields s0, s1, ….
	Aggregate(g *Generator, a plan.Agg) (string, error)
	// Window writes a window computation.
	Window(g *Generator, w plan.WindowItem) (string, error)
	// Type is the storage type.
	Type(t types.Type) string
	// OrderBy writes sort keys.
	OrderBy(keys []plan.Key) string
	// Range and Expand write the two row sources that differ most between engines.
	Range(g *Generator, r *plan.Range) (string, error)
	Expand(g *Generator, e *plan.Expand, in string) (string, error)
}

// Error is a plan that cannot be written.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

// Generate writes a table as a statement whose output columns are r0, r1, … in the order of its visible columns.
func Generate(d Dialect, rel *plan.Rel) (*Statement, error) {
	g := &Generator{d: d, params: map[string]int{}, shared: map[any]string{}}
	var err error
	if g.read, err = check(rel); err != nil {
		return nil, err
	}
	in, err := g.node(rel.Node)
	if err != nil {
		return nil, err
	}
	cols := make([]string, len(rel.Columns))
	for i, c := range rel.Columns {
		cols[i] = "CAST(" + Name(c.ID) + " AS " + d.Type(c.Type) + ") AS r" + strconv.Itoa(i)
	}
	if len(cols) == 0 {
		return nil, errorf("the result has no columns")
	}
	sql := "SELECT " + strings.Join(cols, ", ") + " FROM (" + in + ") AS t"
	if len(rel.Order) > 0 {
		sql += " ORDER BY " + d.OrderBy(rel.Order)
	}
	if len(g.ctes) > 0 {
		sql = "WITH " + strings.Join(g.ctes, ", ") + " " + sql
	}
	if len(sql) > maxSQL {
		return nil, errorf("the query is too complex once its let statements are expanded")
	}
	sql, params := used(sql, g.values)
	return &Statement{SQL: sql, Params: params, Tables: g.tables}, nil
}

// used drops the parameters whose place did not make it into the text and renumbers the others: an engine refuses to
// bind what it does not find. No text of a query is in sql, so a "$" there is a place.
func used(sql string, values []any) (string, []any) {
	var b strings.Builder
	places := map[string]int{}
	var params []any
	for {
		i := strings.Index(sql, "CAST($")
		if i < 0 {
			b.WriteString(sql)
			return b.String(), params
		}
		i += len("CAST($")
		j := i
		for sql[j] >= '0' && sql[j] <= '9' {
			j++
		}
		n, ok := places[sql[i:j]]
		if !ok {
			at, err := strconv.Atoi(sql[i:j])
			if err != nil {
				panic("BUG: a parameter place without a number")
			}
			params = append(params, values[at-1])
			n = len(params)
			places[sql[i:j]] = n
		}
		b.WriteString(sql[:i] + strconv.Itoa(n))
		sql = sql[j:]
	}
}

// Generator is the state of one statement.
type Generator struct {
	d      Dialect
	params map[string]int
	values []any
	tables []Use
	shared map[any]string
	ctes   []string
	size   int
	// branches is how many pieces are marked.
	branches int
	// read holds the columns that are read anywhere in the plan.
	read ids
	// reads collects the subqueries the SELECT being written reads as columns; nil outside a frame.
	reads *[]string
}

// Name is the SQL name of a column.
func Name(id plan.ColumnID) string { return "k" + strconv.Itoa(int(id)) }

// Param binds a text and gives its place, typed.
func (g *Generator) Param(text string) string {
	n, ok := g.params[text]
	if !ok {
		g.values = append(g.values, text)
		n = len(g.values)
		g.params[text] = n
	}
	return "CAST($" + strconv.Itoa(n) + " AS VARCHAR)"
}

// Expr writes a scalar expression.
func (g *Generator) Expr(x plan.Expr) (string, error) {
	if g.size > maxSQL {
		return "", errorf("the query is too complex once its let statements are expanded")
	}
	s, err := g.expr(x)
	g.size += len(s) / 16
	return s, err
}

func (g *Generator) expr(x plan.Expr) (string, error) {
	switch x := x.(type) {
	case *plan.Col:
		return Name(x.ID), nil
	case *plan.Lit:
		return g.d.Literal(g, x), nil
	case *plan.Call:
		return g.d.Call(g, x)
	case *plan.Subquery:
		cte, err := g.cte(x, func() (string, error) {
			in, err := g.node(x.In)
			if err != nil {
				return "", err
			}
			sql := "SELECT " + Name(x.Col) + " AS v FROM (" + in + ") AS t"
			if len(x.Order) > 0 {
				sql += " ORDER BY " + g.d.OrderBy(x.Order)
			}
			return "SELECT (" + sql + " LIMIT 1) AS v", nil
		})
		if err != nil {
			return "", err
		}
		s := "(SELECT v FROM " + cte + ")"
		if g.reads != nil {
			s = cte + ".v"
			if !slices.Contains(*g.reads, cte) {
				*g.reads = append(*g.reads, cte)
			}
		}
		if x.Typ == types.String {
			s = "coalesce(" + s + ", '')"
		}
		return s, nil
	case *plan.InTable:
		return g.inTable(x)
	}
	return "", errorf("BUG: an expression of unknown kind %T", x)
}

func (g *Generator) inTable(x *plan.InTable) (string, error) {
	v, err := g.Expr(x.X)
	if err != nil {
		return "", err
	}
	in, err := g.node(x.In)
	if err != nil {
		return "", err
	}
	col := Name(x.Col)
	if x.Fold {
		v, col = "lower("+v+")", "lower("+col+")"
	}
	s := "coalesce(" + v + " IN (SELECT " + col + " FROM (" + in + ") AS t WHERE " + Name(x.Col) + " IS NOT NULL), false)"
	if x.Not {
		s = "(NOT " + s + ")"
	}
	return s, nil
}

// cte makes a table expression that is evaluated once, keyed by the plan object it comes from.
func (g *Generator) cte(key any, write func() (string, error)) (string, error) {
	if name, ok := g.shared[key]; ok {
		return name, nil
	}
	sql, err := write()
	if err != nil {
		return "", err
	}
	name := "m" + strconv.Itoa(len(g.ctes))
	g.shared[key] = name
	g.ctes = append(g.ctes, name+" AS MATERIALIZED ("+sql+")")
	return name, nil
}

// Exprs writes several expressions.
func (g *Generator) Exprs(xs []plan.Expr) ([]string, error) {
	out := make([]string, len(xs))
	for i, x := range xs {
		s, err := g.Expr(x)
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}
