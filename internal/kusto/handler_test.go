package kusto

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

func TestAuthMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rec := w.request("GET", "/v1/rest/auth/metadata", nil, "Authorization", "")
	var m struct{ AzureAD map[string]any }
	if err := json.Unmarshal(rec.Body.Bytes(), &m); err != nil || rec.Code != 200 {
		t.Fatal(rec.Code, err)
	}
	for _, name := range []string{"LoginEndpoint", "LoginMfaRequired", "KustoClientAppId", "KustoClientRedirectUri", "KustoServiceResourceId", "FirstPartyAuthorityUrl"} {
		if _, ok := m.AzureAD[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	if m.AzureAD["LoginEndpoint"] != "https://login.microsoftonline.com" {
		t.Error("SDKs choose their list of trusted hosts by LoginEndpoint")
	}
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.principal("nobody", "", "", "")
	w.principal("elsewhere", catalog.ScopeCluster, "", "AllDatabasesAdmin")
	stranger := w.verifier["elsewhere"]
	stranger.TenantID = "6a1c0d6e-0000-4000-8000-0000000000ff"
	w.verifier["elsewhere"] = stranger

	for _, auth := range []string{"", "Bearer", "Bearer wrong", "Basic admin", "admin"} {
		rec := w.post("/v2/rest/query", "T", "", "Authorization", auth)
		if rec.Code != 401 || rec.Body.Len() != 0 || !strings.Contains(rec.Header().Get("WWW-Authenticate"), tenantID) {
			t.Errorf("%q: %d %q %s", auth, rec.Code, rec.Body, rec.Header())
		}
	}
	w.refused(w.post("/v2/rest/query", "T", "", "Authorization", "Bearer nobody"), 403, "Forbidden", "aadapp=app-nobody;"+tenantID)
	w.refused(w.post("/v2/rest/query", "T", "", "Authorization", "Bearer elsewhere"), 403, "Forbidden", "not authorized")
	w.refused(w.post("/v2/rest/query", "T", "", "Host", "other.westeurope.kusto.windows.net"), 404, "General_NotFound", "other.westeurope")
	w.refused(w.request("GET", "/v1/rest/nothing", nil), 404, "General_NotFound", "/v1/rest/nothing")
	if len(w.rt.queries) != 0 {
		t.Error("a query ran")
	}
	for _, h := range []string{host, host + ":443", strings.ToUpper(host), "ingest-" + host, "localhost:8501"} {
		if rec := w.post("/v2/rest/query", "T", "", "Host", h); rec.Code != 200 {
			t.Errorf("%s: %d", h, rec.Code)
		}
	}
}

func TestIngestHostSaysWhatItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for h, want := range map[string]string{host: "Engine", "ingest-" + host: "DataManagement", "localhost:1": "Engine"} {
		if _, rows := w.table(w.command(".show version", "Host", h)); rows[0][2] != want {
			t.Errorf("%s: %v", h, rows[0])
		}
	}
	w.refused(w.command(".get ingestion resources", "Host", "ingest-"+host), 400, "General_BadRequest", "'.get ingestion resources' is not supported")
	w.refused(w.command(".get kusto identity token", "Host", "ingest-"+host), 400, "General_BadRequest", "'.get kusto identity token' is not supported")
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, rec := range []*httptest.ResponseRecorder{w.post("/v2/rest/query", "T", ""), w.post("/v2/rest/query", "Missing", ""), w.post("/v2/rest/query", "T", "", "Authorization", "")} {
		if rec.Header().Get("x-ms-client-request-id") != "KPC.execute;1" || !guids.MatchString(rec.Header().Get("x-ms-activity-id")) {
			t.Errorf("%d: %v", rec.Code, rec.Header())
		}
	}
	a, b := w.post("/v2/rest/query", "T", ""), w.post("/v2/rest/query", "T", "")
	if a.Header().Get("x-ms-activity-id") == b.Header().Get("x-ms-activity-id") {
		t.Error("activity ids are not fresh")
	}
	if got := w.post("/v2/rest/query", "T", "", "x-ms-client-request-id", strings.Repeat("x", 5000)).Header().Get("x-ms-client-request-id"); len(got) > maxRequestID {
		t.Errorf("%d bytes were echoed", len(got))
	}
	if got := w.post("/v2/rest/query", "T", "").Header().Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Error(got)
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := url.Values{"db": {"db"}, "csl": {"T"}, "properties": {`{"Options":{"query_take_max_records":1}}`}}.Encode()
	for _, path := range []string{"/v2/rest/query", "/v1/rest/query"} {
		rec := w.request("GET", path+"?"+q, nil)
		if rec.Code != 200 || strings.Contains(rec.Body.String(), `"b"]`) || !strings.Contains(rec.Body.String(), `[1,"a"]`) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if rec := w.request("GET", "/v1/rest/query?csl=.show+version", nil); rec.Code != 200 {
		t.Error(rec.Body)
	}
	w.refused(w.request("GET", "/v1/rest/query?csl=.drop+table+T", nil), 400, "General_BadRequest", "read-only")
	w.refused(w.request("GET", "/v2/rest/query", nil), 400, "General_BadRequest", "csl")
	for _, c := range [][2]string{{"DELETE", "/v2/rest/query"}, {"HEAD", "/v2/rest/query"}, {"GET", "/v1/rest/mgmt"}, {"PUT", "/v1/rest/mgmt"}, {"GET", "/v1/rest/ingest/db/T"}, {"POST", "/v1/rest/auth/metadata"}} {
		rec := w.request(c[0], c[1], nil)
		if rec.Code != 405 || rec.Header().Get("Allow") == "" {
			t.Errorf("%v: %d", c, rec.Code)
		}
	}
	if rec := w.request("HEAD", "/v1/rest/auth/metadata", nil, "Authorization", ""); rec.Code != 200 {
		t.Error(rec.Code)
	}
	if rec := w.request("GET", "/v1/rest/ping", nil, "Authorization", ""); rec.Body.String() != "OK" {
		t.Error(rec.Body)
	}
	w.refused(w.post("/v2/rest/query", ".show version", ""), 400, "General_BadRequest", "/v1/rest/mgmt")
	w.refused(w.command("T"), 400, "General_BadRequest", "begins with a dot")
	if rec := w.post("/v1/rest/query", ".show version", ""); rec.Code != 200 {
		t.Error("Grafana's health check sends commands to the query endpoint:", rec.Body)
	}
}

func TestBrowsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/v2/rest/query", "/v1/rest/mgmt", "/v1/rest/auth/metadata", "/v1/rest/ingest/db/T"} {
		rec := w.request("OPTIONS", path, nil, "Authorization", "", "Origin", "https://dataexplorer.azure.com",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-ms-app")
		h := rec.Header()
		if rec.Code != 204 || h.Get("Access-Control-Allow-Origin") != "https://dataexplorer.azure.com" || h.Get("Access-Control-Allow-Headers") != "authorization,x-ms-app" ||
			!strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
			t.Errorf("%s: %d %v", path, rec.Code, h)
		}
	}
	for _, rec := range []*httptest.ResponseRecorder{w.post("/v2/rest/query", "T", "", "Origin", "https://a.example"), w.post("/v2/rest/query", "Missing", "", "Origin", "https://a.example")} {
		h := rec.Header()
		if h.Get("Access-Control-Allow-Origin") != "https://a.example" || !strings.Contains(h.Get("Access-Control-Expose-Headers"), "x-ms-activity-id") || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%d: %v", rec.Code, h)
		}
	}
	if got := w.post("/v2/rest/query", "T", "").Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Error("a header for browsers without one asking:", got)
	}
}

