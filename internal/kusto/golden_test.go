package kusto

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/test/golden"
)

// answers compares an answer, status line first, with testdata/golden/name.
func answers(t *testing.T, name string, rec *httptest.ResponseRecorder) {
	t.Helper()
	golden.Compare(t, filepath.Join("golden", name), string(stable(append([]byte(rec.Result().Status+"\n"), rec.Body.Bytes()...))))
}

// goOptions are what the Go SDK always sends.
const goOptions = `"results_v2_newlines_between_frames":true,"results_v2_fragment_primary_tables":true,"results_error_reporting_placement":"end_of_table","servertimeout":"00:00:24.9999"`

var errBroken = &cluster.QueryError{Message: "Out of Range Error: overflow in addition of INT64"}

// TestAnswers fixes every answer of a query byte for byte.
func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, path, text, options string
		batches                   int // of two rows each
		err                       error
	}{
		{name: "v2-plain", text: "T", batches: 1},
		{name: "v2-empty", text: "T"},
		{name: "v2-newlines", text: "T", options: `"results_v2_newlines_between_frames":true`, batches: 1},
		{name: "v2-go", text: "T", options: goOptions, batches: 2},
		{name: "v2-go-empty", text: "T", options: goOptions},
		{name: "v2-two-results", text: "T; T | as Second", batches: 1},
		{name: "v2-go-two-results", text: "T; T | as Second", options: goOptions, batches: 1},
		{name: "v2-render", text: "T | sort by id asc | render timechart with (title='x', xcolumn=id)", batches: 1},
		{name: "v2-take", text: "T", options: `"query_take_max_records":1`, batches: 1},

		{name: "v2-error-in-data", text: "T", batches: 1, err: errBroken},
		{name: "v2-error-end-of-table", text: "T", options: `"results_error_reporting_placement":"end_of_table"`, batches: 1, err: errBroken},
		{name: "v2-error-end-of-dataset", text: "T", options: `"results_error_reporting_placement":"end_of_dataset"`, batches: 1, err: errBroken},
		{name: "v2-go-error", text: "T; T", options: goOptions, batches: 1, err: errBroken},
		{name: "v2-fragmented-error-in-data", text: "T", options: `"results_v2_fragment_primary_tables":true`, batches: 1, err: errBroken},
		{name: "v2-fragmented-error-end-of-dataset", text: "T", options: `"results_v2_fragment_primary_tables":true,"results_error_reporting_placement":"end_of_dataset"`, batches: 1, err: errBroken},
		{name: "v2-deferred", text: "T", options: `"deferpartialqueryfailures":true`, batches: 1, err: errBroken},
		{name: "v2-memory", text: "T", batches: 1, err: &cluster.QueryError{Message: "out of memory", Memory: true}},
		{name: "v2-timeout", text: "T", batches: 1, err: context.DeadlineExceeded},
		{name: "v2-cancelled", text: "T", batches: 1, err: context.Canceled},
		{name: "v2-engine-gone", text: "T", batches: 1, err: cluster.ErrEngine},
		{name: "v2-key-lost", text: "T", batches: 1, err: &cluster.SuspendedError{Code: "KeyNotFound", VaultURI: "https://v.vault.azure.net", Reason: "key 'k' is gone"}},

		{name: "v2-records", text: "T", options: `"truncationmaxrecords":3`, batches: 2},
		{name: "v2-records-deferred", text: "T", options: `"truncationmaxrecords":3,"deferpartialqueryfailures":true`, batches: 2},
		{name: "v2-go-records", text: "T", options: goOptions + `,"truncationmaxrecords":3`, batches: 2},
		{name: "v2-size", text: "set truncationmaxsize=1048576; T", options: `"truncationmaxsize":10`, batches: 2},
		{name: "v2-notruncation", text: "set notruncation; T", batches: 1},

		{name: "v1-plain", path: "/v1/rest/query", text: "T", batches: 1},
		{name: "v1-two-results", path: "/v1/rest/query", text: "T; T | as Second", batches: 1},
		{name: "v1-error", path: "/v1/rest/query", text: "T", batches: 1, err: errBroken},
		{name: "v1-error-at-once", path: "/v1/rest/query", text: "T", err: errBroken},
		{name: "v1-key-lost", path: "/v1/rest/query", text: "T", batches: 1, err: &cluster.SuspendedError{Code: "KeyNotFound", VaultURI: "https://v.vault.azure.net", Reason: "key 'k' is gone"}},
		{name: "v1-records", path: "/v1/rest/query", text: "T", options: `"truncationmaxrecords":1`, batches: 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var given []*fakeRows
			w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) {
				rows := &fakeRows{err: tc.err}
				for range tc.batches {
					rows.batches = append(rows.batches, batch(t, columnsOfT(), `[{"c1":9223372036854775807,"c2":"a\nb"},{"c1":null,"c2":"<&>\"é"}]`))
				}
				given = append(given, rows)
				return rows, nil
			}
			if tc.path == "" {
				tc.path = "/v2/rest/query"
			}
			rec := w.post(tc.path, tc.text, `{"Options":{`+tc.options+`}}`)
			if !json.Valid(rec.Body.Bytes()) {
				t.Errorf("not JSON: %s", rec.Body)
			}
			if strings.Contains(tc.options, "newlines") {
				oneFrameALine(t, rec.Body.Bytes())
			}
			answers(t, tc.name+".txt", rec)
			for _, r := range given {
				if !r.closed {
					t.Error("rows were not closed")
				}
			}
		})
	}
}

