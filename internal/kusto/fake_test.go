package kusto

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

const (
	clusterID = "6a1c0d6e-0000-4000-8000-000000000001"
	tenantID  = "6a1c0d6e-0000-4000-8000-00000000000f"
	host      = "demo.westeurope.kusto.windows.net"
)

// fakeRuntime is one cluster in memory. What a query returns is scripted.
type fakeRuntime struct {
	mu        sync.Mutex
	databases []catalog.Database
	tables    map[string][]catalog.Table // by database
	policies  map[string]json.RawMessage // by database/table/kind
	grants    []catalog.Grant
	suspended *cluster.SuspendedError
	hot       cluster.HotState
	closed    *cluster.SuspendedError // one database
	damaged   *cluster.LogError       // one database

	query  func(ctx context.Context, q cluster.Query) (engine.Rows, error)
	ingest func(table string, batch arrow.RecordBatch) error
	append func(table string, q cluster.Query) (int64, error) // IngestQuery

	queries  []cluster.Query
	ingested int64
	parquet  map[string]string // columns of the last IngestParquet
}

func (f *fakeRuntime) ByHost(h string) (string, bool) {
	return clusterID, strings.TrimPrefix(h, "ingest-") == host || h == "localhost"
}
func (f *fakeRuntime) Spec(context.Context, string) (cluster.Spec, error) {
	return cluster.Spec{ID: clusterID, Name: "demo", Location: "westeurope", URI: "https://" + host}, nil
}
func (f *fakeRuntime) State(context.Context, string) (cluster.State, error) {
	if s := f.suspended; s != nil {
		return cluster.State{Phase: cluster.Suspended, Reason: s.Reason, Code: s.Code, VaultURI: s.VaultURI}, nil
	}
	return cluster.State{Phase: cluster.Running, Hot: f.hot}, nil
}
func (f *fakeRuntime) DatabaseState(_ context.Context, _, name string) (cluster.DatabaseState, error) {
	if f.damaged != nil && f.damaged.Database == name {
		return cluster.DatabaseState{Damage: f.damaged}, nil
	}
	if f.closed == nil || f.closed.Database != name {
		return cluster.DatabaseState{}, nil
	}
	return cluster.DatabaseState{Own: true, Suspended: true, Since: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Reason: f.closed.Reason, Code: f.closed.Code}, nil
}
func (f *fakeRuntime) Grants(context.Context, string) ([]catalog.Grant, error) { return f.grants, nil }
func (f *fakeRuntime) Databases(context.Context, string) ([]catalog.Database, error) {
	return f.databases, nil
}
func (f *fakeRuntime) Database(_ context.Context, _, name string) (catalog.Database, error) {
	for _, db := range f.databases {
		if strings.EqualFold(db.Name, name) {
			return db, nil
		}
	}
	return catalog.Database{}, catalog.ErrNotFound
}

// up is the refusal of everything that needs the key.
func (f *fakeRuntime) up() error {
	if f.suspended != nil {
		return f.suspended
	}
	return nil
}

func (f *fakeRuntime) CreateTable(_ context.Context, _, database string, t catalog.Table) (catalog.Table, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, have := range f.tables[database] {
		if have.Name == t.Name {
			return t, fmt.Errorf("table %s: %w", t.Name, catalog.ErrExists)
		}
	}
	t.ID = fmt.Sprintf("6a1c0d6e-0000-4000-8000-0000000001%02d", len(f.tables[database]))
	for i := range t.Columns {
		t.Columns[i].ID = i + 1
	}
	f.tables[database] = append(f.tables[database], t)
	return t, f.up()
}

func (f *fakeRuntime) AlterTable(_ context.Context, _, database string, t catalog.Table) (catalog.Table, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, have := range f.tables[database] {
		if have.Name == t.Name {
			f.tables[database][i] = t
			return t, nil
		}
	}
	return t, catalog.ErrNotFound
}

func (f *fakeRuntime) DropTable(_ context.Context, _, database, table string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.tables[database])
	f.tables[database] = slices.DeleteFunc(f.tables[database], func(t catalog.Table) bool { return t.Name == table })
	if len(f.tables[database]) == before {
		return fmt.Errorf("table %s: %w", table, catalog.ErrNotFound)
	}
	return nil
}

