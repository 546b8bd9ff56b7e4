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

func known(low, high, nulls int64) branch.Bounds {
	return branch.Bounds{Min: low, Max: high, Known: true, Nulls: nulls}
}

var unknown = branch.Bounds{Nulls: -1}

func TestCandidates(t *testing.T) {
	t.Parallel()
	group := func(rows int64, key branch.Bounds, others ...branch.Bounds) branch.Group {
		return branch.Group{Rows: rows, Keys: append([]branch.Bounds{key}, others...)}
	}
	where := func(rows int64, key, wanted branch.Bounds) branch.Group {
		return branch.Group{Rows: rows, Keys: []branch.Bounds{key}, Wanted: []branch.Bounds{wanted}}
	}
	first := func(n int, desc bool) branch.First {
		return branch.First{Rows: n, Keys: []branch.Key{{Column: "c1", Ranked: true, Desc: desc}}, Exact: true}
	}
	then := func(f branch.First, k branch.Key) branch.First {
		f.Keys = append(f.Keys, k)
		return f
	}
	nullsFirst, within, partly, unranked := first(2, false), first(5, true), first(5, true), first(1, true)
	nullsFirst.Keys[0].NullsFirst = true
	within.Wanted = []branch.Range{{Column: "c2", Min: 10, Max: 20}}
	partly.Wanted, partly.Exact = within.Wanted, false
	unranked.Keys[0].Ranked = false
	second := branch.Key{Column: "c2", Ranked: true}
	days := []branch.Group{group(100, known(1, 10, 0)), group(100, known(10, 20, 0)), group(100, known(21, 30, 0))}
	for name, c := range map[string]struct {
		first  branch.First
		groups []branch.Group
		want   []int
	}{
		"in the order of time, the last": {first(10, true), days, []int{2}},
		"of which the last is short":     {first(10, true), []branch.Group{days[0], days[1], group(9, known(21, 30, 0))}, []int{1, 2}},
		"and the first":                  {first(10, false), days, []int{0}},
		"strewn":                         {first(2, true), []branch.Group{group(100, known(1, 97, 0)), group(100, known(1, 99, 0)), group(100, known(1, 98, 0)), group(100, known(1, 96, 0))}, []int{1, 2}},
		"equal":                          {first(3, true), []branch.Group{group(100, known(1, 9, 0)), group(100, known(1, 9, 0)), group(100, known(1, 9, 0)), group(100, known(2, 9, 0))}, []int{0, 1, 2}},
		"equal, but for another key": {then(first(3, true), second), []branch.Group{group(100, known(1, 9, 0), known(31, 40, 0)), group(100, known(1, 9, 0), known(21, 30, 0)),
			group(100, known(1, 9, 0), known(11, 20, 0)), group(100, known(1, 9, 0), known(1, 15, 0)), group(100, known(1, 8, 0), known(0, 0, 0))}, []int{1, 2, 3}},
		"equal, the other key is not known": {then(first(2, true), second), []branch.Group{group(100, known(1, 9, 0), unknown), group(100, known(1, 9, 0), known(1, 2, 0)),
			group(100, known(1, 9, 0), known(3, 4, 0)), group(100, known(1, 9, 0), known(5, 6, 0)), group(9, known(1, 8, 0), unknown)}, []int{0, 1, 2}},
		"equal, the other key is computed": {then(first(2, true), branch.Key{}), []branch.Group{group(9, known(1, 9, 0), unknown), group(9, known(1, 9, 0), unknown), group(9, known(1, 9, 0), unknown),
			group(9, known(1, 8, 0), unknown)}, []int{0, 1, 2}},
		"equal, nulls of the other key": {then(first(1, true), second), []branch.Group{group(9, known(1, 9, 0), known(1, 2, 1)), group(9, known(1, 9, 0), branch.Bounds{Nulls: 9}),
			group(9, known(1, 9, 0), known(1, 2, -1))}, []int{0, 2}},
		"nulls that are not counted": {first(10, true), []branch.Group{group(100, known(1, 9, -1)), group(100, known(10, 20, -1))}, []int{0, 1}},
		"nothing known of one":       {first(10, true), []branch.Group{group(100, unknown), group(100, known(10, 20, 0)), group(100, known(1, 9, 0))}, []int{0, 1}},
		"nulls alone":                {first(10, true), []branch.Group{group(100, branch.Bounds{Nulls: 100}), group(10, known(10, 20, 0))}, []int{1}},
		"nulls when values are few":  {first(11, true), []branch.Group{group(100, branch.Bounds{Nulls: 100}), group(10, known(10, 20, 0)), group(5, branch.Bounds{Nulls: 5})}, []int{0, 1}},
		"nulls first":                {nullsFirst, []branch.Group{group(100, known(1, 5, 0)), group(100, known(7, 8, 2)), group(100, known(0, 9, -1))}, []int{1, 2}},
		"the ends of what there is":  {first(1, true), []branch.Group{group(5, known(math.MinInt64, math.MaxInt64, 0)), group(5, known(0, math.MaxInt64-1, 0))}, []int{0}},
		"another condition":          {partly, []branch.Group{where(100, known(1, 5, 0), known(10, 20, 0)), where(100, known(8, 9, 0), known(10, 20, 0)), where(100, known(8, 9, 0), known(21, 30, 0))}, []int{0, 1}},
		"a condition that is known": {within, []branch.Group{where(100, known(1, 5, 0), known(10, 20, 0)), where(100, known(8, 9, 0), known(10, 20, 0)), where(100, known(2, 9, 0), known(19, 30, 0)),
			where(100, known(20, 30, 0), branch.Bounds{Nulls: 100}), where(100, known(1, 2, 0), known(9, 20, 0))}, []int{1, 2}},
		"not in the order of numbers": {unranked, []branch.Group{group(5, known(1, 2, 0)), group(5, known(8, 9, 0))}, []int{0, 1}},
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

// column is a column of some rows.
func column(rows [][]value, i int) (out []value) {
	for _, r := range rows {
		out = append(out, r[i])
	}
	return out
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

// inOrder compares rows by keys.
func inOrder(keys []branch.Key) func(a, b []value) int {
	return func(a, b []value) int {
		for i, k := range keys {
			x, y := a[i], b[i]
			switch {
			case x.null && y.null, x == y:
				continue
			case x.null != y.null:
				if x.null == k.NullsFirst {
					return -1
				}
				return 1
			case k.Desc:
				return cmp.Compare(y.n, x.n)
			}
			return cmp.Compare(x.n, y.n)
		}
		return 0
	}
}

// The first rows of what is left are those of all, by all keys.
func TestCandidatesHoldTheFirst(t *testing.T) {
	t.Parallel()
	for range 50 { // a check takes some microseconds, and some mistakes show in one of thousands
		candidatesHoldTheFirst(t)
	}
}

func candidatesHoldTheFirst(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := branch.First{Rows: rapid.IntRange(1, 12).Draw(rt, "rows"), Exact: rapid.IntRange(0, 3).Draw(rt, "exact") > 0}
		for i := range rapid.IntRange(1, 3).Draw(rt, "keys") {
			f.Keys = append(f.Keys, branch.Key{
				Ranked: i == 0 || rapid.IntRange(0, 3).Draw(rt, "ranked") > 0,
				Desc:   rapid.Bool().Draw(rt, "desc"), NullsFirst: rapid.Bool().Draw(rt, "nulls first"),
			})
		}
		if rapid.Bool().Draw(rt, "where") {
			low := rapid.Int64Range(0, 20).Draw(rt, "low")
			f.Wanted = []branch.Range{{Column: "c2", Min: low, Max: low + rapid.Int64Range(0, 20).Draw(rt, "width")}}
		}
		most := rapid.SampledFrom([]int64{0, 1, 4, 30}).Draw(rt, "most")
		draw := rapid.Custom(func(rt *rapid.T) value {
			if rapid.IntRange(0, 4).Draw(rt, "null") == 0 {
				return value{null: true}
			}
			return value{n: rapid.Int64Range(0, most).Draw(rt, "value")}
		})
		width := len(f.Keys) + 1 // the last is what the condition looks at
		var groups []branch.Group
		var come [][][]value // of each group, the rows that come
		for range rapid.IntRange(1, 8).Draw(rt, "groups") {
			rows := rapid.SliceOfN(rapid.SliceOfN(draw, width, width), 1, 6).Draw(rt, "group")
			g := branch.Group{File: int64(len(groups)), Rows: int64(len(rows))}
			for i := range f.Keys {
				g.Keys = append(g.Keys, boundsOf(rt, column(rows, i)))
			}
			if len(f.Wanted) > 0 {
				g.Wanted = []branch.Bounds{boundsOf(rt, column(rows, width-1))}
			}
			groups = append(groups, g)
			come = append(come, slices.DeleteFunc(slices.Clone(rows), func(r []value) bool {
				w := r[width-1]
				if len(f.Wanted) > 0 && (w.null || w.n < f.Wanted[0].Min || w.n > f.Wanted[0].Max) {
					return true
				}
				return !f.Exact && rapid.Bool().Draw(rt, "does not come")
			}))
		}
		of := func(groups []branch.Group) (all [][]value) {
			for _, g := range groups {
				for _, r := range come[g.File] {
					all = append(all, r[:len(f.Keys)])
				}
			}
			slices.SortFunc(all, inOrder(f.Keys))
			return all[:min(len(all), f.Rows)]
		}
		want := of(groups)
		got := of(f.Candidates(slices.Clone(groups)))
		if !slices.EqualFunc(want, got, func(a, b []value) bool { return inOrder(f.Keys)(a, b) == 0 }) {
			rt.Fatalf("%+v of %v: %v, want %v", f, come, got, want)
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