// compressed encodes data with a content coding; "raw" is deflate without its wrapper.
func compressed(t testing.TB, coding string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser
	switch coding {
	case "gzip":
		z = gzip.NewWriter(&b)
	case "deflate":
		z = zlib.NewWriter(&b)
	default:
		var err error
		if z, err = flate.NewWriter(&b, flate.BestSpeed); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompression(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := []byte(`{"db":"db","csl":"T"}`)
	for _, c := range []struct{ header, coding string }{{"gzip", "gzip"}, {"GZIP", "gzip"}, {"x-gzip", "gzip"}, {"deflate", "deflate"}, {"deflate", "raw"}} {
		if rec := w.request("POST", "/v2/rest/query", compressed(t, c.coding, body), "Content-Encoding", c.header); rec.Code != 200 {
			t.Errorf("%v: %d %s", c, rec.Code, rec.Body)
		}
	}
	whole := compressed(t, "gzip", body)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-5] ^= 1 // the checksum
	for name, data := range map[string][]byte{"not gzip": body, "cut": whole[:len(whole)-4], "checksum": flipped, "empty": nil} {
		w.refused(w.request("POST", "/v2/rest/query", data, "Content-Encoding", "gzip"), 400, "General_BadRequest", "request body")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	w.refused(w.request("POST", "/v2/rest/query", body, "Content-Encoding", "br"), 400, "General_BadRequest", "'br' is not supported")

	plain := w.post("/v2/rest/query", "T", "").Body.Bytes()
	for accept, coding := range map[string]string{"gzip": "gzip", "gzip, deflate": "gzip", "deflate": "deflate", "br;q=1.0, gzip;q=0.5": "gzip", "gzip;q=0, deflate": "deflate", "gzip;q=0.000": "", "": "", "br": "", "identity": ""} {
		rec := w.post("/v2/rest/query", "T", "", "Accept-Encoding", accept)
		if got := rec.Header().Get("Content-Encoding"); got != coding {
			t.Errorf("%q: %q", accept, got)
			continue
		}
		var r io.Reader = rec.Body
		var err error
		switch coding {
		case "gzip":
			r, err = gzip.NewReader(rec.Body)
		case "deflate":
			r, err = zlib.NewReader(rec.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(stable(got), stable(plain)) {
			t.Errorf("%q: %v", accept, err)
		}
	}
	if rec := w.post("/v2/rest/query", "Missing", "", "Accept-Encoding", "gzip"); rec.Header().Get("Content-Encoding") != "" || !json.Valid(rec.Body.Bytes()) {
		t.Error("an error is not compressed")
	}
}

// A small body that expands without end is cut at the limit.
func TestBombs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.policies["db/T/streamingingestion"] = json.RawMessage(`{"IsEnabled":true}`)
	bomb := compressed(t, "gzip", make([]byte, maxStream+10))
	w.refused(w.request("POST", "/v2/rest/query", make([]byte, maxBody+1)), 413, "BadRequest_MessageTooLarge", fmt.Sprint(maxBody))
	w.refused(w.request("POST", "/v1/rest/ingest/db/T", bomb, "Content-Encoding", "gzip"), 413, "BadRequest_MessageTooLarge", fmt.Sprint(maxStream))
	// Empty gzip members, one after the other, expand to nothing for ever.
	none := bytes.Repeat(compressed(t, "gzip", nil), 60_000)
	r := httptest.NewRequest("POST", "/", bytes.NewReader(none))
	r.Header.Set("Content-Encoding", "gzip")
	var e *Error
	if _, err := readBody(r, 10); !errors.As(err, &e) || e.Status != 413 {
		t.Errorf("%d bytes that expand to nothing: %v", len(none), err)
	}
	if len(w.rt.queries) != 0 || w.rt.ingested != 0 {
		t.Error("something ran")
	}
}

// A client that waits for "100 Continue" is refused before it sends its body,
// and asked for it when it is admitted.
func TestExpect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Host = host
		w.h.ServeHTTP(rw, r)
	}))
	defer server.Close()
	for token, want := range map[string]string{"admin": "HTTP/1.1 100 Continue", "wrong": "HTTP/1.1 401 Unauthorized"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := `{"db":"db","csl":"T"}`
		fmt.Fprintf(conn, "POST /v2/rest/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", token, len(body))
		r := bufio.NewReader(conn)
		line, err := r.ReadString('\n')
		if err != nil || strings.TrimSpace(line) != want {
			t.Errorf("%s: %q %v", token, line, err)
			continue
		}
		if token != "admin" {
			continue
		}
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, body)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
}

