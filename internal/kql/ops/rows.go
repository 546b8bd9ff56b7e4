package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func take(b *bind.Binder, s *bind.Scope, n ast.Expr, in *plan.Rel, order []plan.Key) (*plan.Rel, error) {
	v, err := constantCount(b, s, n)
	if err != nil {
		return nil, err
	}
	if order == nil {
		order = in.Order
	}
	return with(in, &plan.Limit{In: in.Node, N: v, Order: order}), nil
}

// sample keeps N random rows: the first by a random number that is dropped again.
func sample(b *bind.Binder, s *bind.Scope, op *ast.Sample, in *plan.Rel) (*plan.Rel, error) {
	v, err := constantCount(b, s, op.N)
	if err != nil {
		return nil, err
	}
	id := b.NewID()
	node := &plan.Extend{In: in.Node, Items: []plan.Item{{ID: id, Typ: types.Real, Expr: &plan.Call{Op: "rand", Typ: types.Real}}}}
	out := with(in, &plan.Limit{In: node, N: v, Order: []plan.Key{{Col: id, Typ: types.Real}}})
	out.Order, out.Serialized = nil, false
	return out, nil
}

func count(b *bind.Binder, in *plan.Rel) (*plan.Rel, error) {
	id := b.NewID()
	return &plan.Rel{
		Node:    &plan.Aggregate{In: in.Node, Aggs: []plan.Agg{{ID: id, Typ: types.Long, Func: "count"}}},
		Columns: []plan.Column{{ID: id, Name: "Count", Type: types.Long}},
	}, nil
}

func distinct(b *bind.Binder, s *bind.Scope, op *ast.Distinct, in *plan.Rel) (*plan.Rel, error) {
	items := op.Items
	if len(items) == 1 {
		if _, ok := items[0].X.(*ast.Star); ok {
			items = nil
			for _, c := range in.Columns {
				items = append(items, ast.Named{At: op.At, X: &ast.Name{At: op.At, Name: c.Name}})
			}
		}
	}
	row := bind.RowOf(s, in)
	out := &plan.Rel{}
	agg := &plan.Aggregate{}
	names := bind.NewNames(nil)
	for _, n := range items {
		v, err := b.Scalar(n.X, row)
		if err != nil {
			return nil, err
		}
		if v.Type() == types.Dynamic {
			return nil, bind.Errorf(n, bind.CodeType, "distinct over a dynamic value is not supported; convert it with tostring()")
		}
		name, err := nameItem(n, names)
		if err != nil {
			return nil, err
		}
		id := b.NewID()
		agg.Keys = append(agg.Keys, plan.Item{ID: id, Typ: v.Type(), Expr: v})
		out.Columns = append(out.Columns, plan.Column{ID: id, Name: name, Type: v.Type()})
	}
	agg.In = row.Rel.Node
	out.Node = agg
	return out, nil
}

func sortKeys(b *bind.Binder, s *bind.Scope, keys []ast.SortKey, in *plan.Rel) (*plan.Rel, []plan.Key, error) {
	row := bind.RowOf(s, in)
	var items []plan.Item
	var order []plan.Key
	for _, k := range keys {
		if len(k.X.Names) > 0 {
			return nil, nil, bind.Errorf(k, bind.CodeUnsupported, "a named sort key is not supported")
		}
		v, err := b.Scalar(k.X.X, row)
		if err != nil {
			return nil, nil, err
		}
		t := v.Type()
		if !t.Ordered() {
			return nil, nil, bind.Errorf(k, bind.CodeType, "rows cannot be ordered by a dynamic value; convert it first")
		}
		c, ok := v.(*plan.Col)
		if !ok {
			c = &plan.Col{ID: b.NewID(), Typ: t}
			items = append(items, plan.Item{ID: c.ID, Typ: t, Expr: v})
		}
		order = append(order, plan.Key{Col: c.ID, Typ: t, Desc: k.Desc, NullsFirst: k.NullsFirst})
	}
	out := row.Rel
	if len(items) > 0 {
		out.Node = &plan.Extend{In: out.Node, Items: items}
	}
	// What ordered the rows before decides among equals, so that answers repeat.
	return out, append(order, in.Order...), nil
}

