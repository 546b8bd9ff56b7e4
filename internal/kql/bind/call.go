package bind

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func (b *Binder) call(c *ast.Call, row *Row) (plan.Expr, error) {
	if n := row.Scope.find(c.Name); n != nil {
		f, leave, err := n.enter(c)
		if err != nil {
			return nil, err
		}
		defer leave()
		return b.scalarFunction(c, f, n.scope, c.Args, row)
	}
	switch c.Name {
	case "toscalar":
		return b.toScalar(c, row)
	case "column_ifexists", "columnifexists":
		return b.columnIfExists(c, row)
	case "pack_all":
		return b.packAll(c, row)
	case "bag_pack_columns":
		return b.packColumns(c, row)
	case "column_names_of":
		return b.columnNames(c, row)
	}
	if isRowFunction(c.Name) {
		return b.rowFunction(c, row)
	}
	if _, ok := funcs.LookupAggregate(c.Name); ok || multiAggregates[c.Name] {
		if row.Agg == nil {
			return nil, Errorf(c, CodeFunction, "the aggregate '%s' can be used in summarize only", c.Name)
		}
		return row.Agg(c)
	}
	f, ok := funcs.Lookup(c.Name)
	if !ok {
		return nil, Errorf(c, CodeFunction, "Unknown function: '%s' (not known or not supported)", c.Name)
	}
	args := make([]plan.Expr, len(c.Args))
	for i, a := range c.Args {
		if len(a.Names) > 0 {
			return nil, Errorf(a, CodeFunction, "the function '%s' takes no named arguments", c.Name)
		}
		v, err := b.Scalar(a.X, row)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	out, err := f.Bind(b.Context, args)
	return out, at(c, err)
}

// multiAggregates yield several columns and are the summarize operator's business.
var multiAggregates = map[string]bool{
	"arg_max": true, "arg_min": true, "argmax": true, "argmin": true, "percentile": true, "percentiles": true, "percentiles_array": true,
	"percentilew": true, "percentilesw": true, "percentilesw_array": true,
}

// MultiAggregate reports whether the name is an aggregate with several result columns.
func MultiAggregate(name string) bool { return multiAggregates[name] }

func (b *Binder) toScalar(c *ast.Call, row *Row) (plan.Expr, error) {
	if len(c.Args) != 1 {
		return nil, Errorf(c, CodeFunction, "toscalar(): the function takes one argument")
	}
	x := c.Args[0].X
	if !b.tabular(x, row.Scope) {
		return b.Scalar(x, &Row{Scope: row.Scope})
	}
	rel, err := b.Tabular(x, row.Scope)
	if err != nil {
		return nil, err
	}
	if len(rel.Columns) == 0 {
		return nil, Errorf(c, CodeType, "toscalar(): the table has no column")
	}
	col := rel.Columns[0]
	return &plan.Subquery{In: rel.Node, Col: col.ID, Typ: col.Type, Order: rel.Order}, nil
}

func (b *Binder) columnIfExists(c *ast.Call, row *Row) (plan.Expr, error) {
	if len(c.Args) != 2 {
		return nil, Errorf(c, CodeFunction, "column_ifexists(): the function takes two arguments")
	}
	name, err := b.Scalar(c.Args[0].X, &Row{Scope: row.Scope})
	if err != nil {
		return nil, err
	}
	l, ok := name.(*plan.Lit)
	if !ok || l.Typ != types.String {
		return nil, Errorf(c, CodeType, "column_ifexists(): the column name is expected to be a string constant")
	}
	if row.Rel != nil {
		if col, ok := row.Rel.Find(l.Text); ok {
			return &plan.Col{ID: col.ID, Typ: col.Type}, nil
		}
	}
	return b.Scalar(c.Args[1].X, row)
}

func (b *Binder) packAll(c *ast.Call, row *Row) (plan.Expr, error) {
	if row.Rel == nil || len(c.Args) > 1 {
		return nil, Errorf(c, CodeFunction, "pack_all(): the function is not supported here")
	}
	skip := false
	if len(c.Args) == 1 {
		v, err := b.Scalar(c.Args[0].X, row)
		if err != nil {
			return nil, err
		}
		l, ok := v.(*plan.Lit)
		if !ok || l.Typ != types.Bool {
			return nil, Errorf(c, CodeType, "pack_all(): the argument is expected to be a bool constant")
		}
		skip = l.Int != 0
	}
	var args []plan.Expr
	for _, col := range row.Rel.Columns {
		args = append(args, plan.Text(col.Name), &plan.Col{ID: col.ID, Typ: col.Type})
	}
	out, err := funcs.Bag("pack_all", args)
	if err == nil && skip {
		out.(*plan.Call).Op = "bag_pack.present"
		for i := 1; i < len(args); i += 2 {
			if args[i].Type() == types.String {
				out.(*plan.Call).Args[i] = &plan.Call{Op: "todynamic.present", Args: args[i : i+1], Typ: types.Dynamic}
			}
		}
	}
	return out, at(c, err)
}

func (b *Binder) packColumns(c *ast.Call, row *Row) (plan.Expr, error) {
	var args []plan.Expr
	for _, a := range c.Args {
		v, err := b.Scalar(a.X, row)
		if err != nil {
			return nil, err
		}
		name := NameOf(a.X)
		if _, isCol := v.(*plan.Col); !isCol || name == "" {
			return nil, Errorf(a, CodeType, "bag_pack_columns(): the arguments are expected to be columns")
		}
		args = append(args, plan.Text(name), v)
	}
	out, err := funcs.Bag("bag_pack_columns", args)
	return out, at(c, err)
}

func (b *Binder) columnNames(c *ast.Call, row *Row) (plan.Expr, error) {
	if len(c.Args) != 1 {
		return nil, Errorf(c, CodeFunction, "column_names_of(): the function takes one table")
	}
	rel, err := b.Tabular(c.Args[0].X, row.Scope)
	if err != nil {
		return nil, err
	}
	out := &plan.Call{Op: "pack_array", Typ: types.Dynamic}
	for _, col := range rel.Columns {
		out.Args = append(out.Args, funcs.ToDynamic(plan.Text(col.Name)))
	}
	return out, nil
}
