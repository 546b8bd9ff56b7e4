package ops

import (
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/funcs"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// parse extracts columns by a pattern of literals, stars and columns. It becomes one regular expression with a group
// per column; a row that does not match keeps empty columns, or is dropped by parse-where.
func parse(b *bind.Binder, s *bind.Scope, op *ast.Parse, in *plan.Rel) (*plan.Rel, error) {
	if op.Kind == "regex" || op.Kind == "relaxed" || op.Flags != "" {
		return nil, bind.Errorf(op, bind.CodeUnsupported, "parse with kind=%s is not supported", op.Kind)
	}
	row := bind.RowOf(s, in)
	text, err := b.Scalar(op.X, row)
	if err != nil {
		return nil, err
	}
	if t := text.Type(); t != types.String && t != types.Dynamic {
		return nil, bind.Errorf(op.X, bind.CodeType, "parse needs a string and finds %s", t)
	}
	text = funcs.ToText(text)
	pattern, err := pattern(op)
	if err != nil {
		return nil, err
	}
	var groups []ast.ParsePart
	for _, p := range op.Parts {
		if p.Text == nil && !p.Star {
			groups = append(groups, p)
		}
	}
	m := &plan.Call{Op: "parse.match", Typ: types.Bool, Args: []plan.Expr{text}, Text: pattern}
	matched := b.NewID()
	ok := plan.Expr(&plan.Col{ID: matched, Typ: types.Bool})
	node := plan.Node(&plan.Extend{In: row.Rel.Node, Items: []plan.Item{{ID: matched, Typ: types.Bool, Expr: m}}})
	var raws []plan.Item
	for i := range groups {
		c := &plan.Call{Op: "parse.group", Typ: types.String, Args: []plan.Expr{text}, Text: pattern, Number: int64(i + 1)}
		raws = append(raws, plan.Item{ID: b.NewID(), Typ: types.String, Expr: c})
	}
	if len(raws) > 0 {
		node = &plan.Extend{In: node, Items: raws}
	}
	values := make([]plan.Expr, len(groups))
	for i, g := range groups {
		v, err := funcs.Convert(&plan.Col{ID: raws[i].ID, Typ: types.String}, g.Type)
		if err != nil {
			return nil, bind.TypeError(op, err)
		}
		if g.Type == types.Dynamic {
			return nil, bind.Errorf(op, bind.CodeUnsupported, "parse into a dynamic column is not supported")
		}
		values[i] = v
		if g.Type != types.String {
			isnull := &plan.Call{Op: "isnotnull", Typ: types.Bool, Args: []plan.Expr{v}}
			if ok, err = funcs.And(ok, isnull); err != nil {
				return nil, bind.TypeError(op, err)
			}
		}
	}
	out := row.Rel
	cols := append([]plan.Column(nil), in.Columns...)
	var items []plan.Item
	for i, g := range groups {
		t := g.Type
		x := &plan.Call{Op: "case", Typ: t, Args: []plan.Expr{ok, values[i], plan.Null(t)}}
		c := plan.Column{ID: b.NewID(), Name: g.Name, Type: t}
		items = append(items, plan.Item{ID: c.ID, Typ: t, Expr: x})
		cols = place(cols, c)
	}
	if op.Filter {
		node = &plan.Filter{In: node, Pred: ok}
		b.Gaps(out)
	}
	if len(items) > 0 {
		node = &plan.Extend{In: node, Items: items}
	}
	out.Node, out.Columns = node, cols
	return out, nil
}

// pattern makes the regular expression. Strings are taken as short as possible up to the next literal and whole at the
// end; integers take only what can be one, so that a star may follow them.
func pattern(op *ast.Parse) (string, error) {
	var p strings.Builder
	p.WriteString(`^(?s:`)
	for i, part := range op.Parts {
		var next *ast.ParsePart
		if i+1 < len(op.Parts) {
			next = &op.Parts[i+1]
		}
		integer := part.Text == nil && !part.Star && part.Type.Integer()
		if part.Text == nil && next != nil && next.Text == nil && !(integer && next.Star) {
			return "", bind.Errorf(op, bind.CodeUnsupported, "a string column or '*' followed by no literal in the pattern of parse is not supported")
		}
		switch {
		case part.Text != nil:
			p.WriteString(regexp.QuoteMeta(part.Text.Text))
		case integer:
			p.WriteString(`([+-]?[0-9]+)`)
		case part.Star:
			p.WriteString(`.*?`)
		default:
			p.WriteString(`(.*?)`)
		}
	}
	p.WriteString(`)$`)
	return p.String(), nil
}
