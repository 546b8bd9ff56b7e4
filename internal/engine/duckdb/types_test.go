//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/engine"
)

var everyType = []catalog.Type{
	catalog.Bool, catalog.Int, catalog.Long, catalog.Real, catalog.Decimal,
	catalog.String, catalog.Datetime, catalog.Timespan, catalog.GUID, catalog.Dynamic,
}

func everyTable() catalog.Table {
	var t catalog.Table
	for i, typ := range everyType {
		t.Columns = append(t.Columns, catalog.Column{ID: i + 1, Name: string(typ), Type: typ})
	}
	return t
}

func buffer(t catalog.Table) []engine.Column {
	var out []engine.Column
	for _, c := range t.Columns {
		out = append(out, engine.Column{Name: c.Physical(), Type: c.Type.Storage(), NotNull: !c.Type.Nullable()})
	}
	return out
}

// appendRandom adds one row of random values, with nulls among them.
func appendRandom(t *rapid.T, b *array.RecordBuilder) {
	for i, typ := range everyType {
		if typ.Nullable() && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
			b.Field(i).AppendNull()
			continue
		}
		switch f := b.Field(i).(type) {
		case *array.BooleanBuilder:
			f.Append(rapid.Bool().Draw(t, "bool"))
		case *array.Int32Builder:
			f.Append(rapid.Int32().Draw(t, "int"))
		case *array.Int64Builder:
			f.Append(rapid.Int64().Draw(t, "long"))
		case *array.Float64Builder:
			f.Append(rapid.SampledFrom([]float64{0, -1.5, 1e300, math.Inf(1), math.MaxFloat64, 5e-324}).Draw(t, "real"))
		case *array.Decimal128Builder:
			f.Append(decimal128.FromI64(rapid.Int64().Draw(t, "decimal")))
		case *array.StringBuilder:
			switch typ {
			case catalog.GUID:
				raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "guid")
				f.Append(fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]))
			case catalog.Dynamic:
				f.Append(fmt.Sprintf(`{"a":%d}`, rapid.Int().Draw(t, "dynamic")))
			default:
				f.Append(rapid.StringN(0, 40, 200).Draw(t, "string"))
			}
		}
	}
}

func lines(b arrow.RecordBatch) []string {
	var out []string
	for i := range int(b.NumRows()) {
		var line []string
		for c := range int(b.NumCols()) {
			v := b.Column(c).ValueStr(i)
			if b.Column(c).IsNull(i) {
				v = "∅"
			}
			line = append(line, v)
		}
		out = append(out, strings.Join(line, "|"))
	}
	return out
}

// Every value of every storage type must come back from a buffer and from an
// extent as it went in.
func TestValuesSurvive(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{})
	table := everyTable()
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		name := fmt.Sprintf("b_%d", round)
		b := array.NewRecordBuilder(memory.DefaultAllocator, table.Schema())
		defer b.Release()
		n := rapid.SampledFrom([]int{0, 1, 3, 40}).Draw(rt, "rows")
		for range n {
			appendRandom(rt, b)
		}
		batch := b.NewRecordBatch()
		defer batch.Release()
		stream, err := engine.EncodeBatch(batch)
		must(t, err)
		must(t, child.CreateBuffer(ctx, name, buffer(table)))
		twice := rapid.Bool().Draw(rt, "twice")
		if twice {
			stream = append(stream, stream...)
		}
		must(t, child.Append(ctx, name, stream))
		sent := lines(batch)
		if twice {
			sent = append(sent, sent...)
		}

		columns := "c1,c2,c3,c4,c5,c6,c7,c8,c9,c10"
		out := memfd(t)
		exported, err := child.Export(ctx, engine.Statement{SQL: "SELECT " + columns + " FROM " + name}, out)
		must(t, err)
		if int(exported) != len(sent) {
			rt.Fatalf("exported %d rows of %d", exported, len(sent))
		}
		must(t, engine.Seal(out))
		must(t, child.OpenExtent(ctx, name, out))
		for _, s := range []engine.Statement{
			{SQL: "SELECT " + columns + " FROM " + name},
			{SQL: "SELECT " + columns + " FROM read_parquet(['{{extent:" + name + "}}'])", Extents: []string{name}},
		} {
			rows, err := child.Query(ctx, s)
			must(t, err)
			var got []string
			for rows.Next() {
				got = append(got, lines(rows.RecordBatch())...)
			}
			must(t, rows.Err())
			rows.Close()
			if diff := cmp.Diff(sent, got); diff != "" {
				rt.Fatalf("%s: (-sent +got)\n%s", s.SQL, diff)
			}
		}
		must(t, child.CloseExtent(ctx, name))
		must(t, child.DropBuffer(ctx, name))
	})
}

// A subset of the columns, a column more and a column less.
func TestColumnsByName(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{})
	must(t, child.CreateBuffer(ctx, "b", []engine.Column{
		{Name: "c2", Type: "VARCHAR", NotNull: true}, {Name: "c3", Type: "BIGINT"}, {Name: "c4", Type: "VARCHAR", NotNull: true},
	}))
	appendNumbers(t, child, "b", 7, 1) // has c1 and c2
	got, err := all(t, child, engine.Statement{SQL: "SELECT c3, c2, c4 = '' FROM b"})
	must(t, err)
	if diff := cmp.Diff([]string{"(null)|row 7|true"}, got); diff != "" {
		t.Fatal(diff)
	}
}

