package sqlgen

import (
	"math"

	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// bounds is between what constants the filters of row-wise operations want stored
// columns of 64 bits. It need not find all: exact says that it did, so that a row
// comes whenever it lies in them.
func bounds(n plan.Node) (out []branch.Range, exact bool) {
	switch n := n.(type) {
	case *plan.Filter:
		out, exact = bounds(n.In)
		more, all := conditionBounds(n.Pred, n.In)
		return append(out, more...), exact && all
	case *plan.Extend:
		return bounds(n.In)
	case *plan.Project:
		return bounds(n.In)
	case *plan.Table:
		return nil, true
	}
	return nil, false
}

func conditionBounds(x plan.Expr, in plan.Node) (out []branch.Range, exact bool) {
	c, ok := x.(*plan.Call)
	if !ok {
		return nil, false
	}
	if c.Op == "and" {
		exact = true
		for _, a := range c.Args {
			more, all := conditionBounds(a, in)
			out, exact = append(out, more...), exact && all
		}
		return out, exact
	}
	if len(c.Args) != 2 {
		return nil, false
	}
	op, column, constant := c.Op, c.Args[0], c.Args[1]
	if _, ok := column.(*plan.Lit); ok {
		op, column, constant = map[string]string{"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}[op], constant, column
	}
	col, ok := column.(*plan.Col)
	lit, okLit := constant.(*plan.Lit)
	if !ok || !okLit || lit.Null || lit.Typ != col.Typ || lit.Typ != types.Long && lit.Typ != types.DateTime && lit.Typ != types.TimeSpan {
		return nil, false
	}
	r := branch.Range{Min: math.MinInt64, Max: math.MaxInt64}
	exact = true
	switch op {
	case "lt":
		r.Max, exact = max(lit.Int, math.MinInt64+1)-1, lit.Int > math.MinInt64
	case "le":
		r.Max = lit.Int
	case "gt":
		r.Min, exact = min(lit.Int, math.MaxInt64-1)+1, lit.Int < math.MaxInt64
	case "ge":
		r.Min = lit.Int
	case "eq":
		r.Min, r.Max = lit.Int, lit.Int
	default:
		return nil, false
	}
	if r.Column = stored(in, col.ID); r.Column == "" {
		return nil, false
	}
	return append(out, r), exact
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
