package ast

import (
	"strings"

	"github.com/kustos-io/kustos/internal/kql/types"
)

type (
	// Where keeps rows that satisfy a predicate.
	Where struct {
		At
		Pred Expr
	}
	// Project chooses and computes columns.
	Project struct {
		At
		Items []Named
	}
	// ProjectNames is project-away, project-keep or project-reorder (Op) over names and patterns.
	ProjectNames struct {
		At
		Op    string
		Items []NameOrder
	}
	// NameOrder is a column or a pattern; Order is asc, desc, granny-asc, granny-desc or empty.
	NameOrder struct {
		At
		Name    string
		Pattern bool
		Order   string
	}
	// Rename gives columns new names.
	Rename struct {
		At
		Items []Named
	}
	// Extend adds or replaces columns.
	Extend struct {
		At
		Items []Named
	}
	// Summarize aggregates groups.
	Summarize struct {
		At
		Aggregates []Named
		By         []Named
	}
	// Take keeps any N rows.
	Take struct {
		At
		N Expr
	}
	// Sort orders rows.
	Sort struct {
		At
		Keys []SortKey
	}
	// SortKey is one ordering expression. Desc and NullsFirst are effective values.
	SortKey struct {
		At
		X          Named
		Desc       bool
		NullsFirst bool
	}
	// Top is sort and take in one.
	Top struct {
		At
		N    Expr
		Keys []SortKey
	}
	// Distinct keeps one row per combination.
	Distinct struct {
		At
		Items []Named
	}
	// Count counts rows.
	Count struct{ At }
	// Join combines rows of two tables by equal keys.
	Join struct {
		At
		Kind  string
		Right Expr
		On    []Expr
	}
	// Lookup extends a table with columns of a dimension table.
	Lookup struct {
		At
		Kind  string
		Right Expr
		On    []Expr
	}
	// As names the table for union and for the result.
	As struct {
		At
		Name string
	}
	// Render asks for a visualisation.
	Render struct {
		At
		Kind  string
		Props []Property
	}
	// Property is name=value of render.
	Property struct {
		Name  string
		Value string
	}
	// GetSchema describes the columns.
	GetSchema struct{ At }
	// Serialize fixes the row order and optionally adds columns.
	Serialize struct {
		At
		Items []Named
	}
	// MvExpand turns arrays and bags into rows.
	MvExpand struct {
		At
		BagArray  bool
		ItemIndex string
		Items     []ExpandItem
		Limit     Expr
		Old       bool
	}
	// ExpandItem is one expanded column; To is Invalid without a cast.
	ExpandItem struct {
		At
		X  Named
		To types.Type
	}
	// Parse extracts columns from text by a pattern.
	Parse struct {
		At
		Filter bool // parse-where
		Kind   string
		Flags  string
		X      Expr
		Parts  []ParsePart
	}
	// ParsePart is a literal (Text), a skip (Star) or a column.
	ParsePart struct {
		Text *Literal
		Star bool
		Name string
		Type types.Type
	}
	// Sample keeps N random rows.
	Sample struct {
		At
		N Expr
	}
	// SampleDistinct keeps N distinct values of an expression.
	SampleDistinct struct {
		At
		N  Expr
		Of Named
	}
	// TopHitters counts the N most frequent values of an expression, or sums By for each.
	TopHitters struct {
		At
		N  Expr
		Of Named
		By Expr
	}
	// Consume reads the table and returns nothing.
	Consume struct{ At }
	// Invoke calls a let function with the piped table as first argument.
	Invoke struct {
		At
		Call *Call
	}
)

func (*Where) operator()          {}
func (*Project) operator()        {}
func (*ProjectNames) operator()   {}
func (*Rename) operator()         {}
func (*Extend) operator()         {}
func (*Summarize) operator()      {}
func (*Take) operator()           {}
func (*Sort) operator()           {}
func (*Top) operator()            {}
func (*Distinct) operator()       {}
func (*Count) operator()          {}
func (*Join) operator()           {}
func (*Lookup) operator()         {}
func (*As) operator()             {}
func (*Render) operator()         {}
func (*GetSchema) operator()      {}
func (*Serialize) operator()      {}
func (*MvExpand) operator()       {}
func (*Parse) operator()          {}
func (*Sample) operator()         {}
func (*Consume) operator()        {}
func (*SampleDistinct) operator() {}
func (*TopHitters) operator()     {}
func (*Invoke) operator()         {}

