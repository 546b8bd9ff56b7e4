package kqltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/ast"
	"github.com/kustos-io/kustos/internal/kql/types"
)

// Engine executes compiled results.
type Engine interface {
	// Query runs the SQL of a result over the tables, by their Ref (the table's name here), and gives the rows in storage
	// types: nil, bool, int64, float64, and text for string, decimal, guid and dynamic.
	Query(ctx context.Context, r kql.Result, tables []Table) ([][]any, error)
}

// now is the time every case runs at.
var now = time.Date(2024, 2, 29, 12, 30, 45, 123456700, time.UTC)

// Env is the environment of a set of tables: their names are their references.
func Env(tables []Table) kql.Env {
	return kql.Env{
		Database: "db",
		Now:      now,
		Lookup: func(database, table string) (*kql.Table, bool) {
			for _, t := range tables {
				if database == "db" && t.Name == table {
					return &kql.Table{Ref: t.Name, Columns: t.Columns}, true
				}
			}
			return nil, false
		},
		Tables: func(string) []string {
			var names []string
			for _, t := range tables {
				names = append(names, t.Name)
			}
			return names
		},
	}
}

// Run checks every case of a file.
func Run(t *testing.T, f *File, e Engine) {
	t.Helper()
	for _, c := range f.Cases {
		t.Run(strings.ReplaceAll(c.Name, " ", "_"), func(t *testing.T) {
			check(t, f, c, e)
		})
	}
}

func check(t *testing.T, f *File, c Case, e Engine) {
	t.Helper()
	p, err := kql.Compile(c.Query, Env(f.Tables))
	if c.Code != "" {
		var k *kql.Error
		if !errors.As(err, &k) || k.Code != c.Code || !strings.Contains(k.Message, c.Words) {
			t.Fatalf("line %d: want a refusal %s %q, got %v", c.Line, c.Code, c.Words, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("line %d: %v", c.Line, err)
	}
	r := p.Results[len(p.Results)-1]
	if len(c.Columns) > 0 {
		if want, got := columnText(c.Columns), columnText(r.Columns); want != got {
			t.Fatalf("line %d: columns\nwant %s\ngot  %s", c.Line, want, got)
		}
	}
	rows, err := e.Query(context.Background(), r, f.Tables)
	if err != nil {
		t.Fatalf("line %d: %v\n%s", c.Line, err, r.SQL)
	}
	want := make([][]any, len(c.Rows))
	for i, row := range c.Rows {
		for _, l := range row {
			want[i] = append(want[i], Stored(l))
		}
	}
	if diff := Compare(r.Columns, want, rows, c.AnyOrder); diff != "" {
		t.Errorf("line %d: %s\n%s", c.Line, diff, r.SQL)
	}
}

func columnText(cols []kql.ResultColumn) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = ast.Ident(c.Name) + ":" + c.Type.String()
	}
	return strings.Join(out, ", ")
}

// Stored is the storage form of a literal.
func Stored(l *ast.Literal) any {
	switch {
	case l.Type == types.String:
		return l.Text
	case l.Null:
		return nil
	}
	switch l.Type {
	case types.Bool:
		return l.Int != 0
	case types.Real:
		return l.Real
	case types.Decimal, types.GUID, types.Dynamic:
		return l.Text
	}
	return l.Int
}

// Compare describes the first difference between expected and actual rows, or is empty.
func Compare(cols []kql.ResultColumn, want, got [][]any, anyOrder bool) string {
	if len(want) != len(got) {
		return fmt.Sprintf("want %d rows, got %d: %v", len(want), len(got), got)
	}
	used := make([]bool, len(got))
	for i, w := range want {
		found := false
		for j, g := range got {
			if used[j] || !anyOrder && i != j {
				continue
			}
			if same(cols, w, g) {
				used[j], found = true, true
				break
			}
		}
		if !found {
			return fmt.Sprintf("row %d: want %v, got %v", i, w, got)
		}
	}
	return ""
}

func same(cols []kql.ResultColumn, w, g []any) bool {
	for i, c := range cols {
		if !Equal(c.Type, w[i], g[i]) {
			return false
		}
	}
	return true
}

// Equal compares two stored values: reals within 1e-9 relative, dynamics as JSON.
func Equal(t types.Type, a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	switch t {
	case types.Real:
		x, y := a.(float64), b.(float64)
		return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= 1e-9*math.Max(math.Abs(x), math.Abs(y))
	case types.Dynamic:
		x, xerr := decode(a.(string))
		y, yerr := decode(b.(string))
		return xerr == nil && yerr == nil && equalJSON(x, y)
	case types.Decimal:
		x, _ := new(big.Rat).SetString(a.(string))
		y, _ := new(big.Rat).SetString(b.(string))
		return x != nil && y != nil && x.Cmp(y) == 0
	}
	return a == b
}

func decode(s string) (any, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func equalJSON(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		if !ok {
			return false
		}
		f, _ := strconv.ParseFloat(string(x), 64)
		g, _ := strconv.ParseFloat(string(y), 64)
		return x == y || Equal(types.Real, f, g)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equalJSON(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			v, ok := y[k]
			if !ok || !equalJSON(x[k], v) {
				return false
			}
		}
		return true
	}
	return a == b
}
