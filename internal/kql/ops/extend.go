package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

// extend adds columns; a name that exists is replaced where it stands. Items of one extend do not see each other.
func extend(b *bind.Binder, s *bind.Scope, list []ast.Named, in *plan.Rel) (*plan.Rel, error) {
	row := bind.RowOf(s, in)
	row.Functions = true
	cols := append([]plan.Column(nil), in.Columns...)
	names := bind.NewNames(in.Columns)
	fresh := map[string]bool{}
	var items []plan.Item
	for _, n := range list {
		v, err := b.Scalar(n.X, row)
		if err != nil {
			return nil, err
		}
		c := plan.Column{ID: b.NewID(), Type: v.Type()}
		switch len(n.Names) {
		case 0:
			if x, ok := n.X.(*ast.Name); ok {
				if _, isCol := in.Find(x.Name); isCol {
					continue
				}
			}
			c.Name = names.Auto(bind.NameOf(n.X))
		case 1:
			c.Name = n.Names[0]
		default:
			return nil, bind.Errorf(n, bind.CodeUnsupported, "several names for one expression are not supported here")
		}
		if fresh[c.Name] {
			return nil, bind.Errorf(n, bind.CodeType, "the column '%s' is given twice", c.Name)
		}
		fresh[c.Name] = true
		names.Take(c.Name)
		items = append(items, plan.Item{ID: c.ID, Typ: c.Type, Expr: v})
		replaced := false
		for i := range cols {
			if cols[i].Name == c.Name {
				cols[i], replaced = c, true
			}
		}
		if !replaced {
			cols = append(cols, c)
		}
	}
	out := row.Rel
	out.Columns = cols
	if len(items) > 0 {
		out.Node = &plan.Extend{In: out.Node, Items: items}
	}
	return out, nil
}

func serialize(b *bind.Binder, s *bind.Scope, op *ast.Serialize, in *plan.Rel) (*plan.Rel, error) {
	rel := *in
	rel.Serialized = true
	if len(rel.Order) == 0 {
		b.Number(&rel)
	}
	if len(op.Items) == 0 {
		return &rel, nil
	}
	return extend(b, s, op.Items, &rel)
}
