//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// listening notes the statements that its children are asked.
type listening struct {
	cluster.Launcher
	mu    sync.Mutex
	asked []string
}

type listener struct {
	engine.Child
	to *listening
}

func (l *listening) Launch(ctx context.Context, cfg engine.Config) (engine.Child, error) {
	c, err := l.Launcher.Launch(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &listener{Child: c, to: l}, nil
}

func (l *listening) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.asked
	l.asked = nil
	return out
}

func (l *listener) Query(ctx context.Context, s engine.Statement) (engine.Rows, error) {
	l.to.mu.Lock()
	l.to.asked = append(l.to.asked, s.SQL)
	l.to.mu.Unlock()
	return l.Child.Query(ctx, s)
}

// A cluster asks extents for the places of the first rows where that pays, and its
// answers are those of the whole statement.
func TestFirstRowsOfACluster(t *testing.T) {
	ctx := context.Background()
	ear := &listening{}
	dir := t.TempDir()
	open := func() *site {
		return openSiteWith(t, dir, func(c *cluster.Config) { ear.Launcher, c.Engine = c.Engine, ear })
	}
	s := open()
	s.create(t)
	_, err := s.r.CreateTable(ctx, testCluster, "db", catalog.Table{Name: "W", Columns: []catalog.Column{
		{Name: "Time", Type: catalog.Datetime}, {Name: "K", Type: catalog.Long}, {Name: "S", Type: catalog.String}, {Name: "R", Type: catalog.Real}, {Name: "B", Type: catalog.Bool}}})
	must(t, err)
	const rows = 250_000
	for i := range 4 {
		n, err := s.r.IngestQuery(ctx, testCluster, "db", "W", s.statement(fmt.Sprintf(
			`SELECT i AS r0, (hash(i) %% 1000000007)::BIGINT AS r1, 's' || i AS r2, i / 8.0 AS r3, i %% 3 = 0 AS r4 FROM range(%d, %d) r(i)`, i*rows, (i+1)*rows), "W"))
		must(t, err)
		if n != rows {
			t.Fatalf("%d rows", n)
		}
	}
	meta := s.table("W")
	var columns []kql.Column
	for _, c := range meta.Columns {
		typ := map[catalog.Type]types.Type{catalog.Datetime: types.DateTime, catalog.Long: types.Long, catalog.String: types.String, catalog.Real: types.Real, catalog.Bool: types.Bool}[c.Type]
		columns = append(columns, kql.Column{Name: c.Name, Type: typ, Physical: c.Physical()})
	}
	ask := func(text string, first bool) []string {
		t.Helper()
		program, err := kql.Compile(text, topEnv(columns))
		must(t, err)
		r := program.Results[0]
		q := cluster.Query{Database: "db", SQL: r.SQL, Params: r.Params}
		for _, u := range r.Tables {
			ref := cluster.TableRef{Placeholder: u.Placeholder, TableID: meta.ID}
			for _, b := range u.Branches {
				if !first {
					b.First = nil
				}
				ref.Branches = append(ref.Branches, b)
			}
			q.Tables = append(q.Tables, ref)
		}
		got, err := s.r.Query(ctx, testCluster, q)
		must(t, err)
		defer got.Close()
		var out []string
		for got.Next() {
			out = append(out, lines(got.RecordBatch())...)
		}
		must(t, got.Err())
		return out
	}
	type asked struct {
		text       string
		statements int  // that the child is asked
		groups     bool // whether the first names row groups
	}
	check := func(cases []asked) {
		t.Helper()
		for _, c := range cases {
			want := ask(c.text, false)
			ear.take()
			got := ask(c.text, true)
			heard := ear.take()
			if len(heard) != c.statements || strings.Contains(heard[0], "BETWEEN") != c.groups {
				t.Errorf("%s: asked\n%s", c.text, strings.Join(heard, "\n"))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-whole +by place):\n%s", c.text, diff)
			}
		}
	}
	// Extents that were just written are there as a whole, without their footers.
	check([]asked{
		{"T | top 5 by K desc, Time asc", 2, false},
		{"T | where S endswith '7' | project K, S, R, B, Time | sort by K asc | take 3 | extend x = strlen(S)", 2, false},
		{"T | where S == 'nowhere' | top 5 by K", 2, false},
		{"T | top 1 by Time desc", 2, true},                                             // the last extent, by its range
		{"T | project B, K, S, R, When = Time | top 1 by When asc nulls last", 2, true}, // also under another name
		{"T | top 5 by Time desc", 1, false},                                            // nobody knows how many are null
		{"T | where Time < datetime(0001-01-01) + 30ms | top 5 by K desc", 1, false},    // half of the extents
		{"T | where K > 10 | top 10 by K asc", 1, false},                                // as many rows as row groups
		{"union (T | top 2 by K desc), (T | top 2 by K asc) | sort by K asc", 1, false},
	})
	s.close()
	s = open()
	check([]asked{
		{"T | top 2 by K desc, Time asc", 2, true},
		{"T | top 2 by R desc", 1, true}, // in the order of the rows: the last, short group
		{"T | top 5 by Time desc", 1, true},
		{"T | project B, K, S, R, When = Time | top 5 by When asc nulls last", 1, true},
		{"T | top 100000 by Time asc | summarize count(), max(Time), sum(K)", 1, true},
		{"T | where Time between (datetime(0001-01-01) + 10ms .. datetime(0001-01-01) + 60ms) | top 5 by Time desc", 2, true},
		{"T | where Time < datetime(0001-01-01) + 30ms | top 2 by K desc", 2, true},
		{"T | where S endswith '7' | top 5 by Time desc", 1, false}, // nobody knows where these are
		{"T | top 5 by S desc", 2, false},
	})
}
