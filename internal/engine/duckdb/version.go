package duckdb

// Version is the DuckDB that is linked in; docs/format.md does not depend on it.
const Version = "1.5.6"
