package branch_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/kql/branch"
)

func key(low, high, nulls int64) branch.Bounds {
	return branch.Bounds{Min: low, Max: high, Known: true, Nulls: nulls}
}

var nothingKnown = branch.Bounds{Nulls: -1}

func TestCandidates(t *testing.T) {
	t.Parallel()
	group := func(rows int64, k branch.Bounds, wanted ...branch.Bounds) branch.Group {
		return branch.Group{Rows: rows, Key: k, Wanted: wanted}
	}
	first := func(n int, desc bool) branch.First {
		return branch.First{Rows: n, Key: "c1", Ranked: true, Exact: true, Desc: desc}
	}
	nullsFirst, within, partly, unranked := first(2, false), first(5, true), first(5, true), first(1, true)
	nullsFirst.NullsFirst = true
	within.Wanted = []branch.Range{{Column: "c2", Min: 10, Max: 20}}
	partly.Wanted, partly.Exact = within.Wanted, false
	unranked.Ranked = false
	for name, c := range map[string]struct {
		first  branch.First
		groups []branch.Group
		want   []int
	}{
		"in the order of time, the last": {first(10, true), []branch.Group{group(100, key(1, 10, 0)), group(100, key(10, 20, 0)), group(100, key(21, 30, 0))}, []int{2}},
		"of which the last is short":     {first(10, true), []branch.Group{group(100, key(1, 10, 0)), group(100, key(10, 20, 0)), group(9, key(21, 30, 0))}, []int{1, 2}},
		"and the first":                  {first(10, false), []branch.Group{group(100, key(1, 10, 0)), group(100, key(10, 20, 0)), group(100, key(21, 30, 0))}, []int{0, 1}},
		"strewn":                         {first(2, true), []branch.Group{group(100, key(1, 97, 0)), group(100, key(1, 99, 0)), group(100, key(1, 98, 0)), group(100, key(1, 98, 0))}, []int{1, 2, 3}},
		"nulls that are not counted":     {first(10, true), []branch.Group{group(100, key(1, 9, -1)), group(100, key(10, 20, -1))}, []int{0, 1}},
		"nothing known of one":           {first(10, true), []branch.Group{group(100, nothingKnown), group(100, key(10, 20, 0)), group(100, key(1, 9, 0))}, []int{0, 1}},
		"nulls alone":                    {first(10, true), []branch.Group{group(100, branch.Bounds{Nulls: 100}), group(10, key(10, 20, 0))}, []int{1}},
		"nulls when values are few":      {first(11, true), []branch.Group{group(100, branch.Bounds{Nulls: 100}), group(10, key(10, 20, 0))}, []int{0, 1}},
		"nulls first":                    {nullsFirst, []branch.Group{group(100, key(1, 5, 0)), group(100, key(7, 8, 2)), group(100, key(0, 9, -1))}, []int{1, 2}},
		"the ends of what there is":      {first(1, true), []branch.Group{group(5, key(math.MinInt64, math.MaxInt64, 0)), group(5, key(0, math.MaxInt64-1, 0))}, []int{0}},
		"another condition": {partly, []branch.Group{group(100, key(1, 5, 0), key(10, 20, 0)), group(100, key(8, 9, 0), key(10, 20, 0)), group(100, key(8, 9, 0), key(21, 30, 0))},
			[]int{0, 1}},
		"a condition that is known": {within, []branch.Group{group(100, key(1, 5, 0), key(10, 20, 0)), group(100, key(8, 9, 0), key(10, 20, 0)), group(100, key(2, 9, 0), key(19, 30, 0)),
			group(100, key(20, 30, 0), branch.Bounds{Nulls: 100}), group(100, key(1, 2, 0), key(9, 20, 0))}, []int{1, 2}},
		"not in the order of numbers": {unranked, []branch.Group{group(5, key(1, 2, 0)), group(5, key(8, 9, 0))}, []int{0, 1}},
		"none":                        {first(1, true), nil, nil},
	} {
		var got []int
		for i := range c.groups {
			c.groups[i].File = int64(i)
		}
		for _, g := range c.first.Candidates(c.groups) {
			got = append(got, int(g.File))
		}
		if diff := gocmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// value is of a column that may be null.
type value struct {
	null bool
	n    int64
}

// boundsOf is what may be known of values.
func boundsOf(rt *rapid.T, values []value) branch.Bounds {
	b := branch.Bounds{Min: math.MaxInt64, Max: math.MinInt64}
	for _, v := range values {
		if v.null {
			b.Nulls++
			continue
		}
		b.Min, b.Max, b.Known = min(b.Min, v.n), max(b.Max, v.n), true
	}
	if rapid.IntRange(0, 9).Draw(rt, "bounds unknown") == 0 {
		b.Known = false
	}
	if rapid.IntRange(0, 9).Draw(rt, "nulls unknown") == 0 {
		b.Nulls = -1
	}
	if !b.Known {
		b.Min, b.Max = 5, -5
	}
	return b
}

// The first rows of what is left are those of all.
func TestCandidatesHoldTheFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := branch.First{
			Rows: rapid.IntRange(1, 12).Draw(rt, "rows"), Ranked: true,
			Desc: rapid.Bool().Draw(rt, "desc"), NullsFirst: rapid.Bool().Draw(rt, "nulls first"), Exact: rapid.Bool().Draw(rt, "exact"),
		}
		if rapid.Bool().Draw(rt, "where") {
			low := rapid.Int64Range(0, 20).Draw(rt, "low")
			f.Wanted = []branch.Range{{Column: "c2", Min: low, Max: low + rapid.Int64Range(0, 20).Draw(rt, "width")}}
		}
		draw := rapid.Custom(func(rt *rapid.T) value {
			if rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
				return value{null: true}
			}
			return value{n: rapid.Int64Range(0, 30).Draw(rt, "value")}
		})
		var groups []branch.Group
		var keys [][]value // of the rows that come
		for range rapid.IntRange(1, 8).Draw(rt, "groups") {
			n := rapid.IntRange(1, 6).Draw(rt, "size")
			k, w := rapid.SliceOfN(draw, n, n).Draw(rt, "keys"), rapid.SliceOfN(draw, n, n).Draw(rt, "wanted")
			g := branch.Group{File: int64(len(groups)), Rows: int64(n), Key: boundsOf(rt, k)}
			var come []value
			for i := range k {
				if len(f.Wanted) > 0 && (w[i].null || w[i].n < f.Wanted[0].Min || w[i].n > f.Wanted[0].Max) {
					continue
				}
				if f.Exact || rapid.Bool().Draw(rt, "comes") {
					come = append(come, k[i])
				}
			}
			if len(f.Wanted) > 0 {
				g.Wanted = []branch.Bounds{boundsOf(rt, w)}
			}
			groups, keys = append(groups, g), append(keys, come)
		}
		of := func(groups []branch.Group) []value {
			var all []value
			for _, g := range groups {
				all = append(all, keys[g.File]...)
			}
			slices.SortFunc(all, func(a, b value) int {
				switch {
				case a.null && b.null:
					return 0
				case a.null != b.null:
					if a.null == f.NullsFirst {
						return -1
					}
					return 1
				case f.Desc:
					return cmp.Compare(b.n, a.n)
				}
				return cmp.Compare(a.n, b.n)
			})
			return all[:min(len(all), f.Rows)]
		}
		want := of(groups)
		got := of(f.Candidates(slices.Clone(groups)))
		if !slices.Equal(want, got) {
			rt.Fatalf("%+v of %v: %v, want %v", f, keys, got, want)
		}
	})
}

