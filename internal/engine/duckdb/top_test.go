//go:build cgo

package duckdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/branch"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// topColumns are those of the tables in this file; c1 is another in every row.
var topColumns = []kql.Column{
	{Name: "Id", Type: types.Long, Physical: "c1"}, {Name: "N", Type: types.Long, Physical: "c2"}, {Name: "X", Type: types.Real, Physical: "c3"},
	{Name: "S", Type: types.String, Physical: "c4"}, {Name: "A", Type: types.Int, Physical: "c5"}, {Name: "B", Type: types.String, Physical: "c6"},
	{Name: "C", Type: types.Bool, Physical: "c7"},
}

func topEnv(columns []kql.Column) kql.Env {
	return kql.Env{Database: "db", Lookup: func(_, name string) (*kql.Table, bool) {
		return &kql.Table{Ref: "T", Columns: columns}, name == "T"
	}}
}

// topPart is one part of a table: Parquet files, or rows in SQL.
type topPart struct {
	list  string
	files []string // names of extents
	sql   string
	// groups is what the footer of a file says, if it is asked.
	groups func(file int, columns ...string) []engine.RowGroup
}

// footerGroups is what the footer of a Parquet file in clear says.
func footerGroups(t testing.TB, f *os.File, columns ...string) []engine.RowGroup {
	t.Helper()
	info, err := f.Stat()
	must(t, err)
	end := make([]byte, 8)
	_, err = f.ReadAt(end, info.Size()-8)
	must(t, err)
	footer := make([]byte, binary.LittleEndian.Uint32(end))
	_, err = f.ReadAt(footer, info.Size()-8-int64(len(footer)))
	must(t, err)
	return engine.RowGroups(footer, columns...)
}

// candidates are the row groups that may hold the first rows, as a cluster finds them.
func (p topPart) candidates(f *branch.First) (groups []branch.Group) {
	for i := range p.files {
		var begin int64
		for _, r := range p.groups(i, f.Columns()...) {
			var all []branch.Bounds
			for _, b := range r.Columns {
				all = append(all, branch.Bounds(b))
			}
			groups = append(groups, branch.Group{File: int64(i), Begin: begin, Rows: r.Rows, Keys: all[:len(f.Keys)], Wanted: all[len(f.Keys):]})
			begin += r.Rows
		}
	}
	return f.Candidates(groups)
}

func (p topPart) quoted() []string {
	out := make([]string, len(p.files))
	for i, f := range p.files {
		out[i] = "'{{extent:" + f + "}}'"
	}
	return out
}

func (p topPart) whole() string {
	if p.files == nil {
		return p.sql
	}
	return "SELECT " + p.list + " FROM read_parquet([" + strings.Join(p.quoted(), ",") + "])"
}

var errNoPlaces = errors.New("the compiler does not say how to find the first rows")

// runTop runs a query over parts. narrow lets it read only the row groups of Parquet
// that may hold the first rows, when their footers are asked, and of these the rows
// whose places were asked for before.
func runTop(t testing.TB, child engine.Child, text string, columns []kql.Column, parts []topPart, narrow bool) ([]string, error) {
	t.Helper()
	program, err := kql.Compile(text, topEnv(columns))
	if err != nil {
		return nil, err
	}
	r := program.Results[0]
	use := r.Tables[0]
	var extents, whole []string
	for _, p := range parts {
		extents = append(extents, p.files...)
		whole = append(whole, p.whole())
	}
	each := slices.Clone(whole)
	if narrow {
		b := use.Branches[0]
		if b.First == nil {
			return nil, errNoPlaces
		}
		for i, p := range parts {
			if p.files == nil {
				continue
			}
			sql := b.Places(p.list, p.quoted())
			if p.groups != nil && b.First.Keys[0].Ranked {
				groups := p.candidates(b.First)
				if sql, err = b.PlacesWithin(p.list, p.quoted(), groups); err != nil {
					return nil, err
				}
				if b.First.SQL == "" {
					if each[i], err = branch.Within(p.list, p.quoted(), groups); err != nil {
						return nil, err
					}
				}
			}
			if b.First.SQL == "" {
				continue
			}
			lines, err := all(t, child, engine.Statement{SQL: sql, Params: b.First.Params, Extents: extents})
			if err != nil {
				return nil, err
			}
			var places []branch.Place
			for _, line := range lines[:min(len(lines), b.First.Rows)] {
				var at branch.Place
				if _, err := fmt.Sscanf(line, "%d|%d", &at.File, &at.Row); err != nil {
					return nil, err
				}
				places = append(places, at)
			}
			if each[i], err = branch.Only(p.list, p.quoted(), places); err != nil {
				return nil, err
			}
		}
	}
	sql := strings.ReplaceAll(branch.Expand(r.SQL, use.Branches, each), use.Placeholder, "("+strings.Join(whole, " UNION ALL ")+")")
	return all(t, child, engine.Statement{SQL: sql, Params: r.Params, Extents: extents})
}

