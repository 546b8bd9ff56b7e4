// Package ingest turns bytes of a data format into Arrow batches under a
// table's schema: CSV and its relatives, JSON and multi-line JSON. Parquet goes
// to the engine as it is.
//
// It follows Kusto's rules: a value that does not parse becomes null and the
// row stays, missing fields are null (empty for strings), extra fields are
// dropped. It is pure: no I/O but the reader it is given, and it keeps no row
// after the batch is built.
package ingest
