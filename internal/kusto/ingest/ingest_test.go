package ingest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kusto/ingest"
)

func table(types ...catalog.Type) catalog.Table {
	t := catalog.Table{Name: "T"}
	for i, typ := range types {
		t.Columns = append(t.Columns, catalog.Column{ID: i + 1, Name: string(rune('a' + i)), Type: typ})
	}
	return t
}

// rows prints a batch: cells as Arrow prints them, null as "(null)".
func rows(b arrow.RecordBatch) [][]string {
	if b == nil {
		return nil
	}
	defer b.Release()
	out := make([][]string, b.NumRows())
	for i := range out {
		for _, c := range b.Columns() {
			out[i] = append(out[i], c.ValueStr(i))
		}
	}
	return out
}

func TestReadCSV(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		types  []catalog.Type
		format ingest.Format
		opts   ingest.Options
		in     string
		want   [][]string
	}{
		"types": {[]catalog.Type{catalog.Long, catalog.String, catalog.Datetime, catalog.Timespan, catalog.Bool, catalog.Real}, ingest.CSV, ingest.Options{},
			"7,abc,2020-01-06,1.02:03:04.5,true,1.5\n", [][]string{{"7", "abc", "637138656000000000", "937845000000", "true", "1.5"}}},
		"bad values are null, the row stays": {[]catalog.Type{catalog.Long, catalog.Datetime, catalog.GUID, catalog.Int}, ingest.CSV, ingest.Options{},
			"x,y,z,99999999999\n", [][]string{{"(null)", "(null)", "(null)", "(null)"}}},
		"empty field is null, but an empty string": {[]catalog.Type{catalog.Long, catalog.String, catalog.Dynamic}, ingest.CSV, ingest.Options{},
			",,\n", [][]string{{"(null)", "", "(null)"}}},
		"too few and too many fields": {[]catalog.Type{catalog.String, catalog.Long}, ingest.CSV, ingest.Options{},
			"a\nb,2,3,4\n", [][]string{{"a", "(null)"}, {"b", "2"}}},
		"quotes, blanks and line breaks": {[]catalog.Type{catalog.String, catalog.String}, ingest.CSV, ingest.Options{},
			"\"x \"\"y\"\"\nz\", b \n", [][]string{{"x \"y\"\nz", " b "}}},
		"ignore first record": {[]catalog.Type{catalog.Long}, ingest.CSV, ingest.Options{IgnoreFirstRecord: true}, "a\n1\n", [][]string{{"1"}}},
		"tsv":                 {[]catalog.Type{catalog.Long, catalog.String}, ingest.TSV, ingest.Options{}, "1\tx,y\n", [][]string{{"1", "x,y"}}},
		"guid and decimal":    {[]catalog.Type{catalog.GUID, catalog.Decimal}, ingest.CSV, ingest.Options{}, "{0B1F6471-1BF0-4DDA-AEC3-111122223333},1.25\n", [][]string{{"0b1f6471-1bf0-4dda-aec3-111122223333", "1.25"}}},
		"dynamic":             {[]catalog.Type{catalog.Dynamic}, ingest.PSV, ingest.Options{}, "{\"a\":1}\nplain\n", [][]string{{`{"a":1}`}, {`"plain"`}}},
		"no rows":             {[]catalog.Type{catalog.Long}, ingest.CSV, ingest.Options{}, "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := ingest.ReadCSV(strings.NewReader(tt.in), tt.format, table(tt.types...), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, rows(b)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	mapping, err := ingest.ParseMapping(`[{"column":"a","Properties":{"Path":"$.x.y"}},{"column":"b","path":"$['list'][1]"}]`)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		types []catalog.Type
		opts  ingest.Options
		in    string
		want  [][]string
	}{
		"by name, lines": {[]catalog.Type{catalog.Long, catalog.String}, ingest.Options{}, "{\"b\":\"x\",\"a\":1}\n{\"a\":\"2\"}\n{\"A\":3}\n",
			[][]string{{"1", "x"}, {"2", ""}, {"(null)", ""}}},
		"array":              {[]catalog.Type{catalog.Long}, ingest.Options{}, `[{"a":1},{"a":2.0},{"a":2.5}]`, [][]string{{"1"}, {"2"}, {"(null)"}}},
		"object to string":   {[]catalog.Type{catalog.String, catalog.Dynamic}, ingest.Options{}, `{"a":{"k":[1]},"b":{"k" : [1]}}`, [][]string{{`{"k":[1]}`, `{"k":[1]}`}}},
		"mapping":            {[]catalog.Type{catalog.Long, catalog.Long}, ingest.Options{Mapping: mapping}, `{"x":{"y":5},"list":[1,2]}`, [][]string{{"5", "2"}}},
		"exact large number": {[]catalog.Type{catalog.Long}, ingest.Options{}, `{"a":9223372036854775807}`, [][]string{{"9223372036854775807"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := ingest.ReadJSON(strings.NewReader(tt.in), table(tt.types...), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, rows(b)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// A refusal says where, and never repeats the data.
func TestRefusalsHoldNoData(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`{"a": secret`, `["secret"]`, `{"a":1} "secret"`, `{"a":1}{`} {
		_, err := ingest.ReadJSON(strings.NewReader(in), table(catalog.Long), ingest.Options{})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("ReadJSON(%q): %v", in, err)
		}
	}
	for _, text := range []string{"x", `[{}]`, `[{"column":"a","Properties":{"ConstValue":"1"}}]`} {
		if _, err := ingest.ParseMapping(text); err == nil {
			t.Errorf("ParseMapping(%q) was not refused", text)
		}
	}
	m, err := ingest.ParseMapping(`[{"column":"nosuch","Ordinal":0}]`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ingest.ReadCSV(strings.NewReader("1\n"), ingest.CSV, table(catalog.Long), ingest.Options{Mapping: m}); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("mapping of an absent column: %v", err)
	}
}

func TestParseFormat(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]ingest.Format{"": ingest.CSV, "Csv": ingest.CSV, "MultiJson": ingest.MultiJSON, "JSON": ingest.JSON, "parquet": ingest.Parquet} {
		if got, err := ingest.ParseFormat(in); err != nil || got != want {
			t.Errorf("ParseFormat(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"avro", "nonsense"} {
		if _, err := ingest.ParseFormat(in); err == nil || !strings.Contains(err.Error(), in) {
			t.Errorf("ParseFormat(%q): %v", in, err)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"x"}`))
	f.Add([]byte(`[{"a":1.5e3},{}]`))
	tab := table(catalog.Long, catalog.String, catalog.Dynamic, catalog.Datetime)
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := ingest.ReadJSON(bytes.NewReader(data), tab, ingest.Options{}); err == nil && b != nil {
			b.Release()
		}
	})
}

func FuzzReadCSV(f *testing.F) {
	f.Add([]byte("1,a,{},2020-01-01\n"))
	tab := table(catalog.Long, catalog.String, catalog.Dynamic, catalog.Datetime, catalog.Timespan, catalog.Decimal)
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := ingest.ReadCSV(bytes.NewReader(data), ingest.CSV, tab, ingest.Options{}); err == nil && b != nil {
			b.Release()
		}
	})
}
