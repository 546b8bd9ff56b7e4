package kusto_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

// rows are the rows of the primary result as they stand in the answer.
func rows(t *testing.T, c *client.Client, uri, text string) string {
	t.Helper()
	a, err := c.Do(t.Context(), client.Kusto, "POST", uri+"/v2/rest/query", map[string]string{"db": "db", "csl": text})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Refusal(); err != nil {
		t.Errorf("%s: %v", text, err)
		return ""
	}
	var frames []struct {
		TableKind string
		Rows      json.RawMessage
	}
	if err := json.Unmarshal(a.Body, &frames); err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if f.TableKind == "PrimaryResult" {
			return string(f.Rows)
		}
	}
	t.Errorf("%s: no result in %s", text, a.Body)
	return ""
}

func TestDataPlane(t *testing.T) {
	t.Parallel()
	c := harness.Start(t, harness.New(t))
	uri, _ := harness.Cluster(t, c, "dataplane", "db")
	harness.Command(t, c, uri, "db", `.create table ['T 1'] (b:bool, i:int, l:long, r:real, m:decimal, s:string, d:datetime, t:timespan, g:guid, j:dynamic) with (docstring="it's \"quoted\" \\ here", folder='a/b')`,
		`.create table S (Id:long, Text:string)`, `.alter table S policy streamingingestion enable`)

	t.Run("values", func(t *testing.T) {
		for text, want := range map[string]string{
			`print datetime(0001-01-01), datetime(9999-12-31T23:59:59.9999999Z), datetime(2014-05-25T08:20:03.1234567Z)`: `[["0001-01-01T00:00:00Z","9999-12-31T23:59:59.9999999Z","2014-05-25T08:20:03.1234567Z"]]`,
			`print -1s, 1tick, 1d + 2h, timespan(-10675199.02:48:05.4775807)`:                                            `[["-00:00:01","00:00:00.0000001","1.02:00:00","-10675199.02:48:05.4775807"]]`,
			`print real(nan), real(+inf), real(-inf), 1.0, 1e300, real(null)`:                                            `[["NaN","Infinity","-Infinity",1.0,1e+300,null]]`,
			`print 9223372036854775807, -9223372036854775807, int(-2147483648), long(null)`:                              `[[9223372036854775807,-9223372036854775807,-2147483648,null]]`,
			`print decimal(1.10), decimal(-0.000000000000000001), decimal(null)`:                                         `[["1.1","-0.000000000000000001",null]]`,
			`print true, bool(null), guid(6A1C0D6E-0000-4000-8000-000000000001), guid(null)`:                             `[[true,null,"6a1c0d6e-0000-4000-8000-000000000001",null]]`,
			"print 'a\\nb\\\"é😀', '', dynamic({\"a\":\n[1, 2.50]}), dynamic(null), dynamic('text')":                      "[[\"a\\nb\\\"é😀\",\"\",{\"a\":[1,2.5]},null,\"text\"]]",
		} {
			if got := rows(t, c, uri, text); got != want {
				t.Errorf("%s:\n got %s\nwant %s", text, got, want)
			}
		}
	})
	t.Run("stored values", func(t *testing.T) {
		data := strings.Join([]string{
			`{"b":true,"i":-2147483648,"l":9223372036854775807,"r":"NaN","m":"99999999999999999999.999999999999999999","s":"a\nb","d":"9999-12-31T23:59:59.9999999Z","t":"-10675199.02:48:05.4775807","g":"6A1C0D6E-0000-4000-8000-000000000001","j":{"x":[1,"y\nz"]}}`,
			`{"b":null,"s":null}`, `{"i":2147483648,"l":"x","d":"10000-01-01","t":"25:61:00","g":"no","j":"plain"}`}, "\n")
		harness.Command(t, c, uri, "db", ".ingest inline into table ['T 1'] with (format='json') <| "+data)
		want := `[[true,-2147483648,9223372036854775807,"NaN","99999999999999999999.999999999999999999","a\nb","9999-12-31T23:59:59.9999999Z","-10675199.02:48:05.4775807","6a1c0d6e-0000-4000-8000-000000000001",{"x":[1,"y\nz"]}],` +
			`[null,null,null,null,null,"",null,null,null,null],[null,null,null,null,null,"",null,null,null,"plain"]]`
		if got := rows(t, c, uri, "['T 1'] | order by b desc, tostring(j) asc"); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
	})
	t.Run("piped commands", func(t *testing.T) {
		for text, want := range map[string][][]any{
			".show tables | where TableName startswith 'T' | project DocString, Folder": {{`it's "quoted" \ here`, "a/b"}},
			".show tables | count": {{2.0}},
			".show tables details | where TableName == 'T 1' | project TotalRowCount, isnull(TableId)": {{3.0, false}},
			".show databases | project DatabaseName, IsCurrent":                                        {{"db", true}},
			".show databases details | project DatabaseName, TotalSize >= 0":                           {{"db", true}},
			".show databases entities | where EntityName == 'S' | project CslOutputSchema":             {{"Id:long,Text:string"}},
			".show database db schema | where ColumnName == 'Id' | project ColumnType":                 {{"System.Int64"}},
			".show table ['T 1'] | summarize count()":                                                  {{10.0}},
			".show table S policy streamingingestion | project parse_json(Policy).IsEnabled":           {{true}},
			".show functions | count":                                                          {{0.0}},
			".show materialized-views | count":                                                 {{0.0}},
			".show external tables | count":                                                    {{0.0}},
			".show version | project ServiceType, BuildTime > ago(1h)":                         {{"Engine", true}},
			".show cluster | project ProcessorCount > 0, isnull(MachineTotalMemory)":           {{true, true}},
			".show principal roles | project Scope":                                            {{"Database db"}},
			".show schema as json | project bag_keys(parse_json(DatabaseSchema).Databases)[0]": {{"db"}},
		} {
			got, err := c.Query(t.Context(), uri, "db", text)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s: %v\n%s", text, err, diff)
			}
		}
	})
	t.Run("streaming", func(t *testing.T) {
		if err := c.Stream(t.Context(), uri, "db", "S", "csv", []byte("1,a\n2,\"b\nc\"\n3")); err != nil {
			t.Fatal(err)
		}
		if got := rows(t, c, uri, "S | order by Id asc"); got != `[[1,"a"],[2,"b\nc"],[3,""]]` {
			t.Error(got)
		}
		harness.Command(t, c, uri, "db", ".set-or-append S <| S | where Id == 1 | project Id=Id + 10, Text", ".set Copy <| S")
		if got := rows(t, c, uri, "Copy | summarize count(), sum(Id)"); got != `[[4,17]]` {
			t.Error(got)
		}
		if _, err := c.Query(t.Context(), uri, "db", ".set Broken <| S | extend x = toint(Id) / 0 | project missing"); err == nil {
			t.Error("a query over a missing column was stored")
		}
		if got, err := c.Query(t.Context(), uri, "db", ".show tables | where TableName == 'Broken' | count"); err != nil || got[0][0] != 0.0 {
			t.Error(got, err)
		}
	})
	t.Run("limits", func(t *testing.T) {
		a, err := c.Do(t.Context(), client.Kusto, "POST", uri+"/v2/rest/query", map[string]any{"db": "db", "csl": "range x from 1 to 600000 step 1"})
		if err != nil || a.Status != 200 || !strings.Contains(string(a.Body), "exceed the set limit of 500000 records") || !strings.Contains(string(a.Body), "[500000],{\"OneApiErrors\"") {
			t.Errorf("%d %v …%s", a.Status, err, a.Body[max(0, len(a.Body)-400):])
		}
		a, err = c.Do(t.Context(), client.Kusto, "POST", uri+"/v2/rest/query", map[string]any{"db": "db", "csl": "range x from 1 to 600000 step 1 | extend y = hash_sha256(tostring(x)) | summarize dcount(y) by x % 7 | count", "properties": map[string]any{"Options": map[string]any{"servertimeout": "00:00:00.0000100"}}})
		if err != nil || a.Status != 504 {
			t.Errorf("%d %v %s", a.Status, err, a.Body)
		}
	})
}
