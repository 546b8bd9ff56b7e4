package cluster

import (
	"slices"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kql/branch"
)

// candidates is the row groups of a part that may hold its first rows, and how many
// rows they have, when that is known to be less than half of the part: by the ranges
// of its extents, and for those that are left by their footers.
func (p part) candidates(f *branch.First) (groups []branch.Group, left int64, fewer bool) {
	var rows int64
	for _, e := range p.extents {
		rows += e.Stats.Rows
	}
	if !f.Keys[0].Ranked || !f.Exact || rows < 2*rowGroup {
		return nil, 0, false
	}
	for i, e := range p.extents {
		groups = append(groups, wholeExtent(int64(i), e, f))
	}
	groups = f.Candidates(groups)
	if len(groups) > mostPlacedFiles {
		return nil, 0, false
	}
	var fine []branch.Group
	for _, g := range groups {
		fine = append(fine, p.split(g, f)...)
	}
	groups = f.Candidates(fine)
	for _, g := range groups {
		left += g.Rows
	}
	return groups, left, 2*left < rows
}

// wholeExtent is an extent as the catalogue knows it.
func wholeExtent(file int64, e catalog.Extent, f *branch.First) branch.Group {
	bounds := func(column string) branch.Bounds {
		if b, ok := nullEverywhere(e, column, e.Stats.Rows); ok {
			return b
		}
		r, ok := rangeOf(e, column)
		return branch.Bounds{Min: r.Min, Max: r.Max, Known: ok, Nulls: -1}
	}
	g := branch.Group{File: file, Rows: e.Stats.Rows}
	for _, k := range f.Keys {
		g.Keys = append(g.Keys, bounds(k.Column))
	}
	for _, r := range f.Wanted {
		g.Wanted = append(g.Wanted, bounds(r.Column))
	}
	return g
}

// nullEverywhere is what is known of a column that an extent does not have.
func nullEverywhere(e catalog.Extent, column string, rows int64) (branch.Bounds, bool) {
	id, ok := columnID(column)
	return branch.Bounds{Nulls: rows}, ok && !slices.Contains(e.Columns, id)
}

// split is the row groups of an extent, or the extent when its footer is not at hand.
func (p part) split(g branch.Group, f *branch.First) (out []branch.Group) {
	sparse := p.hots[g.File].sparse
	if sparse == nil {
		return []branch.Group{g}
	}
	columns := f.Columns()
	var begin int64
	for _, r := range sparse.RowGroups(columns...) {
		all := make([]branch.Bounds, len(columns))
		for i, c := range columns {
			var missing bool
			if all[i], missing = nullEverywhere(p.extents[g.File], c, r.Rows); !missing {
				all[i] = branch.Bounds(r.Columns[i])
			}
		}
		out = append(out, branch.Group{File: g.File, Begin: begin, Rows: r.Rows, Keys: all[:len(f.Keys)], Wanted: all[len(f.Keys):]})
		begin += r.Rows
	}
	if begin != g.Rows { // a footer that cannot be read, or that says what is not so
		return []branch.Group{g}
	}
	return out
}
