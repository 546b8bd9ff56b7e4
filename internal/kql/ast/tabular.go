package ast

import "strings"

// Operator is one step of a pipeline.
type Operator interface {
	Node
	operator()
}

type (
	// Pipeline is a source followed by operators.
	Pipeline struct {
		At
		Source Expr
		Ops    []Operator
	}
	// DataTable is a table written out in the query.
	DataTable struct {
		At
		Columns []ColumnDef
		Values  []Expr
	}
	// Print is one row of expressions.
	Print struct {
		At
		Items []Named
	}
	// Range makes a column of evenly spaced values.
	Range struct {
		At
		Column         string
		From, To, Step Expr
	}
	// Union concatenates tables. As an operator the piped table comes first.
	Union struct {
		At
		Kind       string
		WithSource string
		Fuzzy      bool
		Tables     []Expr
	}
)

func (*Pipeline) expr()  {}
func (*DataTable) expr() {}
func (*Print) expr()     {}
func (*Range) expr()     {}
func (*Union) expr()     {}
func (*Union) operator() {}

func (p *Pipeline) String() string {
	var b strings.Builder
	b.WriteString(p.Source.String())
	for _, o := range p.Ops {
		b.WriteString(" | ")
		b.WriteString(o.String())
	}
	return b.String()
}

func (d *DataTable) String() string {
	return "datatable(" + join(d.Columns) + ")[" + join(d.Values) + "]"
}

func (p *Print) String() string { return "print " + joinNamed(p.Items) }

func (r *Range) String() string {
	return "range " + Ident(r.Column) + " from " + r.From.String() + " to " + r.To.String() + " step " + r.Step.String()
}

func (u *Union) String() string {
	s := "union "
	if u.Kind != "" {
		s += "kind=" + u.Kind + " "
	}
	if u.WithSource != "" {
		s += "withsource=" + Ident(u.WithSource) + " "
	}
	if u.Fuzzy {
		s += "isfuzzy=true "
	}
	return s + join(u.Tables)
}