func TestWithin(t *testing.T) {
	t.Parallel()
	files := []string{"'a'", "'b'", "'c'"}
	group := func(file, begin, rows int64) branch.Group {
		return branch.Group{File: file, Begin: begin, Rows: rows}
	}
	b := branch.Branch{ID: 3, First: &branch.First{SQL: "SELECT f, r FROM {{part:3}} AS t"}}
	for name, c := range map[string]struct {
		groups       []branch.Group
		want, places string
	}{
		"none": {nil, "SELECT c1 FROM read_parquet(['a']) WHERE false", "SELECT c1, 0 AS file_index, file_row_number FROM read_parquet(['a']) WHERE false"},
		"one": {[]branch.Group{group(1, 100, 50)}, "SELECT c1 FROM read_parquet(['b']) WHERE file_row_number BETWEEN 100 AND 149",
			"SELECT c1, 1 AS file_index, file_row_number FROM read_parquet(['b']) WHERE file_row_number BETWEEN 100 AND 149"},
		"neighbours, and others": {[]branch.Group{group(2, 50, 50), group(0, 7, 1), group(2, 150, 5), group(2, 0, 50)},
			"SELECT c1 FROM read_parquet(['a']) WHERE file_row_number BETWEEN 7 AND 7 UNION ALL " +
				"SELECT c1 FROM read_parquet(['c']) WHERE file_row_number BETWEEN 0 AND 99 OR file_row_number BETWEEN 150 AND 154",
			"SELECT c1, 0 AS file_index, file_row_number FROM read_parquet(['a']) WHERE file_row_number BETWEEN 7 AND 7 UNION ALL " +
				"SELECT c1, 2 AS file_index, file_row_number FROM read_parquet(['c']) WHERE file_row_number BETWEEN 0 AND 99 OR file_row_number BETWEEN 150 AND 154"},
	} {
		got, err := branch.Within("c1", files, c.groups)
		if diff := gocmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		got, err = b.PlacesWithin("c1", files, c.groups)
		if diff := gocmp.Diff(fmt.Sprintf("SELECT f, r FROM (%s) AS t", c.places), got); diff != "" || err != nil {
			t.Errorf("%s, places: %v (-want +got):\n%s", name, err, diff)
		}
	}
	for _, file := range []int64{-1, 3} {
		if got, err := branch.Within("c1", files, []branch.Group{group(file, 0, 1)}); err == nil {
			t.Errorf("file %d: %s", file, got)
		}
	}
}