// Reading only the rows whose places were asked for changes no answer, over any
// files, with keys that are equal, null or not a number, with filters and computed
// keys, beside rows that are in no file.
func TestFirstRowsByPlace(t *testing.T) {
	child := launch(t, engine.Config{})
	ctx := context.Background()
	type form struct{ text, keys string }
	forms := []form{
		{"T | top %d by N asc, Id desc", ""},
		{"T | top %d by X desc nulls first, Id asc", ""},
		{"T | where N > 1 or isnull(N) | top %d by S asc, X desc, Id asc", ""},
		{"T | where S != 'b' | extend K = N * 2 + A | top %d by K desc, Id asc | project Id, K, B, C, X, S", ""},
		{"T | project Id, K = strcat(S, B), N, X, A, C | where K has 'a' or A > 2 | sort by K desc, Id asc | take %d", ""},
		{"T | where S startswith 'z' | top %d by N", ""},
		{"T | where N between (2 .. 700) | top %d by Id desc", ""},
		{"T | where Id > 20 and Id < 90 | project X, A, K = Id, S, B, C | top %d by K asc", ""},
		{"T | where Id >= 20 and N == 1 | top %d by A desc, Id asc", ""},
		{"T | top %d by A desc nulls first, Id asc | project Id, A", ""},
		{"T | top %d by X desc, Id asc", ""},
		{"let m = T | where A >= 0 | top %d by X asc, Id asc; m | summarize count(), sum(Id), max(B), min(C), sum(N), sum(A)", ""},
		{"T | join kind=inner (T | top %d by N desc, Id asc) on Id | project Id, N, X1, S1, B1, C1, A1 | sort by Id asc", ""},
		// Rows that are equal by all keys may be any of them, but the keys are the same.
		{"T | top %d by N desc", "1"},
		{"T | top %d by X asc nulls last, S desc", "2,3"},
		{"T | where Id < 100 | top %d by X asc nulls last", "2"},
	}
	seq := 0
	rapid.Check(t, func(rt *rapid.T) {
		seq++
		var parts []topPart
		var names []string
		id := 0
		for range rapid.IntRange(1, 3).Draw(rt, "parts") {
			missing := rapid.Bool().Draw(rt, "missing")
			rows := func() string {
				n := rapid.IntRange(0, 40).Draw(rt, "rows")
				seed := rapid.IntRange(0, 1000).Draw(rt, "seed")
				spread := rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "spread")
				id += n
				return fmt.Sprintf(`SELECT i::BIGINT AS c1, (CASE WHEN hash(i + %[3]d) %% 5 = 0 THEN NULL ELSE hash(i + %[3]d) %% %[4]d END)::BIGINT AS c2,
 CASE hash(i + 1 + %[3]d) %% 7 WHEN 0 THEN NULL WHEN 1 THEN 'nan'::DOUBLE WHEN 2 THEN 'inf'::DOUBLE ELSE (hash(i + 2) %% %[4]d) / 4 END AS c3,
 ['', 'a', 'b', 'a b'][1 + (hash(i + 3) %% 4)::INT] AS c4, (hash(i + 4) %% %[4]d)::INTEGER AS c5, 'a ' || i AS c6, hash(i + 5) %% 2 = 0 AS c7
 FROM range(%[1]d, %[2]d) r(i)`, id-n, id, seed, spread)
			}
			list := "c1,c2,c3,c4,c5,c6,c7"
			if missing {
				list = "c1,c2,c3,c4,CAST(NULL AS INTEGER) AS c5,'' AS c6,c7"
			}
			if rapid.IntRange(0, 3).Draw(rt, "memory") == 0 {
				parts = append(parts, topPart{sql: "SELECT " + list + " FROM (" + rows() + ")"})
				continue
			}
			p := topPart{list: list}
			var opened []*os.File
			if rapid.IntRange(0, 3).Draw(rt, "footers") > 0 {
				p.groups = func(file int, columns ...string) []engine.RowGroup {
					return withoutColumn(footerGroups(t, opened[file], columns...), columns, missing)
				}
			}
			for range rapid.IntRange(1, 5).Draw(rt, "files") {
				name := "p" + strconv.Itoa(seq) + "." + strconv.Itoa(len(names))
				f := memfd(t)
				_, err := child.Export(ctx, engine.Statement{SQL: rows()}, f)
				must(t, err)
				must(t, child.OpenExtent(ctx, name, f))
				names, p.files, opened = append(names, name), append(p.files, name), append(opened, f)
			}
			parts = append(parts, p)
		}
		defer func() {
			for _, name := range names {
				must(t, child.CloseExtent(ctx, name))
			}
		}()
		f := rapid.SampledFrom(forms).Draw(rt, "query")
		n := rapid.SampledFrom([]int{1, 2, 5, 10, 50, 70}).Draw(rt, "n")
		text := fmt.Sprintf(f.text, n)
		want, err := runTop(t, child, text, topColumns, parts, false)
		must(t, err)
		got, err := runTop(t, child, text, topColumns, parts, true)
		if n > 50 && errors.Is(err, errNoPlaces) {
			return // too many, by a key that no bounds are of
		}
		must(t, err)
		if diff := cmp.Diff(fields(want, f.keys), fields(got, f.keys)); diff != "" {
			rt.Fatalf("%s (-whole +by place):\n%s", text, diff)
		}
	})
}

