// Package sqlgen writes plans as SQL for an engine.
//
// Generate turns a bound table into a Statement: text, bound parameters, and the tables it reads. A Dialect supplies
// the engine's expressions; DuckDB is the one built. Prelude is the SQL to run once in an engine before any Statement.
//
// The package must never put a string or dynamic constant, or a name given by a user, into SQL text.
package sqlgen
