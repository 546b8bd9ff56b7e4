package sqlgen

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// node writes a relational node as a SELECT.
func (g *Generator) node(n plan.Node) (string, error) {
	outer := g.reads
	g.reads = nil
	s, err := g.write(n)
	g.reads = outer
	if err != nil {
		return "", err
	}
	if g.size += len(s) / 64; g.size > maxSQL || len(s) > maxSQL {
		return "", errorf("the query is too complex once its let statements are expanded")
	}
	return s, nil
}

func (g *Generator) write(n plan.Node) (string, error) {
	switch n := n.(type) {
	case *plan.Table:
		return g.table(n, g.use(n.Ref).Placeholder), nil
	case *part:
		return g.table(n.table, n.place), nil
	case *plan.Values:
		return g.valuesTable(n)
	case *plan.Range:
		return g.d.Range(g, n)
	case *plan.Project:
		return g.project(n)
	case *plan.Extend:
		var items []string
		shared, err := g.frame(func() (err error) { items, err = g.items(n.Items); return err })
		if err != nil {
			return "", err
		}
		return g.from("SELECT t.*, "+strings.Join(items, ", "), n.In, shared...)
	case *plan.Filter:
		var pred string
		shared, err := g.frame(func() (err error) { pred, err = g.d.Predicate(g, n.Pred); return err })
		if err != nil {
			return "", err
		}
		in, err := g.from("SELECT t.*", n.In, shared...)
		return in + " WHERE " + pred, err
	case *plan.Aggregate:
		return g.aggregate(n)
	case *plan.Join:
		return g.join(n)
	case *plan.Union:
		parts := make([]string, len(n.Parts))
		for i, p := range n.Parts {
			s, err := g.node(p)
			if err != nil {
				return "", err
			}
			parts[i] = s
		}
		return strings.Join(parts, " UNION ALL "), nil
	case *plan.Limit:
		if t := rowWise(n.In); t != nil && len(n.Order) > 0 {
			return g.branch(n, t)
		}
		return g.limit(n, n.In)
	case *plan.FirstPerKey:
		in, err := g.from("SELECT *", n.In)
		if err != nil {
			return "", err
		}
		keys, err := g.Exprs(n.Keys)
		if err != nil {
			return "", err
		}
		over := "PARTITION BY " + strings.Join(keys, ", ")
		if len(n.Order) > 0 {
			over += " ORDER BY " + g.d.OrderBy(n.Order)
		}
		return in + " QUALIFY row_number() OVER (" + over + ") = 1", nil
	case *plan.Window:
		items := make([]string, len(n.Items))
		shared, err := g.frame(func() error {
			for i, w := range n.Items {
				s, err := g.d.Window(g, w)
				if err != nil {
					return err
				}
				items[i] = s + " AS " + Name(w.ID)
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		return g.from("SELECT t.*, "+strings.Join(items, ", "), n.In, shared...)
	case *plan.Expand:
		in, err := g.node(n.In)
		if err != nil {
			return "", err
		}
		return g.d.Expand(g, n, in)
	case *plan.Shared:
		name, err := g.cte(n, func() (string, error) { return g.node(n.In) })
		return "SELECT * FROM " + name, err
	}
	return "", errorf("BUG: a plan node of unknown kind %T", n)
}

// from adds the input t, and beside it the one-row tables of the subqueries that sel reads.
func (g *Generator) from(sel string, in plan.Node, shared ...string) (string, error) {
	s, err := g.node(in)
	return sel + " FROM " + strings.Join(append([]string{"(" + s + ") AS t"}, shared...), ", "), err
}

// frame runs what writes the expressions of one SELECT and tells which subqueries they read; inside it a subquery is
// written as a column, because an engine does not take one everywhere.
func (g *Generator) frame(write func() error) ([]string, error) {
	outer := g.reads
	g.reads = &[]string{}
	defer func() { g.reads = outer }()
	err := write()
	return *g.reads, err
}

func (g *Generator) project(n *plan.Project) (string, error) {
	var items []string
	shared, err := g.frame(func() (err error) { items, err = g.items(n.Items); return err })
	if err != nil {
		return "", err
	}
	if len(items) == 0 {
		items = []string{"1 AS none"}
	}
	sql := "SELECT " + strings.Join(items, ", ")
	switch {
	case n.In != nil:
		return g.from(sql, n.In, shared...)
	case len(shared) > 0:
		return sql + " FROM " + strings.Join(shared, ", "), nil
	}
	return sql, nil
}

func (g *Generator) items(list []plan.Item) ([]string, error) {
	out := make([]string, len(list))
	for i, it := range list {
		s, err := g.Expr(it.Expr)
		if err != nil {
			return nil, err
		}
		if name := Name(it.ID); s != name {
			s = "CAST(" + s + " AS " + g.d.Type(it.Typ) + ") AS " + name
		}
		out[i] = s
	}
	return out, nil
}

// use is the statement's use of a stored table.
func (g *Generator) use(ref string) *Use {
	for i := range g.tables {
		if g.tables[i].Ref == ref {
			return &g.tables[i]
		}
	}
	g.tables = append(g.tables, Use{Placeholder: "{{table:" + strconv.Itoa(len(g.tables)) + "}}", Ref: ref})
	return &g.tables[len(g.tables)-1]
}

func (g *Generator) table(t *plan.Table, place string) string {
	cols := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cols[i] = c.Physical + " AS " + Name(c.ID)
	}
	if len(cols) == 0 {
		cols = []string{"1 AS none"}
	}
	return "SELECT " + strings.Join(cols, ", ") + " FROM " + place + " AS t"
}

func (g *Generator) valuesTable(v *plan.Values) (string, error) {
	cols := make([]string, len(v.Columns))
	names := make([]string, len(v.Columns))
	for i, c := range v.Columns {
		names[i] = Name(c.ID)
		cols[i] = "CAST(" + names[i] + " AS " + g.d.Type(c.Typ) + ") AS " + names[i]
	}
	rows := make([]string, 0, len(v.Rows))
	for _, r := range v.Rows {
		cells, err := g.Exprs(r)
		if err != nil {
			return "", err
		}
		rows = append(rows, "("+strings.Join(cells, ", ")+")")
	}
	sql := "SELECT " + strings.Join(cols, ", ") + " FROM (VALUES "
	if len(rows) == 0 {
		return sql + "(" + strings.TrimSuffix(strings.Repeat("NULL, ", len(cols)), ", ") + ")) AS t(" + strings.Join(names, ", ") + ") WHERE false", nil
	}
	return sql + strings.Join(rows, ", ") + ") AS t(" + strings.Join(names, ", ") + ")", nil
}

func (g *Generator) aggregate(a *plan.Aggregate) (string, error) {
	var items, outs []string
	packed := false
	shared, err := g.frame(func() (err error) { items, outs, packed, err = g.aggregates(a); return err })
	if err != nil {
		return "", err
	}
	sql, err := g.from("SELECT "+strings.Join(items, ", "), a.In, shared...)
	if err != nil {
		return "", err
	}
	if len(a.Keys) > 0 {
		place := make([]string, len(a.Keys))
		for i := range a.Keys {
			place[i] = strconv.Itoa(i + 1)
		}
		sql += " GROUP BY " + strings.Join(place, ", ")
	}
	if packed {
		sql = "SELECT " + strings.Join(outs, ", ") + " FROM (" + sql + ") AS t"
	}
	return sql, nil
}

// aggregates writes the keys and aggregates, and the outputs of a SELECT around them, which is needed when one is packed.
func (g *Generator) aggregates(a *plan.Aggregate) (items, outs []string, packed bool, err error) {
	if items, err = g.items(a.Keys); err != nil {
		return nil, nil, false, err
	}
	for _, k := range a.Keys {
		outs = append(outs, Name(k.ID))
	}
	for _, f := range a.Aggs {
		s, err := g.d.Aggregate(g, f)
		if err != nil {
			return nil, nil, false, err
		}
		if len(f.Outs) == 0 {
			items = append(items, "CAST("+s+" AS "+g.d.Type(f.Typ)+") AS "+Name(f.ID))
			outs = append(outs, Name(f.ID))
			continue
		}
		packed = true
		items = append(items, s+" AS "+Name(f.ID))
		for i, o := range f.Outs {
			x := Name(f.ID) + ".s" + strconv.Itoa(i)
			if o.Typ == types.String {
				x = "coalesce(" + x + ", '')"
			}
			outs = append(outs, x+" AS "+Name(o.ID))
		}
	}
	return items, outs, packed, nil
}

func (g *Generator) join(j *plan.Join) (string, error) {
	l, err := g.node(j.Left)
	if err != nil {
		return "", err
	}
	r, err := g.node(j.Right)
	if err != nil {
		return "", err
	}
	on := make([]string, len(j.On))
	for i, o := range j.On {
		a, err := g.Expr(o.Left)
		if err != nil {
			return "", err
		}
		b, err := g.Expr(o.Right)
		if err != nil {
			return "", err
		}
		on[i] = a + " = " + b
	}
	kind := map[string]string{"inner": "JOIN", "leftouter": "LEFT JOIN", "rightouter": "RIGHT JOIN", "fullouter": "FULL JOIN",
		"leftsemi": "SEMI JOIN", "leftanti": "ANTI JOIN"}[j.Kind]
	if kind == "" {
		return "", errorf("BUG: a join of unknown kind %s", j.Kind)
	}
	return "SELECT * FROM (" + l + ") AS l " + kind + " (" + r + ") AS r ON " + strings.Join(on, " AND "), nil
}
