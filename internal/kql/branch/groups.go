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
	Key               Bounds
	Wanted            []Bounds // of the columns of [First].Wanted
}

// Candidates leaves out groups none of whose rows is among the first. With what is
// left, and whatever else there is, the answer is that of all.
func (f *First) Candidates(groups []Group) []Group {
	if !f.Ranked {
		return groups
	}
	var left []Group
	var sure []sureRows
	for _, g := range groups {
		all, none := g.within(f.Wanted)
		if none {
			continue
		}
		left = append(left, g)
		if all && f.Exact {
			sure = f.sure(sure, g)
		}
	}
	last, ok := f.lastOf(sure)
	if !ok {
		return left
	}
	return slices.DeleteFunc(left, func(g Group) bool {
		best, ok := f.best(g)
		return ok && best.compare(last) > 0
	})
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

// rank is where a row stands by the first key: before, among or after the values,
// and which is smaller when it is among them.
type rank struct {
	class int
	value int64
}

func (a rank) compare(b rank) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.value, b.value))
}

func (f *First) rankOf(value int64) rank {
	if f.Desc {
		value = ^value // the other way round, without an overflow
	}
	return rank{value: value}
}

func (f *First) nullRank() rank {
	if f.NullsFirst {
		return rank{class: -1}
	}
	return rank{class: 1}
}

// ends are the ranks of the first and the last value of a group.
func (f *First) ends(b Bounds) (first, last rank) {
	if f.Desc {
		return f.rankOf(b.Max), f.rankOf(b.Min)
	}
	return f.rankOf(b.Min), f.rankOf(b.Max)
}

// best is the rank of a group's first row, not ok when that is not known.
func (f *First) best(g Group) (r rank, ok bool) {
	switch {
	case f.NullsFirst && g.Key.Nulls > 0, g.Key.Nulls == g.Rows:
		return f.nullRank(), true
	case f.NullsFirst && g.Key.Nulls < 0:
		return rank{}, false
	}
	r, _ = f.ends(g.Key)
	return r, g.Key.Known
}

// sureRows is so many rows whose rank is at or less.
type sureRows struct {
	at   rank
	rows int64
}

// sure adds what rows a group has for sure, all of which come.
func (f *First) sure(to []sureRows, g Group) []sureRows {
	if g.Key.Nulls > 0 {
		to = append(to, sureRows{f.nullRank(), min(g.Key.Nulls, g.Rows)})
	}
	if !g.Key.Known {
		return to
	}
	first, last := f.ends(g.Key)
	to = append(to, sureRows{first, 1})
	if others := g.Rows - g.Key.Nulls - 1; g.Key.Nulls >= 0 && others > 0 {
		to = append(to, sureRows{last, others})
	}
	return to
}

// lastOf is a rank after which no row is among the first.
func (f *First) lastOf(sure []sureRows) (rank, bool) {
	slices.SortFunc(sure, func(a, b sureRows) int { return a.at.compare(b.at) })
	missing := int64(f.Rows)
	for _, s := range sure {
		if missing -= s.rows; missing <= 0 {
			return s.at, true
		}
	}
	return rank{}, false
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
