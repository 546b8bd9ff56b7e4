package bind

import (
	"encoding/json"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// in binds in, !in, in~, !in~, has_any and has_all over a list, an array or a table.
func (b *Binder) in(x *ast.In, row *Row) (plan.Expr, error) {
	v, err := b.Scalar(x.X, row)
	if err != nil {
		return nil, err
	}
	if x.Op == "has_any" || x.Op == "has_all" {
		return b.hasList(x, v, row)
	}
	base, not := strings.CutPrefix(x.Op, "!")
	fold := strings.HasSuffix(base, "~")
	if len(x.List) == 1 && b.tabular(x.List[0], row.Scope) && !b.isColumn(x.List[0], row) {
		return b.inTable(x, v, not, fold, row)
	}
	if v.Type() == types.Dynamic {
		return nil, Errorf(x, CodeUnsupported, "the operator '%s' on a dynamic value is not supported; convert it first", x.Op)
	}
	if fold && v.Type() != types.String {
		return nil, Errorf(x, CodeType, "the operator '%s' needs a string", x.Op)
	}
	items, arrays, err := b.inItems(x, v, row)
	if err != nil {
		return nil, err
	}
	for _, i := range items {
		if _, err := funcs.Compare("==", v, i); err != nil {
			return nil, at(x, err)
		}
	}
	if items, _, err = funcs.Unify("in", append([]plan.Expr{v}, items...)); err != nil {
		return nil, at(x, err)
	}
	op := "in"
	if fold {
		op = "in.fold"
	}
	var out plan.Expr = &plan.Call{Op: op, Args: items, Typ: types.Bool}
	for _, a := range arrays {
		c := &plan.Call{Op: op + ".array", Args: []plan.Expr{v, a}, Typ: types.Bool}
		if out, err = funcs.Or(out, c); err != nil {
			return nil, at(x, err)
		}
	}
	if not {
		out, err = funcs.Not(out)
	}
	return out, at(x, err)
}

// inItems binds the list of an in: single values, those of constant arrays
// among them, and arrays that are computed for each row.
func (b *Binder) inItems(x *ast.In, v plan.Expr, row *Row) (items, arrays []plan.Expr, err error) {
	for _, e := range x.List {
		i, err := b.Scalar(e, row)
		if err != nil {
			return nil, nil, err
		}
		switch l, isLit := i.(*plan.Lit); {
		case i.Type() == types.Dynamic && isLit:
			list, err := expandArray(e, l, v.Type())
			if err != nil {
				return nil, nil, err
			}
			items = append(items, list...)
		case i.Type() == types.Dynamic:
			if v.Type() != types.String {
				return nil, nil, Errorf(e, CodeUnsupported, "the operator '%s' with a computed array and %s is not supported", x.Op, v.Type())
			}
			arrays = append(arrays, i)
		case isLit && l.Null: // null equals nothing
		default:
			items = append(items, i)
		}
	}
	return items, arrays, nil
}

func (b *Binder) isColumn(x ast.Expr, row *Row) bool {
	n, ok := x.(*ast.Name)
	if !ok || row.Rel == nil {
		return false
	}
	_, ok = row.Rel.Find(n.Name)
	return ok
}

func (b *Binder) inTable(x *ast.In, v plan.Expr, not, fold bool, row *Row) (plan.Expr, error) {
	rel, err := b.Tabular(x.List[0], row.Scope)
	if err != nil {
		return nil, err
	}
	if len(rel.Columns) == 0 {
		return nil, Errorf(x, CodeType, "the table of '%s' has no column", x.Op)
	}
	c := rel.Columns[0]
	if c.Type != v.Type() && !(c.Type.Integer() && v.Type().Integer()) || c.Type == types.Dynamic {
		return nil, Errorf(x, CodeType, "the operator '%s' is not defined for %s and a column of %s", x.Op, v.Type(), c.Type)
	}
	return &plan.InTable{X: v, Not: not, Fold: fold, In: rel.Node, Col: c.ID}, nil
}

func (b *Binder) hasList(x *ast.In, v plan.Expr, row *Row) (plan.Expr, error) {
	if t := v.Type(); t != types.String && t != types.Dynamic {
		return nil, Errorf(x, CodeType, "the operator '%s' is not defined for %s", x.Op, t)
	}
	var out plan.Expr
	for _, e := range x.List {
		if b.tabular(e, row.Scope) && !b.isColumn(e, row) {
			return nil, Errorf(e, CodeUnsupported, "the operator '%s' over a table is not supported", x.Op)
		}
		i, err := b.Scalar(e, row)
		if err != nil {
			return nil, err
		}
		list := []plan.Expr{i}
		if i.Type() == types.Dynamic {
			l, ok := i.(*plan.Lit)
			if !ok {
				return nil, Errorf(e, CodeUnsupported, "the operator '%s' over a computed array is not supported", x.Op)
			}
			if list, err = expandArray(e, l, types.String); err != nil {
				return nil, err
			}
		}
		for _, i := range list {
			h, err := funcs.Text("has", v, i)
			if err != nil {
				return nil, at(e, err)
			}
			switch {
			case out == nil:
				out = h
			case x.Op == "has_any":
				out, err = funcs.Or(out, h)
			default:
				out, err = funcs.And(out, h)
			}
			if err != nil {
				return nil, at(x, err)
			}
		}
	}
	if out == nil {
		return plan.Bool(x.Op == "has_all"), nil
	}
	return out, nil
}

// expandArray turns a constant dynamic array, or a lone value, into constants of type t. Nulls are left out: they equal
// nothing.
func expandArray(n ast.Node, l *plan.Lit, t types.Type) ([]plan.Expr, error) {
	if l.Null {
		return nil, nil
	}
	var raw any
	d := json.NewDecoder(strings.NewReader(l.Text))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		return nil, Errorf(n, CodeType, "the dynamic value is not valid")
	}
	list, ok := raw.([]any)
	if !ok {
		list = []any{raw}
	}
	var out []plan.Expr
	for _, v := range list {
		x, ok := scalarOf(v, t)
		if !ok {
			return nil, Errorf(n, CodeUnsupported, "the array holds values that are not %s, which is not supported here", t)
		}
		if x != nil {
			out = append(out, x)
		}
	}
	return out, nil
}

func scalarOf(v any, t types.Type) (plan.Expr, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		switch t {
		case types.String:
			return plan.Text(v), true
		case types.DateTime:
			n, ok := types.ParseDateTime(v)
			return &plan.Lit{Typ: t, Int: n}, ok
		case types.TimeSpan:
			n, ok := types.ParseTimeSpan(v)
			return &plan.Lit{Typ: t, Int: n}, ok
		case types.GUID:
			return &plan.Lit{Typ: t, Text: v}, len(v) == 36
		}
	case json.Number:
		if n, err := v.Int64(); err == nil && t.Integer() {
			return plan.Long(n), true
		}
		if f, err := v.Float64(); err == nil && t == types.Real {
			return plan.Real(f), true
		}
	case bool:
		if t == types.Bool {
			return plan.Bool(v), true
		}
	}
	return nil, false
}
