//go:build cgo

package duckdb

import (
	"bytes"
	"errors"
	"os"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	duck "github.com/duckdb/duckdb-go-bindings"

	"github.com/kustos-io/kustos/internal/engine"
)

// vectorSize is the most rows DuckDB takes in one chunk.
const vectorSize = 2048

// identifier quotes a name for SQL.
func identifier(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

func (d *database) createBuffer(name string, columns []engine.Column) error {
	if len(columns) == 0 {
		return badCommand("buffer without columns")
	}
	parts := make([]string, len(columns))
	names := make(map[string]bool, len(columns))
	for i, c := range columns {
		parts[i] = identifier(c.Name) + " " + c.Type
		if c.NotNull {
			parts[i] += " NOT NULL DEFAULT ''"
		}
		names[c.Name] = true
	}
	if err := d.exec("CREATE TABLE " + identifier(name) + " (" + strings.Join(parts, ", ") + ")"); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.buffers[name] = names
	return nil
}

func (d *database) dropBuffer(name string) error {
	if err := d.exec("DROP TABLE " + identifier(name)); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.buffers, name)
	return nil
}

// appendBatches adds the batches of the IPC streams in f to a buffer in one
// transaction. It returns the number of rows.
func (d *database) appendBatches(name string, f *os.File) (int64, error) {
	d.mu.Lock()
	columns, ok := d.buffers[name]
	d.mu.Unlock()
	if !ok {
		return 0, badCommand("no buffer of that name")
	}
	body, err := engine.ReadMemfd(f)
	if err != nil {
		return 0, badData("batch cannot be read")
	}
	c, err := d.connection()
	if err != nil {
		return 0, err
	}
	defer d.release(c)
	if err := execOn(c, "BEGIN TRANSACTION"); err != nil {
		return 0, err
	}
	rows, err := appendStreams(c, name, columns, body)
	if err == nil {
		err = execOn(c, "COMMIT")
	}
	if err != nil {
		return 0, errors.Join(err, execOn(c, "ROLLBACK"))
	}
	return rows, nil
}

func appendStreams(c duck.Connection, name string, columns map[string]bool, body []byte) (int64, error) {
	var rows int64
	for rest := bytes.NewReader(body); rest.Len() > 0; {
		reader, err := ipc.NewReader(rest)
		if err != nil {
			return 0, badData("batch is not an Arrow stream")
		}
		n, err := appendReader(c, name, columns, reader)
		reader.Release()
		if err != nil {
			return 0, err
		}
		rows += n
	}
	return rows, nil
}

func appendReader(c duck.Connection, name string, columns map[string]bool, reader *ipc.Reader) (int64, error) {
	keep, schema := project(reader.Schema(), columns)
	if len(keep) == 0 {
		return 0, badData("batch has no column of the buffer")
	}
	conv, err := newConverter(c, schema)
	defer conv.close()
	if err != nil {
		return 0, err
	}
	var app duck.Appender
	defer duck.AppenderDestroy(&app)
	if duck.AppenderCreate(c, "main", name, &app) == duck.StateError {
		return 0, badCommand("no buffer of that name")
	}
	for _, field := range schema.Fields() {
		if duck.AppenderAddColumn(app, field.Name) == duck.StateError {
			return 0, appenderFault(app)
		}
	}
	var rows int64
	for reader.Next() {
		batch := reader.RecordBatch()
		if err := appendBatch(conv, app, batch, keep, schema); err != nil {
			return 0, err
		}
		rows += batch.NumRows()
	}
	if reader.Err() != nil {
		return 0, badData("batch is cut short")
	}
	if duck.AppenderClose(app) == duck.StateError {
		return 0, appenderFault(app)
	}
	return rows, nil
}

// project lists the fields that the buffer has.
func project(schema *arrow.Schema, columns map[string]bool) ([]int, *arrow.Schema) {
	var keep []int
	var fields []arrow.Field
	for i, f := range schema.Fields() {
		if columns[f.Name] {
			keep = append(keep, i)
			fields = append(fields, f)
		}
	}
	return keep, arrow.NewSchema(fields, nil)
}

func appendBatch(conv *converter, app duck.Appender, batch arrow.RecordBatch, keep []int, schema *arrow.Schema) error {
	columns := make([]arrow.Array, len(keep))
	for i, at := range keep {
		columns[i] = batch.Column(at)
	}
	kept := array.NewRecordBatch(schema, columns, batch.NumRows())
	defer kept.Release()
	for from := int64(0); from < kept.NumRows(); from += vectorSize {
		if err := appendSlice(conv, app, kept, from); err != nil {
			return err
		}
	}
	return nil
}

func appendSlice(conv *converter, app duck.Appender, batch arrow.RecordBatch, from int64) error {
	part := batch.NewSlice(from, min(from+vectorSize, batch.NumRows()))
	defer part.Release()
	chunk, err := conv.chunk(part)
	if err != nil {
		return err
	}
	defer duck.DestroyDataChunk(&chunk)
	if duck.AppendDataChunk(app, chunk) == duck.StateError {
		return appenderFault(app)
	}
	return nil
}

func appenderFault(app duck.Appender) error {
	e := duck.AppenderErrorData(app)
	defer duck.DestroyErrorData(&e)
	return fault(duck.ErrorDataMessage(e))
}
