package bind

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Row is what an expression is bound against. Rel is nil where there is no row; binding a row function adds nodes to
// Rel.Node, so operators must continue from there. Right is set in join conditions.
type Row struct {
	Scope *Scope
	Rel   *plan.Rel
	Right *plan.Rel
	// Agg, when set, takes over calls of aggregates.
	Agg func(c *ast.Call) (plan.Expr, error)
	// Functions allows row functions such as prev.
	Functions bool
}

// RowOf makes a Row over a copy of rel.
func RowOf(s *Scope, rel *plan.Rel) *Row {
	r := *rel
	return &Row{Scope: s, Rel: &r}
}

// Scalar binds a scalar expression.
func (b *Binder) Scalar(x ast.Expr, row *Row) (plan.Expr, error) {
	if err := b.step(x); err != nil {
		return nil, err
	}
	defer b.leave()
	switch x := x.(type) {
	case *ast.Literal:
		return literal(x), nil
	case *ast.Paren:
		return b.Scalar(x.X, row)
	case *ast.Name:
		return b.name(x, row)
	case *ast.TypeOf:
		return plan.Null(x.Type), nil
	case *ast.Unary:
		v, err := b.Scalar(x.X, row)
		if err != nil {
			return nil, err
		}
		if x.Op == "+" {
			if t := v.Type(); !t.Numeric() && t != types.TimeSpan {
				return nil, Errorf(x, CodeType, "the operator '+' is not defined for %s", t)
			}
			return v, nil
		}
		v, err = funcs.Negate(v)
		return v, at(x, err)
	case *ast.Binary:
		return b.binary(x, row)
	case *ast.Between:
		return b.between(x, row)
	case *ast.In:
		return b.in(x, row)
	case *ast.Member:
		return b.member(x, row)
	case *ast.Index:
		return b.index(x, row)
	case *ast.Call:
		return b.call(x, row)
	case *ast.Star:
		return nil, Errorf(x, CodeUnsupported, "'*' is not an expression here")
	}
	return nil, Errorf(x, CodeType, "a scalar expression is expected and a table is found")
}

func literal(l *ast.Literal) plan.Expr {
	if l.Null {
		return plan.Null(l.Type)
	}
	return &plan.Lit{Typ: l.Type, Int: l.Int, Real: l.Real, Text: l.Text}
}

func (b *Binder) name(x *ast.Name, row *Row) (plan.Expr, error) {
	if row.Rel != nil {
		if c, ok := row.Rel.Find(x.Name); ok {
			return &plan.Col{ID: c.ID, Typ: c.Type}, nil
		}
	}
	if n := row.Scope.find(x.Name); n != nil {
		return b.boundScalar(x, n)
	}
	return nil, Errorf(x, CodeUnresolved, "Failed to resolve column or scalar expression named '%s'", x.Name)
}

func (b *Binder) boundScalar(x ast.Node, n *binding) (plan.Expr, error) {
	switch {
	case n.value != nil:
		return n.value, nil
	case n.rel != nil:
		return nil, Errorf(x, CodeType, "a scalar expression is expected and a table is found")
	case n.scalar != nil:
		return n.scalar, nil
	case n.busy:
		return nil, Errorf(x, CodeType, "a name refers to itself")
	}
	n.busy = true
	defer func() { n.busy = false }()
	if f, ok := n.expr.(*ast.Function); ok {
		if len(f.Params) == 0 {
			return b.scalarFunction(x, f, n.scope, nil, &Row{Scope: n.scope})
		}
		return nil, Errorf(x, CodeType, "a function needs its arguments here")
	}
	v, err := b.Scalar(n.expr, &Row{Scope: n.scope})
	if err == nil {
		n.scalar = v
	}
	return v, err
}

func (b *Binder) pair(l, r ast.Expr, row *Row) (plan.Expr, plan.Expr, error) {
	a, err := b.Scalar(l, row)
	if err != nil {
		return nil, nil, err
	}
	c, err := b.Scalar(r, row)
	return a, c, err
}

func (b *Binder) binary(x *ast.Binary, row *Row) (plan.Expr, error) {
	l, r, err := b.pair(x.L, x.R, row)
	if err != nil {
		return nil, err
	}
	var out plan.Expr
	switch x.Op {
	case "and":
		out, err = funcs.And(l, r)
	case "or":
		out, err = funcs.Or(l, r)
	case "+", "-", "*", "/", "%":
		out, err = funcs.Arithmetic(x.Op, l, r)
	case "==", "!=", "<", "<=", ">", ">=":
		out, err = funcs.Compare(x.Op, l, r)
	default:
		out, err = funcs.Text(x.Op, l, r)
	}
	return out, at(x, err)
}

func (b *Binder) between(x *ast.Between, row *Row) (plan.Expr, error) {
	v, err := b.Scalar(x.X, row)
	if err != nil {
		return nil, err
	}
	lo, hi, err := b.pair(x.Lo, x.Hi, row)
	if err != nil {
		return nil, err
	}
	if v.Type() == types.DateTime && lo.Type() == types.DateTime && hi.Type() == types.TimeSpan {
		if hi, err = funcs.Arithmetic("+", lo, hi); err != nil {
			return nil, at(x, err)
		}
	}
	out, err := funcs.Between(v, lo, hi)
	if err == nil && x.Not {
		out, err = funcs.Not(out)
	}
	return out, at(x, err)
}

func (b *Binder) member(x *ast.Member, row *Row) (plan.Expr, error) {
	v, err := b.Scalar(x.X, row)
	if err != nil {
		return nil, err
	}
	if v.Type() != types.Dynamic {
		return nil, Errorf(x, CodeType, "the value before '.%s' is %s, not dynamic", x.Name, v.Type())
	}
	return path(v, plan.Text(x.Name)), nil
}

func (b *Binder) index(x *ast.Index, row *Row) (plan.Expr, error) {
	v, i, err := b.pair(x.X, x.I, row)
	if err != nil {
		return nil, err
	}
	if v.Type() != types.Dynamic {
		return nil, Errorf(x, CodeType, "the value before '[' is %s, not dynamic", v.Type())
	}
	if l, ok := i.(*plan.Lit); ok && !l.Null && (l.Typ == types.String || l.Typ.Integer()) {
		return path(v, l), nil
	}
	switch t := i.Type(); {
	case t == types.String, t == types.Dynamic:
		return &plan.Call{Op: "dynamic.key", Args: []plan.Expr{v, funcs.ToText(i)}, Typ: types.Dynamic}, nil
	case t.Integer():
		return &plan.Call{Op: "dynamic.item", Args: []plan.Expr{v, funcs.Cast(i, types.Long)}, Typ: types.Dynamic}, nil
	}
	return nil, Errorf(x, CodeType, "an index is a string or an integer, not %s", i.Type())
}

// path makes one access out of consecutive constant steps.
func path(v plan.Expr, step *plan.Lit) plan.Expr {
	if c, ok := v.(*plan.Call); ok && c.Op == "dynamic.path" {
		return &plan.Call{Op: c.Op, Args: append(c.Args[:len(c.Args):len(c.Args)], step), Typ: types.Dynamic}
	}
	return &plan.Call{Op: "dynamic.path", Args: []plan.Expr{v, step}, Typ: types.Dynamic}
}
