package sqlgen

import (
	"github.com/kustos-io/kustos/internal/kql/plan"
)

// check verifies that every expression reads columns its own input has. A function argument that carries a column of
// another row into a subquery is the one way a query can break this. It returns the columns that are read anywhere.
func check(rel *plan.Rel) (read ids, err error) {
	c := checker{memo: map[plan.Node]ids{}, read: ids{}}
	out, err := c.node(rel.Node)
	if err != nil {
		return nil, err
	}
	for _, col := range rel.Columns {
		if !out[col.ID] {
			return nil, errRow
		}
		c.read[col.ID] = true
	}
	return c.read, c.keys(rel.Order, out)
}

var errRow = &Error{"a table expression depends on the row around it, which is not supported"}

type ids = map[plan.ColumnID]bool

type checker struct {
	memo map[plan.Node]ids
	read ids
}

func (c checker) keys(keys []plan.Key, in ids) error {
	for _, k := range keys {
		if !in[k.Col] {
			return errRow
		}
		c.read[k.Col] = true
	}
	return nil
}

func (c checker) exprs(in ids, xs ...plan.Expr) error {
	for _, x := range xs {
		switch x := x.(type) {
		case *plan.Col:
			if !in[x.ID] {
				return errRow
			}
			c.read[x.ID] = true
		case *plan.Call:
			if err := c.exprs(in, x.Args...); err != nil {
				return err
			}
		case *plan.Subquery:
			out, err := c.node(x.In)
			if err != nil {
				return err
			}
			if !out[x.Col] {
				return errRow
			}
			c.read[x.Col] = true
			if err := c.keys(x.Order, out); err != nil {
				return err
			}
		case *plan.InTable:
			out, err := c.node(x.In)
			if err != nil {
				return err
			}
			if !out[x.Col] {
				return errRow
			}
			c.read[x.Col] = true
			if err := c.exprs(in, x.X); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c checker) items(in, out ids, list []plan.Item) error {
	for _, i := range list {
		if err := c.exprs(in, i.Expr); err != nil {
			return err
		}
		out[i.ID] = true
	}
	return nil
}

func (c checker) node(n plan.Node) (ids, error) {
	if n == nil {
		return ids{}, nil
	}
	if out, ok := c.memo[n]; ok {
		return out, nil
	}
	out, err := c.outputs(n)
	if err == nil {
		c.memo[n] = out
	}
	return out, err
}

// inherit copies the columns of an input that passes them on.
func (c checker) inherit(n plan.Node) (in, out ids, err error) {
	in, err = c.node(n)
	out = ids{}
	for id := range in {
		out[id] = true
	}
	return in, out, err
}

func (c checker) outputs(n plan.Node) (ids, error) {
	switch n := n.(type) {
	case *plan.Table:
		out := ids{}
		for _, col := range n.Columns {
			out[col.ID] = true
		}
		return out, nil
	case *plan.Values:
		out := ids{}
		for _, col := range n.Columns {
			out[col.ID] = true
		}
		for _, r := range n.Rows {
			if err := c.exprs(ids{}, r...); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *plan.Range:
		return ids{n.ID: true}, c.exprs(ids{}, n.From, n.To, n.Step)
	case *plan.Project:
		in, err := c.node(n.In)
		if err != nil {
			return nil, err
		}
		out := ids{}
		return out, c.items(in, out, n.Items)
	case *plan.Extend:
		in, out, err := c.inherit(n.In)
		if err != nil {
			return nil, err
		}
		return out, c.items(in, out, n.Items)
	case *plan.Filter:
		in, err := c.node(n.In)
		if err != nil {
			return nil, err
		}
		return in, c.exprs(in, n.Pred)
	case *plan.Aggregate:
		return c.aggregate(n)
	case *plan.Join:
		l, out, err := c.inherit(n.Left)
		if err != nil {
			return nil, err
		}
		r, err := c.node(n.Right)
		if err != nil {
			return nil, err
		}
		for _, o := range n.On {
			if err := c.exprs(l, o.Left); err != nil {
				return nil, err
			}
			if err := c.exprs(r, o.Right); err != nil {
				return nil, err
			}
		}
		if n.Kind != "leftsemi" && n.Kind != "leftanti" {
			for id := range r {
				out[id] = true
			}
		}
		return out, nil
	case *plan.Union:
		out := ids{}
		for _, i := range n.IDs {
			out[i.ID] = true
		}
		for _, p := range n.Parts {
			if _, err := c.node(p); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *plan.Limit:
		in, err := c.node(n.In)
		if err != nil {
			return nil, err
		}
		if err := c.keys(n.Order, in); err != nil {
			return nil, err
		}
		return in, c.exprs(ids{}, n.N)
	case *plan.FirstPerKey:
		in, err := c.node(n.In)
		if err != nil {
			return nil, err
		}
		if err := c.keys(n.Order, in); err != nil {
			return nil, err
		}
		return in, c.exprs(in, n.Keys...)
	case *plan.Window:
		in, out, err := c.inherit(n.In)
		if err != nil {
			return nil, err
		}
		for _, w := range n.Items {
			if err := c.exprs(in, append(append([]plan.Expr(nil), w.Args...), w.Partition...)...); err != nil {
				return nil, err
			}
			if err := c.keys(w.Order, in); err != nil {
				return nil, err
			}
			out[w.ID] = true
		}
		return out, nil
	case *plan.Expand:
		in, out, err := c.inherit(n.In)
		if err != nil {
			return nil, err
		}
		for _, i := range n.Items {
			if err := c.exprs(in, i.X); err != nil {
				return nil, err
			}
			out[i.ID] = true
		}
		out[n.Index] = true
		return out, nil
	case *plan.Shared:
		return c.node(n.In)
	}
	return nil, errorf("BUG: a plan node of unknown kind %T", n)
}

func (c checker) aggregate(n *plan.Aggregate) (ids, error) {
	in, err := c.node(n.In)
	if err != nil {
		return nil, err
	}
	out := ids{}
	if err := c.items(in, out, n.Keys); err != nil {
		return nil, err
	}
	for _, a := range n.Aggs {
		xs := append([]plan.Expr(nil), a.Args...)
		if a.Filter != nil {
			xs = append(xs, a.Filter)
		}
		if err := c.exprs(in, xs...); err != nil {
			return nil, err
		}
		if err := c.keys(a.Order, in); err != nil {
			return nil, err
		}
		if len(a.Outs) == 0 {
			out[a.ID] = true
		}
		if err := c.items(in, out, a.Outs); err != nil {
			return nil, err
		}
	}
	return out, nil
}
