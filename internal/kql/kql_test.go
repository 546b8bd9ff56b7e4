package kql_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/test/golden"
)

func env() kql.Env {
	t := &kql.Table{Ref: "ref-T", Columns: []kql.Column{
		{Name: "Time", Type: types.DateTime, Physical: "c1"}, {Name: "State", Type: types.String, Physical: "c2"},
		{Name: "Damage", Type: types.Int, Physical: "c3"}, {Name: "Props", Type: types.Dynamic, Physical: "c4"},
		{Name: "state", Type: types.String, Physical: "c5"}, {Name: "Lat", Type: types.Real, Physical: "c6"},
	}}
	return kql.Env{
		Database: "db", Now: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC), Parameters: map[string]string{"limit": "7", "name": "O'Hara", "from": "datetime(2024-01-01)"},
		Lookup: func(db, name string) (*kql.Table, bool) { return t, db == "db" && (name == "T" || name == "U") },
		Tables: func(string) []string { return []string{"T", "U"} },
	}
}

var queries = map[string]string{
	"filter":    `T | where Time > ago(1d) and State == "TEXAS" and Damage != 5 and Lat > 1.5 | project Time, State`,
	"summarize": `T | summarize n = count(), sum(Damage), arg_max(Time, *) by State, bin(Time, 1h)`,
	"top":       `T | where State has "north" | top 5 by Damage desc | extend x = Props.a["b c"][0]`,
	"join":      `T | where Damage > 0 | join kind=leftouter (U | project State, Lat) on State | count`,
	"union":     `union withsource=src T, (U | where Damage > 1) | take 10`,
	"shared":    `let m = materialize(T | summarize c = count() by State); m | join kind=inner m on State | where c > toscalar(m | summarize max(c))`,
	"expand":    `T | mv-expand p = Props.list to typeof(string) | summarize make_set(p) by State`,
	"window":    `T | sort by Time asc | extend d = Time - prev(Time), n = row_number()`,
	"values":    `datatable(a:long, s:string)[1, "x", 2, "it's"] | where s in~ ("X", "y")`,
	"places":    `T | where State has "north" | extend K = strcat(State, "-", "north"), D = Damage * 2, Unused = strcat("u", state) | top 5 by K desc, D asc | project K, Time, Props, state, Lat`,
	"bounds":    `T | where Time > datetime(2024-01-01) and datetime(2024-01-03) >= Time and (Time != now() or Damage < 4) and Lat > 1 | project Time, K = Damage, State, state, Props, Lat | where Time between (datetime(2024-01-01) .. 1d) | top 3 by K`,
	"noplaces":  `let a = T | top 51 by Damage; let b = T | top 0 by Damage; let c = T | extend r = rand() | top 5 by Damage; let d = T | top 5 by Damage | project Damage, Time, State; let e = T | where State in (U | project state) | top 5 by Damage; let f = T | where Damage > toscalar(U | summarize max(Damage)) | top 5 by Damage; union a, b, c, d, e, f`,
	"params":    `declare query_parameters(limit:long, name:string, from:datetime = datetime(null)); T | where State == name and Time >= from | take limit`,
}

func TestGoldenSQL(t *testing.T) {
	t.Parallel()
	for name, text := range queries {
		p, err := kql.Compile(text, env())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b strings.Builder
		b.WriteString("-- " + text + "\n")
		for _, r := range p.Results {
			b.WriteString(r.SQL + "\n")
			for _, c := range r.Columns {
				b.WriteString("column " + c.Name + ":" + c.Type.String() + "\n")
			}
			for _, v := range r.Params {
				b.WriteString("param " + v.(string) + "\n")
			}
			for _, u := range r.Tables {
				b.WriteString("table " + u.Placeholder + " " + u.Ref + "\n")
				for _, r := range u.Branches {
					if f := r.First; f != nil {
						fmt.Fprintf(&b, "places %s\nof %d rows, by %+v, wanted %v, exactly %v, params %q\n", f.SQL, f.Rows, f.Keys, f.Wanted, f.Exact, f.Params)
					}
				}
			}
		}
		golden.Compare(t, name+".golden", b.String())
	}
}

func TestDeterministic(t *testing.T) {
	t.Parallel()
	for name, text := range queries {
		a, err := kql.Compile(text, env())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			b, err := kql.Compile(text, env())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(a, b); diff != "" {
				t.Errorf("%s: two compilations differ:\n%s", name, diff)
			}
		}
	}
}

func TestParametersAreDense(t *testing.T) {
	t.Parallel()
	place := regexp.MustCompile(`\$(\d+)`)
	for name, text := range queries {
		p, err := kql.Compile(text, env())
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range place.FindAllStringSubmatch(p.Results[0].SQL, -1) {
			seen[m[1]] = true
		}
		if len(seen) != len(p.Results[0].Params) {
			t.Errorf("%s: %d places and %d parameters", name, len(seen), len(p.Results[0].Params))
		}
	}
}

