package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/kql/branch"
)

// parquetPart is a part of some extents with as many rows each, whose c1 has a range
// unless there is none.
func parquetPart(rows int64, ranges ...catalog.MinMax) part {
	p := part{list: "c1,c2"}
	for i, r := range ranges {
		e := catalog.Extent{Columns: []int{1, 2}, Stats: catalog.Stats{Rows: rows, Ranges: map[int]catalog.MinMax{}}}
		if r != (catalog.MinMax{}) {
			e.Stats.Ranges[1] = r
		}
		name := fmt.Sprintf("e%d", i)
		p.names, p.files = append(p.names, name), append(p.files, "'"+name+"'")
		p.extents, p.hots = append(p.extents, e), append(p.hots, &hot{})
	}
	p.sql = "SELECT c1,c2 FROM read_parquet([" + strings.Join(p.files, ",") + "])"
	return p
}

func TestWorthPlaces(t *testing.T) {
	t.Parallel()
	const many = 5 * rowGroup
	by := func(key string, desc bool, rows int) *branch.First {
		return &branch.First{SQL: "PLACES", Rows: rows, Keys: []branch.Key{{Column: key, Desc: desc}}}
	}
	inOrder := []catalog.MinMax{{Min: 1, Max: 10}, {Min: 10, Max: 20}, {Min: 19, Max: 30}, {Min: 31, Max: 40}, {Min: 41, Max: 50}}
	strewn := []catalog.MinMax{{Min: 1, Max: 50}, {Min: 2, Max: 49}, {Min: 1, Max: 48}, {Min: 3, Max: 50}, {Min: 1, Max: 9}}
	unknown := make([]catalog.MinMax, 5)
	within := func(low, high int64) *branch.First {
		return &branch.First{SQL: "PLACES", Rows: 10, Keys: []branch.Key{{}}, Wanted: []branch.Range{{Column: "c1", Min: low, Max: high}}}
	}
	for name, c := range map[string]struct {
		part  part
		first *branch.First
		want  bool
	}{
		"not known":             {parquetPart(many, unknown...), nil, false},
		"no statement":          {parquetPart(many, unknown...), &branch.First{Rows: 10, Keys: []branch.Key{{}}}, false},
		"computed key":          {parquetPart(many, inOrder...), by("", true, 10), true},
		"key without ranges":    {parquetPart(many, unknown...), by("c1", true, 10), true},
		"another column's":      {parquetPart(many, inOrder...), by("c2", true, 10), true},
		"ascending, in order":   {parquetPart(many, inOrder...), by("c1", false, 10), false},
		"descending, in order":  {parquetPart(many, inOrder...), by("c1", true, 10), false},
		"ascending, strewn":     {parquetPart(many, strewn...), by("c1", false, 10), true},
		"descending, strewn":    {parquetPart(many, strewn...), by("c1", true, 10), true},
		"as many as groups":     {parquetPart(many, unknown...), by("c1", true, 17), false},
		"small extents":         {parquetPart(rowGroup, make([]catalog.MinMax, 50)...), by("c1", true, 10), false},
		"few extents":           {parquetPart(100*rowGroup, unknown[:3]...), by("c1", true, 10), false},
		"few wanted extents":    {parquetPart(many, inOrder...), within(12, 31), false},
		"enough wanted extents": {parquetPart(many, inOrder...), within(10, 31), true},
		"too many extents":      {parquetPart(many, make([]catalog.MinMax, 65)...), by("c1", true, 10), false},
		"hot table, or buffer":  {part{sql: "SELECT c1 FROM b"}, by("c1", true, 10), false},
		"as many extents as go": {parquetPart(many, make([]catalog.MinMax, 64)...), by("c1", true, 10), true},
	} {
		if got := worthPlaces(c.part, c.first); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Without their footers extents are left out by their ranges.
func TestCandidatesOfAPart(t *testing.T) {
	t.Parallel()
	const rows = 5 * rowGroup
	inOrder := []catalog.MinMax{{Min: 1, Max: 10}, {Min: 10, Max: 20}, {Min: 19, Max: 30}, {Min: 31, Max: 40}, {Min: 41, Max: 50}}
	latest := branch.First{Rows: 2, Keys: []branch.Key{{Column: "c1", Desc: true, Ranked: true}}, Exact: true}
	with := func(change func(*branch.First)) *branch.First {
		f := latest
		f.Keys = slices.Clone(f.Keys)
		change(&f)
		return &f
	}
	for name, c := range map[string]struct {
		part  part
		first *branch.First
		want  []int64 // files; nil when there are no fewer
	}{
		// Nobody knows how many nulls there are, so that each extent has one row for sure.
		"the last":              {parquetPart(rows, inOrder...), &latest, []int64{3, 4}},
		"the first":             {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Keys[0].Desc = false }), []int64{0, 1}},
		"first, but after null": {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Keys[0].Desc, f.Keys[0].NullsFirst = false, true }), nil},
		"more than half":        {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Rows = 3 }), nil},
		"not by number":         {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Keys[0].Ranked = false }), nil},
		"another condition":     {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Exact = false }), nil},
		"another column's":      {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Keys[0].Column = "c2" }), nil},
		"one that none has":     {parquetPart(rows, inOrder...), with(func(f *branch.First) { f.Keys[0].Column = "c3" }), []int64{0}},
		"few rows":              {parquetPart(100, inOrder...), &latest, nil},
		"too many extents":      {parquetPart(rows, slices.Repeat([]catalog.MinMax{{Min: 1, Max: 10}}, 65)...), with(func(f *branch.First) { f.Rows = 65 }), nil},
		"equal":                 {parquetPart(rows, slices.Repeat([]catalog.MinMax{{Min: 1, Max: 10}}, 65)...), &latest, []int64{0, 1}},
		"many, of which few":    {parquetPart(rows, append(slices.Repeat([]catalog.MinMax{{Min: 1, Max: 10}}, 65), inOrder...)...), &latest, []int64{68, 69}},
		"a range that is wanted": {parquetPart(rows, inOrder...), with(func(f *branch.First) {
			f.Keys[0].Column, f.Wanted = "c2", []branch.Range{{Column: "c1", Min: 12, Max: 18}}
		}), []int64{1}},
	} {
		groups, left, fewer := c.part.candidates(c.first)
		var got []int64
		if fewer {
			for _, g := range groups {
				got = append(got, g.File)
			}
			if left != int64(len(got))*rows {
				t.Errorf("%s: %d rows", name, left)
			}
		}
		if diff := gocmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// placesChild answers a statement with places, file and row in turn.
type placesChild struct {
	engine.Child
	places []int64
	err    error
	asked  []engine.Statement
}

func (c *placesChild) Done() <-chan struct{} { return nil }

func (c *placesChild) Query(ctx context.Context, s engine.Statement) (engine.Rows, error) {
	c.asked = append(c.asked, s)
	if c.err != nil {
		return nil, c.err
	}
	var columns [2]*array.Int64Builder
	for i := range columns {
		columns[i] = array.NewInt64Builder(memory.DefaultAllocator)
		defer columns[i].Release()
	}
	for i, v := range c.places {
		columns[i%2].Append(v)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "f", Type: arrow.PrimitiveTypes.Int64}, {Name: "r", Type: arrow.PrimitiveTypes.Int64}}, nil)
	batch := array.NewRecordBatch(schema, []arrow.Array{columns[0].NewArray(), columns[1].NewArray()}, int64(len(c.places)/2))
	return &fakeRows{ctx: ctx, child: &fakeChild{done: make(chan struct{})}, batch: batch}, nil
}

