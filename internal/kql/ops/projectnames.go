package ops

import (
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

// projectNames binds project-away, project-keep and project-reorder, which only choose and arrange columns.
func projectNames(op *ast.ProjectNames, in *plan.Rel) (*plan.Rel, error) {
	picked := map[string]bool{}
	var ordered []plan.Column
	for _, n := range op.Items {
		var fit []plan.Column
		for _, c := range in.Columns {
			if n.Pattern && bind.Match(n.Name, c.Name) || !n.Pattern && n.Name == c.Name {
				fit = append(fit, c)
			}
		}
		if len(fit) == 0 && !n.Pattern {
			return nil, bind.Errorf(n, bind.CodeUnresolved, "Failed to resolve column named '%s'", n.Name)
		}
		switch n.Order {
		case "asc":
			slices.SortStableFunc(fit, func(a, b plan.Column) int { return strings.Compare(a.Name, b.Name) })
		case "desc":
			slices.SortStableFunc(fit, func(a, b plan.Column) int { return strings.Compare(b.Name, a.Name) })
		case "granny-asc":
			slices.SortStableFunc(fit, func(a, b plan.Column) int { return natural(a.Name, b.Name) })
		case "granny-desc":
			slices.SortStableFunc(fit, func(a, b plan.Column) int { return natural(b.Name, a.Name) })
		}
		for _, c := range fit {
			if !picked[c.Name] {
				picked[c.Name] = true
				ordered = append(ordered, c)
			}
		}
	}
	out := *in
	out.Columns = nil
	switch op.Op {
	case "project-away":
		for _, c := range in.Columns {
			if !picked[c.Name] {
				out.Columns = append(out.Columns, c)
			}
		}
	case "project-keep":
		for _, c := range in.Columns {
			if picked[c.Name] {
				out.Columns = append(out.Columns, c)
			}
		}
	default:
		out.Columns = ordered
		for _, c := range in.Columns {
			if !picked[c.Name] {
				out.Columns = append(out.Columns, c)
			}
		}
	}
	return &out, nil
}

// natural compares names with digit runs taken as numbers: a2 before a10.
func natural(a, b string) int {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
