package bind

import (
	"strconv"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Tabular binds a tabular expression.
func (b *Binder) Tabular(x ast.Expr, s *Scope) (*plan.Rel, error) {
	if err := b.step(x); err != nil {
		return nil, err
	}
	defer b.leave()
	switch x := x.(type) {
	case *ast.Paren:
		return b.Tabular(x.X, s)
	case *ast.Pipeline:
		rel, err := b.Tabular(x.Source, s)
		if err != nil {
			return nil, err
		}
		for _, op := range x.Ops {
			if err := b.step(op); err != nil {
				return nil, err
			}
			rel, err = b.Ops.Bind(b, s, op, rel)
			b.leave()
			if err != nil {
				return nil, err
			}
		}
		return rel, nil
	case *ast.Name:
		return b.tableName(x, s)
	case *ast.Call:
		return b.tableCall(x, s)
	case *ast.Member:
		return b.tableMember(x, s)
	case *ast.Print:
		return b.print(x, s)
	case *ast.DataTable:
		return b.dataTable(x, s)
	case *ast.Range:
		return b.rangeTable(x, s)
	case *ast.Union:
		return b.Ops.Union(b, s, x, nil)
	}
	return nil, Errorf(x, CodeType, "a table is expected and a scalar expression is found")
}

func (b *Binder) tableName(x *ast.Name, s *Scope) (*plan.Rel, error) {
	if n := s.find(x.Name); n != nil {
		return b.boundTable(x, n)
	}
	t, ok := b.Env.Table("", x.Name)
	if !ok {
		return nil, Errorf(x, CodeUnresolved, "Failed to resolve table or column or scalar expression named '%s'", x.Name)
	}
	return b.Scan(t), nil
}

func (b *Binder) boundTable(x ast.Node, n *binding) (*plan.Rel, error) {
	switch {
	case n.rel != nil:
		return b.Fresh(n.rel), nil
	case n.table != nil:
		return b.Fresh(n.table), nil
	case n.expr == nil:
		return nil, Errorf(x, CodeType, "a table is expected and a scalar expression is found")
	case n.busy:
		return nil, Errorf(x, CodeType, "a name refers to itself")
	}
	n.busy = true
	defer func() { n.busy = false }()
	var rel *plan.Rel
	var err error
	if f, ok := n.expr.(*ast.Function); ok {
		if len(f.Params) > 0 {
			return nil, Errorf(x, CodeFunction, "a function needs its arguments here")
		}
		rel, err = b.tabularFunction(x, f, n.scope, nil, n.scope, nil)
	} else {
		rel, err = b.Tabular(n.expr, n.scope)
	}
	if err != nil {
		return nil, err
	}
	n.table = rel
	return b.Fresh(rel), nil
}

// Scan reads a stored table.
func (b *Binder) Scan(t Table) *plan.Rel {
	node := &plan.Table{Ref: t.Ref}
	rel := &plan.Rel{Node: node, Name: t.Name}
	for _, c := range t.Columns {
		id := b.NewID()
		node.Columns = append(node.Columns, plan.TableColumn{ID: id, Typ: c.Type, Physical: c.Physical})
		rel.Columns = append(rel.Columns, plan.Column{ID: id, Name: c.Name, Type: c.Type})
	}
	return rel
}

func (b *Binder) tableCall(c *ast.Call, s *Scope) (*plan.Rel, error) {
	if n := s.find(c.Name); n != nil {
		f, leave, err := n.enter(c)
		if err != nil {
			return nil, err
		}
		defer leave()
		return b.tabularFunction(c, f, n.scope, c.Args, s, nil)
	}
	switch c.Name {
	case "table":
		name, err := b.constantText(c, 0, s)
		if err != nil {
			return nil, err
		}
		return b.tableName(&ast.Name{At: c.At, Name: name}, s)
	case ".table":
		db, err := b.database(c.Args[0].X, s)
		if err != nil {
			return nil, err
		}
		name, err := b.constantText(c, 1, s)
		if err != nil {
			return nil, err
		}
		return b.databaseTable(c, db, name)
	case "materialize":
		if len(c.Args) != 1 {
			return nil, Errorf(c, CodeFunction, "materialize(): the function takes one table")
		}
		rel, err := b.Tabular(c.Args[0].X, s)
		if err != nil {
			return nil, err
		}
		shared := *rel
		shared.Node = &plan.Shared{In: rel.Node}
		return b.Fresh(&shared), nil
	case "cluster", ".database", "external_table", "materialized_view", "stored_query_result", "entity_group":
		return nil, Errorf(c, CodeUnsupported, "'%s()' is not supported", c.Name)
	}
	return nil, Errorf(c, CodeFunction, "Unknown function: '%s' (not known or not supported)", c.Name)
}

func (b *Binder) tableMember(x *ast.Member, s *Scope) (*plan.Rel, error) {
	db, err := b.database(x.X, s)
	if err != nil {
		return nil, err
	}
	return b.databaseTable(x, db, x.Name)
}

func (b *Binder) databaseTable(n ast.Node, db, name string) (*plan.Rel, error) {
	t, ok := b.Env.Table(db, name)
	if !ok {
		return nil, Errorf(n, CodeUnresolved, "Failed to resolve table or column or scalar expression named '%s'", name)
	}
	return b.Scan(t), nil
}

// database resolves database("name").
func (b *Binder) database(x ast.Expr, s *Scope) (string, error) {
	c, ok := x.(*ast.Call)
	if !ok {
		return "", Errorf(x, CodeUnresolved, "a database is expected before '.'")
	}
	if c.Name != "database" {
		return "", Errorf(x, CodeUnsupported, "'%s()' is not supported", c.Name)
	}
	return b.constantText(c, 0, s)
}

func (b *Binder) constantText(c *ast.Call, i int, s *Scope) (string, error) {
	if len(c.Args) <= i {
		return "", Errorf(c, CodeFunction, "%s() needs a name", c.Name)
	}
	v, err := b.Scalar(c.Args[i].X, &Row{Scope: s})
	if err != nil {
		return "", err
	}
	l, ok := v.(*plan.Lit)
	if !ok || l.Typ != types.String {
		return "", Errorf(c, CodeType, "%s() needs a constant name", c.Name)
	}
	return l.Text, nil
}

func (b *Binder) print(x *ast.Print, s *Scope) (*plan.Rel, error) {
	row := &Row{Scope: s}
	p := &plan.Project{}
	rel := &plan.Rel{Node: p}
	names := NewNames(nil)
	for i, item := range x.Items {
		v, err := b.Scalar(item.X, row)
		if err != nil {
			return nil, err
		}
		name := ""
		switch len(item.Names) {
		case 0:
			if name = NameOf(item.X); name == "" {
				name = "print_" + strconv.Itoa(i)
			}
			name = names.Unique(name)
		case 1:
			if name = item.Names[0]; !names.Take(name) {
				return nil, Errorf(item, CodeType, "the column '%s' is given twice", name)
			}
		default:
			return nil, Errorf(item, CodeUnsupported, "several names for one expression are not supported here")
		}
		id := b.NewID()
		p.Items = append(p.Items, plan.Item{ID: id, Typ: v.Type(), Expr: v})
		rel.Columns = append(rel.Columns, plan.Column{ID: id, Name: name, Type: v.Type()})
	}
	return rel, nil
}

func (b *Binder) dataTable(x *ast.DataTable, s *Scope) (*plan.Rel, error) {
	v := &plan.Values{}
	rel := &plan.Rel{Node: v}
	names := NewNames(nil)
	for _, c := range x.Columns {
		if !names.Take(c.Name) {
			return nil, Errorf(x, CodeType, "the column '%s' is given twice", c.Name)
		}
		id := b.NewID()
		v.Columns = append(v.Columns, plan.Item{ID: id, Typ: c.Type})
		rel.Columns = append(rel.Columns, plan.Column{ID: id, Name: c.Name, Type: c.Type})
	}
	// A hidden column keeps the order in which the rows are written.
	ord := b.NewID()
	v.Columns = append(v.Columns, plan.Item{ID: ord, Typ: types.Long})
	rel.Order = []plan.Key{{Col: ord, Typ: types.Long}}
	row := &Row{Scope: s}
	n := len(x.Columns)
	for i := 0; i < len(x.Values); i += n {
		var cells []plan.Expr
		for j, e := range x.Values[i : i+n] {
			cell, err := b.Scalar(e, row)
			if err != nil {
				return nil, err
			}
			if cell, err = Fit(cell, x.Columns[j].Type); err != nil {
				return nil, Errorf(e, CodeType, "%s", err)
			}
			cells = append(cells, cell)
		}
		v.Rows = append(v.Rows, append(cells, plan.Long(int64(i/n))))
	}
	return rel, nil
}

func (b *Binder) rangeTable(x *ast.Range, s *Scope) (*plan.Rel, error) {
	row := &Row{Scope: s}
	parts := make([]plan.Expr, 3)
	for i, e := range []ast.Expr{x.From, x.To, x.Step} {
		v, err := b.Scalar(e, row)
		if err != nil {
			return nil, err
		}
		parts[i] = v
	}
	t := parts[0].Type()
	switch {
	case t.Numeric() && t != types.Decimal:
		var err error
		if parts, t, err = funcs.Unify("range", parts); err != nil {
			return nil, at(x, err)
		}
		if t == types.Int {
			t = types.Long
		}
		if t != types.Long && t != types.Real {
			return nil, Errorf(x, CodeType, "range over %s is not supported", t)
		}
		for i := range parts {
			parts[i] = funcs.Cast(parts[i], t)
		}
	case (t == types.DateTime || t == types.TimeSpan) && parts[1].Type() == t && parts[2].Type() == types.TimeSpan:
	default:
		return nil, Errorf(x, CodeType, "range from %s to %s step %s is not supported", t, parts[1].Type(), parts[2].Type())
	}
	id := b.NewID()
	rel := &plan.Rel{Serialized: true, Columns: []plan.Column{{ID: id, Name: x.Column, Type: t}}}
	rel.Node = &plan.Range{ID: id, Typ: t, From: parts[0], To: parts[1], Step: parts[2]}
	if l, ok := parts[2].(*plan.Lit); ok {
		if l.Int == 0 && l.Real == 0 {
			return nil, Errorf(x, CodeType, "the step of range is zero")
		}
		rel.Order = []plan.Key{{Col: id, Typ: t, Desc: l.Int < 0 || l.Real < 0}}
	}
	return rel, nil
}

// Invoke calls a let function with a table as its first argument.
func (b *Binder) Invoke(c *ast.Call, s *Scope, in *plan.Rel) (*plan.Rel, error) {
	n := s.find(c.Name)
	if n == nil {
		return nil, Errorf(c, CodeFunction, "Unknown function: '%s' (not known or not supported)", c.Name)
	}
	f, leave, err := n.enter(c)
	if err != nil {
		return nil, err
	}
	defer leave()
	return b.tabularFunction(c, f, n.scope, c.Args, s, in)
}
