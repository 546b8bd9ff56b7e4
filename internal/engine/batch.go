package engine

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
)

// EncodeBatch writes a batch as an Arrow IPC stream: what [Child].Append takes.
func EncodeBatch(batch arrow.RecordBatch) ([]byte, error) {
	var buf bytes.Buffer
	w := ipc.NewWriter(&buf, ipc.WithSchema(batch.Schema()))
	if err := w.Write(batch); err != nil {
		return nil, fmt.Errorf("encode batch: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode batch: %w", err)
	}
	return buf.Bytes(), nil
}

// CountRows is the number of rows of an Arrow IPC stream.
func CountRows(stream []byte) (int64, error) {
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		return 0, fmt.Errorf("decode batch: %w", err)
	}
	defer r.Release()
	var n int64
	for r.Next() {
		n += r.RecordBatch().NumRows()
	}
	if err := r.Err(); err != nil {
		return 0, fmt.Errorf("decode batch: %w", err)
	}
	return n, nil
}
