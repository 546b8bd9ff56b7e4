package ops

import (
	"errors"
	"strconv"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

type leg struct {
	rel  *plan.Rel
	name string
}

// union matches columns by name and type; a name with two types becomes two columns with the type behind the name.
func union(b *bind.Binder, s *bind.Scope, op *ast.Union, in *plan.Rel) (*plan.Rel, error) {
	legs, err := legsOf(b, s, op, in)
	if err != nil {
		return nil, err
	}
	if op.Kind != "" && op.Kind != "inner" && op.Kind != "outer" {
		return nil, bind.Errorf(op, bind.CodeType, "the union kind '%s' is not known", op.Kind)
	}
	type slot struct {
		name string
		typ  types.Type
	}
	var slots []slot
	seen := map[slot]int{}
	kinds := map[string]int{}
	for _, l := range legs {
		for _, c := range l.rel.Columns {
			k := slot{c.Name, c.Type}
			if seen[k] == 0 {
				slots = append(slots, k)
				kinds[c.Name]++
			}
			seen[k]++
		}
	}
	u := &plan.Union{}
	out := &plan.Rel{Node: u}
	names := bind.NewNames(nil)
	if op.WithSource != "" {
		names.Take(op.WithSource)
		id := b.NewID()
		u.IDs = append(u.IDs, plan.Item{ID: id, Typ: types.String})
		out.Columns = append(out.Columns, plan.Column{ID: id, Name: op.WithSource, Type: types.String})
	}
	var kept []slot
	for _, k := range slots {
		if op.Kind == "inner" && seen[k] != len(legs) {
			continue
		}
		name := k.name
		if kinds[name] > 1 && op.Kind != "inner" {
			name += "_" + k.typ.String()
		}
		id := b.NewID()
		u.IDs = append(u.IDs, plan.Item{ID: id, Typ: k.typ})
		out.Columns = append(out.Columns, plan.Column{ID: id, Name: names.Unique(name), Type: k.typ})
		kept = append(kept, k)
	}
	if len(out.Columns) == 0 {
		return nil, bind.Errorf(op, bind.CodeType, "the union has no columns")
	}
	for _, l := range legs {
		p := &plan.Project{In: l.rel.Node}
		ids := u.IDs
		if op.WithSource != "" {
			p.Items = append(p.Items, plan.Item{ID: ids[0].ID, Typ: types.String, Expr: plan.Text(l.name)})
			ids = ids[1:]
		}
		for i, k := range kept {
			var x plan.Expr = plan.Null(k.typ)
			for _, c := range l.rel.Columns {
				if c.Name == k.name && c.Type == k.typ {
					x = &plan.Col{ID: c.ID, Typ: c.Type}
				}
			}
			p.Items = append(p.Items, plan.Item{ID: ids[i].ID, Typ: k.typ, Expr: x})
		}
		u.Parts = append(u.Parts, p)
	}
	return out, nil
}

func legsOf(b *bind.Binder, s *bind.Scope, op *ast.Union, in *plan.Rel) ([]leg, error) {
	var legs []leg
	add := func(r *plan.Rel) {
		name := r.Name
		if name == "" {
			name = "union_arg" + strconv.Itoa(len(legs))
		}
		legs = append(legs, leg{r, name})
	}
	if in != nil {
		add(in)
	}
	for _, x := range op.Tables {
		if star, ok := x.(*ast.Star); ok {
			n := 0
			for _, name := range b.Env.Tables("") {
				if bind.Match(star.Pattern, name) {
					if t, ok := b.Env.Table("", name); ok {
						add(b.Scan(t))
						n++
					}
				}
			}
			if n == 0 && !op.Fuzzy {
				return nil, bind.Errorf(star, bind.CodeUnresolved, "no table matches '%s'", star.Pattern)
			}
			continue
		}
		r, err := b.Tabular(x, s)
		if err != nil {
			var e *bind.Error
			if op.Fuzzy && errors.As(err, &e) && e.Code == bind.CodeUnresolved {
				continue
			}
			return nil, err
		}
		if n, ok := x.(*ast.Name); ok && r.Name == "" {
			r.Name = n.Name
		}
		add(r)
	}
	if len(legs) == 0 {
		return nil, bind.Errorf(op, bind.CodeUnresolved, "no table of the union exists")
	}
	return legs, nil
}
