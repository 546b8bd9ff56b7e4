//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
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

// runTop runs a query over parts. narrow lets it read only the rows of Parquet whose
// places were asked for before.
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
			return nil, errors.New("the compiler tells no places: " + r.SQL)
		}
		for i, p := range parts {
			if p.files == nil {
				continue
			}
			lines, err := all(t, child, engine.Statement{SQL: b.Places(p.list, p.quoted()), Params: b.First.Params, Extents: extents})
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
		{"let m = T | where A >= 0 | top %d by X asc, Id asc; m | summarize count(), sum(Id), max(B), min(C), sum(N), sum(A)", ""},
		{"T | join kind=inner (T | top %d by N desc, Id asc) on Id | project Id, N, X1, S1, B1, C1, A1 | sort by Id asc", ""},
		// Rows that are equal by all keys may be any of them, but the keys are the same.
		{"T | top %d by N desc", "1"},
		{"T | top %d by X asc nulls last, S desc", "2,3"},
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
			for range rapid.IntRange(1, 5).Draw(rt, "files") {
				name := "p" + strconv.Itoa(seq) + "." + strconv.Itoa(len(names))
				f := memfd(t)
				_, err := child.Export(ctx, engine.Statement{SQL: rows()}, f)
				must(t, err)
				must(t, child.OpenExtent(ctx, name, f))
				names, p.files = append(names, name), append(p.files, name)
			}
			parts = append(parts, p)
		}
		defer func() {
			for _, name := range names {
				must(t, child.CloseExtent(ctx, name))
			}
		}()
		f := rapid.SampledFrom(forms).Draw(rt, "query")
		text := fmt.Sprintf(f.text, rapid.SampledFrom([]int{1, 2, 5, 10, 50}).Draw(rt, "n"))
		want, err := runTop(t, child, text, topColumns, parts, false)
		must(t, err)
		got, err := runTop(t, child, text, topColumns, parts, true)
		must(t, err)
		if diff := cmp.Diff(fields(want, f.keys), fields(got, f.keys)); diff != "" {
			rt.Fatalf("%s (-whole +by place):\n%s", text, diff)
		}
	})
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

// Five rows in different row groups of five files are read without the other row
// groups of these files at the same numbers.
func TestFirstRowsDecrypted(t *testing.T) {
	ctx := context.Background()
	child := launch(t, engine.Config{})
	const extents, group = 5, 122_880
	const row = `SELECT i AS c1, CASE WHEN i = %[2]d THEN 0 ELSE 1 END::BIGINT AS c2, (hash(i) // 2)::BIGINT AS c3, (hash(i + 1) // 2)::BIGINT AS c4, (hash(i + 2) // 2)::BIGINT AS c5,
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
	var answers [2][]string
	var decrypted [2]int64
	for i, narrow := range []bool{false, true} {
		o, release := openTax(t, child, files, fmt.Sprintf("top.%d", i), oneLayer)
		got, err := runTop(t, child, "T | top 5 by c2 asc, c1 asc", columns, []topPart{{list: strings.Join(list, ","), files: o.names}}, narrow)
		must(t, err)
		answers[i], decrypted[i] = got, o.decrypted()
		release()
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Fatalf("(-whole +by place):\n%s", diff)
	}
	if len(answers[0]) != 5 {
		t.Fatalf("%d rows", len(answers[0]))
	}
	t.Logf("%d bytes decrypted, %d otherwise: %.2f", decrypted[1], decrypted[0], float64(decrypted[1])/float64(decrypted[0]))
	if 10*decrypted[1] > 6*decrypted[0] {
		t.Errorf("%d bytes decrypted, %d otherwise", decrypted[1], decrypted[0])
	}
}
