package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/engine"
)

// TestShowColumns fixes the columns of every command and their order: clients
// index by name, and a few by place.
func TestShowColumns(t *testing.T) {
	t.Parallel()
	databases := "DatabaseName:string PersistentStorage:string Version:string IsCurrent:bool DatabaseAccessMode:string PrettyName:string "
	schema := "DatabaseName:string TableName:string ColumnName:string ColumnType:string IsDefaultTable:bool IsDefaultColumn:bool PrettyName:string Version:string Folder:string DocString:string"
	table := "TableName:string Schema:string DatabaseName:string Folder:string DocString:string"
	details := "TableName:string DatabaseName:string Folder:string DocString:string TotalExtents:long TotalExtentSize:real TotalOriginalSize:real TotalRowCount:long HotExtents:long HotExtentSize:real HotOriginalSize:real HotRowCount:long AuthorizedPrincipals:string RetentionPolicy:string CachingPolicy:string ShardingPolicy:string MergePolicy:string StreamingIngestionPolicy:string IngestionBatchingPolicy:string MinExtentsCreationTime:datetime MaxExtentsCreationTime:datetime RowOrderPolicy:string TableId:guid"
	identity := databases + "CurrentUserIsUnrestrictedViewer:bool DatabaseId:guid InTransitionTo:string"
	databaseDetails := databases + "AuthorizedPrincipals:string RetentionPolicy:string MergePolicy:string ReservedSlot1:string CachingPolicy:string ShardingPolicy:string StreamingIngestionPolicy:string IngestionBatchingPolicy:string TotalSize:real DatabaseId:guid InTransitionTo:string"
	plain := databases + "ReservedSlot1:bool DatabaseId:guid InTransitionTo:string SuspensionState:string"
	policy := "PolicyName:string EntityName:string Policy:string ChildEntities:string EntityType:string"
	principals := "Role:string PrincipalType:string PrincipalDisplayName:string PrincipalObjectId:string PrincipalFQN:string Notes:string RoleAssignmentIdentifier:string"
	stored := "ExtentId:guid OriginalSize:long ExtentSize:long ColumnSize:long IndexSize:long RowCount:long"
	for _, tc := range []struct {
		text, columns string
		rows          int
	}{
		{".show version", "BuildVersion:string BuildTime:datetime ServiceType:string ProductVersion:string ServiceOffering:string", 1},
		{".show databases", plain, 2},
		{".show cluster databases", plain, 2},
		{".SHOW DATABASES;", plain, 2},
		{".show database", plain, 1},
		{".show database Other", plain, 1},
		{".show databases identity", identity, 2},
		{".show database identity", identity, 1},
		{".show databases details", databaseDetails, 2},
		{".show database db details", databaseDetails, 1},
		{".show databases schema", schema, 8},
		{".show database db schema", schema, 4},
		{".show schema", schema, 8},
		{".show schema as json", "DatabaseSchema:string", 1},
		{".show databases schema as json", "DatabaseSchema:string", 1},
		{".show databases (['db'], Other) schema as json with (x=true)", "DatabaseSchema:string", 1},
		{".show database db schema as json", "DatabaseSchema:string", 1},
		{".show database db schema as csl script", "DatabaseSchemaScript:string", 1},
		{".show databases entities with (showObfuscatedStrings=true, resolveFunctionsSchema=true)", "DatabaseName:string EntityType:string EntityName:string DocString:string Folder:string CslInputSchema:string Content:string CslOutputSchema:string Properties:dynamic", 2},
		{".show tables", "TableName:string DatabaseName:string Folder:string DocString:string", 1},
		{".show tables details", details, 1},
		{".show table T details", details, 1},
		{".show table ['T'] cslschema", table, 1},
		{".show table T schema as json", table, 1},
		{".show table T", "AttributeName:string AttributeType:string ExtentSize:long CompressionRatio:real IndexSize:long IndexSizePercent:real OriginalSize:long AttributeId:guid SharedIndexSize:long StorageEngineVersion:string", 2},
		{".show functions", "Name:string Parameters:string Body:string Folder:string DocString:string", 0},
		{".show materialized-views", "Name:string SourceTable:string Query:string MaterializedTo:datetime LastRun:datetime LastRunResult:string IsHealthy:bool IsEnabled:bool Folder:string DocString:string AutoUpdateSchema:bool EffectiveDateTime:datetime Lookback:timespan LookbackColumn:string", 0},
		{".show external tables", "TableName:string TableType:string Folder:string DocString:string Properties:string ConnectionStrings:dynamic Partitions:dynamic PathFormat:string", 0},
		{".show entity_groups", "Name:string Entities:string", 0},
		{".show cluster", "NodeId:string Address:string Name:string StartTime:datetime IsAdmin:bool MachineTotalMemory:long MachineAvailableMemory:long ProcessorCount:int EnvironmentDescription:string", 1},
		{".show principal roles", "Scope:string DisplayName:string AADObjectID:string Role:string", 1},
		{".show database db principals", principals, 1},
		{".show cluster principals", principals, 1},
		{".show table T policy streamingingestion", policy, 1},
		{".show table T policy retention", policy, 1},
		{".show database db policy caching", policy, 1},
		{".show database policy ingestionbatching", policy, 1},
		{".alter table T policy streamingingestion enable", policy, 1},
		{".delete table T policy streamingingestion", policy, 1},
		{".create table N (a:int, ['b c']:datetime) with (folder='f')", table, 1},
		{".create-merge table N (a:int, z:real)", table, 1},
		{".drop table N ifexists", "TableName:string DatabaseName:string", 1},
		{".ingest inline into table T <|\n1,a", "ExtentId:guid ItemLoaded:string Duration:timespan HasErrors:bool OperationId:guid", 1},
		{".set S <| T", stored, 1},
		{".append T <| T", stored, 1},
		{".set-or-append S2 with (folder='x', docstring='y') <| T", stored, 1},
	} {
		columns, rows := newWorldTable(t, tc.text)
		if diff := cmp.Diff(strings.Fields(tc.columns), columns); diff != "" || len(rows) != tc.rows {
			t.Errorf("%s: %d rows\n%s", tc.text, len(rows), diff)
		}
	}
}