// oneFrameALine checks what the Go SDK reads by hand: each line is a mark and
// one frame, the last is the closing bracket.
func oneFrameALine(t *testing.T, body []byte) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	for i, line := range lines[:len(lines)-1] {
		want := byte(',')
		if i == 0 {
			want = '['
		}
		if line[0] != want || !json.Valid([]byte(line[1:])) {
			t.Errorf("line %d: %q", i, line)
		}
	}
	if lines[len(lines)-1] != "]" {
		t.Errorf("last line: %q", lines[len(lines)-1])
	}
}

// Every kind of failure before the first row is an HTTP error in the envelope.
func TestErrorEnvelopes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
	}{
		{"engine-refusal", errBroken},
		{"memory", &cluster.QueryError{Message: "out of memory", Memory: true}},
		{"engine-gone", cluster.ErrEngine},
		{"timeout", context.DeadlineExceeded},
		{"cancelled", context.Canceled},
		{"suspended", &cluster.SuspendedError{Code: "KeyDisabled", VaultURI: "https://v.vault.azure.net", Reason: "the key is disabled"}},
		{"database-suspended", &cluster.SuspendedError{Database: "db", Code: "KeyDisabled", VaultURI: "https://v.vault.azure.net", Reason: "the key is disabled"}},
		{"stopped", cluster.ErrNotRunning},
		{"disk-full", fmt.Errorf("commit: %w", syscall.ENOSPC)},
		{"log", &cluster.LogError{Database: "db", Segment: "6a1c0d6e-0000-4000-8000-000000000888", Offset: 160, Cause: errors.New("/data/x.kwl: the frame does not verify")}},
		{"extent", &cluster.ExtentError{ID: "6a1c0d6e-0000-4000-8000-000000000777", Cause: errors.New("chunk 3: message authentication failed")}},
		{"unknown", errors.New("secret detail")},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) { return nil, tc.err }
			rec := w.post("/v2/rest/query", "T", "")
			answers(t, "error-"+tc.name+".txt", rec)
			if bytes.Contains(rec.Body.Bytes(), []byte("secret detail")) {
				t.Error("an internal cause reached the client")
			}
		})
	}
	for name, text := range map[string]string{
		"syntax":   "T\n| where id ==== 1",
		"semantic": "T\n| where nope == 'a<b'",
		"function": "T | extend x = frobnicate(id)",
		"table":    "Missing | count",
		"let-only": "let x = 1;",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers(t, "error-"+name+".txt", newWorld(t).post("/v2/rest/query", text, ""))
		})
	}
}
