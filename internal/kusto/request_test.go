package kusto

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProperties(t *testing.T) {
	t.Parallel()
	for name, props := range map[string]string{
		"object":        `{"Options":{"servertimeout":"00:00:10","future_option":{"x":[1]}},"Parameters":{"a":"x","n":5,"b":true,"gone":null},"ClientRequestId":"1","More":[]}`,
		"string":        `"{\"Options\":{\"servertimeout\":\"00:00:10\"},\"Parameters\":{\"a\":\"x\",\"n\":5,\"b\":true}}"`,
		"null members":  `{"Options":null,"Parameters":null}`,
		"null":          `null`,
		"missing":       ``,
		"empty string":  `""`,
		"blank string":  `"  "`,
		"string null":   `"null"`,
		"empty object":  `{}`,
		"odd values":    `{"Options":{"servertimeout":[],"truncationmaxrecords":"many","notruncation":null,"query_now":"soon","query_take_max_records":-1}}`,
		"upper options": `{"Options":{"ServerTimeout":"00:00:10"},"Parameters":{"a":"x","n":5,"b":true}}`,
	} {
		req, err := parseRequest("db", "T", json.RawMessage(props))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if name == "object" || name == "string" || name == "upper options" {
			if req.Options.ServerTimeout != 10*time.Second {
				t.Errorf("%s: timeout %s", name, req.Options.ServerTimeout)
			}
			if diff := cmp.Diff(map[string]string{"a": "x", "n": "5", "b": "true"}, req.Parameters); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if records, size, take := req.Options.limits(); records != defaultMaxRecords || size != defaultMaxSize || take != -1 {
			t.Errorf("%s: limits %d %d %d", name, records, size, take)
		}
	}
	for name, props := range map[string]string{"array": `[]`, "number": `1`, "broken string": `"{"`, "parameters": `{"Parameters":[]}`} {
		var e *Error
		if _, err := parseRequest("db", "T", json.RawMessage(props)); !errors.As(err, &e) || e.Status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		options             string
		set                 map[string]string
		records, size, take int64
	}{
		{`{}`, nil, defaultMaxRecords, defaultMaxSize, -1},
		{`{"notruncation":true}`, nil, 0, 0, -1},
		{`{}`, map[string]string{"notruncation": "true"}, 0, 0, -1},
		{`{"notruncation":true,"truncationmaxrecords":7}`, nil, 7, defaultMaxSize, -1},
		{`{"truncationmaxrecords":7}`, map[string]string{"notruncation": "true"}, 7, defaultMaxSize, -1},
		{`{"notruncation":true}`, map[string]string{"truncationmaxsize": "9"}, defaultMaxRecords, 9, -1},
		{`{"truncationmaxrecords":7}`, map[string]string{"truncationmaxrecords": "9"}, 7, defaultMaxSize, -1},
		{`{"truncationmaxrecords":9}`, map[string]string{"truncationmaxrecords": "7"}, 7, defaultMaxSize, -1},
		{`{"truncationmaxrecords":600000}`, nil, 600000, defaultMaxSize, -1},
		{`{"query_take_max_records":3,"notruncation":"true"}`, map[string]string{"query_take_max_records": "2"}, defaultMaxRecords, defaultMaxSize, 2},
		{`{"query_take_max_records":0}`, nil, defaultMaxRecords, defaultMaxSize, 0},
	}
	for _, tc := range tests {
		req, err := parseRequest("", "T", json.RawMessage(`{"Options":`+tc.options+`}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := req.Options.set(tc.set); err != nil {
			t.Fatal(err)
		}
		if records, size, take := req.Options.limits(); records != tc.records || size != tc.size || take != tc.take {
			t.Errorf("%s %v: %d %d %d", tc.options, tc.set, records, size, take)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"00:04:00":         4 * time.Minute,
		"0:04:00":          4 * time.Minute, // Python
		"1 day, 0:00:01":   24*time.Hour + time.Second,
		"2 days, 0:00:00":  48 * time.Hour,
		"1.02:00:00":       26 * time.Hour,
		"00:00:24.9999999": 25*time.Second - 100*time.Nanosecond,
		"00:00:01.5":       1500 * time.Millisecond,
		"50m":              50 * time.Minute,
		"1d":               24 * time.Hour,
		"30s":              30 * time.Second,
	} {
		if got, ok := parseDuration(text); !ok || got.Round(100) != want {
			t.Errorf("%s: %s %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "soon", "-00:01:00", "00:00:00", "1:2", "a:b:c", "x day, 0:00:00", "99999999999.00:00:00", "00:61:00", "00:00:NaN", "240"} {
		if got, ok := parseDuration(text); ok {
			t.Errorf("%s: %s", text, got)
		}
	}
	o := options{ServerTimeout: 5 * time.Hour}
	if got := o.timeout(queryTimeout); got != time.Hour {
		t.Errorf("above the maximum: %s", got)
	}
	if got := (options{}).timeout(queryTimeout); got != 4*time.Minute {
		t.Errorf("default: %s", got)
	}
	if got := (options{NoRequestTimeout: true, ServerTimeout: time.Second}).timeout(queryTimeout); got != time.Hour {
		t.Errorf("norequesttimeout: %s", got)
	}
}

// An option that would change the answer and is not built must not be ignored.
func TestOptionsRefusedByName(t *testing.T) {
	t.Parallel()
	for name, props := range map[string]string{
		"query_language":                `{"Options":{"query_language":"sql"}}`,
		"query_results_apply_getschema": `{"Options":{"query_results_apply_getschema":true}}`,
		"query_datetimescope_column":    `{"Options":{"query_datetimescope_column":"t","query_datetimescope_from":"2020-01-01"}}`,
	} {
		w := newWorld(t)
		w.refused(w.post("/v2/rest/query", "T", props), 400, "General_BadRequest", name)
	}
	w := newWorld(t)
	w.refused(w.post("/v2/rest/query", "set query_results_apply_getschema; T", ""), 400, "General_BadRequest", "query_results_apply_getschema")
	if rec := w.post("/v2/rest/query", "T", `{"Options":{"query_language":"KQL","queryconsistency":"weakconsistency"}}`); rec.Code != 200 {
		t.Error(rec.Body)
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"nothing": "", "not JSON": "T", "array": "[]", "cut": `{"csl":"T"`, "no text": `{"db":"db"}`, "null text": `{"csl":null}`,
		"blank text": `{"csl":" \n "}`, "number": `{"csl":1}`, "two": `{"csl":"T"}{"csl":"T"}`, "invalid UTF-8": "{\"csl\":\"\xff",
	} {
		for _, path := range []string{"/v2/rest/query", "/v1/rest/query", "/v1/rest/mgmt"} {
			w := newWorld(t)
			if rec := w.request("POST", path, []byte(body)); rec.Code != 400 {
				t.Errorf("%s %s: %d %s", path, name, rec.Code, rec.Body)
			}
			if len(w.rt.queries) != 0 {
				t.Errorf("%s %s: a query ran", path, name)
			}
		}
	}
}

func TestDatabaseOfTheRequest(t *testing.T) {
	t.Parallel()
	for body, status := range map[string]int{
		`{"csl":"T","future":{"x":[1]},"db":"db"}`: 200,
		`{"csl":"T"}`:                             200,
		`{"db":null,"csl":"T"}`:                   200,
		`{"db":"","csl":"T"}`:                     200,
		`{"db":"NetDefaultDB","csl":"T"}`:         200,
		`{"db":"DB","csl":"T"}`:                   200,
		`{"db":"nope","csl":"T"}`:                 400,
		`{"db":"Other","csl":"U"}`:                200,
		`{"db":"Other","csl":"T"}`:                400,
		`{"db":"db","csl":"database('Other').U"}`: 200,
	} {
		w := newWorld(t)
		if rec := w.request("POST", "/v2/rest/query", []byte(body)); rec.Code != status {
			t.Errorf("%s: %d %s", body, rec.Code, rec.Body)
		}
	}
	w := newWorld(t)
	w.rt.databases = nil
	w.refused(w.request("POST", "/v2/rest/query", []byte(`{"csl":"print 1"}`)), 400, "BadRequest_DatabaseNotExist", "NetDefaultDB")
}

func FuzzParseRequest(f *testing.F) {
	f.Add("db", "T", `{"Options":{"servertimeout":"1 day, 0:00:00"}}`)
	f.Add("", "set x; T", `"{\"Parameters\":{\"a\":1}}"`)
	f.Add("", "T", `{"Options":{"servertimeout":"9999999999999.00:00:00","truncationmaxrecords":1e99}}`)
	f.Fuzz(func(t *testing.T, db, text, props string) {
		req, err := parseRequest(db, text, json.RawMessage(props))
		var e *Error
		if err != nil && (!errors.As(err, &e) || e.Status != http.StatusBadRequest) {
			t.Fatalf("%v", err)
		}
		if err == nil {
			if d := req.Options.timeout(queryTimeout); d <= 0 || d > time.Hour {
				t.Fatalf("timeout %s", d)
			}
		}
	})
}