func (f *fakeRuntime) Tables(_ context.Context, _, database string) ([]catalog.Table, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed != nil && strings.EqualFold(f.closed.Database, database) {
		return nil, f.closed
	}
	if f.damaged != nil && strings.EqualFold(f.damaged.Database, database) {
		return nil, f.damaged
	}
	return slices.Clone(f.tables[database]), f.up()
}

func (f *fakeRuntime) Table(_ context.Context, _, database, table string) (catalog.Table, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range f.tables[database] {
		if t.Name == table {
			return t, f.up()
		}
	}
	return catalog.Table{}, errors.Join(f.up(), catalog.ErrNotFound)
}

func (f *fakeRuntime) TableStats(context.Context, string, string, string) (catalog.TableStats, error) {
	return catalog.TableStats{Extents: 2, Rows: 30, StoredBytes: 1000, OriginalSize: 900, MinIngested: fixedNow, MaxIngested: fixedNow}, nil
}

func (f *fakeRuntime) TablePolicy(_ context.Context, _, database, table string, kind catalog.PolicyKind) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if body, ok := f.policies[database+"/"+table+"/"+string(kind)]; ok {
		return body, nil
	}
	return nil, catalog.ErrNotFound
}

func (f *fakeRuntime) SetTablePolicy(_ context.Context, _, database, table string, kind catalog.PolicyKind, body json.RawMessage) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.policies, database+"/"+table+"/"+string(kind))
	if body != nil {
		f.policies[database+"/"+table+"/"+string(kind)] = body
	}
	return nil
}

func (f *fakeRuntime) Query(ctx context.Context, _ string, q cluster.Query) (engine.Rows, error) {
	f.mu.Lock()
	f.queries = append(f.queries, q)
	f.mu.Unlock()
	if err := f.up(); err != nil {
		return nil, err
	}
	return f.query(ctx, q)
}

func (f *fakeRuntime) Ingest(_ context.Context, _, _, table string, batch arrow.RecordBatch) error {
	if f.ingest != nil {
		return f.ingest(table, batch)
	}
	f.ingested += batch.NumRows()
	return nil
}

func (f *fakeRuntime) IngestParquet(_ context.Context, _, _, _ string, file io.Reader, _ int64, columns map[string]string) (int64, error) {
	data, err := io.ReadAll(file)
	if err != nil || !bytes.HasPrefix(data, []byte("PAR1")) {
		return 0, fmt.Errorf("the file is not Parquet: %w", cluster.ErrSchema)
	}
	f.parquet = columns
	return 7, nil
}

func (f *fakeRuntime) IngestQuery(_ context.Context, _, _, table string, q cluster.Query) (int64, error) {
	if f.append != nil {
		return f.append(table, q)
	}
	return 3, nil
}

// fakeRows are batches, and an error in the place of a regular end.
type fakeRows struct {
	batches []arrow.RecordBatch
	err     error
	at      int
	closed  bool
}

func (r *fakeRows) Schema() *arrow.Schema          { return nil }
func (r *fakeRows) Next() bool                     { r.at++; return r.at <= len(r.batches) }
func (r *fakeRows) RecordBatch() arrow.RecordBatch { return r.batches[r.at-1] }
func (r *fakeRows) Close() error                   { r.closed = true; return nil }
func (r *fakeRows) Err() error {
	if r.at > len(r.batches) {
		return r.err
	}
	return nil
}

