package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Table binds every operator this compiler supports.
type Table struct{}

// Bind implements bind.Operators.
func (Table) Bind(b *bind.Binder, s *bind.Scope, op ast.Operator, in *plan.Rel) (*plan.Rel, error) {
	if _, ok := op.(*ast.Render); !ok && in.Visualization != nil {
		return nil, bind.Errorf(op, bind.CodeUnsupported, "no operator may follow render")
	}
	switch op := op.(type) {
	case *ast.Where:
		return where(b, s, op, in)
	case *ast.Project:
		return project(b, s, op, in)
	case *ast.ProjectNames:
		return projectNames(op, in)
	case *ast.Rename:
		return rename(op, in)
	case *ast.Extend:
		return extend(b, s, op.Items, in)
	case *ast.Serialize:
		return serialize(b, s, op, in)
	case *ast.Summarize:
		return summarize(b, s, op, in)
	case *ast.Distinct:
		return distinct(b, s, op, in)
	case *ast.Count:
		return count(b, in)
	case *ast.Take:
		return take(b, s, op.N, in, nil)
	case *ast.Sample:
		return sample(b, s, op, in)
	case *ast.SampleDistinct:
		rel, err := distinct(b, s, &ast.Distinct{At: op.At, Items: []ast.Named{op.Of}}, in)
		if err != nil {
			return nil, err
		}
		return take(b, s, op.N, rel, nil)
	case *ast.TopHitters:
		return topHitters(b, s, op, in)
	case *ast.Sort:
		return sort(b, s, op.Keys, in)
	case *ast.Top:
		return top(b, s, op, in)
	case *ast.Join:
		return join(b, s, op, in)
	case *ast.Lookup:
		return lookup(b, s, op, in)
	case *ast.Union:
		return union(b, s, op, in)
	case *ast.As:
		return as(b, s, op, in)
	case *ast.Render:
		return render(op, in)
	case *ast.GetSchema:
		return getSchema(b, in)
	case *ast.MvExpand:
		return mvExpand(b, s, op, in)
	case *ast.Parse:
		return parse(b, s, op, in)
	case *ast.Consume:
		out := *in
		out.Node = &plan.Filter{In: in.Node, Pred: plan.Bool(false)}
		return &out, nil
	case *ast.Invoke:
		return b.Invoke(op.Call, s, in)
	}
	return nil, bind.Errorf(op, bind.CodeUnsupported, "the operator is not supported")
}

// Union implements bind.Operators.
func (Table) Union(b *bind.Binder, s *bind.Scope, u *ast.Union, in *plan.Rel) (*plan.Rel, error) {
	return union(b, s, u, in)
}

// with copies a rel with another node and loses what its operator does not keep.
func with(in *plan.Rel, node plan.Node) *plan.Rel {
	out := *in
	out.Node = node
	return &out
}

// carry makes a Project that outputs items, the visible columns of out and the hidden columns its order needs.
func carry(in plan.Node, out *plan.Rel, items []plan.Item) plan.Node {
	p := &plan.Project{In: in}
	have := map[plan.ColumnID]bool{}
	for _, i := range items {
		have[i.ID] = true
		p.Items = append(p.Items, i)
	}
	pass := func(id plan.ColumnID, t types.Type) {
		if !have[id] {
			have[id] = true
			p.Items = append(p.Items, plan.Item{ID: id, Typ: t, Expr: &plan.Col{ID: id, Typ: t}})
		}
	}
	for _, c := range out.Columns {
		pass(c.ID, c.Type)
	}
	for _, k := range out.Order {
		pass(k.Col, k.Typ)
	}
	return p
}

// constantCount binds a row count, which may be any expression without a row.
func constantCount(b *bind.Binder, s *bind.Scope, n ast.Expr) (plan.Expr, error) {
	v, err := b.Scalar(n, &bind.Row{Scope: s})
	if err != nil {
		return nil, err
	}
	if !v.Type().Integer() {
		return nil, bind.Errorf(n, bind.CodeType, "the number of rows is expected to be an integer and is %s", v.Type())
	}
	if l, ok := v.(*plan.Lit); ok && (l.Null || l.Int < 0) {
		return nil, bind.Errorf(n, bind.CodeType, "the number of rows may not be negative or null")
	}
	return v, nil
}