func newWorldTable(t *testing.T, text string) ([]string, [][]any) {
	w := newWorld(t)
	return w.table(w.command(text))
}

// The whole answers of the commands that editors read.
func TestShowAnswers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"databases": ".show databases", "tables-details": ".show tables details", "schema-json": ".show databases schema as json", "schema": ".show database db schema",
		"csl-script": ".show database db schema as csl script", "table-json": ".show table T schema as json", "cslschema": ".show table T cslschema",
		"entities": ".show databases entities", "version": ".show version", "policy-unset": ".show table T policy streamingingestion",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers(t, "show-"+name+".txt", newWorld(t).command(text))
		})
	}
}

// monaco-kusto enumerates Functions and Graphs unguarded.
func TestSchemaJSONMembers(t *testing.T) {
	t.Parallel()
	_, rows := newWorldTable(t, ".show schema as json")
	var schema struct {
		Plugins   []any
		Databases map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(rows[0][0].(string)), &schema); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"Name", "Tables", "ExternalTables", "MaterializedViews", "EntityGroups", "Graphs", "Functions", "MajorVersion", "MinorVersion", "DatabaseAccessMode"} {
		if v := schema.Databases["db"][member]; len(v) == 0 || string(v) == "null" {
			t.Errorf("%s is missing", member)
		}
	}
}

func TestIsCurrent(t *testing.T) {
	t.Parallel()
	for db, want := range map[string]string{"": "db", "NetDefaultDB": "db", "other": "Other", "gone": ""} {
		w := newWorld(t)
		body, _ := json.Marshal(map[string]string{"db": db, "csl": ".show databases"})
		_, rows := w.table(w.request("POST", "/v1/rest/mgmt", body))
		got := ""
		for _, r := range rows {
			if r[3] == true {
				got += r[0].(string)
			}
		}
		if got != want {
			t.Errorf("%q: %q", db, got)
		}
	}
}

