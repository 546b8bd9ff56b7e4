package plan

import "github.com/kustos-io/kustos/internal/kql/types"

// Node is a relational operation.
type Node interface {
	node()
}

// Column is a visible column of a Rel.
type Column struct {
	ID   ColumnID
	Name string
	Type types.Type
}

// Key is a sort key over a column; Typ decides how nulls and not-a-number sort.
type Key struct {
	Col        ColumnID
	Typ        types.Type
	Desc       bool
	NullsFirst bool
}

// Rel is a bound tabular expression. Order lists the keys its rows are ordered by (columns that need not be visible);
// Serialized says that row functions may be used.
type Rel struct {
	Node       Node
	Columns    []Column
	Order      []Key
	Serialized bool
	// Name is the name as gave it, or that of the table it comes from; Sorted says that a sort made the order.
	Name   string
	Sorted bool
	// Visualization holds the properties render set, nil without render.
	Visualization map[string]any
}

// Find returns the visible column of the name.
func (r *Rel) Find(name string) (Column, bool) {
	for _, c := range r.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

type (
	// TableColumn is a stored column and its number in the plan.
	TableColumn struct {
		ID       ColumnID
		Typ      types.Type
		Physical string
	}
	// Table reads a stored table.
	Table struct {
		Ref     string
		Columns []TableColumn
	}
	// Values is a table of constants.
	Values struct {
		Columns []Item // Expr is nil: ID and type only
		Rows    [][]Expr
	}
	// Range is one column of evenly spaced values from From to To inclusive.
	Range struct {
		ID             ColumnID
		Typ            types.Type
		From, To, Step Expr
	}
	// Item computes a column.
	Item struct {
		ID   ColumnID
		Typ  types.Type
		Expr Expr
	}
	// Project outputs exactly its items.
	Project struct {
		In    Node
		Items []Item
	}
	// Extend outputs its input's columns and its items.
	Extend struct {
		In    Node
		Items []Item
	}
	// Filter keeps rows for which Pred is true.
	Filter struct {
		In   Node
		Pred Expr
	}
	// Agg is one aggregate of an Aggregate. Filter may be nil. Order is the input's order, for lists. When Outs is not
	// empty the aggregate picks the row that is first by Pick and outputs Args into Outs.
	Agg struct {
		ID     ColumnID
		Typ    types.Type
		Func   string
		Args   []Expr
		Filter Expr
		Order  []Key
		Number float64
		Outs   []Item
	}
	// Aggregate groups by Keys. Without keys it outputs one row.
	Aggregate struct {
		In   Node
		Keys []Item
		Aggs []Agg
	}
	// Join combines two inputs. Kind is inner, leftouter, rightouter, fullouter, leftsemi or leftanti; the last two output
	// the left columns only.
	Join struct {
		Kind        string
		Left, Right Node
		On          []On
	}
	// On is one pair of equal expressions.
	On struct{ Left, Right Expr }
	// Union concatenates inputs whose outputs are projected to IDs in order.
	Union struct {
		IDs   []Item
		Parts []Node // each a Project with as many items as IDs, in the same order
	}
	// Limit keeps the first N rows by Order, or any N without an order.
	Limit struct {
		In    Node
		N     Expr
		Order []Key
	}
	// FirstPerKey keeps one row per combination of Keys, the first by Order.
	FirstPerKey struct {
		In    Node
		Keys  []Expr
		Order []Key
	}
	// Window adds columns computed over the ordered rows.
	Window struct {
		In    Node
		Items []WindowItem
	}
	// WindowItem is one window computation: row_number, lag, lead, cumsum, rank_dense, rank_min. Partition may be nil.
	WindowItem struct {
		ID        ColumnID
		Typ       types.Type
		Func      string
		Args      []Expr
		Partition []Expr
		Order     []Key
	}
	// Expand turns the dynamic values of its items into rows, in parallel. Index numbers the rows from 0.
	Expand struct {
		In    Node
		Items []ExpandItem
		Index ColumnID
		Limit int64
		// Arrays expands a bag into [key, value] pairs rather than one-key bags.
		Arrays bool
	}
	// ExpandItem is an expanded value and its output column, always dynamic.
	ExpandItem struct {
		ID ColumnID
		X  Expr
	}
	// Shared is evaluated once per query however often it is referred to.
	Shared struct {
		In Node
	}
)

func (*Table) node()       {}
func (*Values) node()      {}
func (*Range) node()       {}
func (*Project) node()     {}
func (*Extend) node()      {}
func (*Filter) node()      {}
func (*Aggregate) node()   {}
func (*Join) node()        {}
func (*Union) node()       {}
func (*Limit) node()       {}
func (*FirstPerKey) node() {}
func (*Window) node()      {}
func (*Expand) node()      {}
func (*Shared) node()      {}
