package kusto

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/cluster"
)

const streamURL = "/v1/rest/ingest/db/T"

// streamWorld is a world whose table takes streaming ingestion.
func streamWorld(t *testing.T) *world {
	w := newWorld(t)
	w.rt.policies["db/T/streamingingestion"] = json.RawMessage(`{"IsEnabled":true}`)
	return w
}

func TestStreamFormats(t *testing.T) {
	t.Parallel()
	for query, data := range map[string]string{
		"":                                       "1,a\n2,b\n",
		"?streamFormat=Csv":                      "1,a\n2,b\n",
		"?streamFormat=CSV&zipPattern=x":         "1,a\r\n2,b",
		"?StreamFormat=csv":                      "1,a\n2,b\n",
		"?streamFormat=tsv":                      "1\ta\n2\tb",
		"?streamFormat=psv":                      "1|a\n2|b",
		"?streamFormat=scsv":                     "1;a\n2;b",
		"?streamFormat=JSON":                     "{\"id\":1,\"name\":\"a\"}\n{\"id\":2}",
		"?streamFormat=MultiJson":                "[{\"id\":1,\n\"name\":\"a\"},{\"id\":2}]",
		"?streamFormat=SingleJson":               "{\"id\":1,\n\"name\":\"a\"}{\"id\":2}",
		"?streamFormat=csv&sourceKind=Stream":    "1,a\n2,b",
		"?streamFormat=csv&mappingName=":         "1,a\n2,b",
		"?streamFormat=csv&unknown=thing&api=v1": "1,a\n2,b",
	} {
		w := streamWorld(t)
		for _, coding := range []string{"", "gzip", "deflate"} {
			body, header := []byte(data), []string{}
			if coding != "" {
				body, header = compressed(t, coding, body), []string{"Content-Encoding", coding}
			}
			columns, rows := w.table(w.request("POST", streamURL+query, body, header...))
			if columns[0] != "ConsumedRecordsCount:long" || rows[0][0] != 2.0 {
				t.Errorf("%s %s: %v %v", query, coding, columns, rows)
			}
		}
		if w.rt.ingested != 6 {
			t.Errorf("%s: %d rows", query, w.rt.ingested)
		}
	}
}

func TestStreamValues(t *testing.T) {
	t.Parallel()
	w := streamWorld(t)
	var got arrow.RecordBatch
	w.rt.ingest = func(table string, b arrow.RecordBatch) error {
		b.Retain()
		got = b
		return nil
	}
	w.table(w.request("POST", streamURL+"?streamFormat=json", []byte(`{"id":"7","name":{"x":[1]}}{"id":"x","name":null}`)))
	data, err := got.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]map[string]any{{"c1": 7.0, "c2": `{"x":[1]}`}, {"c1": nil, "c2": ""}}, rows); diff != "" {
		t.Error(diff)
	}
}

func TestStreamParquet(t *testing.T) {
	t.Parallel()
	w := streamWorld(t)
	_, rows := w.table(w.request("POST", streamURL+"?streamFormat=Parquet", append([]byte("PAR1"), make([]byte, maxStream+1)...)))
	if rows[0][0] != 7.0 || w.rt.parquet["id"] != "id" {
		t.Error(rows, w.rt.parquet)
	}
	w.refused(w.request("POST", streamURL+"?streamFormat=parquet", []byte("1,a")), 400, "General_BadRequest", "not Parquet")
	w.refused(w.request("POST", streamURL+"?streamFormat=parquet", make([]byte, maxStreamParquet+1)), 413, "BadRequest_MessageTooLarge", "67108864")
}

func TestStreamLimits(t *testing.T) {
	t.Parallel()
	w := streamWorld(t)
	row := []byte("1,abcdefgh\n")
	whole := bytes.Repeat(row, maxStream/len(row))
	if rec := w.request("POST", streamURL, whole); rec.Code != 200 {
		t.Error(rec.Body)
	}
	w.rt.ingested = 0
	over := append(whole, bytes.Repeat(row, 2)...)
	w.refused(w.request("POST", streamURL, over), 413, "BadRequest_MessageTooLarge", "4194304")
	w.refused(w.request("POST", streamURL, compressed(t, "gzip", over), "Content-Encoding", "gzip"), 413, "BadRequest_MessageTooLarge", "4194304")
	columns, rows := w.table(w.request("POST", streamURL, nil))
	if rows[0][0] != 0.0 || w.rt.ingested != 0 {
		t.Error(columns, rows)
	}
}