func TestCreateTable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.table(w.command(".create table New (a:int, b:string, c:double, d:date, e:time, f:uuid, g:boolean, h:dynamic, i:decimal, j:long) with (docstring=\"d\", folder='f')"))
	made := w.rt.tables["db"][1]
	var kinds []string
	for _, c := range made.Columns {
		kinds = append(kinds, string(c.Type))
	}
	if diff := cmp.Diff("int string real datetime timespan guid bool dynamic decimal long", strings.Join(kinds, " ")); diff != "" || made.Folder != "f" || made.DocString != "d" {
		t.Error(diff, made)
	}
	for text, want := range map[string]string{
		".create table T (a:int)":                                       "already exists",
		".create table X (a:int, a:int)":                                "declared twice",
		".create table X (a:integer8)":                                  "unknown type",
		".create table X ()":                                            "at least one column",
		".create table ['a/b'] (a:int)":                                 "not a valid table name",
		".create table [' a'] (a:int)":                                  "not a valid table name",
		".create table [''] (a:int)":                                    "not a valid table name",
		".create table X (['a$']:int)":                                  "not a valid column name",
		".create table X (a:int) with (x=1)":                            "'x' is not supported",
		".create table X (a:int":                                        "is expected",
		".create-merge table T (id:string)":                             "cannot become string",
		".create-merge table T (new:int, id:real)":                      "cannot become real",
		".drop table Missing":                                           "'Missing' of kind 'Table'",
		".drop table":                                                   "name of a table",
		".show table Missing":                                           "'Missing' of kind 'Table'",
		".show table T policy nonsense":                                 "'nonsense' is not supported",
		".alter table T policy retention '{}'":                          "'retention' cannot be changed",
		".alter table T policy streamingingestion '{\"IsEnabled\": 1}'": "boolean IsEnabled",
		".alter table T policy streamingingestion 'null'":               "boolean IsEnabled",
		".show database gone schema":                                    "'gone'",
		".execute database script <| .create table X (a:int)":           "'.execute database script' is not supported",
		".show operations":                                              "'.show operations' is not supported",
		".show queries":                                                 "'.show queries' is not supported",
		".show commands | take 1":                                       "'.show commands' is not supported",
		".set-or-replace T <| T":                                        "'.set-or-replace T' is not supported",
		".set async X <| T":                                             "'async' is not supported",
		".alter table T (a:int)":                                        "is not supported",
		".create function f() { 1 }":                                    "'.create function f' is not supported",
		".drop tables (T)":                                              "is not supported",
		".ingest into table T (h'https://x/secret')":                    "'.ingest into table T' is not supported",
		".": "is not supported",
	} {
		rec := w.command(text)
		if rec.Code != 400 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", text, rec.Code, rec.Body)
		}
	}
	if len(w.rt.tables["db"]) != 2 || len(w.rt.tables["db"][0].Columns) != 2 {
		t.Error("a refused command changed something:", w.rt.tables["db"])
	}
	w.table(w.command(".create-merge table T (name:string, extra:real, id:long)"))
	if got := cslSchema(w.rt.tables["db"][0]); got != "id:long,name:string,extra:real" {
		t.Error(got)
	}
}

func TestIngestInline(t *testing.T) {
	t.Parallel()
	for text, rows := range map[string]int64{
		".ingest inline into table T <|\n1,a\n2,\"b\nc\"\n":                                                2,
		".ingest inline into table T <| 1,a":                                                               1,
		".ingest inline into table T with (format='json') <| {\"id\":1}\n{\"id\":2}":                       2,
		".ingest inline into table T with (format=psv, ignoreFirstRecord=true) <|\nid|name\n1|a":           1,
		".ingest inline into table T with (ingestionMapping='[{\"column\":\"id\",\"Ordinal\":1}]') <| x,1": 1,
		".ingest inline into table T <|\n":                                                                 0,
	} {
		w := newWorld(t)
		if w.table(w.command(text)); w.rt.ingested != rows {
			t.Errorf("%q: %d rows", text, w.rt.ingested)
		}
	}
	w := newWorld(t)
	for text, want := range map[string]string{
		".ingest inline into table T with (format='avro') <| x":                 "'avro' is not supported",
		".ingest inline into table T with (format='parquet') <| x":              "parquet cannot be ingested inline",
		".ingest inline into table T with (tags='[1]') <| x":                    "'tags' is not supported",
		".ingest inline into table T with (format='json') <| {":                 "valid JSON",
		".ingest inline into table T with (ingestionMapping='nope') <| x":       "not valid JSON",
		".ingest inline into table T with (ingestionMappingReference='m') <| x": "'ingestionmappingreference' is not supported",
		".ingest inline into table Missing <| x":                                "'Missing' of kind 'Table'",
	} {
		if rec := w.command(text); rec.Code != 400 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", text, rec.Code, rec.Body)
		}
	}
	if w.rt.ingested != 0 {
		t.Error("rows were taken")
	}
}

