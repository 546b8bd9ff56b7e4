package ast

import (
	"strings"

	"github.com/kustos-io/kustos/internal/kql/types"
)

// Statement is one part of a script between semicolons.
type Statement interface {
	Node
	statement()
}

type (
	// Script is a whole request text.
	Script struct {
		Statements []Statement
	}
	// Let binds a name. Value is a scalar or tabular expression or a *Function.
	Let struct {
		At
		Name  string
		Value Expr
	}
	// Set is a request option in the text; Value is nil when only the name is given.
	Set struct {
		At
		Name  string
		Value Expr
	}
	// Declare is declare query_parameters(…).
	Declare struct {
		At
		Params []Param
	}
	// Query is a tabular expression statement, one result.
	Query struct {
		At
		X Expr
	}
	// Param is a parameter with a scalar type, or a tabular one with Columns (Any marks a trailing *).
	Param struct {
		At
		Name    string
		Type    types.Type
		Tabular bool
		Columns []ColumnDef
		Any     bool
		Default Expr
	}
	// ColumnDef is name:type.
	ColumnDef struct {
		Name string
		Type types.Type
	}
	// Function is a function or view in a let statement.
	Function struct {
		At
		View   bool
		Params []Param
		Lets   []Statement
		Body   Expr
	}
)

func (*Let) statement()     {}
func (*Set) statement()     {}
func (*Declare) statement() {}
func (*Query) statement()   {}
func (*Function) expr()     {}

// String prints the statements, one a line.
func (s *Script) String() string {
	var b strings.Builder
	for i, st := range s.Statements {
		if i > 0 {
			b.WriteString(";\n")
		}
		b.WriteString(st.String())
	}
	return b.String()
}

func (l *Let) String() string { return "let " + Ident(l.Name) + " = " + l.Value.String() }

func (s *Set) String() string {
	if s.Value == nil {
		return "set " + s.Name
	}
	return "set " + s.Name + " = " + s.Value.String()
}

func (d *Declare) String() string { return "declare query_parameters(" + join(d.Params) + ")" }

func (q *Query) String() string { return q.X.String() }

// String prints the parameter with its type and default.
func (p Param) String() string {
	s := Ident(p.Name) + ":"
	if p.Tabular {
		cols := make([]string, 0, len(p.Columns)+1)
		for _, c := range p.Columns {
			cols = append(cols, c.String())
		}
		if p.Any {
			cols = append(cols, "*")
		}
		s += "(" + strings.Join(cols, ", ") + ")"
	} else {
		s += p.Type.String()
	}
	if p.Default != nil {
		s += " = " + p.Default.String()
	}
	return s
}

// Pos of a column definition is not kept.
func (ColumnDef) Pos() int { return 0 }

// String prints name:type.
func (c ColumnDef) String() string { return Ident(c.Name) + ":" + c.Type.String() }

func (f *Function) String() string {
	s := "(" + join(f.Params) + ") { "
	if f.View {
		s = "view " + s
	}
	for _, l := range f.Lets {
		s += l.String() + "; "
	}
	return s + f.Body.String() + " }"
}