// withoutColumn makes c5, if it is missing, null in every row.
func withoutColumn(groups []engine.RowGroup, columns []string, missing bool) []engine.RowGroup {
	for _, g := range groups {
		for i, c := range columns {
			if missing && c == "c5" {
				g.Columns[i] = engine.Bounds{Nulls: g.Rows}
			}
		}
	}
	return groups
}

// fields are some fields of lines, "1,2"; all for none.
func fields(lines []string, which string) []string {
	if which == "" {
		return lines
	}
	var out []string
	for _, line := range lines {
		all, kept := strings.Split(line, "|"), []string(nil)
		for _, w := range strings.Split(which, ",") {
			n, _ := strconv.Atoi(w)
			kept = append(kept, all[n])
		}
		out = append(out, strings.Join(kept, "|"))
	}
	return out
}

// What a footer says is what is in the file, group for group.
func TestRowGroupsOfAFile(t *testing.T) {
	child := launch(t, engine.Config{})
	ctx := context.Background()
	f := memfd(t)
	_, err := child.Export(ctx, engine.Statement{SQL: `SELECT (i - 200000)::BIGINT AS c1, CASE WHEN i % 3 = 0 OR i > 300000 THEN NULL ELSE 7 - i END::INTEGER AS c2,
 CASE WHEN i < 122880 THEN i / 7.0 - 1000 WHEN i < 245760 THEN CASE WHEN i % 1000 = 0 THEN 'nan'::DOUBLE ELSE i END WHEN i < 368640 THEN CASE WHEN i % 1000 = 0 THEN '-inf'::DOUBLE ELSE i END END AS c3,
 'text ' || i AS c4, i % 2 = 0 AS c5 FROM range(400000) r(i)`}, f)
	must(t, err)
	must(t, child.OpenExtent(ctx, "g", f))
	columns := []string{"c1", "c2", "c3", "c4", "c5", "c6"}
	got := footerGroups(t, f, columns...)
	lines, err := all(t, child, engine.Statement{SQL: `SELECT count(*), min(c1), max(c1), count(c2), min(c2), max(c2), min(c3), max(c3) FROM read_parquet(['{{extent:g}}']) GROUP BY file_row_number // 122880 ORDER BY file_row_number // 122880`, Extents: []string{"g"}})
	must(t, err)
	if len(got) != len(lines) || len(lines) != 4 {
		t.Fatalf("%d groups, %d in the file", len(got), len(lines))
	}
	known := func(b engine.Bounds, nulls int64) string {
		if !b.Known {
			return fmt.Sprintf("?|?|%d", nulls-b.Nulls)
		}
		return fmt.Sprintf("%d|%d|%d", b.Min, b.Max, nulls-b.Nulls)
	}
	for i, g := range got {
		field := strings.Split(lines[i], "|")
		number := func(i int) int64 {
			n, _ := strconv.ParseInt(field[i], 10, 64)
			return n
		}
		if g.Rows != number(0) {
			t.Errorf("group %d of %d rows: %s", i, g.Rows, lines[i])
		}
		want := []string{field[1] + "|" + field[2] + "|0", field[4] + "|" + field[5] + "|0"}
		if number(3) == 0 {
			want[1] = "?|?|0"
		}
		// Of reals with what is not a number there are no bounds.
		want = append(want, "?|?|0")
		nulls := []int64{0, g.Rows - number(3), 0}
		if i%2 == 0 {
			var low, high float64
			_, err := fmt.Sscan(field[6], &low)
			must(t, err)
			_, err = fmt.Sscan(field[7], &high)
			must(t, err)
			want[2] = fmt.Sprintf("%d|%d|0", engine.RealOrder(low), engine.RealOrder(high))
		}
		if i == 3 {
			nulls[2] = g.Rows
		}
		for c := range want {
			if have := known(g.Columns[c], nulls[c]); have != want[c] {
				t.Errorf("group %d, column %s: %s, want %s (%s)", i, columns[c], have, want[c], lines[i])
			}
		}
		for c := 3; c < len(columns); c++ {
			if g.Columns[c].Known {
				t.Errorf("group %d, column %s: %+v", i, columns[c], g.Columns[c])
			}
		}
	}
}

