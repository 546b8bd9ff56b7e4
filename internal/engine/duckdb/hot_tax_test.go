//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	file "github.com/kustos-io/kustos/internal/extent"
)

// hotQueries are those of the tax, and some that look for few rows.
func hotQueries(rows int) []taxQuery {
	return append(taxQueries(rows),
		taxQuery{"top 20 of a range", "", fmt.Sprintf("SELECT * FROM T WHERE c1 BETWEEN %d AND %d ORDER BY c5 DESC, c1 LIMIT 20", rows/4, rows/2)},
		taxQuery{"errors by bin and service", "", fmt.Sprintf("SELECT c1 // %d, c2, count(*) FROM T WHERE c3 = 'error' AND c1 BETWEEN %d AND %d GROUP BY 1, 2 ORDER BY 1, 2", max(1, rows/100), rows/2, rows*3/5)},
		taxQuery{"by service = x", "", "SELECT count(*), round(avg(c5), 3) FROM T WHERE c2 = 'service-7'"},
		taxQuery{"lookup of a hash", "", fmt.Sprintf("SELECT * FROM T WHERE c8 = md5('%d')", rows/2+7)},
		taxQuery{"join", "", fmt.Sprintf("SELECT s.k, count(*) FROM T AS t JOIN (SELECT unnest([1, 5, 9]) AS k) s ON t.c2 = 'service-' || s.k WHERE t.c1 > %d GROUP BY 1 ORDER BY 1", rows/2)},
	)
}

// hotForm is where the rows come from.
type hotForm struct {
	name   string
	parts  []string
	uses   []string
	inEach bool // a query for the first rows looks for them in each part, and then among these
}

func (f hotForm) sql(q taxQuery) string {
	sql := q.sql
	whole := strings.Replace(sql, " T", " ("+strings.Join(f.parts, " UNION ALL ")+")", 1)
	at := strings.Index(sql, " ORDER BY ")
	if !f.inEach || !strings.Contains(sql, " LIMIT ") || at < 0 {
		return whole
	}
	first := make([]string, len(f.parts))
	for i, p := range f.parts {
		first[i] = "(" + strings.Replace(sql, " T", " ("+p+")", 1) + ")"
	}
	return "SELECT * FROM (" + strings.Join(first, " UNION ALL ") + ")" + sql[at:]
}

// What a hot table gains over decrypted memfds: the same statements over the
// same rows in the same child, interleaved; everything was read before. The
// forms are one table of all extents, a table of the first half with memfds of
// the second, and a table for each extent.
//
// By default it only checks that all give the same rows.
func TestHotTablesBesideMemfds(t *testing.T) {
	ctx := context.Background()
	child := launch(t, engine.Config{MemoryLimit: 2 << 30, HotBytes: 4 << 30})
	const extents = 10
	per := *taxRows / extents
	var made []taxExtent
	var parquet int64
	for i := range extents {
		plain := memfd(t)
		_, err := child.Export(ctx, engine.Statement{SQL: fmt.Sprintf(taxRow, i*per, (i+1)*per)}, plain)
		must(t, err)
		reader, n := encrypted(t, plain, envelope.NewDEK())
		parquet += n
		made = append(made, taxExtent{plain: plain, readers: [taxForms]*file.Reader{oneLayer: reader}})
	}
	open, release := openTax(t, child, made, "e", oneLayer)
	defer release()
	load := func(name string, from, to int) engine.Loaded {
		t.Helper()
		var sum engine.Loaded
		for _, id := range open.names[from:to] {
			got, err := child.Load(ctx, name, taxColumns(), engine.Statement{SQL: "SELECT * FROM read_parquet([" + placeholders([]string{id}) + "])", Extents: []string{id}}, 4<<30)
			must(t, err)
			sum.Rows += got.Rows
			sum.Bytes += got.Bytes
		}
		return sum
	}
	columns := "SELECT c1,c2,c3,c4,c5,c6,c7,c8,c9,c10,c11,c12 FROM "
	files := columns + "read_parquet([" + placeholders(open.names) + "])"
	began := time.Now()
	whole := load("h_all", 0, extents)
	took := time.Since(began)
	load("h_half", 0, extents/2)
	each := make([]string, extents)
	for i := range each {
		each[i] = fmt.Sprintf("h_%d", i)
		load(each[i], i, i+1)
		each[i] = columns + engine.HotTable(each[i])
	}
	half := []string{columns + engine.HotTable("h_half"), columns + "read_parquet([" + placeholders(open.names[extents/2:]) + "])"}
	forms := []hotForm{
		{"decrypted memfds", []string{files}, open.names, false},
		{"one hot table", []string{columns + engine.HotTable("h_all")}, nil, false},
		{"hot table and memfds, half each", half, open.names[extents/2:], false},
		{"the same, first rows in each part", half, open.names[extents/2:], true},
		{"a hot table for each extent", each, nil, false},
		{"the same, first rows in each part", each, nil, true},
	}
	t.Logf("%d rows, %d MB of Parquet; hot tables of them %d MB, %.2f bytes for each of Parquet; loaded in %.1f s", whole.Rows, parquet>>20, whole.Bytes>>20,
		float64(whole.Bytes)/float64(parquet), took.Seconds())
	head, line := "| Query |", "|---|"
	for i, f := range forms {
		head += " " + f.name + " |"
		line += "---|"
		if i > 0 {
			head += " ÷ |"
			line += "---|"
		}
	}
	t.Log(head)
	t.Log(line)
	product := make([]float64, len(forms))
	queries := hotQueries(*taxRows)
	for _, q := range queries {
		took := make([][]time.Duration, len(forms))
		var want []string
		for run := range *taxRuns + 1 {
			for i, f := range forms {
				began := time.Now()
				got, err := all(t, child, engine.Statement{SQL: f.sql(q), Extents: f.uses})
				must(t, err)
				if run == 0 { // reads what was not read yet
					if i == 0 {
						want = got
					}
				} else {
					took[i] = append(took[i], time.Since(began))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%s, %s (-memfds +this):\n%s", q.name, f.name, diff)
				}
			}
		}
		row := "| " + q.name + " | " + ms(took[0]) + " |"
		for i := 1; i < len(forms); i++ {
			r := ratio(took[i], took[0])
			product[i] += math.Log(r)
			row += fmt.Sprintf(" %s | %.2f |", ms(took[i]), r)
		}
		t.Log(row)
	}
	row := "| geometric mean | |"
	for i := 1; i < len(forms); i++ {
		row += fmt.Sprintf(" | %.2f |", math.Exp(product[i]/float64(len(queries))))
	}
	t.Log(row)
}
