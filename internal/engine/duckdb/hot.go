//go:build cgo

package duckdb

import (
	"context"
	"strings"
	"sync"
	"time"

	duck "github.com/duckdb/duckdb-go-bindings"

	"github.com/kustos-io/kustos/internal/engine"
)

// pieceRows is how many rows are loaded and compressed at a time: one row group.
const pieceRows = 122_880

// pieceBytes is room for the pieces that are not compressed yet.
const pieceBytes = 128 << 20

// memoryLimit is DuckDB's, which counts hot tables too.
func memoryLimit(cfg engine.Config) int64 {
	if cfg.HotBytes <= 0 {
		return cfg.MemoryLimit
	}
	return cfg.MemoryLimit + cfg.HotBytes + pieceBytes
}

// hotTable is a compressed table in an attached database of its own.
type hotTable struct {
	name    string
	columns []engine.Column
	most    int64 // bytes by which it may grow
}

// create makes the table when it is not there. The caller holds loading.
func (d *database) create(t hotTable) error {
	if d.loaded[t.name] {
		return nil
	}
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		parts[i] = identifier(c.Name) + " " + c.Type
	}
	if err := d.exec("ATTACH ':memory:' AS " + identifier(t.name) + " (COMPRESS)"); err != nil {
		return err
	}
	d.loaded[t.name] = true
	return d.exec("CREATE TABLE " + identifier(t.name) + ".main.hot (" + strings.Join(parts, ", ") + ")")
}

// rows gives the statement's rows the table's types.
func (t hotTable) rows(sql string) string {
	parts := make([]string, len(t.columns))
	for i, c := range t.columns {
		parts[i] = "CAST(" + identifier(c.Name) + " AS " + c.Type + ")"
	}
	return "SELECT " + strings.Join(parts, ", ") + " FROM (" + sql + ")"
}

// load adds a statement's rows to a hot table. yield is called between pieces
// with how long the last one took.
func (d *database) load(ctx context.Context, t hotTable, sql string, params []engine.Param, yield func(context.Context, time.Duration)) (done engine.Loaded, err error) {
	if !d.hot || len(t.columns) == 0 {
		return done, badCommand("no hot tables, or one without columns")
	}
	d.loading.Lock()
	defer d.loading.Unlock()
	if err := d.create(t); err != nil {
		return done, err
	}
	before, err := d.tableBytes()
	if err != nil {
		return done, err
	}
	reader, err := d.connection()
	if err != nil {
		return done, err
	}
	defer d.release(reader)
	writer, err := d.connection()
	if err != nil {
		return done, err
	}
	defer d.release(writer)
	err = interruptible(ctx, reader, func() error {
		return interruptible(ctx, writer, func() error {
			return d.fill(ctx, &filling{d: d, hotTable: t, writer: writer, yield: yield, done: &done, before: before}, reader, sql, params)
		})
	})
	if err != nil {
		return done, err
	}
	return done, nil
}

func (d *database) fill(ctx context.Context, f *filling, reader duck.Connection, sql string, params []engine.Param) error {
	if duck.AppenderCreateExt(f.writer, f.name, "main", "hot", &f.app) == duck.StateError {
		return badCommand("no hot table of that name")
	}
	defer duck.AppenderDestroy(&f.app)
	return d.stream(reader, f.rows(sql), params, func(res *duck.Result) error {
		f.began = time.Now()
		for {
			if ctx.Err() != nil {
				return interrupted()
			}
			chunk := duck.FetchChunk(*res)
			if chunk.Ptr == nil {
				if message := duck.ResultError(res); message != "" {
					return d.refused(message)
				}
				return f.compress()
			}
			if err := f.add(ctx, chunk); err != nil {
				return err
			}
		}
	})
}

// filling is a load under way.
type filling struct {
	hotTable
	d      *database
	before int64 // bytes of all tables
	writer duck.Connection
	app    duck.Appender
	yield  func(context.Context, time.Duration)
	done   *engine.Loaded
	piece  int64 // rows that are not compressed yet
	began  time.Time
}

// add takes a chunk over.
func (f *filling) add(ctx context.Context, chunk duck.DataChunk) error {
	defer duck.DestroyDataChunk(&chunk)
	if duck.AppendDataChunk(f.app, chunk) == duck.StateError {
		return appenderFault(f.app)
	}
	rows := int64(duck.DataChunkGetSize(chunk))
	f.done.Rows += rows
	if f.piece += rows; f.piece < pieceRows {
		return nil
	}
	if err := f.compress(); err != nil {
		return err
	}
	f.yield(ctx, time.Since(f.began))
	f.began = time.Now()
	return nil
}

// compress makes the rows that came since the last time as small as they get.
// A checkpoint that fails breaks the table, and nothing but the table.
func (f *filling) compress() error {
	f.piece = 0
	if duck.AppenderFlush(f.app) == duck.StateError {
		return appenderFault(f.app)
	}
	var res duck.Result
	defer duck.DestroyResult(&res)
	if duck.Query(f.writer, "CHECKPOINT "+identifier(f.name), &res) == duck.StateError {
		message := duck.ResultError(&res)
		if strings.Contains(message, "could not allocate") {
			return tooLarge()
		}
		return fault(message)
	}
	now, err := f.d.tableBytes()
	if err != nil {
		return err
	}
	if f.done.Bytes = now - f.before; f.done.Bytes > f.most {
		return tooLarge()
	}
	return nil
}

func tooLarge() error {
	return &engine.Fault{Kind: engine.OutOfMemory, Message: "the table needs more memory than it may use"}
}

func (d *database) unload(name string) error {
	d.loading.Lock()
	defer d.loading.Unlock()
	if !d.loaded[name] {
		return nil
	}
	if err := d.exec("DETACH " + identifier(name)); err != nil {
		return err
	}
	delete(d.loaded, name)
	return nil
}

// tableBytes is the memory of all in-memory tables, buffers included.
func (d *database) tableBytes() (int64, error) {
	c, err := d.connection()
	if err != nil {
		return 0, err
	}
	defer d.release(c)
	var res duck.Result
	defer duck.DestroyResult(&res)
	const sql = "SELECT coalesce(sum(memory_usage_bytes), 0)::BIGINT FROM duckdb_memory() WHERE tag = 'IN_MEMORY_TABLE'"
	if duck.Query(c, sql, &res) == duck.StateError {
		return 0, fault(duck.ResultError(&res))
	}
	chunk := duck.FetchChunk(res)
	if chunk.Ptr == nil {
		return 0, &engine.Fault{Kind: engine.Internal, Message: "the engine does not say how much memory its tables take"}
	}
	defer duck.DestroyDataChunk(&chunk)
	return *(*int64)(duck.VectorGetData(duck.DataChunkGetVector(chunk, 0))), nil
}

// traffic counts the queries that run, so that a load can make way.
type traffic struct {
	mu      sync.Mutex
	running int
	quiet   chan struct{} // closed when none runs any more; nil while none does
}

func (t *traffic) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running++; t.running == 1 {
		t.quiet = make(chan struct{})
	}
}

func (t *traffic) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running--; t.running == 0 {
		close(t.quiet)
		t.quiet = nil
	}
}

// yield waits until no query runs, but no longer than nine times what the last
// piece took: under queries without end a load gets a tenth of one processor.
func (t *traffic) yield(ctx context.Context, took time.Duration) {
	t.mu.Lock()
	quiet := t.quiet
	t.mu.Unlock()
	if quiet == nil {
		return
	}
	timer := time.NewTimer(9 * took)
	defer timer.Stop()
	select {
	case <-quiet:
	case <-ctx.Done():
	case <-timer.C:
	}
}
