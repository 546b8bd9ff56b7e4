package branch

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds is what is known of a stored column in some rows.
type Bounds struct {
	// Min and Max are the values of two rows, when Known, or what stands in the same
	// order as these.
	Min, Max int64
	Known    bool
	Nulls    int64 // -1 when that is not known
}

// Group is neighbouring rows of a file, from Begin on, that the engine reads or leaves
// out as a whole.
type Group struct {
	File, Begin, Rows int64
	Keys              []Bounds // of the columns of [First].Keys
	Wanted            []Bounds // of the columns of [First].Wanted
}

// Candidates leaves out groups without which the first rows are the same: by all
// keys, for rows that are equal by these may be any of them. They are the same with
// what is left, and whatever else there is.
func (f *First) Candidates(groups []Group) []Group {
	if !f.Keys[0].Ranked {
		return groups
	}
	var left []candidate
	var sure []sureRows
	for _, g := range groups {
		all, none := g.within(f.Wanted)
		if none {
			continue
		}
		if all && f.Exact {
			sure = f.sure(sure, g, len(left))
		}
		left = append(left, candidate{group: g, best: f.best(g)})
	}
	last, enough := f.lastOf(sure, left)
	var out []Group
	for _, c := range left {
		// One that begins where the last row may be is needed only for its sure rows.
		if !enough || c.needed || c.best.compare(last) < 0 {
			out = append(out, c.group)
		}
	}
	return out
}

// candidate is a group that may hold a row that comes, with a place of the order
// before which it has none.
type candidate struct {
	group  Group
	best   place
	needed bool // for the rows that there are for sure
}

// within says whether all rows, or none, lie in the ranges, as far as that is known.
func (g Group) within(ranges []Range) (all, none bool) {
	all = true
	for i, r := range ranges {
		b := g.Wanted[i]
		all = all && b.Known && b.Nulls == 0 && r.Min <= b.Min && b.Max <= r.Max
		none = none || b.Known && (b.Max < r.Min || r.Max < b.Min) || b.Nulls == g.Rows
	}
	return all, none
}

// place is where a row stands in the order, by each key.
type place []rank

func (p place) compare(q place) int {
	return slices.CompareFunc(p, q, rank.compare)
}

// rank is where a row stands by one key: which class of rows it is in, and, among
// the values, which is smaller.
type rank struct {
	class int
	value int64
}

// The classes, in their order. The outermost are where nobody knows.
const (
	beforeAll = iota - 2
	nullsBefore
	values
	nullsAfter
	afterAll
)

func (a rank) compare(b rank) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.value, b.value))
}

func (k Key) null() rank {
	if k.NullsFirst {
		return rank{class: nullsBefore}
	}
	return rank{class: nullsAfter}
}

// ends are the ranks of the first and the last value.
func (k Key) ends(b Bounds) (first, last rank) {
	if k.Desc {
		return rank{values, ^b.Max}, rank{values, ^b.Min} // the other way round, without an overflow
	}
	return rank{values, b.Min}, rank{values, b.Max}
}

// best is a rank before which no row of a group is.
func (k Key) best(b Bounds, rows int64) rank {
	switch {
	case !k.Ranked, k.NullsFirst && b.Nulls < 0:
	case k.NullsFirst && b.Nulls > 0, b.Nulls == rows:
		return k.null()
	case b.Known:
		first, _ := k.ends(b)
		return first
	}
	return rank{class: beforeAll}
}

// worst is a rank after which no row of a group is.
func (k Key) worst(b Bounds, rows int64) rank {
	switch {
	case !k.Ranked:
	case !k.NullsFirst && b.Nulls != 0, b.Nulls == rows:
		return k.null()
	case b.Known:
		_, last := k.ends(b)
		return last
	}
	return rank{class: afterAll}
}

func (f *First) best(g Group) place {
	p := make(place, len(f.Keys))
	for i, k := range f.Keys {
		p[i] = k.best(g.Keys[i], g.Rows)
	}
	return p
}

// sureRows is so many rows of a candidate that are at a place or before.
type sureRows struct {
	at   place
	rows int64
	of   int
}

// sure adds what rows the group of candidate of has for sure, all of which come: one
// with the best value of the first key, all with the worst.
func (f *First) sure(to []sureRows, g Group, of int) []sureRows {
	worst := make(place, len(f.Keys))
	for i, k := range f.Keys {
		worst[i] = k.worst(g.Keys[i], g.Rows)
	}
	add := func(first rank, rows int64) {
		at := slices.Clone(worst)
		at[0] = first
		to = append(to, sureRows{at, rows, of})
	}
	k, b := f.Keys[0], g.Keys[0]
	if b.Nulls > 0 {
		add(k.null(), min(b.Nulls, g.Rows))
	}
	if !b.Known {
		return to
	}
	first, last := k.ends(b)
	add(first, 1)
	if others := g.Rows - b.Nulls - 1; b.Nulls >= 0 && others > 0 {
		add(last, others)
	}
	return to
}

// lastOf is a place after which no row is among the first, when there are rows enough
// for sure; it marks the candidates whose rows these are.
func (f *First) lastOf(sure []sureRows, of []candidate) (place, bool) {
	slices.SortStableFunc(sure, func(a, b sureRows) int { return a.at.compare(b.at) })
	missing := int64(f.Rows)
	for _, s := range sure {
		of[s.of].needed = true
		if missing -= s.rows; missing <= 0 {
			return s.at, true
		}
	}
	return nil, false
}

// Within is the part of which no other rows are left than those of the groups.
func Within(list string, files []string, groups []Group) (string, error) {
	return within(files, groups, func(int64) string { return list })
}

// within reads each file by itself, for the reason that [Only] does. list is what is
// selected of a file.
func within(files []string, groups []Group, list func(file int64) string) (string, error) {
	runs := make([][]string, len(files))
	groups = slices.SortedFunc(slices.Values(groups), func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Begin, b.Begin))
	})
	for i := 0; i < len(groups); {
		first := groups[i]
		if first.File < 0 || first.File >= int64(len(files)) {
			return "", fmt.Errorf("BUG: a group of file %d of %d", first.File, len(files))
		}
		end := first.Begin
		for ; i < len(groups) && groups[i].File == first.File && groups[i].Begin == end; i++ {
			end += groups[i].Rows
		}
		runs[first.File] = append(runs[first.File], "file_row_number BETWEEN "+strconv.FormatInt(first.Begin, 10)+" AND "+strconv.FormatInt(end-1, 10))
	}
	var selects []string
	for file, r := range runs {
		if len(r) > 0 {
			selects = append(selects, "SELECT "+list(int64(file))+" FROM "+parquet(files[file])+" WHERE "+strings.Join(r, " OR "))
		}
	}
	if len(selects) == 0 {
		return "SELECT " + list(0) + " FROM " + parquet(files[0]) + " WHERE false", nil
	}
	return strings.Join(selects, " UNION ALL "), nil
}
