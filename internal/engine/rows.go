package engine

import "github.com/apache/arrow-go/v18/arrow"

// Rows is a stream of record batches, the result of one query. It is not safe
// for concurrent use. A caller must call Close, also after an error; closing
// early cancels the query.
type Rows interface {
	// Schema is known before the first Next.
	Schema() *arrow.Schema
	// Next moves to the next batch; false at the end or at an error.
	Next() bool
	// RecordBatch is the current batch, valid until the next call of Next or Close.
	RecordBatch() arrow.RecordBatch
	// Err is the error that ended the stream, nil at a regular end.
	Err() error
	// Close releases the query. It may be called more than once.
	Close() error
}
