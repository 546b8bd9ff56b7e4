package bind

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

// Scope holds the names let statements and function parameters bind. Inner scopes shadow outer ones.
type Scope struct {
	parent *Scope
	names  map[string]*binding
}

// binding is one let name or parameter. Exactly one of value, rel and expr is set; expr is bound in scope when used.
type binding struct {
	expr  ast.Expr
	scope *Scope
	value plan.Expr
	rel   *plan.Rel
	// busy guards against a name that refers to itself.
	busy bool
	// scalar and table keep the result of binding expr once.
	scalar plan.Expr
	table  *plan.Rel
}

// NewScope opens a scope inside parent, which may be nil.
func NewScope(parent *Scope) *Scope { return &Scope{parent: parent, names: map[string]*binding{}} }

// Let binds a name to an expression; a name can be bound only once in a scope.
func (s *Scope) Let(l *ast.Let) error {
	if _, twice := s.names[l.Name]; twice {
		return Errorf(l, CodeType, "the name '%s' is declared twice", l.Name)
	}
	// The expression sees what was bound before it, not itself.
	s.names[l.Name] = &binding{expr: l.Value, scope: s.snapshot()}
	return nil
}

// Value binds a name to a bound scalar.
func (s *Scope) Value(name string, x plan.Expr) { s.names[name] = &binding{value: x} }

// Rel binds a name to a bound table.
func (s *Scope) Rel(name string, r *plan.Rel) { s.names[name] = &binding{rel: r} }

func (s *Scope) snapshot() *Scope {
	names := make(map[string]*binding, len(s.names))
	for n, b := range s.names {
		names[n] = b
	}
	return &Scope{parent: s.parent, names: names}
}

func (s *Scope) find(name string) *binding {
	for ; s != nil; s = s.parent {
		if b, ok := s.names[name]; ok {
			return b
		}
	}
	return nil
}

// enter returns the function that a call names and marks it as being expanded,
// until leave is called: a function must not call itself.
func (b *binding) enter(c *ast.Call) (f *ast.Function, leave func(), err error) {
	f, ok := b.expr.(*ast.Function)
	switch {
	case !ok:
		return nil, nil, Errorf(c, CodeFunction, "'%s' is not a function", c.Name)
	case b.busy:
		return nil, nil, Errorf(c, CodeFunction, "the function '%s' calls itself", c.Name)
	}
	b.busy = true
	return f, func() { b.busy = false }, nil
}

// tabular tells whether an expression is a table rather than a scalar.
func (b *Binder) tabular(x ast.Expr, s *Scope) bool { return b.tabularDepth(x, s, 0) }

func (b *Binder) tabularDepth(x ast.Expr, s *Scope, depth int) bool {
	if depth > 100 {
		return false
	}
	switch x := x.(type) {
	case *ast.Pipeline, *ast.DataTable, *ast.Print, *ast.Range, *ast.Union:
		return true
	case *ast.Paren:
		return b.tabularDepth(x.X, s, depth+1)
	case *ast.Name:
		if n := s.find(x.Name); n != nil {
			return n.rel != nil || n.expr != nil && b.tabularDepth(n.expr, n.scope, depth+1)
		}
		_, ok := b.Env.Table("", x.Name)
		return ok
	case *ast.Function:
		inner := NewScope(s)
		for _, p := range x.Params {
			if p.Tabular {
				inner.names[p.Name] = &binding{rel: &plan.Rel{}}
			} else {
				inner.names[p.Name] = &binding{value: plan.Null(p.Type)}
			}
		}
		for _, l := range x.Lets {
			inner.names[l.(*ast.Let).Name] = &binding{expr: l.(*ast.Let).Value, scope: inner.snapshot()}
		}
		return b.tabularDepth(x.Body, inner, depth+1)
	case *ast.Call:
		if n := s.find(x.Name); n != nil {
			return n.expr != nil && b.tabularDepth(n.expr, n.scope, depth+1)
		}
		switch x.Name {
		case "table", "materialize", "view", ".table", "materialized_view", "external_table":
			return true
		}
	case *ast.Member:
		if c, ok := x.X.(*ast.Call); ok && (c.Name == "database" || c.Name == ".database" || c.Name == "cluster") {
			return true
		}
	}
	return false
}
