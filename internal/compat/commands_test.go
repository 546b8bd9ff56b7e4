package compat_test

import (
	"errors"
	"testing"

	"github.com/kustos-io/kustos/internal/kusto/command"
)

// probe is a control command with a text that is parsed for it.
type probe struct{ syntax, text string }

// commands are the control commands that are served.
func commands() []probe {
	return []probe{
		{".show version", ".show version"},
		{".show [cluster] databases [details | identity | schema [as json] | entities]", ".show databases entities"},
		{".show databases (D, …) [schema as json] [with (…)]", ".show databases (['a'], b) schema as json with (x=true)"},
		{".show database [D] [details | identity | schema [as json | as csl script] | principals]", ".show database d schema as csl script"},
		{".show schema [as json]", ".show schema as json"},
		{".show cluster [principals]", ".show cluster principals"},
		{".show principal roles", ".show principal roles"},
		{".show tables [details]", ".show tables details"},
		{".show table T [details | cslschema | schema as json]", ".show table T schema as json"},
		{".show functions | materialized-views | external tables | entity_groups (always empty)", ".show materialized-views"},
		{".show table T | database [D] policy streamingingestion | retention | caching | ingestionbatching", ".show database policy caching"},
		{".alter table T | database D policy streamingingestion enable | disable | JSON", ".alter table T policy streamingingestion disable"},
		{".delete table T | database D policy streamingingestion", ".delete database D policy streamingingestion"},
		{".create table T (…) [with (folder, docstring)]", ".create table T (a:int) with (folder='f')"},
		{".create-merge table T (…) [with (folder, docstring)]", ".create-merge table T (a:int)"},
		{".drop table T [ifexists]", ".drop table T ifexists"},
		{".ingest inline into table T [with (format, ingestionMapping, ignoreFirstRecord)] <| data", ".ingest inline into table T with (format='json') <| {}"},
		{".set | .append | .set-or-append T [with (folder, docstring)] <| query", ".set-or-append T <| U"},
	}
}

// refusedCommands are well-known ones that are refused by name; so is every other.
func refusedCommands() []probe {
	return []probe{
		{".execute database script", ".execute database script <| .show version"},
		{".set-or-replace, and async forms", ".set-or-replace T <| U"},
		{".alter table, .alter-merge table, .rename table, .drop column, .clear table", ".alter table T (a:int)"},
		{".create function, .create-or-alter function, .drop function", ".create function f() { 1 }"},
		{".create materialized-view, external table, entity_group", ".create materialized-view M on table T { T }"},
		{".create ingestion mapping", ".create table T ingestion csv mapping 'm' '[]'"},
		{".ingest into (from storage)", ".ingest into table T ('https://x')"},
		{".export", ".export to csv ('https://x') <| T"},
		{".add, .drop, .set principals (use principalAssignments of Resource Manager)", ".add database D viewers ('aadapp=x')"},
		{".show operations, queries, commands, journal, ingestion failures, extents, capacity", ".show operations"},
		{".get ingestion resources, .get kusto identity token (queued ingestion)", ".get ingestion resources"},
		{".purge, .delete table records, .update table", ".purge table T records <| where a == 1"},
	}
}

func TestCommandsAreWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	for _, p := range commands() {
		if _, _, err := command.Parse(p.text); err != nil {
			t.Errorf("%s: %v", p.text, err)
		}
	}
	for _, p := range refusedCommands() {
		var e *command.Error
		if _, _, err := command.Parse(p.text); !errors.As(err, &e) {
			t.Errorf("%s is not refused: %v", p.text, err)
		}
	}
}
