//go:build cgo

package duckdb

import (
	"context"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	duck "github.com/duckdb/duckdb-go-bindings"

	"github.com/kustos-io/kustos/internal/engine"
)

// sink takes a result: start once, then rows for every batch.
type sink interface {
	start(schema *arrow.Schema) error
	rows(batch arrow.RecordBatch) error
}

// query runs a statement and streams its rows into out. The result is never
// held as a whole.
func (d *database) query(ctx context.Context, sql string, params []engine.Param, out sink) error {
	c, err := d.connection()
	if err != nil {
		return err
	}
	defer d.release(c)
	return interruptible(ctx, c, func() error {
		return d.stream(c, sql, params, func(res *duck.Result) error { return d.drain(ctx, res, out) })
	})
}

// stream begins a statement and gives its result to use, which takes the rows as
// they come.
func (d *database) stream(c duck.Connection, sql string, params []engine.Param, use func(*duck.Result) error) error {
	stmt, err := prepare(c, sql, params)
	if err != nil {
		return err
	}
	defer duck.DestroyPrepare(&stmt)
	var pending duck.PendingResult
	defer duck.DestroyPending(&pending)
	if duck.PendingPreparedStreaming(stmt, &pending) == duck.StateError {
		return d.refused(duck.PendingError(pending))
	}
	var res duck.Result
	defer duck.DestroyResult(&res)
	if duck.ExecutePending(pending, &res) == duck.StateError {
		return d.refused(duck.ResultError(&res))
	}
	return use(&res)
}

func (d *database) drain(ctx context.Context, res *duck.Result, out sink) error {
	options := duck.ResultGetArrowOptions(res)
	defer duck.DestroyArrowOptions(&options)
	schema, err := resultSchema(res, options)
	if err != nil {
		return err
	}
	if err := out.start(schema); err != nil {
		return err
	}
	for {
		if ctx.Err() != nil {
			return interrupted()
		}
		chunk := duck.FetchChunk(*res)
		if chunk.Ptr == nil {
			if message := duck.ResultError(res); message != "" {
				return d.refused(message)
			}
			return nil
		}
		err := drainChunk(chunk, options, schema, out)
		if err != nil {
			return err
		}
	}
}

func drainChunk(chunk duck.DataChunk, options duck.ArrowOptions, schema *arrow.Schema, out sink) error {
	defer duck.DestroyDataChunk(&chunk)
	if duck.DataChunkGetSize(chunk) == 0 {
		return nil
	}
	batch, err := toArrow(chunk, options, schema)
	if err != nil {
		return err
	}
	defer batch.Release()
	return out.rows(batch)
}

// change runs a statement that has no rows to give (COPY) and returns how many
// it wrote.
func (d *database) change(ctx context.Context, sql string, params []engine.Param) (int64, error) {
	c, err := d.connection()
	if err != nil {
		return 0, err
	}
	defer d.release(c)
	var changed int64
	err = interruptible(ctx, c, func() error {
		stmt, err := prepare(c, sql, params)
		if err != nil {
			return err
		}
		defer duck.DestroyPrepare(&stmt)
		var res duck.Result
		defer duck.DestroyResult(&res)
		if duck.ExecutePrepared(stmt, &res) == duck.StateError {
			return d.refused(duck.ResultError(&res))
		}
		changed = int64(duck.RowsChanged(&res))
		return nil
	})
	return changed, err
}

func (d *database) refused(message string) error {
	if broken(message) {
		return &brokenError{fault(message)}
	}
	return fault(message)
}

// brokenError is a refusal after which the process has to end.
type brokenError struct{ error }

func (e *brokenError) Unwrap() error { return e.error }

func prepare(c duck.Connection, sql string, params []engine.Param) (duck.PreparedStatement, error) {
	var stmt duck.PreparedStatement
	if duck.Prepare(c, sql, &stmt) == duck.StateError {
		err := fault(duck.PrepareError(stmt))
		duck.DestroyPrepare(&stmt)
		return stmt, err
	}
	if want := int(duck.NParams(stmt)); want != len(params) {
		duck.DestroyPrepare(&stmt)
		return stmt, badCommand("statement takes %d parameters, %d were given", want, len(params))
	}
	for i, p := range params {
		if err := bind(stmt, duck.IdxT(i+1), p.Value); err != nil {
			duck.DestroyPrepare(&stmt)
			return stmt, err
		}
	}
	return stmt, nil
}

func bind(stmt duck.PreparedStatement, at duck.IdxT, value any) error {
	var state duck.State
	switch v := value.(type) {
	case nil:
		state = duck.BindNull(stmt, at)
	case bool:
		state = duck.BindBoolean(stmt, at, v)
	case int32:
		state = duck.BindInt32(stmt, at, v)
	case int64:
		state = duck.BindInt64(stmt, at, v)
	case float64:
		state = duck.BindDouble(stmt, at, v)
	case string:
		state = duck.BindVarcharLength(stmt, at, v, duck.IdxT(len(v)))
	default:
		return badCommand("parameter %d has type %T", at, value)
	}
	if state == duck.StateError {
		return badCommand("%s", fmt.Sprintf("parameter %d cannot be bound", at))
	}
	return nil
}
