package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

func rename(op *ast.Rename, in *plan.Rel) (*plan.Rel, error) {
	out := *in
	out.Columns = append([]plan.Column(nil), in.Columns...)
	done := map[int]bool{}
	for _, n := range op.Items {
		x, ok := n.X.(*ast.Name)
		if !ok || len(n.Names) != 1 {
			return nil, bind.Errorf(n, bind.CodeType, "project-rename takes items of the form new = old")
		}
		at := -1
		for i, c := range in.Columns {
			if c.Name == x.Name {
				at = i
			}
		}
		if at < 0 {
			return nil, bind.Errorf(x, bind.CodeUnresolved, "Failed to resolve column named '%s'", x.Name)
		}
		if done[at] {
			return nil, bind.Errorf(x, bind.CodeType, "the column '%s' is renamed twice", x.Name)
		}
		done[at] = true
		out.Columns[at].Name = n.Names[0]
	}
	seen := map[string]bool{}
	for _, c := range out.Columns {
		if seen[c.Name] {
			return nil, bind.Errorf(op, bind.CodeType, "two columns would be named '%s'", c.Name)
		}
		seen[c.Name] = true
	}
	return &out, nil
}