func TestIngestQuery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, rows := w.table(w.command(".set-or-append New with (folder='f') <| T | project n=id"))
	if rows[0][5] != 3.0 || cslSchema(w.rt.tables["db"][1]) != "n:long" || w.rt.tables["db"][1].Folder != "f" {
		t.Error(rows, w.rt.tables["db"])
	}
	w.table(w.command(".set-or-append New <| T | project id"))
	w.table(w.command(".append New <| T | project id"))
	for text, want := range map[string]string{
		".set New <| T":               "already exists",
		".append Missing <| T":        "'Missing' of kind 'Table'",
		".append New <| T":            "the query has 2 columns",
		".append New <| print 'a'":    "column 1 of the query is string",
		".set X <| T; T":              "exactly one tabular result",
		".set X <| print ['a$']=1":    "not a valid column name",
		".set ['x/y'] <| T":           "not a valid table name",
		".set X <| Missing":           "Missing",
		".set X":                      "a query are expected",
		".set X with (tags='a') <| T": "'tags' is not supported",
	} {
		if rec := w.command(text); rec.Code != 400 || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %s", text, rec.Code, rec.Body)
		}
	}
	if len(w.rt.tables["db"]) != 2 {
		t.Error("a refused command left a table:", w.rt.tables["db"])
	}
	w.refused(w.post("/v1/rest/mgmt", ".set X <| T", `{"Options":{"request_readonly":true}}`), 400, "General_BadRequest", "read-only")
	w.refused(w.command(".drop table T", "x-ms-readonly", "true"), 400, "General_BadRequest", "read-only")
}

// A query that fails while its rows are stored leaves no table behind, and
// does not touch one that was there.
func TestFailedSetLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&cluster.QueryError{Message: "overflow"}, cluster.ErrEngine, context.DeadlineExceeded, errors.New("disk is full")} {
		w := newWorld(t)
		w.rt.append = func(string, cluster.Query) (int64, error) { return 0, err }
		for _, text := range []string{".set New <| T", ".set-or-append New <| T", ".append T <| T", ".set-or-append T <| T"} {
			if rec := w.command(text); rec.Code < 400 {
				t.Errorf("%s: %d", text, rec.Code)
			}
			if got := w.rt.tables["db"]; len(got) != 1 || got[0].Name != "T" {
				t.Errorf("%s, %v: %v", text, err, got)
			}
		}
	}
}

func TestPiped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.tables["db"][0].DocString = "quote \" back \\ line\nend'"
	w.rt.query = func(_ context.Context, q cluster.Query) (engine.Rows, error) {
		found := false
		for _, p := range q.Params {
			found = found || p == w.rt.tables["db"][0].DocString
		}
		if !found {
			t.Errorf("the rows are not parameters: %v %s", q.Params, q.SQL)
		}
		return &fakeRows{}, nil
	}
	columns, _ := w.table(w.command(".show tables | project TableName, DocString"))
	if diff := cmp.Diff([]string{"TableName:string", "DocString:string"}, columns); diff != "" {
		t.Error(diff)
	}
	w.rt.query = func(context.Context, cluster.Query) (engine.Rows, error) { return &fakeRows{}, nil }
	for _, text := range []string{".show databases | count", ".show tables details | where TotalRowCount > 1 | project TableId, MinExtentsCreationTime", ".show databases entities | where DatabaseName == 'db'",
		".show functions | project Name", ".show materialized-views | project Lookback, IsHealthy", ".show version | extend x = BuildTime", ".show cluster | project MachineTotalMemory, ProcessorCount", ".show table T policy retention | project Policy"} {
		w.table(w.command(text))
	}
	// A refusal of what stands behind the bar says where it stands in the command.
	for text, place := range map[string]string{
		".show tables | where nope == 1":              "[line:position=1:22]",
		".show tables\n| count\n| extend x = missing": "[line:position=3:14]",
		".show tables | where (":                      "[line:position=1:23]",
		".set X <| T\n| where nope == 1":              "[line:position=2:9]",
		"  .set X <|\n  T | where nope == 1  \n":      "[line:position=2:13]",
		".drop table":                                 "[line:position=1:12]",
	} {
		if rec := w.command(text); rec.Code != 400 || !strings.Contains(rec.Body.String(), place) {
			t.Errorf("%q: %s", text, rec.Body)
		}
	}
}

func TestNoDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rt.databases = nil
	w.refused(w.request("POST", "/v1/rest/mgmt", []byte(`{"csl":".create table X (a:int)"}`)), 400, "General_BadRequest", "needs a database")
	w.refused(w.command(".create table X (a:int)"), 400, "BadRequest_DatabaseNotExist", "'db'")
	if _, rows := w.table(w.command(".show databases")); len(rows) != 0 {
		t.Error(rows)
	}
}
