package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/kustos-io/kustos/internal/engine"
)

// fakeLauncher starts children that live in this process. They know the few
// statements the runtime itself writes, and SELECT of whole rows; a "Parquet
// file" of theirs is JSON.
type fakeLauncher struct {
	mu       sync.Mutex
	children []*fakeChild
	refuse   error // what Launch answers
	// onCreate, onAppend, onExport, onLoad and onQuery run at the start of the command; an error
	// is its answer.
	onCreate, onAppend, onExport, onLoad, onQuery func(c *fakeChild) error
}

func (l *fakeLauncher) Launch(context.Context, engine.Config) (engine.Child, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refuse != nil {
		return nil, l.refuse
	}
	c := &fakeChild{l: l, done: make(chan struct{}), buffers: make(map[string][]fakeRow), extents: make(map[string][]fakeRow), loaded: make(map[string][]fakeRow)}
	l.children = append(l.children, c)
	return c, nil
}

// alive is the child that runs.
func (l *fakeLauncher) alive() []*fakeChild {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.children), func(c *fakeChild) bool {
		select {
		case <-c.done:
			return true
		default:
			return false
		}
	})
}

type fakeRow map[string]string

type fakeChild struct {
	l    *fakeLauncher
	once sync.Once
	done chan struct{}

	mu      sync.Mutex
	buffers map[string][]fakeRow
	extents map[string][]fakeRow
	loaded  map[string][]fakeRow // hot tables, by their name in SQL
	opened  int
}

func (c *fakeChild) Info() engine.Info          { return engine.Info{Version: "fake"} }
func (c *fakeChild) Done() <-chan struct{}      { return c.done }
func (c *fakeChild) Close() error               { c.once.Do(func() { close(c.done) }); return nil }
func (c *fakeChild) Ping(context.Context) error { return c.gone() }

func (c *fakeChild) gone() error {
	select {
	case <-c.done:
		return engine.ErrGone
	default:
		return nil
	}
}

func (c *fakeChild) hook(f func(*fakeChild) error) error {
	if f != nil {
		if err := f(c); err != nil {
			return err
		}
	}
	return c.gone()
}

func (c *fakeChild) OpenExtent(_ context.Context, id string, data *os.File) error {
	raw, err := engine.ReadMemfd(data)
	if err != nil {
		return err
	}
	var rows []fakeRow
	if err := json.Unmarshal(raw, &rows); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extents[id] = rows
	c.opened++
	return c.gone()
}

func (c *fakeChild) OpenSparse(context.Context, string, *engine.Sparse, func(first, last int64)) error {
	return errors.New("the fake engine does not decrypt on read")
}

func (c *fakeChild) CloseExtent(_ context.Context, id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.extents, id)
	return c.gone()
}

func (c *fakeChild) CreateBuffer(_ context.Context, name string, _ []engine.Column) error {
	if err := c.hook(c.l.onCreate); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buffers[name] = []fakeRow{}
	return c.gone()
}

func (c *fakeChild) Load(ctx context.Context, name string, _ []engine.Column, s engine.Statement, most int64) (engine.Loaded, error) {
	if err := c.hook(c.l.onLoad); err != nil {
		return engine.Loaded{}, err
	}
	if err := ctx.Err(); err != nil {
		return engine.Loaded{}, err
	}
	rows, err := c.evaluate(s)
	if err != nil {
		return engine.Loaded{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaded[engine.HotTable(name)] = append(c.loaded[engine.HotTable(name)], rows...)
	done := engine.Loaded{Rows: int64(len(rows)), Bytes: fakeRowBytes * int64(len(rows))}
	if done.Bytes > most {
		return done, &engine.Fault{Kind: engine.OutOfMemory, Message: "too large"}
	}
	return done, c.gone()
}

// fakeRowBytes is what a row takes in a hot table.
const fakeRowBytes = 10

func (c *fakeChild) Unload(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.loaded, engine.HotTable(name))
	return c.gone()
}

func (c *fakeChild) DropBuffer(_ context.Context, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.buffers, name)
	return c.gone()
}