// The server timeout reaches the runtime as a deadline.
func TestServerTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var left time.Duration
	w.rt.query = func(ctx context.Context, _ cluster.Query) (engine.Rows, error) {
		at, ok := ctx.Deadline()
		if !ok {
			t.Error("no deadline")
		}
		left = time.Until(at)
		return &fakeRows{}, nil
	}
	for props, most := range map[string]time.Duration{"": queryTimeout, `{"Options":{"servertimeout":"00:00:10"}}`: 10 * time.Second, `{"Options":{"norequesttimeout":true}}`: time.Hour} {
		w.post("/v2/rest/query", "T", props)
		if left > most || left < most/2 {
			t.Errorf("%s: %s", props, left)
		}
	}
}

// Rows that come when the time is over are not the beginning of an answer.
func TestRowsThatAreLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	soon := w.rt.query
	w.rt.query = func(ctx context.Context, q cluster.Query) (engine.Rows, error) {
		<-ctx.Done()
		return soon(ctx, q)
	}
	for _, path := range []string{"/v1/rest/query", "/v2/rest/query"} {
		w.refused(w.post(path, "T", `{"Options":{"servertimeout":"00:00:00.0000001"}}`), 504, "Timeout", "")
	}
}

// Everything is refused while the key is away, what needs no data too.
func TestSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.suspended = &cluster.SuspendedError{Code: "KeyDisabled", Reason: "the key is disabled"}
	w.rt.policies["db/T/streamingingestion"] = json.RawMessage(`{"IsEnabled":true}`)
	for _, text := range []string{"T", "Missing", "print 1", "database('Other').U"} {
		w.refused(w.post("/v2/rest/query", text, ""), 412, "PreconditionFailed", "the key is disabled")
		w.refused(w.post("/v1/rest/query", text, ""), 412, "PreconditionFailed", "the key is disabled")
	}
	for _, text := range []string{".show tables", ".show table T cslschema", ".show schema as json", ".show database db schema", ".create table X (a:int)",
		".ingest inline into table T <| 1,a", ".set-or-append T <| T", ".show databases details", ".show tables | count", ".show databases entities",
		".show version", ".show databases", ".show cluster", ".show principal roles", ".show functions"} {
		w.refused(w.command(text), 412, "PreconditionFailed", "the key is disabled")
	}
	answer := w.request("POST", "/v1/rest/ingest/db/T", []byte("1,a"))
	w.refused(answer, 412, "PreconditionFailed", "the key is disabled")
	if got := answer.Header().Get("Connection"); got != "close" {
		t.Errorf("the connection stays open: %q", got)
	}
	if w.rt.ingested != 0 {
		t.Error("rows were taken")
	}
}