func sort(b *bind.Binder, s *bind.Scope, keys []ast.SortKey, in *plan.Rel) (*plan.Rel, error) {
	out, order, err := sortKeys(b, s, keys, in)
	if err != nil {
		return nil, err
	}
	out.Order, out.Serialized, out.Sorted = order, true, true
	return out, nil
}

func top(b *bind.Binder, s *bind.Scope, op *ast.Top, in *plan.Rel) (*plan.Rel, error) {
	out, err := sort(b, s, op.Keys, in)
	if err != nil {
		return nil, err
	}
	return take(b, s, op.N, out, out.Order)
}

// topHitters is count() or sum() per value, largest first.
func topHitters(b *bind.Binder, s *bind.Scope, op *ast.TopHitters, in *plan.Rel) (*plan.Rel, error) {
	call, prefix := &ast.Call{At: op.At, Name: "count"}, "approximate_count_"
	if op.By != nil {
		n, ok := op.By.(*ast.Name)
		if !ok {
			return nil, bind.Errorf(op.By, bind.CodeUnsupported, "top-hitters by an expression is not supported; extend a column first")
		}
		call, prefix = &ast.Call{At: op.At, Name: "sum", Args: []ast.Named{{At: op.At, X: n}}}, "approximate_sum_"+n.Name
	}
	rel, err := summarize(b, s, &ast.Summarize{At: op.At, Aggregates: []ast.Named{{At: op.At, X: call}}, By: []ast.Named{op.Of}}, in)
	if err != nil {
		return nil, err
	}
	if op.By == nil {
		prefix += rel.Columns[0].Name
	}
	key, value := &rel.Columns[0], &rel.Columns[1]
	value.Name = prefix
	if c, ok := op.By.(*ast.Name); ok {
		// The sum keeps the column's type; one that does not fit is the engine's error.
		if of, found := in.Find(c.Name); found && of.Type != value.Type {
			sum := &plan.Col{ID: value.ID, Typ: value.Type}
			value.ID, value.Type = b.NewID(), of.Type
			rel.Node = &plan.Extend{In: rel.Node, Items: []plan.Item{{ID: value.ID, Typ: of.Type, Expr: &plan.Call{Op: "cast", Args: []plan.Expr{sum}, Typ: of.Type}}}}
		}
	}
	rel.Order = []plan.Key{{Col: value.ID, Typ: value.Type, Desc: true}, {Col: key.ID, Typ: key.Type}}
	rel.Serialized, rel.Sorted = true, true
	return take(b, s, op.N, rel, rel.Order)
}

func as(b *bind.Binder, s *bind.Scope, op *ast.As, in *plan.Rel) (*plan.Rel, error) {
	out := *in
	out.Name = op.Name
	s.Rel(op.Name, b.Fresh(&out))
	return &out, nil
}

func getSchema(b *bind.Binder, in *plan.Rel) (*plan.Rel, error) {
	v := &plan.Values{}
	out := &plan.Rel{Node: v}
	add := func(name string, t types.Type) {
		id := b.NewID()
		v.Columns = append(v.Columns, plan.Item{ID: id, Typ: t})
		out.Columns = append(out.Columns, plan.Column{ID: id, Name: name, Type: t})
	}
	add("ColumnName", types.String)
	add("ColumnOrdinal", types.Long)
	add("DataType", types.String)
	add("ColumnType", types.String)
	out.Order = []plan.Key{{Col: out.Columns[1].ID, Typ: types.Long}}
	for i, c := range in.Columns {
		v.Rows = append(v.Rows, []plan.Expr{plan.Text(c.Name), plan.Long(int64(i)), plan.Text(c.Type.NetName()), plan.Text(c.Type.String())})
	}
	return out, nil
}
