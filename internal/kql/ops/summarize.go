package ops

import (
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// summarizer collects the aggregates of one summarize.
type summarizer struct {
	b     *bind.Binder
	in    *plan.Rel
	row   *bind.Row
	agg   *plan.Aggregate
	names *bind.Names
	out   *plan.Rel
	post  []plan.Item
	keys  map[string]bool
}

func summarize(b *bind.Binder, s *bind.Scope, op *ast.Summarize, in *plan.Rel) (*plan.Rel, error) {
	z := &summarizer{b: b, in: in, row: bind.RowOf(s, in), agg: &plan.Aggregate{}, names: bind.NewNames(nil), out: &plan.Rel{}, keys: map[string]bool{}}
	for _, n := range op.By {
		if err := z.key(n); err != nil {
			return nil, err
		}
	}
	for _, n := range op.Aggregates {
		if err := z.aggregate(n); err != nil {
			return nil, err
		}
	}
	z.agg.In = z.row.Rel.Node
	var node plan.Node = z.agg
	if len(z.post) > 0 {
		node = &plan.Extend{In: node, Items: z.post}
	}
	z.out.Node = node
	return z.out, nil
}

func (z *summarizer) key(n ast.Named) error {
	v, err := z.b.Scalar(n.X, z.row)
	if err != nil {
		return err
	}
	if v.Type() == types.Dynamic {
		return bind.Errorf(n, bind.CodeType, "a group key may not be dynamic; convert it, for example with tostring()")
	}
	name := ""
	if _, plain := n.X.(*ast.Name); len(n.Names) == 0 && !plain {
		name = z.names.Auto(bind.NameOf(n.X))
	} else if name, err = nameItem(n, z.names); err != nil {
		return err
	}
	if c, ok := n.X.(*ast.Name); ok {
		z.keys[c.Name] = true
	}
	z.keys[name] = true
	id := z.b.NewID()
	z.agg.Keys = append(z.agg.Keys, plan.Item{ID: id, Typ: v.Type(), Expr: v})
	z.column(id, name, v.Type())
	return nil
}

func (z *summarizer) column(id plan.ColumnID, name string, t types.Type) {
	z.out.Columns = append(z.out.Columns, plan.Column{ID: id, Name: name, Type: t})
}

func (z *summarizer) aggregate(n ast.Named) error {
	if c, ok := n.X.(*ast.Call); ok {
		switch {
		case c.Name == "arg_max" || c.Name == "arg_min":
			return z.argExtreme(n, c)
		case (c.Name == "take_any" || c.Name == "any") && (len(c.Args) != 1 || isStar(c.Args[0].X)):
			return z.takeAny(n, c)
		case c.Name == "percentile" || c.Name == "percentiles":
			return z.percentiles(n, c)
		case bind.MultiAggregate(c.Name):
			return bind.Errorf(c, bind.CodeUnsupported, "the aggregate '%s' is not supported", c.Name)
		}
	}
	// The expression is bound against the groups: its columns are the aggregates found inside it.
	groups := &plan.Rel{}
	for i, k := range z.agg.Keys {
		groups.Columns = append(groups.Columns, plan.Column{ID: k.ID, Name: z.out.Columns[i].Name, Type: k.Typ})
	}
	found := false
	row := bind.RowOf(z.row.Scope, groups)
	row.Agg = func(c *ast.Call) (plan.Expr, error) {
		found = true
		return z.one(c)
	}
	v, err := z.b.Scalar(n.X, row)
	if err != nil {
		return err
	}
	if !found {
		return bind.Errorf(n, bind.CodeType, "the expression in summarize is not an aggregate")
	}
	name := ""
	if len(n.Names) == 0 {
		name = z.names.Auto(bind.NameOf(n.X))
	} else if name, err = nameItem(n, z.names); err != nil {
		return err
	}
	if c, ok := v.(*plan.Col); ok && !z.visible(c.ID) {
		z.column(c.ID, name, v.Type())
		return nil
	}
	id := z.b.NewID()
	z.post = append(z.post, plan.Item{ID: id, Typ: v.Type(), Expr: v})
	z.column(id, name, v.Type())
	return nil
}

func (z *summarizer) visible(id plan.ColumnID) bool {
	for _, c := range z.out.Columns {
		if c.ID == id {
			return true
		}
	}
	return false
}

// one adds an aggregate with a single result and gives its column.
func (z *summarizer) one(c *ast.Call) (plan.Expr, error) {
	if bind.MultiAggregate(c.Name) {
		if c.Name == "percentile" {
			return z.percentile(c)
		}
		return nil, bind.Errorf(c, bind.CodeUnsupported, "the aggregate '%s' inside an expression is not supported", c.Name)
	}
	f, ok := funcs.LookupAggregate(c.Name)
	if !ok {
		return nil, bind.Errorf(c, bind.CodeFunction, "Unknown function: '%s'", c.Name)
	}
	args, err := z.args(c.Args)
	if err != nil {
		return nil, err
	}
	a, err := f.Bind(args)
	if err != nil {
		return nil, bind.TypeError(c, err)
	}
	return z.add(a), nil
}

func (z *summarizer) args(list []ast.Named) ([]plan.Expr, error) {
	row := *z.row
	var out []plan.Expr
	for _, a := range list {
		v, err := z.b.Scalar(a.X, &row)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func (z *summarizer) add(a plan.Agg) plan.Expr {
	a.ID, a.Order = z.b.NewID(), z.in.Order
	z.agg.Aggs = append(z.agg.Aggs, a)
	return &plan.Col{ID: a.ID, Typ: a.Typ}
}

func isStar(x ast.Expr) bool {
	s, ok := x.(*ast.Star)
	return ok && s.Pattern == ""
}

// rest lists the input's columns that are no keys.
func (z *summarizer) rest(except string) []plan.Column {
	var out []plan.Column
	for _, c := range z.in.Columns {
		if !z.keys[c.Name] && c.Name != except {
			out = append(out, c)
		}
	}
	return out
}

// pick adds an aggregate that outputs expressions of one row of the group.
func (z *summarizer) pick(f string, key []plan.Expr, names []string, values []plan.Expr) {
	a := plan.Agg{Func: f, Args: key, Order: z.in.Order, ID: z.b.NewID()}
	for i, v := range values {
		id := z.b.NewID()
		a.Outs = append(a.Outs, plan.Item{ID: id, Typ: v.Type(), Expr: v})
		z.column(id, z.names.Unique(names[i]), v.Type())
	}
	z.agg.Aggs = append(z.agg.Aggs, a)
}

func (z *summarizer) argExtreme(n ast.Named, c *ast.Call) error {
	if len(c.Args) == 0 {
		return bind.Errorf(c, bind.CodeFunction, "%s(): the function takes at least one argument", c.Name)
	}
	key, err := z.b.Scalar(c.Args[0].X, z.row)
	if err != nil {
		return err
	}
	if !key.Type().Ordered() {
		return bind.Errorf(c, bind.CodeType, "%s(): argument 1 may not be dynamic", c.Name)
	}
	own := bind.NameOf(c.Args[0].X)
	if _, isCol := key.(*plan.Col); !isCol {
		own = strings.TrimPrefix(c.Name, "arg_") + "_" + own
	}
	names, values := []string{own}, []plan.Expr{key}
	for _, a := range c.Args[1:] {
		if isStar(a.X) {
			for _, col := range z.rest(own) {
				names, values = append(names, col.Name), append(values, &plan.Col{ID: col.ID, Typ: col.Type})
			}
			continue
		}
		v, err := z.b.Scalar(a.X, z.row)
		if err != nil {
			return err
		}
		name := bind.NameOf(a.X)
		if len(a.Names) == 1 {
			name = a.Names[0]
		}
		if name == "" {
			return bind.Errorf(a, bind.CodeUnsupported, "%s(): an unnamed expression is not supported; name it", c.Name)
		}
		names, values = append(names, name), append(values, v)
	}
	if err := applyNames(n, names); err != nil {
		return err
	}
	z.pick(c.Name, []plan.Expr{key}, names, values)
	return nil
}

// applyNames replaces the leading names by those written before the aggregate.
func applyNames(n ast.Named, names []string) error {
	if len(n.Names) > len(names) {
		return bind.Errorf(n, bind.CodeType, "there are more names than columns")
	}
	copy(names, n.Names)
	return nil
}

func (z *summarizer) takeAny(n ast.Named, c *ast.Call) error {
	var names []string
	var values []plan.Expr
	for _, a := range c.Args {
		if isStar(a.X) {
			for _, col := range z.rest("") {
				names, values = append(names, col.Name), append(values, &plan.Col{ID: col.ID, Typ: col.Type})
			}
			continue
		}
		v, err := z.b.Scalar(a.X, z.row)
		if err != nil {
			return err
		}
		name := bind.NameOf(a.X)
		if name == "" {
			return bind.Errorf(a, bind.CodeUnsupported, "%s(): an unnamed expression is not supported; name it", c.Name)
		}
		names, values = append(names, name), append(values, v)
	}
	if len(names) == 0 {
		return bind.Errorf(c, bind.CodeFunction, "%s(): the function takes at least one argument", c.Name)
	}
	if c.Name == "any" {
		for i := range names {
			names[i] = "any_" + names[i]
		}
	}
	if err := applyNames(n, names); err != nil {
		return err
	}
	z.pick("take_row", nil, names, values)
	return nil
}

func (z *summarizer) percentiles(n ast.Named, c *ast.Call) error {
	if len(c.Args) < 2 || c.Name == "percentile" && len(c.Args) != 2 {
		return bind.Errorf(c, bind.CodeFunction, "%s(): the function does not take %d arguments", c.Name, len(c.Args))
	}
	var names []string
	var cols []plan.Expr
	for _, p := range c.Args[1:] {
		col, rank, err := z.rank(c, p)
		if err != nil {
			return err
		}
		cols = append(cols, col)
		names = append(names, "percentile_"+bind.NameOf(c.Args[0].X)+"_"+strings.ReplaceAll(rank, ".", "_"))
	}
	if err := applyNames(n, names); err != nil {
		return err
	}
	for i, col := range cols {
		z.column(col.(*plan.Col).ID, z.names.Unique(names[i]), col.Type())
	}
	return nil
}

func (z *summarizer) percentile(c *ast.Call) (plan.Expr, error) {
	if len(c.Args) != 2 {
		return nil, bind.Errorf(c, bind.CodeFunction, "percentile(): the function takes two arguments")
	}
	col, _, err := z.rank(c, c.Args[1])
	return col, err
}

// rank adds one percentile; the rank is returned as its text for the column's name.
func (z *summarizer) rank(c *ast.Call, p ast.Named) (plan.Expr, string, error) {
	args, err := z.args([]ast.Named{c.Args[0], p})
	if err != nil {
		return nil, "", err
	}
	t := args[0].Type()
	if !(t.Numeric() && t != types.Decimal) && t != types.DateTime && t != types.TimeSpan {
		return nil, "", bind.Errorf(c, bind.CodeType, "%s(): argument 1 is of type %s, which is not supported", c.Name, t)
	}
	if t == types.Int {
		t = types.Long
		args[0] = funcs.Cast(args[0], t)
	}
	l, ok := args[1].(*plan.Lit)
	if !ok || !l.Typ.Numeric() || l.Typ == types.Decimal || l.Null {
		return nil, "", bind.Errorf(p, bind.CodeType, "%s(): the percentile is expected to be a number constant", c.Name)
	}
	f := l.Real
	if l.Typ.Integer() {
		f = float64(l.Int)
	}
	if !(f >= 0 && f <= 100) {
		return nil, "", bind.Errorf(p, bind.CodeType, "%s(): the percentile is not between 0 and 100", c.Name)
	}
	a := plan.Agg{Func: "percentile", Typ: t, Args: args[:1], Number: f}
	return z.add(a), strconv.FormatFloat(f, 'f', -1, 64), nil
}
