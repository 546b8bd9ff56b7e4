package command_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/kusto/command"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		cmd  command.Command
		pipe string
	}{
		".create table T (Id:long, ['my col']:string) with (folder='f', docstring=\"it's\")": {command.CreateTable{Name: "T", Folder: "f", DocString: "it's",
			Columns: []command.Column{{Name: "Id", Type: "long"}, {Name: "my col", Type: "string"}}}, ""},
		".create-merge table ['T 1'] (a:int)":                                 {command.CreateTable{Name: "T 1", Merge: true, Columns: []command.Column{{Name: "a", Type: "int"}}}, ""},
		"// note\n.DROP Table T ifexists":                                     {command.DropTable{Name: "T", IfExists: true}, ""},
		".show tables | where TableName == '|' | count":                       {command.Show{What: command.Tables}, "where TableName == '|' | count"},
		".show databases schema as json":                                      {command.Show{What: command.SchemaAsJSON}, ""},
		".show databases (['db 1'], db2) schema as json with (x='1', y=true)": {command.Show{What: command.SchemaAsJSON, Databases: []string{"db 1", "db2"}}, ""},
		".show databases entities with (showObfuscatedStrings=true, resolveFunctionsSchema=true) | where DatabaseName == 'a'": {command.Show{What: command.Entities}, "where DatabaseName == 'a'"},
		".show databases details;":                                         {command.Show{What: command.DatabasesDetails}, ""},
		".SHOW CLUSTER databases":                                          {command.Show{What: command.Databases}, ""},
		".show cluster principals":                                         {command.Show{What: command.ClusterPrincipals}, ""},
		".show principal roles":                                            {command.Show{What: command.PrincipalRoles}, ""},
		".show database":                                                   {command.ShowDatabase{}, ""},
		".show database identity":                                          {command.ShowDatabase{Form: "identity"}, ""},
		".show database ['a.b'] details | count":                           {command.ShowDatabase{Name: "a.b", Form: "details"}, "count"},
		".show database db schema as csl script":                           {command.ShowDatabase{Name: "db", Form: "schema as csl script"}, ""},
		".show database db policy Retention":                               {command.ShowPolicy{Entity: command.Entity{Database: true, Name: "db", Policy: "retention"}}, ""},
		".show database policy retention":                                  {command.ShowPolicy{Entity: command.Entity{Database: true, Policy: "retention"}}, ""},
		".show table T;":                                                   {command.ShowTable{Name: "T"}, ""},
		".show schema as json;":                                            {command.Show{What: command.SchemaAsJSON}, ""},
		".show database db1 schema as json":                                {command.ShowDatabase{Name: "db1", Form: "schema as json"}, ""},
		".show database schema":                                            {command.ShowDatabase{Form: "schema"}, ""},
		".show table T cslschema":                                          {command.ShowTable{Name: "T", Form: "cslschema"}, ""},
		".show table T policy streamingingestion":                          {command.ShowPolicy{Entity: command.Entity{Name: "T", Policy: "streamingingestion"}}, ""},
		".alter table T policy streamingingestion '{\"IsEnabled\": true}'": {command.AlterPolicy{Entity: command.Entity{Name: "T", Policy: "streamingingestion"}, Body: `{"IsEnabled": true}`}, ""},
		".alter database db policy streamingingestion enable":              {command.AlterPolicy{Entity: command.Entity{Database: true, Name: "db", Policy: "streamingingestion"}, Body: `{"IsEnabled":true}`}, ""},
		".delete table T policy retention":                                 {command.DeletePolicy{Entity: command.Entity{Name: "T", Policy: "retention"}}, ""},
		".ingest inline into table T <|\n1,a | b\n2,c\n":                   {command.IngestInline{Table: "T", Data: "1,a | b\n2,c\n"}, ""},
		".ingest inline into table T with (format='json') <| {\"a\":1}":    {command.IngestInline{Table: "T", Properties: map[string]string{"format": "json"}, Data: `{"a":1}`}, ""},
		".set-or-append T <| print x=1 | where x > 0":                      {command.IngestQuery{Table: "T", Create: true, Append: true, Query: "print x=1 | where x > 0"}, ""},
		".append T <| U":                                                   {command.IngestQuery{Table: "T", Append: true, Query: "U"}, ""},
	}
	for text, want := range tests {
		cmd, pipe, err := command.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want.cmd, cmd); diff != "" || pipe != want.pipe {
			t.Errorf("%s: pipe %q\n%s", text, pipe, diff)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		".show queries":                                       "'.show queries' is not supported",
		".set-or-replace T <| print 1":                        "'.set-or-replace T' is not supported",
		".create function f() { 1 }":                          "'.create function f' is not supported",
		".create table T (a:int":                              "',' or ')'",
		".create table T (a int)":                             "':' is expected",
		".ingest inline into table T 1,2":                     "'<|' and the data are expected",
		".ingest into table T (h'secret')":                    "'.ingest into table T' is not supported",
		".alter table T policy x 'open":                       "not terminated",
		".set async T <| U":                                   "'async' is not supported",
		".create table T (a:int) with (x=1)":                  "the property 'x' is not supported",
		".":                                                   "'.' is not supported",
		".drop table T U":                                     "expected to end here",
		".execute database script <| .create table T (a:int)": "'.execute database script' is not supported",
		".show operations":                                    "'.show operations' is not supported",
		".show database db extents":                           "'.show database db extents' is not supported",
		".show database db schema if_later_than 'v1'":         "is not supported",
		".show databases (a":                                  "')' is expected",
		".show databases () schema as json":                   "the name of a database is expected",
		".show tables |":                                      "a query is expected behind the bar",
		".show tables details now":                            "is not supported",
	} {
		_, _, err := command.Parse(text)
		var e *command.Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) || strings.Contains(e.Message, "secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(".create table T (a:int) with (folder='x')")
	f.Add(".ingest inline into table T <| 1")
	f.Add(".show database ['a b'] schema as json | count")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, err := command.Parse(text)
		var e *command.Error
		if err != nil && (!errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text)) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
