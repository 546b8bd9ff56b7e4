package sqlgen

import (
	"slices"

	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/plan"
)

// part is a table of which only one part is read.
type part struct {
	plan.Node // so that it stands where a node does; never used
	table     *plan.Table
	place     string
	// placed says that the rows carry their places: table has fileID and rowID.
	placed bool
}

// rowWise is the table behind operations that look at one row at a time, nil when
// there are others. The rows that come of a table are then those of its parts.
func rowWise(n plan.Node) *plan.Table {
	switch n := n.(type) {
	case *plan.Table:
		return n
	case *plan.Filter:
		return rowWise(n.In)
	case *plan.Extend:
		return rowWise(n.In)
	case *plan.Project:
		if n.In != nil {
			return rowWise(n.In)
		}
	}
	return nil
}

// onPart is the same operations over a part.
func onPart(n plan.Node, p *part) plan.Node {
	switch n := n.(type) {
	case *plan.Filter:
		return &plan.Filter{In: onPart(n.In, p), Pred: n.Pred}
	case *plan.Extend:
		return &plan.Extend{In: onPart(n.In, p), Items: n.Items}
	case *plan.Project:
		items := n.Items
		if p.placed {
			items = slices.Concat(items, placeItems())
		}
		return &plan.Project{In: onPart(n.In, p), Items: items}
	}
	return p
}

// branch writes the first rows of an order so that each part of the table may be
// asked for its own: the first of all are among them, by whatever keys, and rows
// that are equal by all keys may come in any order anyway.
func (g *Generator) branch(n *plan.Limit, t *plan.Table) (string, error) {
	merge, err := g.first(n)
	if err != nil {
		return "", err
	}
	g.branches++
	b := branch.Branch{ID: g.branches, Merge: merge}
	if b.First, err = g.places(n, t, b.Part()); err != nil {
		return "", err
	}
	use := g.use(t.Ref)
	use.Branches = append(use.Branches, b)
	sql, err := g.limit(n, onPart(n.In, &part{table: t, place: b.Part()}))
	return b.Mark(sql), err
}

func (g *Generator) limit(n *plan.Limit, in plan.Node) (string, error) {
	sql, err := g.from("SELECT *", in)
	if err != nil {
		return "", err
	}
	first, err := g.first(n)
	return sql + first, err
}

// first is what keeps the first rows of an order.
func (g *Generator) first(n *plan.Limit) (string, error) {
	count, err := g.Expr(n.N)
	if len(n.Order) == 0 {
		return " LIMIT " + count, err
	}
	return " ORDER BY " + g.d.OrderBy(n.Order) + " LIMIT " + count, err
}
