package bind

import (
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// maxNodes bounds the work of one compilation, whose functions and lets are expanded where they are used.
const maxNodes = 20000

// Error is a refusal at a byte offset.
type Error struct {
	Pos     int
	Code    string
	Message string
}

func (e *Error) Error() string { return e.Message }

// The codes of semantic errors.
const (
	CodeUnresolved  = "SEM0100"
	CodeFunction    = "SEM0260"
	CodeType        = "SEM0001"
	CodeUnsupported = "SEM0002"
	CodeParameter   = "SEM0250"
)

// Errorf makes an error at a node's position.
func Errorf(n ast.Node, code, format string, args ...any) error {
	return &Error{Pos: n.Pos(), Code: code, Message: fmt.Sprintf(format, args...)}
}

// at gives an error from a package without positions the place of the node.
func at(n ast.Node, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return Errorf(n, CodeType, "%s", err.Error())
}

// TypeError is Errorf for errors of the funcs package.
func TypeError(n ast.Node, err error) error { return at(n, err) }

// Column is a stored column as the environment gives it.
type Column struct {
	Name     string
	Type     types.Type
	Physical string
}

// Table is a stored table; Ref is the environment's own name for it.
type Table struct {
	Name    string
	Ref     string
	Columns []Column
}

// Env is what a query can see of the outside.
type Env interface {
	// Table finds a table by its exact name; an empty database means the current one.
	Table(database, table string) (Table, bool)
	// Tables lists the tables of a database.
	Tables(database string) []string
}

// Operators binds tabular operators.
type Operators interface {
	Bind(b *Binder, s *Scope, op ast.Operator, in *plan.Rel) (*plan.Rel, error)
	Union(b *Binder, s *Scope, u *ast.Union, in *plan.Rel) (*plan.Rel, error)
}

// Binder is the state of one compilation.
type Binder struct {
	Env     Env
	Ops     Operators
	Context funcs.Context

	last  plan.ColumnID
	nodes int
	depth int
	// numbered marks columns that number the rows of their input from 1 without gaps.
	numbered map[plan.ColumnID]bool
}

// New makes a Binder.
func New(env Env, ops Operators, ctx funcs.Context) *Binder {
	return &Binder{Env: env, Ops: ops, Context: ctx, numbered: map[plan.ColumnID]bool{}}
}

// NewID gives a fresh column number.
func (b *Binder) NewID() plan.ColumnID {
	b.last++
	return b.last
}

// step counts work and nesting; leave undoes the nesting.
func (b *Binder) step(n ast.Node) error {
	b.nodes++
	b.depth++
	if b.nodes > maxNodes {
		return Errorf(n, CodeUnsupported, "the query is too complex once its let statements are expanded")
	}
	if b.depth > 400 {
		return Errorf(n, CodeUnsupported, "the query is nested too deeply once its let statements are expanded")
	}
	return nil
}

func (b *Binder) leave() { b.depth-- }

// Fresh gives a rel new column numbers, so that the same rows can be used twice in one query.
func (b *Binder) Fresh(r *plan.Rel) *plan.Rel {
	out := *r
	p := &plan.Project{In: r.Node}
	ids := map[plan.ColumnID]plan.ColumnID{}
	add := func(id plan.ColumnID, t types.Type) plan.ColumnID {
		if n, ok := ids[id]; ok {
			return n
		}
		n := b.NewID()
		ids[id] = n
		p.Items = append(p.Items, plan.Item{ID: n, Typ: t, Expr: &plan.Col{ID: id, Typ: t}})
		b.numbered[n] = b.numbered[id]
		return n
	}
	out.Columns = make([]plan.Column, len(r.Columns))
	for i, c := range r.Columns {
		out.Columns[i] = plan.Column{ID: add(c.ID, c.Type), Name: c.Name, Type: c.Type}
	}
	out.Order = make([]plan.Key, len(r.Order))
	for i, k := range r.Order {
		k.Col = add(k.Col, k.Typ)
		out.Order[i] = k
	}
	out.Node = p
	return &out
}