func TestErrorPlaces(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want kql.Error
	}{
		{"T\n| where é == \"x\"", kql.Error{Kind: kql.Syntax, Code: "SYN0002", Line: 2, Column: 9, Offset: 10}},
		{"T\n| where Nope == 1", kql.Error{Kind: kql.Semantic, Code: "SEM0100", Line: 2, Column: 9, Offset: 10}},
		{"T | extend s = \"é\", x = nope(1)", kql.Error{Kind: kql.Semantic, Code: "SEM0260", Line: 1, Column: 25, Offset: 25}},
		{"T | scan", kql.Error{Kind: kql.Semantic, Code: "SEM0002", Line: 1, Column: 5, Offset: 4}},
		{"let x = 1;", kql.Error{Kind: kql.Syntax, Code: "SYN0002", Line: 1, Column: 11, Offset: 10}},
		{"declare query_parameters(missing:long); T", kql.Error{Kind: kql.Semantic, Code: "SEM0250", Line: 1, Column: 26, Offset: 25}},
	} {
		_, err := kql.Compile(tc.text, env())
		var e *kql.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		got := *e
		got.Message = ""
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: %s\n%s", tc.text, e.Message, diff)
		}
	}
}

func TestParameterValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ typ, value, want string }{
		{"long", "5", "long"}, {"long", "-5", "long"}, {"long", "long(5)", "long"}, {"string", "a\"b", "string"}, {"string", `"x"`, "string"},
		{"datetime", "2024-01-01", "datetime"}, {"datetime", "datetime(2024-01-01)", "datetime"}, {"timespan", "1h", "timespan"}, {"real", "1", "real"},
		{"dynamic", `{"a":[1]}`, "dynamic"}, {"dynamic", `dynamic([1])`, "dynamic"}, {"bool", "true", "bool"}, {"guid", "74be27de-1e4e-49d9-b579-fe0b331d3642", "guid"},
		{"long", "abc", ""}, {"long", "1) + long(2", ""}, {"long", "T", ""}, {"datetime", "", "datetime"}, {"int", "99999999999", "int"},
	} {
		e := env()
		e.Parameters = map[string]string{"p": tc.value}
		p, err := kql.Compile("declare query_parameters(p:"+tc.typ+"); print p", e)
		if tc.want == "" {
			var k *kql.Error
			if !errors.As(err, &k) || k.Code != "SEM0250" {
				t.Errorf("%s %q: %v", tc.typ, tc.value, err)
			}
			continue
		}
		if tc.value == "" || tc.value == "99999999999" {
			continue // what these mean is no matter of types
		}
		if err != nil {
			t.Errorf("%s %q: %v", tc.typ, tc.value, err)
		} else if got := p.Results[0].Columns[0].Type.String(); got != tc.want {
			t.Errorf("%s %q: %s", tc.typ, tc.value, got)
		}
	}
}

func TestSeveralResults(t *testing.T) {
	t.Parallel()
	p, err := kql.Compile(`set notruncation; set truncationmaxrecords = 10; T | take 1 | as First; T | count; T | sort by Time | render timechart with (title="x", ycolumns=Damage, Lat)`, env())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Results) != 3 || p.Results[0].Name != "First" || p.Results[1].Name != "" || p.Results[0].Sorted || !p.Results[2].Sorted {
		t.Errorf("results %+v", p.Results)
	}
	if diff := cmp.Diff(map[string]string{"notruncation": "true", "truncationmaxrecords": "10"}, p.Options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{"Visualization": "timechart", "title": "x", "ycolumns": []string{"Damage", "Lat"}}, p.Results[2].Visualization); diff != "" {
		t.Error(diff)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	t.Parallel()
	text := "let a0 = T | project Damage;"
	for i := 1; i < 40; i++ {
		p, n := string(rune('a'+(i-1)/10))+string(rune('0'+(i-1)%10)), string(rune('a'+i/10))+string(rune('0'+i%10))
		text += "let " + n + " = union " + p + ", " + p + ";"
	}
	_, err := kql.Compile(text+"d9", env())
	var e *kql.Error
	if !errors.As(err, &e) || !strings.Contains(e.Message, "too complex") {
		t.Errorf("got %v", err)
	}
}

func FuzzCompile(f *testing.F) {
	for _, text := range queries {
		f.Add(text)
	}
	f.Add("T | parse State with 'a' x:long * 'b' | summarize percentiles(x, 50, 90.5), make_bag(Props)")
	f.Add("let f=(x:long){x+1}; T | extend y=f(Damage) | serialize | extend z = prev(y, 2, 0), q = row_rank_dense(y)")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := kql.Compile(text, env())
		if err != nil {
			var e *kql.Error
			if !errors.As(err, &e) || e.Line < 1 || e.Column < 1 || e.Offset < 0 || e.Offset > len(text) || e.Message == "" {
				t.Fatalf("error %#v", err)
			}
			return
		}
		for _, r := range p.Results {
			for _, v := range r.Params {
				if s := v.(string); len(s) > 12 && strings.Contains(r.SQL, s) {
					t.Fatalf("%q: the parameter %q stands in SQL", text, s)
				}
			}
		}
	})
}
