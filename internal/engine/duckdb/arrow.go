//go:build cgo

package duckdb

/*
#include <stdint.h>
#include <stdlib.h>

// DuckDB's Arrow functions, as its C interface declares them. The Go bindings
// have them behind a build tag that every build would need; handles are
// pointers, so plain ones serve here.
struct ArrowSchema;
struct ArrowArray;
void *duckdb_to_arrow_schema(void *options, void **types, const char **names, uint64_t count, struct ArrowSchema *out);
void *duckdb_data_chunk_to_arrow(void *options, void *chunk, struct ArrowArray *out);
void *duckdb_schema_from_arrow(void *connection, struct ArrowSchema *schema, void **out);
void *duckdb_data_chunk_from_arrow(void *connection, struct ArrowArray *array, void *schema, void **out);
void duckdb_destroy_arrow_converted_schema(void **schema);
*/
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/cdata"
	duck "github.com/duckdb/duckdb-go-bindings"
)

// The structs of the Arrow C data interface live in C memory, since DuckDB
// writes pointers into them.
func newSchema() *cdata.CArrowSchema {
	return (*cdata.CArrowSchema)(C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowSchema{}))))
}

func newArray() *cdata.CArrowArray {
	return (*cdata.CArrowArray)(C.calloc(1, C.size_t(unsafe.Sizeof(cdata.CArrowArray{}))))
}

func freeSchema(s *cdata.CArrowSchema) {
	cdata.ReleaseCArrowSchema(s)
	C.free(unsafe.Pointer(s))
}

func freeArray(a *cdata.CArrowArray) {
	cdata.ReleaseCArrowArray(a)
	C.free(unsafe.Pointer(a))
}

func cSchema(s *cdata.CArrowSchema) *C.struct_ArrowSchema {
	return (*C.struct_ArrowSchema)(unsafe.Pointer(s))
}

func cArray(a *cdata.CArrowArray) *C.struct_ArrowArray {
	return (*C.struct_ArrowArray)(unsafe.Pointer(a))
}

// failure turns DuckDB's error object into an error and releases it.
func failure(data unsafe.Pointer) error {
	if data == nil {
		return nil
	}
	e := duck.ErrorData{Ptr: data}
	defer duck.DestroyErrorData(&e)
	if !duck.ErrorDataHasError(e) {
		return nil
	}
	return fault(duck.ErrorDataMessage(e))
}

// resultSchema is the Arrow schema of a result.
func resultSchema(res *duck.Result, options duck.ArrowOptions) (*arrow.Schema, error) {
	n := int(duck.ColumnCount(res))
	if n == 0 {
		return nil, fmt.Errorf("result has no columns")
	}
	types := unsafe.Slice((*unsafe.Pointer)(C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(uintptr(0))))), n)
	names := unsafe.Slice((**C.char)(C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(uintptr(0))))), n)
	defer func() {
		for i := range n {
			t := duck.LogicalType{Ptr: types[i]}
			duck.DestroyLogicalType(&t)
			C.free(unsafe.Pointer(names[i]))
		}
		C.free(unsafe.Pointer(&types[0]))
		C.free(unsafe.Pointer(&names[0]))
	}()
	for i := range n {
		types[i] = duck.ColumnLogicalType(res, duck.IdxT(i)).Ptr
		names[i] = C.CString(duck.ColumnName(res, duck.IdxT(i)))
	}
	out := newSchema()
	defer freeSchema(out)
	if err := failure(C.duckdb_to_arrow_schema(options.Ptr, &types[0], &names[0], C.uint64_t(n), cSchema(out))); err != nil {
		return nil, err
	}
	return cdata.ImportCArrowSchema(out)
}

// toArrow makes a batch of a chunk; the batch must be released.
func toArrow(chunk duck.DataChunk, options duck.ArrowOptions, schema *arrow.Schema) (arrow.RecordBatch, error) {
	out := newArray()
	defer freeArray(out)
	if err := failure(C.duckdb_data_chunk_to_arrow(options.Ptr, chunk.Ptr, cArray(out))); err != nil {
		return nil, err
	}
	return cdata.ImportCRecordBatchWithSchema(out, schema)
}

// converter makes chunks of batches that share one schema.
type converter struct {
	connection duck.Connection
	schema     unsafe.Pointer
}

func newConverter(connection duck.Connection, schema *arrow.Schema) (*converter, error) {
	in := newSchema()
	defer freeSchema(in)
	cdata.ExportArrowSchema(schema, in)
	c := &converter{connection: connection}
	return c, failure(C.duckdb_schema_from_arrow(connection.Ptr, cSchema(in), &c.schema))
}

func (c *converter) close() {
	if c.schema != nil {
		C.duckdb_destroy_arrow_converted_schema(&c.schema)
	}
}

// chunk converts a batch; the chunk must be destroyed. The batch must not be
// longer than DuckDB's vectors.
func (c *converter) chunk(batch arrow.RecordBatch) (duck.DataChunk, error) {
	in := newArray()
	defer freeArray(in)
	cdata.ExportArrowRecordBatch(batch, in, nil)
	var out unsafe.Pointer
	if err := failure(C.duckdb_data_chunk_from_arrow(c.connection.Ptr, cArray(in), c.schema, &out)); err != nil {
		return duck.DataChunk{}, err
	}
	return duck.DataChunk{Ptr: out}, nil
}
