package sqlgen

import (
	"math"

	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// bounds is between what constants the filters of row-wise operations want stored
// columns of 64 bits. It need not find all.
func bounds(n plan.Node) []branch.Range {
	switch n := n.(type) {
	case *plan.Filter:
		return append(bounds(n.In), conditionBounds(n.Pred, n.In)...)
	case *plan.Extend:
		return bounds(n.In)
	case *plan.Project:
		return bounds(n.In)
	}
	return nil
}

func conditionBounds(x plan.Expr, in plan.Node) (out []branch.Range) {
	c, ok := x.(*plan.Call)
	if !ok {
		return nil
	}
	if c.Op == "and" {
		for _, a := range c.Args {
			out = append(out, conditionBounds(a, in)...)
		}
		return out
	}
	if len(c.Args) != 2 {
		return nil
	}
	op, column, constant := c.Op, c.Args[0], c.Args[1]
	if _, ok := column.(*plan.Lit); ok {
		op, column, constant = map[string]string{"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}[op], constant, column
	}
	col, ok := column.(*plan.Col)
	lit, okLit := constant.(*plan.Lit)
	if !ok || !okLit || lit.Null || lit.Typ != col.Typ || lit.Typ != types.Long && lit.Typ != types.DateTime && lit.Typ != types.TimeSpan {
		return nil
	}
	r := branch.Range{Min: math.MinInt64, Max: math.MaxInt64}
	switch op {
	case "lt", "le":
		r.Max = lit.Int
	case "gt", "ge":
		r.Min = lit.Int
	case "eq":
		r.Min, r.Max = lit.Int, lit.Int
	default:
		return nil
	}
	if r.Column = stored(in, col.ID); r.Column == "" {
		return nil
	}
	return append(out, r)
}

// stored is the stored column that a column of row-wise operations is, "" when it is
// computed.
func stored(n plan.Node, id plan.ColumnID) string {
	var in plan.Node
	var items []plan.Item
	switch n := n.(type) {
	case *plan.Table:
		for _, c := range n.Columns {
			if c.ID == id {
				return c.Physical
			}
		}
		return ""
	case *plan.Filter:
		in = n.In
	case *plan.Extend:
		in, items = n.In, n.Items
	case *plan.Project:
		in, items = n.In, n.Items
	default:
		return ""
	}
	for _, it := range items {
		if it.ID != id {
			continue
		}
		c, ok := it.Expr.(*plan.Col)
		if !ok || c.Typ != it.Typ {
			return ""
		}
		id = c.ID
		break
	}
	return stored(in, id)
}
