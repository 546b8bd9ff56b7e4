package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

// No text of a query, value of a row or token may reach the log or the SQL
// text, whatever happens to the request. The marks stand wherever a user can
// write something.
func TestNothingOfTheUserIsLogged(t *testing.T) {
	t.Parallel()
	const mark = "zqx"
	failures := []error{nil, &cluster.QueryError{Message: "overflow"}, cluster.ErrEngine, context.DeadlineExceeded, errors.New("disk is full"), &cluster.ExtentError{ID: "e", Cause: errors.New("tag")},
		&cluster.LogError{Database: "db", Segment: "s", Cause: errors.New("tag")}}
	texts := []string{
		"T | where name == 'zqx1'", "T | where name has 'zqx2' or name in ('zqx3', \"zqx4\")", "print 'zqx5', dynamic({\"zqx6\": \"zqx7\"})",
		"datatable (a:string) ['zqx8']", "T | extend zqx9 = 1", "zqx10 | count", "T | where zqx11 == 1", "T | where ( 'zqx12", "print h'zqx13'",
		"let zqx14 = 'zqx15'; T | where name == zqx14", "declare query_parameters (zqx16:string); T | where name == zqx16", "// zqx17\nT",
		"set query_take_max_records=1; T | project x = strcat('zqx18', name)", "T | parse name with 'zqx19' x:string", "T | where name matches regex 'zqx20.*'",
		"database('zqx21').T", "T | where zqx22('zqx23')", "T | as zqx24", "T | render timechart with (title='zqx25')",
	}
	commands := []string{
		".ingest inline into table T <| 1,zqx30", ".ingest inline into table T with (format='json') <| {\"zqx31\"", ".set zqx32 <| print 'zqx33'", ".set X <| T | where name == 'zqx34'",
		".create table zqx35 (zqx36:int) with (docstring='zqx37')", ".show tables | where TableName == 'zqx38'", ".frobnicate zqx39 'zqx40'", ".drop table zqx41",
		".alter table T policy streamingingestion 'zqx42'", ".ingest inline into table T with (ingestionMapping='zqx43') <| 1", ".create table T ('zqx44'", ".append T <| print 'zqx45'",
	}
	for _, failure := range failures {
		w := streamWorld(t)
		w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) {
			if failure != nil && len(w.rt.queries)%2 == 0 {
				return nil, failure
			}
			return &fakeRows{batches: []arrow.RecordBatch{batch(t, columnsOfT(), `[{"c1":1,"c2":"zqx50"}]`)}, err: failure}, nil
		}
		w.rt.append = func(string, cluster.Query) (int64, error) { return 1, failure }
		w.rt.ingest = func(string, arrow.RecordBatch) error { return failure }
		props := `{"Options":{"request_description":"zqx60","truncationmaxrecords":"zqx61"},"Parameters":{"zqx16":"zqx62"}}`
		for _, text := range texts {
			w.post("/v2/rest/query", text, props, "x-ms-app", "zqx63", "x-ms-user", "zqx64")
			w.post("/v1/rest/query", text, props)
			w.request("GET", "/v2/rest/query?csl="+strings.NewReplacer(" ", "+", "\n", "%0A", "#", "").Replace(text), nil)
		}
		for _, text := range commands {
			w.command(text)
		}
		w.request("POST", streamURL, []byte("1,zqx70"))
		w.request("POST", streamURL+"?streamFormat=json", []byte(`{"id": zqx71}`))
		w.request("POST", streamURL+"?streamFormat=zqx72&mappingName=zqx73", []byte("1"))
		w.request("POST", "/v2/rest/query", []byte(`{"csl":"zqx74`))
		w.post("/v2/rest/query", "T", "", "Authorization", "Bearer zqx75")
		w.post("/v2/rest/query", "T", "", "Authorization", "zqx76")

		log := w.log.String()
		if i := strings.Index(log, mark); i >= 0 {
			t.Errorf("%v: the log holds what a user wrote: …%s…", failure, log[max(0, i-200):min(len(log), i+60)])
		}
		if strings.Count(log, "\n") < 20 {
			t.Errorf("%v: only %d lines were logged", failure, strings.Count(log, "\n"))
		}
		for _, q := range w.rt.queries {
			if strings.Contains(q.SQL, mark) {
				t.Errorf("SQL text holds what a user wrote: %s", q.SQL)
			}
		}
	}
}

// What went wrong inside is in the log, and not in the answer.
func TestCausesStayInside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) {
		return nil, errors.New("open /data/x: inner cause")
	}
	rec := w.post("/v2/rest/query", "T", "")
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "inner cause") || !strings.Contains(w.log.String(), "inner cause") {
		t.Errorf("%d %s\n%s", rec.Code, rec.Body, w.log.String())
	}
}

// FuzzHandler: no request may panic, answer something that is not JSON, or be
// the server's fault.
func FuzzHandler(f *testing.F) {
	for _, text := range []string{"T | where name == 'a' | summarize count() by id", ".show tables | count", ".create table X (a:int)", ".ingest inline into table T <| 1", ".set X <| print 1", "set notruncation; T; T", ".", "|", "let f = (x:long) { x }; print f(1)"} {
		f.Add(text, `{"Options":{"results_v2_fragment_primary_tables":true}}`)
	}
	f.Fuzz(func(t *testing.T, text, props string) {
		w := newWorld(t)
		w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) { return &fakeRows{}, nil }
		body, err := json.Marshal(map[string]any{"db": "db", "csl": text, "properties": props})
		if err != nil {
			t.Skip()
		}
		for _, path := range []string{"/v2/rest/query", "/v1/rest/query", "/v1/rest/mgmt"} {
			rec := w.request("POST", path, body)
			if rec.Code >= 500 || !json.Valid(rec.Body.Bytes()) {
				t.Fatal(fmt.Sprint(path, " ", rec.Code, " ", rec.Body))
			}
		}
	})
}
