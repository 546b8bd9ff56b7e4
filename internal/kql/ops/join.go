package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

var joinKinds = map[string]string{
	"": "innerunique", "innerunique": "innerunique", "inner": "inner", "leftouter": "leftouter", "rightouter": "rightouter", "fullouter": "fullouter",
	"leftsemi": "leftsemi", "rightsemi": "rightsemi", "leftanti": "leftanti", "anti": "leftanti", "leftantisemi": "leftanti",
	"rightanti": "rightanti", "rightantisemi": "rightanti",
}

func join(b *bind.Binder, s *bind.Scope, op *ast.Join, in *plan.Rel) (*plan.Rel, error) {
	kind, ok := joinKinds[op.Kind]
	if !ok {
		return nil, bind.Errorf(op, bind.CodeType, "the join kind '%s' is not known", op.Kind)
	}
	right, err := b.Tabular(op.Right, s)
	if err != nil {
		return nil, err
	}
	on, err := conditions(b, s, op, op.On, in, right)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "rightsemi", "rightanti":
		for i := range on {
			on[i].Left, on[i].Right = on[i].Right, on[i].Left
		}
		kind = "left" + kind[len("right"):]
		return &plan.Rel{Node: &plan.Join{Kind: kind, Left: right.Node, Right: in.Node, On: on}, Columns: right.Columns}, nil
	case "leftsemi", "leftanti":
		return &plan.Rel{Node: &plan.Join{Kind: kind, Left: in.Node, Right: right.Node, On: on}, Columns: in.Columns}, nil
	}
	left := in.Node
	if kind == "innerunique" {
		f := &plan.FirstPerKey{In: left, Order: in.Order}
		for _, o := range on {
			f.Keys = append(f.Keys, o.Left)
		}
		left, kind = f, "inner"
	}
	out := &plan.Rel{}
	names := bind.NewNames(in.Columns)
	out.Columns = append(out.Columns, in.Columns...)
	for _, c := range right.Columns {
		c.Name = names.Unique(c.Name)
		out.Columns = append(out.Columns, c)
	}
	out.Node = outer(b, kind, &plan.Join{Kind: kind, Left: left, Right: right.Node, On: on}, out)
	return out, nil
}

// outer gives the sides an outer join may leave empty their empty values: strings have no null.
func outer(b *bind.Binder, kind string, node plan.Node, out *plan.Rel) plan.Node {
	if kind == "inner" {
		return node
	}
	var items []plan.Item
	for i, c := range out.Columns {
		if c.Type != types.String {
			continue
		}
		id := b.NewID()
		items = append(items, plan.Item{ID: id, Typ: c.Type, Expr: &plan.Call{Op: "string.present", Typ: c.Type, Args: []plan.Expr{&plan.Col{ID: c.ID, Typ: c.Type}}}})
		out.Columns[i].ID = id
	}
	if len(items) == 0 {
		return node
	}
	return &plan.Extend{In: node, Items: items}
}

func lookup(b *bind.Binder, s *bind.Scope, op *ast.Lookup, in *plan.Rel) (*plan.Rel, error) {
	kind := op.Kind
	if kind == "" {
		kind = "leftouter"
	}
	if kind != "leftouter" && kind != "inner" {
		return nil, bind.Errorf(op, bind.CodeType, "the lookup kind '%s' is not known", op.Kind)
	}
	right, err := b.Tabular(op.Right, s)
	if err != nil {
		return nil, err
	}
	on, err := conditions(b, s, op, op.On, in, right)
	if err != nil {
		return nil, err
	}
	keys := map[plan.ColumnID]bool{}
	for _, o := range on {
		if c, ok := o.Right.(*plan.Col); ok {
			keys[c.ID] = true
		}
	}
	out := &plan.Rel{}
	names := bind.NewNames(in.Columns)
	out.Columns = append(out.Columns, in.Columns...)
	for _, c := range right.Columns {
		if !keys[c.ID] {
			c.Name = names.Unique(c.Name)
			out.Columns = append(out.Columns, c)
		}
	}
	out.Node = outer(b, kind, &plan.Join{Kind: kind, Left: in.Node, Right: right.Node, On: on}, out)
	return out, nil
}

// conditions binds the keys: a column of both sides, or $left.a == $right.b.
func conditions(b *bind.Binder, s *bind.Scope, n ast.Node, list []ast.Expr, left, right *plan.Rel) ([]plan.On, error) {
	var out []plan.On
	for _, x := range list {
		pairs, err := condition(x, left, right)
		if err != nil {
			return nil, err
		}
		out = append(out, pairs...)
	}
	for i, o := range out {
		lt, rt := o.Left.Type(), o.Right.Type()
		switch {
		case lt == types.Dynamic || rt == types.Dynamic:
			return nil, bind.Errorf(n, bind.CodeType, "a join key may not be dynamic; convert it first")
		case lt.Integer() && rt.Integer():
			out[i] = plan.On{Left: funcs.Cast(o.Left, types.Long), Right: funcs.Cast(o.Right, types.Long)}
		case lt != rt:
			return nil, bind.Errorf(n, bind.CodeType, "the join keys have the types %s and %s", lt, rt)
		}
	}
	return out, nil
}

func condition(x ast.Expr, left, right *plan.Rel) ([]plan.On, error) {
	switch x := x.(type) {
	case *ast.Paren:
		return condition(x.X, left, right)
	case *ast.Name:
		l, lok := left.Find(x.Name)
		r, rok := right.Find(x.Name)
		if !lok || !rok {
			return nil, bind.Errorf(x, bind.CodeUnresolved, "Failed to resolve column named '%s' on both sides of the join", x.Name)
		}
		return []plan.On{{Left: &plan.Col{ID: l.ID, Typ: l.Type}, Right: &plan.Col{ID: r.ID, Typ: r.Type}}}, nil
	case *ast.Binary:
		if x.Op == "and" {
			a, err := condition(x.L, left, right)
			if err != nil {
				return nil, err
			}
			c, err := condition(x.R, left, right)
			return append(a, c...), err
		}
		if x.Op != "==" {
			return nil, bind.Errorf(x, bind.CodeType, "a join condition compares with '==' only")
		}
		side, a, err := sided(x.L, left, right)
		if err != nil {
			return nil, err
		}
		other, c, err := sided(x.R, left, right)
		if err != nil {
			return nil, err
		}
		if side == other {
			return nil, bind.Errorf(x, bind.CodeType, "a join condition compares $left with $right")
		}
		if side == "$right" {
			a, c = c, a
		}
		return []plan.On{{Left: a, Right: c}}, nil
	}
	return nil, bind.Errorf(x, bind.CodeType, "a join condition is a column name or $left.a == $right.b")
}

func sided(x ast.Expr, left, right *plan.Rel) (string, *plan.Col, error) {
	if p, ok := x.(*ast.Paren); ok {
		return sided(p.X, left, right)
	}
	if m, ok := x.(*ast.Member); ok {
		if n, ok := m.X.(*ast.Name); ok && (n.Name == "$left" || n.Name == "$right") {
			rel := left
			if n.Name == "$right" {
				rel = right
			}
			c, found := rel.Find(m.Name)
			if !found {
				return "", nil, bind.Errorf(m, bind.CodeUnresolved, "Failed to resolve column named '%s'", m.Name)
			}
			return n.Name, &plan.Col{ID: c.ID, Typ: c.Type}, nil
		}
	}
	return "", nil, bind.Errorf(x, bind.CodeType, "a join condition compares $left.a with $right.b")
}
