// Package duckdb is the child's side of the query engine: DuckDB, linked into
// this binary and run in a process of its own. [Main] is the whole life of
// that process: it takes commands from the socket at descriptor 3 and ends
// when that socket does.
//
// It is the only package with cgo. It must never be given a key, a token or a
// path; it reads only memfds that were handed over and writes only into memfds
// that were handed over; nothing it says in an error quotes a row or a literal.
package duckdb
