package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
		if !worthPlaces(p, order.First) {
			continue
		}
		places, err := b.places(ctx, child, order, p)
		if err != nil {
			return err
		}
		if parts[i].sql, err = branch.Only(p.list, p.files, places); err != nil {
			return err
		}
		narrowed = true
	}
	if narrowed {
		b.write(parts)
	}
	return nil
}

// worthPlaces says whether the first rows are likely to be strewn over many extents.
func worthPlaces(p part, f *branch.First) bool {
	if f == nil || len(p.files) < fewestPlacedFiles || len(p.files) > mostPlacedFiles {
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
	return 2*mayBeFirst(extents, f.Key, f.Desc) >= len(extents)
}

// mayBeFirst is how many extents may hold the first rows by a key: one or two when
// rows came in its order, as they do by time, and all when nothing is known.
func mayBeFirst(extents []catalog.Extent, key string, desc bool) int {
	var ranges []catalog.MinMax
	for _, e := range extents {
		r, ok := rangeOf(e, key)
		if !ok {
			return len(extents)
		}
		ranges = append(ranges, r)
	}
	n := 0
	if desc {
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
	var id int
	if _, err := fmt.Sscanf(column, "c%d", &id); err != nil {
		return catalog.MinMax{}, false
	}
	r, ok := e.Stats.Ranges[id]
	return r, ok
}

// places runs the statement that tells where the first rows of a part are.
func (b *bound) places(ctx context.Context, child engine.Child, order branch.Branch, p part) ([]branch.Place, error) {
	rows, err := child.Query(ctx, engine.Statement{SQL: order.Places(p.list, p.files), Params: order.First.Params, Extents: p.names})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []branch.Place
	for rows.Next() {
		batch := rows.RecordBatch()
		if batch.NumCols() != 2 {
			return nil, errors.New("BUG: a place is not two numbers")
		}
		file, ok1 := batch.Column(0).(*array.Int64)
		row, ok2 := batch.Column(1).(*array.Int64)
		if !ok1 || !ok2 {
			return nil, errors.New("BUG: a place is not two numbers")
		}
		for i := range int(batch.NumRows()) {
			out = append(out, branch.Place{File: file.Value(i), Row: row.Value(i)})
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return out[:min(len(out), order.First.Rows)], nil
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
