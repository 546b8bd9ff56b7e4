package plan

import "github.com/kustos-io/kustos/internal/kql/types"

// ColumnID numbers a column within one query.
type ColumnID int

// Expr is a typed scalar expression.
type Expr interface {
	Type() types.Type
}

type (
	// Col reads a column.
	Col struct {
		ID  ColumnID
		Typ types.Type
	}
	// Lit is a constant in the encoding of ast.Literal: Int for bool, int, long, datetime, timespan; Real; Text.
	Lit struct {
		Typ  types.Type
		Null bool
		Int  int64
		Real float64
		Text string
	}
	// Call applies an operation. Op names are dialect-neutral; what they compute is fixed by the language's rules.
	Call struct {
		Op   string
		Args []Expr
		Typ  types.Type
		// Text and Number hold constant details of the operation, such as a pattern prepared at compile time.
		Text   string
		Number int64
	}
	// Subquery is the first column of the first row of a table, evaluated once.
	Subquery struct {
		In  Node
		Col ColumnID
		Typ types.Type
		// Order decides which row is first.
		Order []Key
	}
	// InTable tests membership in the first column of a table.
	InTable struct {
		X    Expr
		Not  bool
		Fold bool
		In   Node
		Col  ColumnID
	}
)

// Type implements Expr.
func (c *Col) Type() types.Type { return c.Typ }

// Type implements Expr.
func (l *Lit) Type() types.Type { return l.Typ }

// Type implements Expr.
func (c *Call) Type() types.Type { return c.Typ }

// Type implements Expr.
func (s *Subquery) Type() types.Type { return s.Typ }

// Type implements Expr.
func (*InTable) Type() types.Type { return types.Bool }

// Long makes a long constant.
func Long(n int64) *Lit { return &Lit{Typ: types.Long, Int: n} }

// Real makes a real constant.
func Real(f float64) *Lit { return &Lit{Typ: types.Real, Real: f} }

// Text makes a string constant.
func Text(s string) *Lit { return &Lit{Typ: types.String, Text: s} }

// Bool makes a bool constant.
func Bool(b bool) *Lit {
	l := &Lit{Typ: types.Bool}
	if b {
		l.Int = 1
	}
	return l
}

// Null makes the null of a type. Strings have no null: theirs is the empty string.
func Null(t types.Type) *Lit {
	if t == types.String {
		return &Lit{Typ: t}
	}
	return &Lit{Typ: t, Null: true}
}

// Volatile reports whether two evaluations of x may differ.
func Volatile(x Expr) bool {
	c, ok := x.(*Call)
	if !ok {
		return false
	}
	if c.Op == "rand" || c.Op == "rand.below" || c.Op == "new_guid" {
		return true
	}
	for _, a := range c.Args {
		if Volatile(a) {
			return true
		}
	}
	return false
}
