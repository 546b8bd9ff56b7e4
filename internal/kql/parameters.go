package kql

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/parse"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// parameters binds the declared query parameters to the given values or their defaults.
func parameters(b *bind.Binder, scope *bind.Scope, d *ast.Declare, given map[string]string) error {
	for _, p := range d.Params {
		if p.Tabular {
			return bind.Errorf(p, bind.CodeType, "the query parameter '%s' may not be a table", p.Name)
		}
		x := p.Default
		if text, ok := given[p.Name]; ok {
			if x, ok = parameter(p.Type, text); !ok {
				return bind.Errorf(p, bind.CodeParameter, "the value given for query parameter '%s' is no %s", p.Name, p.Type)
			}
		}
		if x == nil {
			return bind.Errorf(p, bind.CodeParameter, "the query parameter '%s' has no value", p.Name)
		}
		v, err := b.Scalar(x, &bind.Row{Scope: scope})
		if err != nil {
			return bind.Errorf(p, bind.CodeParameter, "the value of query parameter '%s': %s", p.Name, err)
		}
		if v, err = bind.Fit(v, p.Type); err != nil {
			return bind.Errorf(p, bind.CodeParameter, "the value of query parameter '%s': %s", p.Name, err)
		}
		if _, constant := v.(*plan.Lit); !constant && v.Type() != types.Int {
			return bind.Errorf(p, bind.CodeParameter, "the value of query parameter '%s' is no constant", p.Name)
		}
		scope.Value(p.Name, v)
	}
	return nil
}

// parameter reads a value given outside the text: a literal of the type, or the bare content of one.
func parameter(t types.Type, text string) (ast.Expr, bool) {
	x, err := parse.Expr(text)
	l, constant := x.(*ast.Literal)
	if u, signed := x.(*ast.Unary); signed {
		_, constant = u.X.(*ast.Literal)
	}
	if t == types.String {
		if err == nil && l != nil && l.Type == types.String {
			return l, true
		}
		return &ast.Literal{Type: t, Text: text}, true
	}
	if err == nil && constant && (l == nil || l.Type != types.String) {
		return x, true
	}
	if x, err = parse.Expr(t.String() + "(" + text + ")"); err != nil {
		return nil, false
	}
	l, constant = x.(*ast.Literal)
	return l, constant && l.Type == t
}
