package bind

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func isRowFunction(name string) bool {
	switch name {
	case "row_number", "prev", "next", "row_cumsum", "row_rank_dense", "row_rank_min":
		return true
	}
	return false
}

// rowFunction binds a function over the serialised rows: it adds a window to the row's input and returns its column.
func (b *Binder) rowFunction(c *ast.Call, row *Row) (plan.Expr, error) {
	if row.Rel == nil || !row.Functions {
		return nil, Errorf(c, CodeFunction, "the function '%s' cannot be used here", c.Name)
	}
	if !row.Rel.Serialized {
		return nil, Errorf(c, CodeFunction, "the function '%s' needs a serialized row set; use serialize or sort before it", c.Name)
	}
	args := make([]plan.Expr, len(c.Args))
	for i, a := range c.Args {
		v, err := b.Scalar(a.X, row)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	rn := b.Number(row.Rel)
	switch c.Name {
	case "row_number":
		return b.rowNumber(c, row, rn, args)
	case "prev", "next":
		return b.neighbour(c, row, args)
	case "row_cumsum":
		if len(args) < 1 || len(args) > 2 || !args[0].Type().Summable() || args[0].Type() == types.Decimal {
			return nil, Errorf(c, CodeFunction, "row_cumsum(): the arguments are not supported")
		}
		part, err := b.restart(c, row, args[1:])
		if err != nil {
			return nil, err
		}
		t := args[0].Type()
		if t == types.Int {
			t = types.Long
		}
		return b.window(row, plan.WindowItem{Func: "cumsum", Typ: t, Args: args[:1], Partition: part}), nil
	}
	return b.rank(c, row, args)
}

// Number makes sure that the rel has a column counting its rows from 1 in order, and orders the rel by it.
func (b *Binder) Number(rel *plan.Rel) plan.ColumnID {
	if len(rel.Order) == 1 && b.numbered[rel.Order[0].Col] {
		return rel.Order[0].Col
	}
	id := b.NewID()
	rel.Node = &plan.Window{In: rel.Node, Items: []plan.WindowItem{{ID: id, Typ: types.Long, Func: "row_number", Order: rel.Order}}}
	rel.Order = []plan.Key{{Col: id, Typ: types.Long}}
	b.numbered[id] = true
	return id
}

func (b *Binder) window(row *Row, w plan.WindowItem) plan.Expr {
	w.ID = b.NewID()
	w.Order = row.Rel.Order
	row.Rel.Node = &plan.Window{In: row.Rel.Node, Items: []plan.WindowItem{w}}
	return &plan.Col{ID: w.ID, Typ: w.Typ}
}

func (b *Binder) column(row *Row, x plan.Expr) plan.Expr {
	id := b.NewID()
	row.Rel.Node = &plan.Extend{In: row.Rel.Node, Items: []plan.Item{{ID: id, Typ: x.Type(), Expr: x}}}
	return &plan.Col{ID: id, Typ: x.Type()}
}

// restart turns an optional restart condition into a partition: the count of restarts so far.
func (b *Binder) restart(c *ast.Call, row *Row, args []plan.Expr) ([]plan.Expr, error) {
	if len(args) == 0 {
		return nil, nil
	}
	if args[0].Type() != types.Bool {
		return nil, Errorf(c, CodeFunction, "%s(): the restart condition is expected to be bool", c.Name)
	}
	flag := b.column(row, &plan.Call{Op: "case", Typ: types.Long, Args: []plan.Expr{args[0], plan.Long(1), plan.Long(0)}})
	return []plan.Expr{b.window(row, plan.WindowItem{Func: "cumsum", Typ: types.Long, Args: []plan.Expr{flag}})}, nil
}

func (b *Binder) rowNumber(c *ast.Call, row *Row, rn plan.ColumnID, args []plan.Expr) (plan.Expr, error) {
	start := int64(1)
	if len(args) > 0 {
		l, ok := args[0].(*plan.Lit)
		if !ok || !l.Typ.Integer() || l.Null {
			return nil, Errorf(c, CodeFunction, "row_number(): the first number is expected to be an integer constant")
		}
		start = l.Int
	}
	if len(args) > 2 {
		return nil, Errorf(c, CodeFunction, "row_number(): the function takes at most two arguments")
	}
	var v plan.Expr = &plan.Col{ID: rn, Typ: types.Long}
	if len(args) == 2 {
		part, err := b.restart(c, row, args[1:])
		if err != nil {
			return nil, err
		}
		v = b.window(row, plan.WindowItem{Func: "row_number", Typ: types.Long, Partition: part})
	}
	if start == 1 {
		return v, nil
	}
	out, err := funcs.Arithmetic("+", v, plan.Long(start-1))
	return out, at(c, err)
}

func (b *Binder) neighbour(c *ast.Call, row *Row, args []plan.Expr) (plan.Expr, error) {
	if len(args) < 1 || len(args) > 3 {
		return nil, Errorf(c, CodeFunction, "%s(): the function takes one to three arguments", c.Name)
	}
	t := args[0].Type()
	offset, missing := int64(1), plan.Expr(plan.Null(t))
	if len(args) > 1 {
		l, ok := args[1].(*plan.Lit)
		if !ok || !l.Typ.Integer() || l.Null || l.Int < 0 {
			return nil, Errorf(c, CodeFunction, "%s(): the offset is expected to be an integer constant", c.Name)
		}
		offset = l.Int
	}
	if len(args) > 2 {
		both, ct, err := funcs.Unify(c.Name+"()", []plan.Expr{args[0], args[2]})
		if err != nil {
			return nil, at(c, err)
		}
		args[0], missing, t = both[0], both[1], ct
	}
	f := "lag"
	if c.Name == "next" {
		f = "lead"
	}
	return b.window(row, plan.WindowItem{Func: f, Typ: t, Args: []plan.Expr{args[0], plan.Long(offset), missing}}), nil
}

func (b *Binder) rank(c *ast.Call, row *Row, args []plan.Expr) (plan.Expr, error) {
	if len(args) < 1 || len(args) > 2 || args[0].Type() == types.Dynamic {
		return nil, Errorf(c, CodeFunction, "%s(): the arguments are not supported", c.Name)
	}
	part, err := b.restart(c, row, args[1:])
	if err != nil {
		return nil, err
	}
	number := b.window(row, plan.WindowItem{Func: "row_number", Typ: types.Long, Partition: part})
	before := b.window(row, plan.WindowItem{Func: "lag", Typ: args[0].Type(), Args: []plan.Expr{args[0], plan.Long(1), plan.Null(args[0].Type())}, Partition: part})
	changed := &plan.Call{Op: "rank.changed", Typ: types.Bool, Args: []plan.Expr{number, args[0], before}}
	if c.Name == "row_rank_dense" {
		flag := b.column(row, &plan.Call{Op: "case", Typ: types.Long, Args: []plan.Expr{changed, plan.Long(1), plan.Long(0)}})
		return b.window(row, plan.WindowItem{Func: "cumsum", Typ: types.Long, Args: []plan.Expr{flag}, Partition: part}), nil
	}
	first := b.column(row, &plan.Call{Op: "case", Typ: types.Long, Args: []plan.Expr{changed, number, plan.Long(0)}})
	return b.window(row, plan.WindowItem{Func: "cummax", Typ: types.Long, Args: []plan.Expr{first}, Partition: part}), nil
}

// Gaps records that rows were dropped, so that a column numbering them no longer counts without gaps. The order stays.
func (b *Binder) Gaps(rel *plan.Rel) {
	for _, k := range rel.Order {
		delete(b.numbered, k.Col)
	}
}