func TestNarrow(t *testing.T) {
	t.Parallel()
	order := branch.Branch{ID: 1, Merge: " ORDER BY c1 LIMIT 2"}
	order.First = &branch.First{SQL: "PLACES " + order.Part(), Params: []any{"x"}, Rows: 2, Keys: []branch.Key{{}}}
	piece := order.Mark("SELECT * FROM " + order.Part() + " ORDER BY c1 LIMIT 2")
	wide, buffer := parquetPart(5*rowGroup, make([]catalog.MinMax, 5)...), part{sql: "SELECT c1,c2 FROM b"}
	statement := func(branches ...branch.Branch) *bound {
		b := &bound{q: Query{SQL: "SELECT * FROM (" + piece + "), {{table:0}}", Params: []any{"y"}, Tables: []TableRef{{Placeholder: "{{table:0}}", Branches: branches}}},
			parts: [][]part{{buffer, wide}}}
		b.write(nil)
		return b
	}
	ctx := context.Background()
	child := &placesChild{places: []int64{3, 7, 0, 9, 3, 8}} // one more than wanted
	b := statement(order)
	if err := b.narrow(ctx, child); err != nil {
		t.Fatal(err)
	}
	asked := []engine.Statement{{SQL: "PLACES (SELECT c1,c2, file_index, file_row_number FROM read_parquet(['e0','e1','e2','e3','e4']))", Params: []any{"x"}, Extents: wide.names}}
	if diff := gocmp.Diff(asked, child.asked); diff != "" {
		t.Error(diff)
	}
	want := "SELECT * FROM (SELECT * FROM ((SELECT * FROM (SELECT c1,c2 FROM b) ORDER BY c1 LIMIT 2) UNION ALL (SELECT * FROM (" +
		"SELECT c1,c2 FROM read_parquet(['e0']) WHERE file_row_number IN (9) UNION ALL SELECT c1,c2 FROM read_parquet(['e3']) WHERE file_row_number IN (7)" +
		") ORDER BY c1 LIMIT 2)) AS t ORDER BY c1 LIMIT 2), (SELECT c1,c2 FROM b UNION ALL SELECT c1,c2 FROM read_parquet(['e0','e1','e2','e3','e4']))"
	if diff := gocmp.Diff(want, b.statement.SQL); diff != "" {
		t.Error(diff)
	}
	b, broken := statement(order), &placesChild{err: errors.New("broken")}
	if err := b.narrow(ctx, broken); !errors.Is(err, broken.err) {
		t.Errorf("a statement that fails: %v", err)
	}
	second := branch.Branch{ID: 2, First: order.First}
	blind := branch.Branch{ID: 1, Merge: order.Merge}
	for name, branches := range map[string][]branch.Branch{"two orders": {order, second}, "an order that tells no places": {blind}, "none": nil} {
		b, none := statement(branches...), &placesChild{}
		before := b.statement.SQL
		if err := b.narrow(ctx, none); err != nil || len(none.asked) > 0 || b.statement.SQL != before {
			t.Errorf("%s: %v, %v", name, err, none.asked)
		}
	}
}
