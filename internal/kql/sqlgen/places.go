package sqlgen

import (
	"math"
	"slices"
	"strconv"

	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/plan"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// The columns that say where a row of a Parquet file stands have numbers that no
// query reaches.
const (
	fileID plan.ColumnID = math.MaxInt32 - iota
	rowID
)

const (
	// mostFirst is up to how many rows may be looked for in some pieces of a file alone.
	mostFirst = 100_000
	// mostPlaced is up to how many rows their places are asked for first: for more,
	// nearly every piece of a file holds one.
	mostPlaced = 50
	// leastPlaced is how many are asked for at least. For fewer, DuckDB looks up the
	// places by itself, and then reads the keys again to give nothing but places.
	leastPlaced = 51
	// leastSpared is how many columns there must be that the order does not need.
	leastSpared = 3
)

// places is how to find out where a part has its first rows, nil when the answer might
// not hold for the statement itself (another row may come when it is asked twice,
// or the condition reads other tables), or when nothing is to be found out.
func (g *Generator) places(n *plan.Limit, t *plan.Table, place string) (*branch.First, error) {
	count, ok := n.N.(*plan.Lit)
	if !ok || count.Null || count.Int < 1 || count.Int > mostFirst || len(n.Order) == 0 {
		return nil, nil
	}
	need := ids{}
	for _, k := range n.Order {
		need[k.Col] = true
	}
	if !tellsPlaces(n.In, need) {
		return nil, nil
	}
	f := &branch.First{Rows: int(count.Int)}
	for _, k := range n.Order {
		column := stored(n.In, k.Col)
		f.Keys = append(f.Keys, branch.Key{Column: column, Desc: k.Desc, NullsFirst: k.NullsFirst, Ranked: column != "" && ranked(k)})
	}
	f.Wanted, f.Exact = bounds(n.In)
	spared := 0
	for _, c := range t.Columns {
		if g.read[c.ID] && !need[c.ID] {
			spared++
		}
	}
	if f.Rows > mostPlaced || spared < leastSpared {
		if !f.Keys[0].Ranked {
			return nil, nil
		}
		return f, nil
	}
	size := g.size
	defer func() { g.size = size }() // it is no part of the statement whose size is bounded
	columns := slices.Concat(t.Columns, []plan.TableColumn{{ID: fileID, Typ: types.Long, Physical: "file_index"}, {ID: rowID, Typ: types.Long, Physical: "file_row_number"}})
	in := onPart(n.In, &part{table: &plan.Table{Ref: t.Ref, Columns: columns}, place: place, placed: true})
	sql, err := g.from("SELECT CAST("+Name(fileID)+" AS BIGINT) AS f, CAST("+Name(rowID)+" AS BIGINT) AS r", in)
	if err != nil {
		return nil, err
	}
	f.SQL, f.Params = used(sql+" ORDER BY "+g.d.OrderBy(n.Order)+" LIMIT "+strconv.Itoa(max(f.Rows, leastPlaced)), g.values)
	return f, nil
}

// ranked says whether a key orders rows as the numbers do that it is stored as. What
// is not a number comes before all numbers with the nulls first, and no statistics
// tell of it.
func ranked(k plan.Key) bool {
	switch k.Typ {
	case types.Int, types.Long, types.DateTime, types.TimeSpan:
		return true
	case types.Real:
		return !k.NullsFirst
	}
	return false
}

func placeItems() []plan.Item {
	return []plan.Item{
		{ID: fileID, Typ: types.Long, Expr: &plan.Col{ID: fileID, Typ: types.Long}},
		{ID: rowID, Typ: types.Long, Expr: &plan.Col{ID: rowID, Typ: types.Long}},
	}
}

// tellsPlaces says whether row-wise operations give the same however often they are
// run, from the row alone. It adds the columns to need that those in it come of and
// that filters read.
func tellsPlaces(n plan.Node, need ids) bool {
	items := func(list []plan.Item) bool {
		for _, it := range list {
			if !ofRow(it.Expr) {
				return false
			}
			if need[it.ID] {
				columnsOf(it.Expr, need)
			}
		}
		return true
	}
	switch n := n.(type) {
	case *plan.Filter:
		columnsOf(n.Pred, need)
		return ofRow(n.Pred) && tellsPlaces(n.In, need)
	case *plan.Extend:
		return items(n.Items) && tellsPlaces(n.In, need)
	case *plan.Project:
		return items(n.Items) && tellsPlaces(n.In, need)
	}
	return true
}

func ofRow(x plan.Expr) bool {
	switch x := x.(type) {
	case *plan.Col, *plan.Lit:
		return true
	case *plan.Call:
		return !plan.Volatile(x) && !slices.ContainsFunc(x.Args, func(a plan.Expr) bool { return !ofRow(a) })
	}
	return false
}

func columnsOf(x plan.Expr, into ids) {
	switch x := x.(type) {
	case *plan.Col:
		into[x.ID] = true
	case *plan.Call:
		for _, a := range x.Args {
			columnsOf(a, into)
		}
	}
}
