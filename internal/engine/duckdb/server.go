//go:build cgo

package duckdb

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
)

// server answers the parent's commands, each on a goroutine of its own.
type server struct {
	conn    *engine.Conn
	db      *database
	extents extents

	queries traffic

	mu      sync.Mutex
	running map[uint64]context.CancelFunc
	end     chan error
}

func newServer(conn *engine.Conn, db *database, mostExtents int) *server {
	return &server{
		conn: conn, db: db, extents: extents{most: mostExtents, open: make(map[string]*extent)},
		running: make(map[uint64]context.CancelFunc), end: make(chan error, 1),
	}
}

// serve returns when the parent has closed the socket, or when DuckDB has
// broken so that a new child is needed.
func (s *server) serve(ctx context.Context) error {
	go func() { s.end <- s.receive(ctx) }()
	err := <-s.end
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *server) receive(ctx context.Context) error {
	for {
		var req engine.Request
		files, err := s.conn.Receive(&req)
		if err != nil {
			return err
		}
		if req.Op == engine.OpCancel {
			s.cancel(req.Target)
			continue
		}
		reqCtx, cancel := context.WithCancel(ctx)
		s.mu.Lock()
		s.running[req.ID] = cancel
		s.mu.Unlock()
		go s.answer(reqCtx, &req, files)
	}
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel, ok := s.running[id]; ok {
		cancel()
	}
}

func (s *server) answer(ctx context.Context, req *engine.Request, files []*os.File) {
	reply := &engine.Reply{ID: req.ID}
	err := s.do(ctx, req, files, reply)
	s.mu.Lock()
	s.running[req.ID]()
	delete(s.running, req.ID)
	s.mu.Unlock()
	if err != nil {
		reply.Fault = refusal(err)
	}
	sendErr := s.conn.Send(reply)
	var broken *brokenError
	if errors.As(err, &broken) || sendErr != nil {
		select {
		case s.end <- errors.Join(err, sendErr):
		default: // ending already
		}
	}
}

// refusal is what the parent hears. An error that is no Fault might quote
// anything, so only its being there is told.
func refusal(err error) *engine.Fault {
	var f *engine.Fault
	if errors.As(err, &f) {
		return f
	}
	return &engine.Fault{Kind: engine.Internal, Message: "error inside the engine child"}
}

// do carries one command out and fills the reply in. It owns the files; an
// extent keeps its own.
func (s *server) do(ctx context.Context, req *engine.Request, files []*os.File, reply *engine.Reply) (err error) {
	want := map[engine.Op]int{
		engine.OpOpen: 1, engine.OpAppend: 1, engine.OpQuery: 1, engine.OpExport: 1, engine.OpImport: 2,
	}[req.Op]
	if req.Sparse != nil && req.Op == engine.OpOpen {
		want = 2
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if len(files) != want {
		return badCommand("%s needs %d files, %d came", req.Op, want, len(files))
	}
	switch req.Op {
	case engine.OpPing:
		return nil
	case engine.OpOpen:
		if err = s.extents.add(req.Name, files, req.Sparse); err == nil {
			files = files[1:]
		}
		return err
	case engine.OpClose:
		return s.extents.remove(req.Name)
	case engine.OpCreate:
		return s.db.createBuffer(req.Name, req.Columns)
	case engine.OpDrop:
		return s.db.dropBuffer(req.Name)
	case engine.OpAppend:
		reply.Rows, err = s.db.appendBatches(req.Name, files[0])
		return err
	case engine.OpLoad:
		return s.load(ctx, req, reply)
	case engine.OpUnload:
		return s.db.unload(req.Name)
	case engine.OpQuery:
		s.queries.begin()
		defer s.queries.end()
		reply.Rows, err = s.query(ctx, req, files[0])
		return err
	case engine.OpExport:
		sql, release, err := s.extents.use(req.SQL, req.Extents)
		if err != nil {
			return err
		}
		defer release()
		reply.Rows, err = s.db.export(ctx, sql, req.Params, files[0])
		return err
	case engine.OpImport:
		if req.Import == nil {
			return badCommand("import without columns")
		}
		reply.Rows, err = s.db.importParquet(ctx, files[0], *req.Import, files[1])
		return err
	}
	return badCommand("unknown command %q", req.Op)
}

func (s *server) load(ctx context.Context, req *engine.Request, reply *engine.Reply) error {
	sql, release, err := s.extents.use(req.SQL, req.Extents)
	if err != nil {
		return err
	}
	defer release()
	done, err := s.db.load(ctx, hotTable{req.Name, req.Columns, req.Most}, sql, req.Params, s.queries.yield)
	reply.Rows, reply.Bytes = done.Rows, done.Bytes
	return err
}

func (s *server) query(ctx context.Context, req *engine.Request, received *os.File) (int64, error) {
	socket, err := stream(received)
	if err != nil {
		return 0, err
	}
	defer socket.Close()
	sql, release, err := s.extents.use(req.SQL, req.Extents)
	if err != nil {
		return 0, err
	}
	defer release()
	w := &writer{buf: bufio.NewWriterSize(socket, 128<<10)}
	if err := s.db.query(ctx, sql, req.Params, w); err != nil {
		return 0, err
	}
	return w.count, w.close()
}

// stream makes a socket that waits in Go's poller, so that a slow reader does
// not hold a thread.
func stream(received *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(received.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, badCommand("row socket: %v", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, badCommand("row socket: %v", err)
	}
	return os.NewFile(uintptr(fd), "rows"), nil
}

// writer sends a result as an Arrow IPC stream.
type writer struct {
	buf   *bufio.Writer
	ipc   *ipc.Writer
	count int64
}

func (w *writer) start(schema *arrow.Schema) error {
	w.ipc = ipc.NewWriter(w.buf, ipc.WithSchema(schema))
	return nil
}

func (w *writer) rows(batch arrow.RecordBatch) error {
	if err := w.ipc.Write(batch); err != nil {
		return lost(err)
	}
	w.count += batch.NumRows()
	return nil
}

func (w *writer) close() error {
	// Close writes the schema when no batch came.
	if err := w.ipc.Close(); err != nil {
		return lost(err)
	}
	if err := w.buf.Flush(); err != nil {
		return lost(err)
	}
	return nil
}

// lost says that the parent does not read any more: it has given the query up.
func lost(error) error { return interrupted() }
