// Package kqltest runs plain-text case files of the query language against an engine.
//
// A file holds sections, each a line that begins in column 0 and its indented lines: "table NAME (a:long, …)" with rows,
// "query NAME" with a query, then either "columns" and "rows" (or "rows in any order"), or "refused CODE words".
// Values are query-language literals. Parse reads a file, Run checks its cases; the Engine that executes SQL is the
// caller's.
//
// The package must never depend on an engine: a dialect is done when its engine passes the same files.
package kqltest
