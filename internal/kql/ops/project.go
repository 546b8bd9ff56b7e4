package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

func project(b *bind.Binder, s *bind.Scope, op *ast.Project, in *plan.Rel) (*plan.Rel, error) {
	row := bind.RowOf(s, in)
	row.Functions = true
	out := *in
	out.Columns = nil
	names := bind.NewNames(nil)
	var items []plan.Item
	for _, n := range op.Items {
		if star, ok := n.X.(*ast.Star); ok {
			return nil, bind.Errorf(star, bind.CodeUnsupported, "'*' in project is not supported")
		}
		v, err := b.Scalar(n.X, row)
		if err != nil {
			return nil, err
		}
		name, err := nameItem(n, names)
		if err != nil {
			return nil, err
		}
		c := plan.Column{ID: b.NewID(), Name: name, Type: v.Type()}
		items = append(items, plan.Item{ID: c.ID, Typ: c.Type, Expr: v})
		out.Columns = append(out.Columns, c)
	}
	out.Order = row.Rel.Order
	out.Node = carry(row.Rel.Node, &out, items)
	return &out, nil
}

// nameItem reserves the name of an item of project, distinct or summarize.
func nameItem(n ast.Named, names *bind.Names) (string, error) {
	switch len(n.Names) {
	case 0:
		if x, ok := n.X.(*ast.Name); ok {
			if !names.Take(x.Name) {
				return "", bind.Errorf(n, bind.CodeType, "the column '%s' is given twice", x.Name)
			}
			return x.Name, nil
		}
		return names.Auto(bind.NameOf(n.X)), nil
	case 1:
		if !names.Take(n.Names[0]) {
			return "", bind.Errorf(n, bind.CodeType, "the column '%s' is given twice", n.Names[0])
		}
		return n.Names[0], nil
	}
	return "", bind.Errorf(n, bind.CodeUnsupported, "several names for one expression are not supported here")
}