// batch builds a record batch of one column for each list of values.
func batch(t testing.TB, columns []catalog.Column, jsonRows string) arrow.RecordBatch {
	t.Helper()
	b, _, err := array.RecordFromJSON(memory.DefaultAllocator, catalog.Table{Columns: columns}.Schema(), strings.NewReader(jsonRows))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type fakeVerifier map[string]authz.Principal

func (f fakeVerifier) Verify(_ context.Context, token string, audiences ...string) (authz.Principal, error) {
	p, ok := f[token]
	if !ok || !slices.Contains(audiences, "https://kusto.kusto.windows.net") {
		return p, errors.New("token is not valid")
	}
	return p, nil
}

type fakeStreaming bool

func (f fakeStreaming) StreamingIngest(context.Context, string) (bool, error) { return bool(f), nil }

var fixedNow = time.Date(2026, 7, 1, 12, 30, 0, 123456700, time.UTC)

// world is a handler over a fake runtime with database "db", table T (id, name)
// and an administrator whose token is "admin".
type world struct {
	*testing.T
	rt       *fakeRuntime
	verifier fakeVerifier
	h        *Handler
	log      lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func columnsOfT() []catalog.Column {
	return []catalog.Column{{ID: 1, Name: "id", Type: catalog.Long}, {ID: 2, Name: "name", Type: catalog.String}}
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, verifier: fakeVerifier{}}
	w.rt = &fakeRuntime{
		databases: []catalog.Database{{ID: "6a1c0d6e-0000-4000-8000-0000000000d1", Name: "db"}, {ID: "6a1c0d6e-0000-4000-8000-0000000000d2", Name: "Other"}},
		tables: map[string][]catalog.Table{"db": {{ID: "6a1c0d6e-0000-4000-8000-000000000111", Name: "T", Folder: "f", DocString: "rows", Columns: columnsOfT()}},
			"Other": {{ID: "6a1c0d6e-0000-4000-8000-000000000112", Name: "U", Columns: columnsOfT()}}},
		policies: map[string]json.RawMessage{},
		query: func(context.Context, cluster.Query) (engine.Rows, error) {
			return &fakeRows{batches: []arrow.RecordBatch{batch(t, columnsOfT(), `[{"c1":1,"c2":"a"},{"c1":2,"c2":"b"}]`)}}, nil
		},
	}
	w.principal("admin", catalog.ScopeCluster, "", "AllDatabasesAdmin")
	w.h = New(Config{Runtime: w.rt, Verifier: w.verifier, Streaming: fakeStreaming(true), TenantID: tenantID, Version: "1.2.3", Started: fixedNow,
		Now: func() time.Time { return fixedNow }, Log: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	return w
}

// principal makes a caller whose token and object id are name.
func (w *world) principal(name string, scope catalog.Scope, database, role string) {
	w.verifier[name] = authz.Principal{TenantID: tenantID, ObjectID: name, AppID: "app-" + name}
	if role != "" {
		w.rt.grants = append(w.rt.grants, catalog.Grant{ID: "grant-" + name, Scope: scope, Database: database, Role: role, PrincipalType: "App", ObjectID: name, AppID: "app-" + name, TenantID: tenantID, Name: "The " + name})
	}
}

// request sends one; header is pairs of names and values. The token is "admin"
// unless an Authorization header is given.
func (w *world) request(method, target string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://"+host+target, bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer admin")
	r.Header.Set("x-ms-client-request-id", "KPC.execute;1")
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

// post sends csl with properties (JSON text, "" for none) to a query or command path.
func (w *world) post(path, csl, properties string, header ...string) *httptest.ResponseRecorder {
	body := map[string]any{"db": "db", "csl": csl}
	if properties != "" {
		body["properties"] = json.RawMessage(properties)
	}
	data, err := json.Marshal(body)
	if err != nil {
		w.Fatal(err)
	}
	return w.request("POST", path, data, header...)
}

func (w *world) command(csl string, header ...string) *httptest.ResponseRecorder {
	return w.post("/v1/rest/mgmt", csl, "", header...)
}

// table is the first table of a v1 answer: column names with types, and rows.
func (w *world) table(rec *httptest.ResponseRecorder) (columns []string, rows [][]any) {
	w.Helper()
	var v struct {
		Tables []struct {
			Columns []struct{ ColumnName, ColumnType string }
			Rows    [][]any
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil || rec.Code != http.StatusOK || len(v.Tables) == 0 {
		w.Fatalf("status %d, %v: %s", rec.Code, err, rec.Body)
	}
	for _, c := range v.Tables[0].Columns {
		columns = append(columns, c.ColumnName+":"+c.ColumnType)
	}
	return columns, v.Tables[0].Rows
}

// refused insists on a status and on an envelope whose @message holds text.
func (w *world) refused(rec *httptest.ResponseRecorder, status int, code, text string) {
	w.Helper()
	var e struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"@message"`
		} `json:"error"`
	}
	if rec.Code != status || json.Unmarshal(rec.Body.Bytes(), &e) != nil || e.Error.Code != code || !strings.Contains(e.Error.Message, text) {
		w.Errorf("want %d %s %q, got %d %s", status, code, text, rec.Code, rec.Body)
	}
}

var (
	guids  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	ourIDs = regexp.MustCompile(`^6a1c0d6e`)
)

// stable replaces what is random in an answer.
func stable(body []byte) []byte {
	return guids.ReplaceAllFunc(body, func(id []byte) []byte {
		if ourIDs.Match(id) {
			return id
		}
		return []byte("GUID")
	})
}