func (c *fakeChild) Append(_ context.Context, name string, streams []byte) error {
	if err := c.hook(c.l.onAppend); err != nil {
		return err
	}
	var rows []fakeRow
	for rest := bytes.NewReader(streams); rest.Len() > 0; {
		r, err := ipc.NewReader(rest)
		if err != nil {
			return err
		}
		for r.Next() {
			b := r.RecordBatch()
			for i := range int(b.NumRows()) {
				row := make(fakeRow)
				for at, col := range b.Columns() {
					row[b.ColumnName(at)] = strings.Clone(col.ValueStr(i))
				}
				rows = append(rows, row)
			}
		}
		r.Release()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.buffers[name]; !ok {
		return &engine.Fault{Kind: engine.BadCommand, Message: "no buffer"}
	}
	c.buffers[name] = append(c.buffers[name], rows...)
	return c.gone()
}

var sources = regexp.MustCompile(`\{\{extent:([^}]*)\}\}|\bb_[0-9a-f_]+|\bh_\d+\.main\.hot`)

// evaluate unites the rows of everything the statement names.
func (c *fakeChild) evaluate(s engine.Statement) ([]fakeRow, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []fakeRow
	for _, m := range sources.FindAllStringSubmatch(s.SQL, -1) {
		from, ok := c.buffers[m[0]]
		if strings.HasSuffix(m[0], ".hot") {
			from, ok = c.loaded[m[0]]
		}
		if m[1] != "" {
			from, ok = c.extents[m[1]]
			ok = ok && slices.Contains(s.Extents, m[1])
		}
		if !ok {
			return nil, &engine.Fault{Kind: engine.BadCommand, Message: "no source " + m[0]}
		}
		out = append(out, from...)
	}
	return out, nil
}

func (c *fakeChild) Export(_ context.Context, s engine.Statement, out *os.File) (int64, error) {
	if err := c.hook(c.l.onExport); err != nil {
		return 0, err
	}
	rows, err := c.evaluate(s)
	if err != nil {
		return 0, err
	}
	if err := json.NewEncoder(out).Encode(rows); err != nil {
		return 0, err
	}
	return int64(len(rows)), c.gone()
}

func (c *fakeChild) Import(_ context.Context, in *os.File, _ engine.Import, out *os.File) (int64, error) {
	raw, err := engine.ReadMemfd(in)
	if err != nil {
		return 0, err
	}
	var rows []fakeRow
	if json.Unmarshal(raw, &rows) != nil {
		return 0, &engine.Fault{Kind: engine.BadData, Message: "a file cannot be read or written"}
	}
	_, err = io.Copy(out, bytes.NewReader(raw))
	return int64(len(rows)), err
}

func (c *fakeChild) Query(ctx context.Context, s engine.Statement) (engine.Rows, error) {
	if err := c.hook(c.l.onQuery); err != nil {
		return nil, err
	}
	rows, err := c.evaluate(s)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.SQL, "SELECT count(*)") {
		return &fakeRows{ctx: ctx, child: c, batch: measured(s.SQL, rows)}, nil
	}
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	for _, r := range rows {
		b.Append(r["c1"])
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "r0", Type: arrow.BinaryTypes.String}}, nil)
	return &fakeRows{ctx: ctx, child: c, batch: array.NewRecordBatch(schema, []arrow.Array{b.NewArray()}, int64(len(rows)))}, nil
}

var ranged = regexp.MustCompile(`(min|max)\((c\d+)\)`)

func measured(sql string, rows []fakeRow) arrow.RecordBatch {
	values := []*int64{new(int64)}
	*values[0] = int64(len(rows))
	for _, m := range ranged.FindAllStringSubmatch(sql, -1) {
		var best *int64
		for _, r := range rows {
			v, err := strconv.ParseInt(r[m[2]], 10, 64)
			if err == nil && (best == nil || m[1] == "min" && v < *best || m[1] == "max" && v > *best) {
				best = &v
			}
		}
		values = append(values, best)
	}
	var fields []arrow.Field
	var columns []arrow.Array
	for i, v := range values {
		b := array.NewInt64Builder(memory.DefaultAllocator)
		if v == nil {
			b.AppendNull()
		} else {
			b.Append(*v)
		}
		fields = append(fields, arrow.Field{Name: fmt.Sprint(i), Type: arrow.PrimitiveTypes.Int64, Nullable: true})
		columns = append(columns, b.NewArray())
	}
	return array.NewRecordBatch(arrow.NewSchema(fields, nil), columns, 1)
}

// fakeRows is one batch; a test may hold it open to see what a query holds.
type fakeRows struct {
	ctx   context.Context
	child *fakeChild
	batch arrow.RecordBatch
	taken bool
	err   error
}

func (r *fakeRows) Schema() *arrow.Schema          { return r.batch.Schema() }
func (r *fakeRows) RecordBatch() arrow.RecordBatch { return r.batch }
func (r *fakeRows) Err() error                     { return r.err }
func (r *fakeRows) Close() error                   { return nil }

func (r *fakeRows) Next() bool {
	if r.err = r.ctx.Err(); r.err == nil {
		r.err = r.child.gone()
	}
	if r.err != nil || r.taken {
		return false
	}
	r.taken = true
	return true
}