// Five rows in different row groups of five files are read without the other row
// groups of these files at the same numbers.
func TestFirstRowsDecrypted(t *testing.T) {
	ctx := context.Background()
	child := launch(t, engine.Config{})
	const extents, group = 5, 122_880
	const row = `SELECT i AS c1, CASE WHEN i = %[2]d THEN 0 ELSE 1 + hash(i + 9) // 4 END::BIGINT AS c2, (hash(i) // 2)::BIGINT AS c3, (hash(i + 1) // 2)::BIGINT AS c4, (hash(i + 2) // 2)::BIGINT AS c5,
 (hash(i + 3) // 2)::BIGINT AS c6, (hash(i + 4) // 2)::BIGINT AS c7, (hash(i + 5) // 2)::BIGINT AS c8 FROM range(%[1]d, %[1]d + %[3]d) r(i)`
	var files []taxExtent
	for i := range extents {
		plain, first := memfd(t), i*extents*group
		_, err := child.Export(ctx, engine.Statement{SQL: fmt.Sprintf(row, first, first+i*group+group/2, extents*group)}, plain)
		must(t, err)
		e := taxExtent{plain: plain}
		e.readers[oneLayer], _ = encrypted(t, plain, envelope.NewDEK())
		files = append(files, e)
	}
	var columns []kql.Column
	var list []string
	for i := range 8 {
		c := "c" + strconv.Itoa(i+1)
		columns, list = append(columns, kql.Column{Name: c, Type: types.Long, Physical: c}), append(list, c)
	}
	var answers [3][]string
	var decrypted [3]int64
	for i := range answers {
		o, release := openTax(t, child, files, fmt.Sprintf("top.%d", i), oneLayer)
		part := topPart{list: strings.Join(list, ","), files: o.names}
		if i == 2 {
			part.groups = func(file int, columns ...string) []engine.RowGroup { return o.groups(t, file, columns...) }
		}
		got, err := runTop(t, child, "T | top 5 by c2 asc, c1 asc", columns, []topPart{part}, i > 0)
		must(t, err)
		answers[i], decrypted[i] = got, o.decrypted()
		release()
	}
	if len(answers[0]) != 5 {
		t.Fatalf("%d rows", len(answers[0]))
	}
	for i, form := range []string{"by place", "by footers and place"} {
		if diff := cmp.Diff(answers[0], answers[i+1]); diff != "" {
			t.Fatalf("(-whole +%s):\n%s", form, diff)
		}
		n := decrypted[i+1]
		t.Logf("%s: %d bytes decrypted, %d otherwise: %.2f", form, n, decrypted[0], float64(n)/float64(decrypted[0]))
		if 10*n > 6*decrypted[0] || i > 0 && n > decrypted[i]-3<<20 {
			t.Errorf("%s: %d bytes decrypted, %d otherwise", form, n, decrypted[i])
		}
	}
}
