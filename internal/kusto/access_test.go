package kusto

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

// TestAccess runs one request of each kind as each role.
func TestAccess(t *testing.T) {
	t.Parallel()
	kinds := []struct {
		name string
		send func(w *world, token string) *httptest.ResponseRecorder
	}{
		{"show", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".show tables", "Authorization", a)
		}},
		{"pipe", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".show tables | project TableName, id=1", "Authorization", a)
		}},
		{"read", func(w *world, a string) *httptest.ResponseRecorder {
			return w.post("/v2/rest/query", "T", "", "Authorization", a)
		}},
		{"read v1", func(w *world, a string) *httptest.ResponseRecorder {
			return w.post("/v1/rest/query", "T", "", "Authorization", a)
		}},
		{"inline", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".ingest inline into table T <| 1,a", "Authorization", a)
		}},
		{"stream", func(w *world, a string) *httptest.ResponseRecorder {
			return w.request("POST", "/v1/rest/ingest/db/T", []byte("1,a"), "Authorization", a)
		}},
		{"create", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".create table New (a:int)", "Authorization", a)
		}},
		{"set", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".set New <| T", "Authorization", a)
		}},
		{"append", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".append T <| T", "Authorization", a)
		}},
		{"drop", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".drop table T", "Authorization", a)
		}},
		{"policy", func(w *world, a string) *httptest.ResponseRecorder {
			return w.command(".alter table T policy streamingingestion enable", "Authorization", a)
		}},
	}
	all := "show pipe read read v1 inline stream create set append drop policy"
	roles := []struct {
		scope    catalog.Scope
		database string
		role     string
		allowed  string
	}{
		{catalog.ScopeCluster, "", "AllDatabasesAdmin", all},
		{catalog.ScopeDatabase, "db", "Admin", all},
		{catalog.ScopeDatabase, "DB", "Admin", all},
		{catalog.ScopeDatabase, "db", "User", "show pipe read read v1 create set"},
		{catalog.ScopeDatabase, "db", "Viewer", "show pipe read read v1"},
		{catalog.ScopeDatabase, "db", "UnrestrictedViewer", "show pipe read read v1"},
		{catalog.ScopeCluster, "", "AllDatabasesViewer", "show pipe read read v1"},
		{catalog.ScopeDatabase, "db", "Ingestor", "show pipe inline stream"},
		{catalog.ScopeDatabase, "db", "Monitor", "show pipe"},
		{catalog.ScopeCluster, "", "AllDatabasesMonitor", "show pipe"},
		{catalog.ScopeDatabase, "db", "SomethingNew", ""},
		{catalog.ScopeDatabase, "Other", "Admin", ""},
		{catalog.ScopeDatabase, "", "Admin", ""},
	}
	for _, role := range roles {
		for _, kind := range kinds {
			w := newWorld(t)
			w.principal("caller", role.scope, role.database, role.role)
			w.rt.policies["db/T/streamingingestion"] = json.RawMessage(`{"IsEnabled":true}`)
			rec := kind.send(w, "Bearer caller")
			want := 403
			if strings.Contains(" "+role.allowed+" ", " "+kind.name+" ") {
				want = 200
			}
			if kind.name == "pipe" && want == 200 { // the fake's rows do not have the columns of the pipe
				w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) { return &fakeRows{}, nil }
				rec = kind.send(w, "Bearer caller")
			}
			if rec.Code != want {
				t.Errorf("%s %s on %q, %s: %d %s", role.scope, role.role, role.database, kind.name, rec.Code, rec.Body)
			}
			if want == 403 && (len(w.rt.queries) != 0 || w.rt.ingested != 0 || len(w.rt.tables["db"]) != 1) {
				t.Errorf("%s, %s: refused and done", role.role, kind.name)
			}
		}
	}
}

// Names of what a caller may not read do not resolve, and are not listed.
func TestWhatIsNotReadableIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.principal("caller", catalog.ScopeDatabase, "db", "Viewer")
	w.principal("monitor", catalog.ScopeDatabase, "db", "Monitor")
	as := []string{"Authorization", "Bearer caller"}
	w.refused(w.post("/v2/rest/query", "database('Other').U", "", as...), 400, "General_BadRequest", "U")
	w.refused(w.post("/v2/rest/query", "T | union database('Other').*", "", as...), 400, "General_BadRequest", "")
	if _, rows := w.table(w.command(".show databases", as...)); len(rows) != 1 || rows[0][0] != "db" {
		t.Error(rows)
	}
	_, rows := w.table(w.command(".show schema as json", as...))
	if text := rows[0][0].(string); strings.Contains(text, "Other") {
		t.Error(text)
	}
	w.refused(w.command(".show databases (['Other']) schema as json", as...), 400, "BadRequest_DatabaseNotExist", "Other")
	w.refused(w.command(".show database Other schema", as...), 403, "Forbidden", "Other")
	w.refused(w.command(".show cluster principals", as...), 403, "Forbidden", "cluster")
	// A monitor may pipe what he sees, and reaches no rows that way.
	w.refused(w.command(".show tables | union T", "Authorization", "Bearer monitor"), 400, "General_BadRequest", "T")
	if len(w.rt.queries) != 0 {
		t.Error("a query ran")
	}
}

// What the hot tier holds is for administrators.
func TestShowClusterTellsOfTheHotTier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.hot = cluster.HotState{Budget: 100, Bytes: 7, Tables: 1}
	_, rows := w.table(w.command(".show cluster"))
	if text := rows[0][8].(string); !strings.Contains(text, `"HotTier":{"Budget":100,"Bytes":7,"Tables":1,`) {
		t.Error(text)
	}
	w.principal("monitor", catalog.ScopeDatabase, "db", "Monitor")
	_, rows = w.table(w.command(".show cluster", "Authorization", "Bearer monitor"))
	if text := rows[0][8].(string); text != "{}" {
		t.Error(text)
	}
}

func TestPrincipalsAndRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.principal("caller", catalog.ScopeDatabase, "db", "Viewer")
	_, rows := w.table(w.command(".show principal roles", "Authorization", "Bearer caller"))
	if len(rows) != 1 || rows[0][0] != "Database db" || rows[0][3] != "Viewer" {
		t.Error(rows)
	}
	if _, rows = w.table(w.command(".show database db principals")); len(rows) != 2 || rows[1][0] != "Database db Viewer" || rows[1][4] != "aadapp=app-caller;"+tenantID {
		t.Error(rows)
	}
	if _, rows = w.table(w.command(".show cluster principals")); len(rows) != 1 || rows[0][0] != "AllDatabasesAdmin" {
		t.Error(rows)
	}
}
