package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func mvExpand(b *bind.Binder, s *bind.Scope, op *ast.MvExpand, in *plan.Rel) (*plan.Rel, error) {
	row := bind.RowOf(s, in)
	e := &plan.Expand{Arrays: op.BagArray, Index: b.NewID(), Limit: 2147483647}
	if op.Old {
		e.Limit = 128
	}
	if op.Limit != nil {
		v, err := constantCount(b, s, op.Limit)
		if err != nil {
			return nil, err
		}
		l, ok := v.(*plan.Lit)
		if !ok {
			return nil, bind.Errorf(op.Limit, bind.CodeUnsupported, "the limit of mv-expand is expected to be a constant")
		}
		e.Limit = l.Int
	}
	cols := append([]plan.Column(nil), in.Columns...)
	names := bind.NewNames(in.Columns)
	var casts []plan.Item
	seen := map[string]bool{}
	for _, item := range op.Items {
		v, err := b.Scalar(item.X.X, row)
		if err != nil {
			return nil, err
		}
		if v.Type() != types.Dynamic {
			return nil, bind.Errorf(item, bind.CodeType, "mv-expand needs a dynamic value and finds %s", v.Type())
		}
		c := plan.Column{ID: b.NewID(), Type: types.Dynamic}
		switch len(item.X.Names) {
		case 1:
			c.Name = item.X.Names[0]
		case 0:
			if n, ok := item.X.X.(*ast.Name); ok {
				c.Name = n.Name
			} else {
				c.Name = names.Auto(bind.NameOf(item.X.X))
			}
		default:
			return nil, bind.Errorf(item, bind.CodeUnsupported, "several names for one expression are not supported here")
		}
		if seen[c.Name] {
			return nil, bind.Errorf(item, bind.CodeType, "the column '%s' is expanded twice", c.Name)
		}
		seen[c.Name] = true
		names.Take(c.Name)
		if _, column := v.(*plan.Col); !column {
			id := b.NewID()
			row.Rel.Node = &plan.Extend{In: row.Rel.Node, Items: []plan.Item{{ID: id, Typ: types.Dynamic, Expr: v}}}
			v = &plan.Col{ID: id, Typ: types.Dynamic}
		}
		e.Items = append(e.Items, plan.ExpandItem{ID: c.ID, X: v})
		if item.To != types.Invalid && item.To != types.Dynamic {
			x, err := funcs.Convert(&plan.Col{ID: c.ID, Typ: types.Dynamic}, item.To)
			if err != nil {
				return nil, bind.TypeError(item, err)
			}
			c.ID, c.Type = b.NewID(), item.To
			casts = append(casts, plan.Item{ID: c.ID, Typ: c.Type, Expr: x})
		}
		cols = place(cols, c)
	}
	e.In = row.Rel.Node
	out := with(in, e)
	out.Columns = cols
	if len(casts) > 0 {
		out.Node = &plan.Extend{In: e, Items: casts}
	}
	if op.ItemIndex != "" {
		out.Columns = place(out.Columns, plan.Column{ID: e.Index, Name: op.ItemIndex, Type: types.Long})
	}
	if len(in.Order) > 0 {
		b.Gaps(in)
		out.Order = append(append([]plan.Key(nil), in.Order...), plan.Key{Col: e.Index, Typ: types.Long})
	}
	return out, nil
}

// place replaces the column of the same name where it stands, or appends it.
func place(cols []plan.Column, c plan.Column) []plan.Column {
	for i := range cols {
		if cols[i].Name == c.Name {
			cols[i] = c
			return cols
		}
	}
	return append(cols, c)
}
