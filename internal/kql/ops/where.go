package ops

import (
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/bind"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

func where(b *bind.Binder, s *bind.Scope, op *ast.Where, in *plan.Rel) (*plan.Rel, error) {
	row := bind.RowOf(s, in)
	row.Functions = true
	pred, err := b.Scalar(op.Pred, row)
	if err != nil {
		return nil, err
	}
	if pred.Type() != types.Bool {
		return nil, bind.Errorf(op.Pred, bind.CodeType, "the predicate of where is expected to be bool and is %s", pred.Type())
	}
	row.Rel.Node = &plan.Filter{In: row.Rel.Node, Pred: pred}
	// Without the filtered rows a row number has gaps; the next row function numbers anew.
	b.Gaps(row.Rel)
	return row.Rel, nil
}