func (o *Where) String() string   { return "where " + o.Pred.String() }
func (o *Project) String() string { return strings.TrimRight("project "+joinNamed(o.Items), " ") }
func (o *ProjectNames) String() string {
	return o.Op + " " + join(o.Items)
}

// String prints the name and its ordering.
func (n NameOrder) String() string {
	s := n.Name
	if !n.Pattern {
		s = Ident(n.Name)
	}
	if n.Order != "" {
		s += " " + n.Order
	}
	return s
}
func (o *Rename) String() string { return "project-rename " + joinNamed(o.Items) }
func (o *Extend) String() string { return "extend " + joinNamed(o.Items) }
func (o *Summarize) String() string {
	s := strings.TrimRight("summarize "+joinNamed(o.Aggregates), " ")
	if len(o.By) > 0 {
		s += " by " + joinNamed(o.By)
	}
	return s
}
func (o *Take) String() string { return "take " + o.N.String() }
func (o *Sort) String() string { return "sort by " + join(o.Keys) }

// String prints the key with its direction and its place for nulls.
func (k SortKey) String() string {
	s := k.X.String()
	if k.Desc {
		s += " desc"
	} else {
		s += " asc"
	}
	if k.NullsFirst {
		return s + " nulls first"
	}
	return s + " nulls last"
}
func (o *Top) String() string      { return "top " + o.N.String() + " by " + join(o.Keys) }
func (o *Distinct) String() string { return "distinct " + joinNamed(o.Items) }
func (o *Count) String() string    { return "count" }
func (o *Join) String() string {
	s := "join "
	if o.Kind != "" {
		s += "kind=" + o.Kind + " "
	}
	return s + "(" + o.Right.String() + ") on " + join(o.On)
}
func (o *Lookup) String() string {
	s := "lookup "
	if o.Kind != "" {
		s += "kind=" + o.Kind + " "
	}
	return s + "(" + o.Right.String() + ") on " + join(o.On)
}
func (o *As) String() string { return "as " + Ident(o.Name) }
func (o *Render) String() string {
	s := "render " + o.Kind
	if len(o.Props) > 0 {
		list := make([]string, len(o.Props))
		for i, p := range o.Props {
			list[i] = p.Name + "=" + p.Value
		}
		s += " with (" + strings.Join(list, ", ") + ")"
	}
	return s
}
func (o *GetSchema) String() string { return "getschema" }
func (o *Serialize) String() string { return strings.TrimRight("serialize "+joinNamed(o.Items), " ") }
func (o *MvExpand) String() string {
	s := "mv-expand "
	if o.Old {
		s = "mvexpand "
	}
	if o.BagArray {
		s += "bagexpansion=array "
	}
	if o.ItemIndex != "" {
		s += "with_itemindex=" + Ident(o.ItemIndex) + " "
	}
	s += join(o.Items)
	if o.Limit != nil {
		s += " limit " + o.Limit.String()
	}
	return s
}

// String prints the expanded column with its cast.
func (i ExpandItem) String() string {
	if i.To == types.Invalid {
		return i.X.String()
	}
	return i.X.String() + " to typeof(" + i.To.String() + ")"
}
func (o *Parse) String() string {
	s := "parse "
	if o.Filter {
		s = "parse-where "
	}
	if o.Kind != "" {
		s += "kind=" + o.Kind + " "
	}
	if o.Flags != "" {
		s += "flags=" + o.Flags + " "
	}
	s += o.X.String() + " with"
	for _, p := range o.Parts {
		switch {
		case p.Text != nil:
			s += " " + p.Text.String()
		case p.Star:
			s += " *"
		default:
			s += " " + Ident(p.Name) + ":" + p.Type.String()
		}
	}
	return s
}
func (o *Sample) String() string { return "sample " + o.N.String() }
func (o *SampleDistinct) String() string {
	return "sample-distinct " + o.N.String() + " of " + o.Of.String()
}
func (o *TopHitters) String() string {
	s := "top-hitters " + o.N.String() + " of " + o.Of.String()
	if o.By != nil {
		s += " by " + o.By.String()
	}
	return s
}
func (o *Consume) String() string { return "consume" }
func (o *Invoke) String() string  { return "invoke " + o.Call.String() }