// A database whose own key is away is refused by its name; the others answer,
// and it hides none of them from a list.
func TestDatabaseSuspended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.closed = &cluster.SuspendedError{Database: "Other", Code: "KeyDisabled", Reason: "the key is disabled"}
	w.table(w.command(".show tables"))
	w.refused(w.post("/v2/rest/query", "database('Other').U", ""), 412, "PreconditionFailed", "database 'Other' is suspended")
	for _, text := range []string{".show databases", ".show databases details", ".show databases entities", ".show schema as json"} {
		rec := w.command(text)
		w.table(rec)
		if text == ".show databases" && !strings.Contains(rec.Body.String(), "Suspended since 2026-11-24T09:00:00.0000000Z: the key is disabled (KeyDisabled)") {
			t.Errorf("%s: %s", text, rec.Body)
		}
	}
	w.refused(w.command(".show database Other schema"), 412, "PreconditionFailed", "database 'Other' is suspended")
}

// A database whose log is damaged is refused by its name and that of the
// segment; the others answer, and it hides none of them from a list.
func TestDatabaseWithDamagedLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.damaged = &cluster.LogError{Database: "Other", Segment: "the-segment", Offset: 160, Since: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Cause: errors.New("/a/path")}
	w.table(w.command(".show tables"))
	w.refused(w.post("/v2/rest/query", "database('Other').U", ""), 520, "ServiceError", "'Other' is closed because its write-ahead log is damaged: segment 'the-segment' cannot be read. The damage is in the frame at offset 160")
	for _, text := range []string{".show databases", ".show databases details", ".show databases entities", ".show schema as json"} {
		rec := w.command(text)
		w.table(rec)
		if text == ".show databases" && !strings.Contains(rec.Body.String(), "Closed since 2026-11-24T09:00:00.0000000Z: database Other is closed because its log is damaged: segment the-segment cannot be read at offset 160") {
			t.Errorf("%s: %s", text, rec.Body)
		}
		if strings.Contains(rec.Body.String(), "/a/path") {
			t.Errorf("%s tells a path", text)
		}
	}
	rec := w.command(".show database Other schema")
	w.refused(rec, 520, "ServiceError", "'Other' is closed because")
	if strings.Contains(rec.Body.String(), "/a/path") {
		t.Error("the error tells a path")
	}
}
