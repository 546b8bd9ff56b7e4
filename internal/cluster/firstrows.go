package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/kql/branch"
)

const (
	// fewestPlacedFiles and mostPlacedFiles bound the extents of a part whose first
	// rows are looked for beforehand. Of few the engine reads little else by itself;
	// each that holds such a row costs the second statement about a millisecond.
	fewestPlacedFiles, mostPlacedFiles = 4, 64
	// rowGroup is how many rows of a file the engine reads together.
	rowGroup = 122_880
)

// narrow asks the extents for the places of the first rows of an order before the
// statement is run, and lets it read no others. It is for a statement that has one
// such order; the extents, buffers and hot tables are those that b holds, so the
// answer is that of the whole.
func (b *bound) narrow(ctx context.Context, child engine.Child) error {
	at, found := 0, 0
	for i, ref := range b.q.Tables {
		if len(ref.Branches) > 0 {
			at, found = i, found+len(ref.Branches)
		}
	}
	if found != 1 {
		return nil
	}
	order := b.q.Tables[at].Branches[0]
	parts, narrowed := slices.Clone(b.parts[at]), false
	for i, p := range parts {
		sql, err := b.narrowPart(ctx, child, order, p)
		if err != nil {
			return err
		}
		if sql != "" {
			parts[i].sql, narrowed = sql, true
		}
	}
	if narrowed {
		b.write(parts)
	}
	return nil
}

// narrowPart is what is left of a part, "" when it is to be read as a whole.
func (b *bound) narrowPart(ctx context.Context, child engine.Child, order branch.Branch, p part) (string, error) {
	if order.First == nil || len(p.files) == 0 {
		return "", nil
	}
	groups, rows, fewer := p.candidates(order.First)
	switch {
	case fewer && order.First.SQL != "" && rows > rowGroup:
		sql, err := order.PlacesWithin(p.list, p.files, groups)
		if err != nil {
			return "", err
		}
		return b.only(ctx, child, order.First, p, sql)
	case fewer:
		return branch.Within(p.list, p.files, groups)
	case worthPlaces(p, order.First):
		return b.only(ctx, child, order.First, p, order.Places(p.list, p.files))
	}
	return "", nil
}

// worthPlaces says whether the first rows are likely to be strewn over many extents.
func worthPlaces(p part, f *branch.First) bool {
	if f == nil || f.SQL == "" || len(p.files) < fewestPlacedFiles || len(p.files) > mostPlacedFiles {
		return false
	}
	var wanted []Range
	for _, r := range f.Wanted {
		wanted = append(wanted, Range(r))
	}
	extents := prune(slices.Clone(p.extents), wanted) // the engine sees as well that the others hold nothing
	var rows int64
	for _, e := range extents {
		rows += e.Stats.Rows
	}
	// Nothing is spared when an extent is of one group, or most groups hold such a row.
	groups := rows / rowGroup
	if len(extents) < fewestPlacedFiles || groups < int64(2*len(extents)) || 2*groups < int64(3*f.Rows) {
		return false
	}
	return 2*mayBeFirst(extents, f.Keys[0]) >= len(extents)
}

// mayBeFirst is how many extents may hold the first rows by a key: one or two when
// rows came in its order, as they do by time, and all when nothing is known.
func mayBeFirst(extents []catalog.Extent, key branch.Key) int {
	var ranges []catalog.MinMax
	for _, e := range extents {
		r, ok := rangeOf(e, key.Column)
		if !ok {
			return len(extents)
		}
		ranges = append(ranges, r)
	}
	n := 0
	if key.Desc {
		last := slices.MaxFunc(ranges, func(a, b catalog.MinMax) int { return cmp.Compare(a.Min, b.Min) })
		for _, r := range ranges {
			if r.Max >= last.Min {
				n++
			}
		}
		return n
	}
	first := slices.MinFunc(ranges, func(a, b catalog.MinMax) int { return cmp.Compare(a.Max, b.Max) })
	for _, r := range ranges {
		if r.Min <= first.Max {
			n++
		}
	}
	return n
}

// rangeOf is the range of a column, by its physical name, if the extent has one.
func rangeOf(e catalog.Extent, column string) (catalog.MinMax, bool) {
	id, ok := columnID(column)
	r, known := e.Stats.Ranges[id]
	return r, ok && known
}

// only asks for the places of a part's first rows by a statement, and is the part of
// which these rows are left.
func (b *bound) only(ctx context.Context, child engine.Child, f *branch.First, p part, sql string) (string, error) {
	rows, err := child.Query(ctx, engine.Statement{SQL: sql, Params: f.Params, Extents: p.names})
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var places []branch.Place
	for rows.Next() {
		batch := rows.RecordBatch()
		if batch.NumCols() != 2 {
			return "", errors.New("BUG: a place is not two numbers")
		}
		file, ok1 := batch.Column(0).(*array.Int64)
		row, ok2 := batch.Column(1).(*array.Int64)
		if !ok1 || !ok2 {
			return "", errors.New("BUG: a place is not two numbers")
		}
		for i := range int(batch.NumRows()) {
			places = append(places, branch.Place{File: file.Value(i), Row: row.Value(i)})
		}
	}
	if err := rows.Err(); err != nil {
		return "", err
	}
	return branch.Only(p.list, p.files, places[:min(len(places), f.Rows)])
}

// write puts the tables' parts in the place of the placeholders. narrowed, if any,
// are the parts for the one order of the statement.
func (b *bound) write(narrowed []part) {
	sql, pairs := b.q.SQL, make([]string, 0, 2*len(b.q.Tables))
	for i, ref := range b.q.Tables {
		all := statements(b.parts[i])
		each := all
		if narrowed != nil && len(ref.Branches) > 0 {
			each = statements(narrowed)
		}
		sql = branch.Expand(sql, ref.Branches, each)
		pairs = append(pairs, ref.Placeholder, "("+strings.Join(all, " UNION ALL ")+")")
	}
	b.statement.SQL = strings.NewReplacer(pairs...).Replace(sql)
}

func statements(parts []part) []string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.sql
	}
	return out
}