func TestStreamRefusals(t *testing.T) {
	t.Parallel()
	w := streamWorld(t)
	for query, want := range map[string]string{
		"?streamFormat=avro":             "'avro' is not supported",
		"?streamFormat=ORC":              "'ORC' is not supported",
		"?streamFormat=docx":             "'docx' is not a data format",
		"?sourceKind=uri":                "sourceKind 'uri' is not supported",
		"?streamFormat=json":             "valid JSON",
		"?streamFormat=csv&sourceKind=x": "sourceKind 'x'",
	} {
		w.refused(w.request("POST", streamURL+query, []byte(`{"id":1`)), 400, "General_BadRequest", want)
	}
	w.refused(w.request("POST", streamURL+"?streamFormat=json&mappingName=m1", []byte(`{}`)), 400, "BadRequest_EntityNotFound", "'m1' of kind 'MappingReference'")
	w.refused(w.request("POST", "/v1/rest/ingest/db/Missing", []byte("1")), 400, "BadRequest_EntityNotFound", "'Missing' of kind 'Table'")
	w.refused(w.request("POST", "/v1/rest/ingest/nope/T", []byte("1")), 400, "BadRequest_DatabaseNotExist", "nope")
	w.refused(w.request("POST", streamURL, []byte("1,a"), "Content-Encoding", "gzip"), 400, "General_BadRequest", "valid gzip")
	cut := compressed(t, "gzip", []byte("1,a\n2,b\n"))
	w.refused(w.request("POST", streamURL, cut[:len(cut)-3], "Content-Encoding", "gzip"), 400, "General_BadRequest", "request body")
	w.refused(w.request("POST", streamURL, []byte("1,a"), "x-ms-readonly", "true"), 400, "General_BadRequest", "read-only")
	if w.rt.ingested != 0 {
		t.Errorf("%d rows were taken", w.rt.ingested)
	}
	w.rt.ingest = func(string, arrow.RecordBatch) error { return errors.New("disk is full") }
	w.refused(w.request("POST", streamURL, []byte("1,a")), 500, "General_InternalServerError", "activity id")
	w.rt.ingest = func(string, arrow.RecordBatch) error { return cluster.ErrNotRunning }
	w.refused(w.request("POST", streamURL, []byte("1,a")), 412, "PreconditionFailed", "not running")
}

// The table's policy decides; without one the database's; the cluster's flag above both.
func TestStreamingPolicy(t *testing.T) {
	t.Parallel()
	on, off := json.RawMessage(`{"IsEnabled":true,"HintAllocatedRate":2.1}`), json.RawMessage(`{"IsEnabled":false}`)
	for _, tc := range []struct {
		table, database json.RawMessage
		flag, want      bool
	}{
		{nil, nil, true, false}, {on, nil, true, true}, {nil, on, true, true}, {off, on, true, false}, {on, off, true, true}, {nil, off, true, false}, {on, on, false, false},
	} {
		w := newWorld(t)
		w.h.streaming = fakeStreaming(tc.flag)
		if tc.table != nil {
			w.rt.policies["db/T/streamingingestion"] = tc.table
		}
		if tc.database != nil {
			w.rt.policies["db//streamingingestion"] = tc.database
		}
		rec := w.request("POST", streamURL, []byte("1,a"))
		if tc.want {
			w.table(rec)
		} else {
			w.refused(rec, 400, "BadRequest_StreamingIngestionPolicyNotEnabled", "Streaming ingestion")
		}
	}
	// The commands' own policy is the one that counts.
	w := newWorld(t)
	w.table(w.command(".alter table T policy streamingingestion '{\"IsEnabled\": true}'"))
	w.table(w.request("POST", streamURL, []byte("1,a")))
	w.table(w.command(".alter table T policy streamingingestion disable"))
	w.refused(w.request("POST", streamURL, []byte("1,a")), 400, "BadRequest_StreamingIngestionPolicyNotEnabled", "table 'T'")
	w.table(w.command(".alter database db policy streamingingestion enable"))
	w.table(w.command(".delete table T policy streamingingestion"))
	w.table(w.request("POST", streamURL, []byte("1,a")))
}