// A batch that is too large for one vector, and a batch that is refused half way.
func TestAppendIsAtomic(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{})
	must(t, child.CreateBuffer(ctx, "b", []engine.Column{{Name: "c1", Type: "BIGINT"}, {Name: "c2", Type: "UUID"}}))
	stream, err := engine.EncodeBatch(numbers(0, 3000)) // "row 1" is no UUID
	must(t, err)
	if err := child.Append(ctx, "b", stream); err == nil {
		t.Fatal("text was taken for a guid")
	} else if strings.Contains(err.Error(), "row") {
		t.Fatalf("the error quotes a value: %v", err)
	}
	got, err := all(t, child, engine.Statement{SQL: "SELECT count(*) FROM b"})
	must(t, err)
	if diff := cmp.Diff([]string{"0"}, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	child := launch(t, engine.Config{})
	const nan = "(null)"
	for _, tc := range []struct {
		name, kind, source, want string
	}{
		{"timestamp to datetime", "datetime", "TIMESTAMP '2024-02-29 01:02:03.123456'", "638447653231234560"},
		{"nanoseconds to datetime", "datetime", "TIMESTAMP_NS '2024-02-29 01:02:03.123456789'", "638447653231234567"},
		{"date to datetime", "datetime", "DATE '0001-01-01'", "0"},
		{"text to datetime", "datetime", "'2024-02-29T01:02:03.1234567Z'", "638447653231234567"},
		{"old text to datetime", "datetime", "'1601-01-01'", "504911232000000000"},
		{"bad text to datetime", "datetime", "'soon'", nan},
		{"time to timespan", "timespan", "TIME '01:00:00.5'", "36005000000"},
		{"text to long", "long", "' 42 '", "42"},
		{"fraction to long", "long", "'1.5'", nan},
		{"too large", "int", "3000000000", nan},
		{"null text", "string", "NULL::VARCHAR", ""},
		{"struct to dynamic", "dynamic", "{'a': 1, 'b': [true]}", `{"a":1,"b":[true]}`},
		{"json text to dynamic", "dynamic", `'{"a": 1}'`, `{"a": 1}`},
		{"plain text to dynamic", "dynamic", `'say "hi"'`, `"say \"hi\""`},
		{"text to guid", "guid", "'74BE27DE-1E4E-49D9-B579-FE0B331D3642'", "74be27de-1e4e-49d9-b579-fe0b331d3642"},
		{"decimal", "decimal", "1.5::DECIMAL(4,2)", "1.5"},
		{"text to bool", "bool", "'True'", "true"},
		{"timestamp to string", "string", "TIMESTAMP '2024-02-29 01:02:03'", "2024-02-29T01:02:03.0000000Z"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in, out := memfd(t), memfd(t)
			_, err := child.Export(ctx, engine.Statement{SQL: "SELECT 0 AS other, " + tc.source + ` AS "A ""b"""`}, in)
			must(t, err)
			n, err := child.Import(ctx, in, engine.Import{Columns: []engine.ImportColumn{
				{Name: "c1", Type: tc.kind, Source: `a "B"`}, {Name: "c2", Type: "guid"},
			}}, out)
			must(t, err)
			if n != 1 {
				t.Fatalf("imported %d rows", n)
			}
			must(t, child.OpenExtent(ctx, tc.name, out))
			got, err := all(t, child, engine.Statement{
				SQL: "SELECT c1 FROM read_parquet('{{extent:" + tc.name + "}}') WHERE c2 IS NULL", Extents: []string{tc.name},
			})
			must(t, err)
			if diff := cmp.Diff([]string{tc.want}, got); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	child := launch(t, engine.Config{MemoryLimit: 64 << 20})
	for _, tc := range []struct {
		sql    string
		params []any
		kind   engine.Kind
	}{
		{"SELECT 9223372036854775807::BIGINT + $1::BIGINT", []any{int64(1)}, engine.Overflow},
		{"SELECT CAST($1 AS BIGINT)", []any{"geheim"}, engine.Conversion},
		{"SELECT * FROM range(100000000) t(x) ORDER BY hash(x)", nil, engine.OutOfMemory},
		{"SELECT nothing", nil, engine.Internal},
		{"SELEC 'geheim'", nil, engine.Internal},
		{"SELECT json_extract($1, '$.a')", []any{"{geheim"}, engine.BadData},
		{"SELECT 1", []any{"one too many"}, engine.BadCommand},
	} {
		_, err := all(t, child, engine.Statement{SQL: tc.sql, Params: tc.params})
		var f *engine.Fault
		if !asFault(err, &f) || f.Kind != tc.kind {
			t.Errorf("%s: %v, want kind %s", tc.sql, err, tc.kind)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error quotes a value: %v", tc.sql, err)
		}
	}
	must(t, child.Ping(context.Background()))
}
