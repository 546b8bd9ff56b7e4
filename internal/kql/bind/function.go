package bind

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// scalarFunction expands a call of a let function whose body is a scalar.
func (b *Binder) scalarFunction(n ast.Node, f *ast.Function, defined *Scope, args []ast.Named, row *Row) (plan.Expr, error) {
	s, err := b.arguments(n, f, defined, args, row)
	if err != nil {
		return nil, err
	}
	if b.tabular(f.Body, s) {
		return nil, Errorf(n, CodeType, "a scalar expression is expected and the function returns a table")
	}
	return b.Scalar(f.Body, &Row{Scope: s})
}

// tabularFunction expands a call of a let function whose body is a table.
func (b *Binder) tabularFunction(n ast.Node, f *ast.Function, defined *Scope, args []ast.Named, caller *Scope, piped *plan.Rel) (*plan.Rel, error) {
	row := &Row{Scope: caller}
	if piped != nil {
		// invoke passes the piped table as the first argument under a name no query can spell.
		inner := NewScope(caller)
		inner.Rel("\x00piped", piped)
		row.Scope = inner
		args = append([]ast.Named{{X: &ast.Name{At: ast.At(n.Pos()), Name: "\x00piped"}}}, args...)
	}
	s, err := b.arguments(n, f, defined, args, row)
	if err != nil {
		return nil, err
	}
	return b.Tabular(f.Body, s)
}

// arguments binds parameters in a new scope inside the one the function was defined in, and then the function's lets.
func (b *Binder) arguments(n ast.Node, f *ast.Function, defined *Scope, args []ast.Named, row *Row) (*Scope, error) {
	if err := b.step(n); err != nil {
		return nil, err
	}
	defer b.leave()
	s := NewScope(defined)
	given := make([]*ast.Named, len(f.Params))
	for i, a := range args {
		at := i
		if len(a.Names) > 0 {
			at = -1
			for j, p := range f.Params {
				if p.Name == a.Names[0] {
					at = j
				}
			}
			if at < 0 {
				return nil, Errorf(a, CodeFunction, "the function has no parameter '%s'", a.Names[0])
			}
		}
		if at >= len(f.Params) {
			return nil, Errorf(n, CodeFunction, "the function takes %d arguments", len(f.Params))
		}
		if given[at] != nil {
			return nil, Errorf(a, CodeFunction, "the parameter '%s' is given twice", f.Params[at].Name)
		}
		given[at] = &args[i]
	}
	for i, p := range f.Params {
		if err := b.argument(n, p, given[i], s, defined, row); err != nil {
			return nil, err
		}
	}
	for _, l := range f.Lets {
		if err := s.Let(l.(*ast.Let)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (b *Binder) argument(n ast.Node, p ast.Param, given *ast.Named, s, defined *Scope, row *Row) error {
	if p.Tabular {
		if given == nil {
			return Errorf(n, CodeFunction, "the parameter '%s' needs a table", p.Name)
		}
		rel, err := b.Tabular(given.X, row.Scope)
		if err != nil {
			return err
		}
		for _, c := range p.Columns {
			have, ok := rel.Find(c.Name)
			if !ok || have.Type != c.Type {
				return Errorf(given, CodeType, "the table for parameter '%s' has no column %s", p.Name, c)
			}
		}
		// Columns beyond those listed stay visible in the function.
		s.Rel(p.Name, rel)
		return nil
	}
	var v plan.Expr
	var err error
	switch {
	case given != nil:
		v, err = b.Scalar(given.X, row)
	case p.Default != nil:
		v, err = b.Scalar(p.Default, &Row{Scope: defined})
	default:
		return Errorf(n, CodeFunction, "the parameter '%s' is missing", p.Name)
	}
	if err != nil {
		return err
	}
	if v, err = Fit(v, p.Type); err != nil {
		return Errorf(n, CodeType, "the parameter '%s': %s", p.Name, err)
	}
	s.Value(p.Name, v)
	return nil
}

// Fit converts an argument to a declared type where the language does so silently.
func Fit(v plan.Expr, t types.Type) (plan.Expr, error) {
	from := v.Type()
	switch {
	case from == t:
		return v, nil
	case from.Numeric() && t.Numeric() && (types.Widest(from, t) == t || from == types.Long && t == types.Int):
		if t == types.Int {
			return funcs.Convert(v, t)
		}
		return funcs.Cast(v, t), nil
	case t == types.Dynamic:
		return funcs.ToDynamic(v), nil
	}
	if l, ok := v.(*plan.Lit); ok && l.Null && l.Typ == types.Dynamic {
		return plan.Null(t), nil
	}
	return nil, typeMismatch{from, t}
}

type typeMismatch struct{ from, to types.Type }

func (e typeMismatch) Error() string {
	return "a value of type " + e.to.String() + " is expected and " + e.from.String() + " is found"
}
