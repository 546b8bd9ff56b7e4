package engine

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// interruptLimit is how long an interrupted statement may take to end before
// the child counts as stuck and is killed.
const interruptLimit = 15 * time.Second

// client is the parent's end of one child.
type client struct {
	conn    *Conn
	process *os.Process
	info    Info
	log     *slog.Logger

	ring *Ring

	mu      sync.Mutex
	sparse  map[string]uint32 // extents that are decrypted on read → index in the ring
	next    uint64
	pending map[uint64]chan Reply // nil once the child is gone
	gone    chan struct{}         // the child will not answer any more
	done    chan struct{}         // the process was waited for
}

func newClient(conn *Conn, ring *Ring, log *slog.Logger) *client {
	return &client{conn: conn, ring: ring, sparse: make(map[string]uint32), log: log, pending: make(map[uint64]chan Reply), gone: make(chan struct{}), done: make(chan struct{})}
}

func (c *client) Info() Info            { return c.info }
func (c *client) Done() <-chan struct{} { return c.done }

// Close kills the process and waits for its end.
func (c *client) Close() error {
	c.kill()
	<-c.done
	return nil
}

func (c *client) kill() {
	c.fail()
	// An error means that it has ended already.
	_ = c.process.Kill()
}

// fail makes every waiting and every later request end with ErrGone.
func (c *client) fail() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == nil {
		return
	}
	c.pending = nil
	c.ring.Deny()
	close(c.gone)
}

// ended is called once, when the process has been waited for.
func (c *client) ended(err error) {
	c.fail()
	c.conn.Close()
	c.ring.Close()
	c.log.Info("engine child ended", "pid", c.process.Pid, "error", err)
	close(c.done)
}

func (c *client) receive() {
	for {
		var reply Reply
		files, err := c.conn.Receive(&reply)
		for _, f := range files { // a child has nothing to give
			f.Close()
		}
		if err != nil {
			c.kill()
			return
		}
		c.mu.Lock()
		answer := c.pending[reply.ID]
		delete(c.pending, reply.ID)
		c.mu.Unlock()
		if answer != nil {
			answer <- reply // buffered: never blocks
		}
	}
}

// send registers and sends a request; the reply comes through the channel.
func (c *client) send(req *Request, files ...*os.File) (<-chan Reply, error) {
	answer := make(chan Reply, 1)
	c.mu.Lock()
	if c.pending == nil {
		c.mu.Unlock()
		return nil, ErrGone
	}
	c.next++
	req.ID = c.next
	c.pending[req.ID] = answer
	c.mu.Unlock()
	if err := c.conn.Send(req, files...); err != nil {
		c.mu.Lock()
		delete(c.pending, req.ID)
		c.mu.Unlock()
		select {
		case <-c.gone:
			return nil, ErrGone
		default:
			return nil, err
		}
	}
	return answer, nil
}

// interrupt asks the child to give a request up.
func (c *client) interrupt(id uint64) {
	// An error means that the child is gone, which ends the request as well.
	_ = c.conn.Send(&Request{Op: OpCancel, Target: id})
}

// await waits for the reply to an interrupted or finished statement. A child
// that does not give one is stuck and is killed.
func (c *client) await(answer <-chan Reply, limit time.Duration) (Reply, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case reply := <-answer:
		return outcome(reply)
	case <-c.gone:
		return lastWord(answer)
	case <-timer.C:
		c.log.Error("engine child does not answer an interrupt and is killed", "pid", c.process.Pid)
		c.kill()
		return Reply{}, ErrGone
	}
}

// call sends a request and waits for its reply. When ctx ends first the
// request is interrupted and the error is ctx's.
func (c *client) call(ctx context.Context, req Request, files ...*os.File) (Reply, error) {
	if err := ctx.Err(); err != nil {
		return Reply{}, err
	}
	answer, err := c.send(&req, files...)
	if err != nil {
		return Reply{}, err
	}
	select {
	case reply := <-answer:
		return outcome(reply)
	case <-c.gone:
		return lastWord(answer)
	case <-ctx.Done():
		c.interrupt(req.ID)
		if reply, err := c.await(answer, interruptLimit); err == nil {
			return reply, nil // it was done before the interrupt came
		}
		return Reply{}, ctx.Err()
	}
}

// lastWord takes a reply that came just before the child went.
func lastWord(answer <-chan Reply) (Reply, error) {
	select {
	case reply := <-answer:
		return outcome(reply)
	default:
		return Reply{}, ErrGone
	}
}

func outcome(reply Reply) (Reply, error) {
	if reply.Fault != nil {
		return reply, reply.Fault
	}
	return reply, nil
}

func (c *client) Ping(ctx context.Context) error {
	_, err := c.call(ctx, Request{Op: OpPing})
	return err
}

func (c *client) OpenExtent(ctx context.Context, id string, data *os.File) error {
	_, err := c.call(ctx, Request{Op: OpOpen, Name: id}, data)
	return err
}

func (c *client) OpenSparse(ctx context.Context, id string, s *Sparse, filled func(first, last int64)) error {
	s.FillTail() // saves the child two requests
	index := c.ring.Attach(s, filled)
	data, words := s.Files()
	about := &SparseInfo{Index: index, Shift: s.shift, Size: s.size}
	c.mu.Lock()
	c.sparse[id] = index
	c.mu.Unlock()
	_, err := c.call(ctx, Request{Op: OpOpen, Name: id, Sparse: about}, data, words)
	if err != nil {
		c.detach(id)
	}
	return err
}

// detach ends the child's asking for an extent.
func (c *client) detach(id string) {
	c.mu.Lock()
	index, ok := c.sparse[id]
	delete(c.sparse, id)
	c.mu.Unlock()
	if ok {
		c.ring.Detach(index)
	}
}

func (c *client) CloseExtent(ctx context.Context, id string) error {
	// A statement that still runs may ask on: what it reads it has pinned, so
	// nobody closes an extent under it.
	_, err := c.call(ctx, Request{Op: OpClose, Name: id})
	c.detach(id)
	return err
}

func (c *client) CreateBuffer(ctx context.Context, name string, columns []Column) error {
	_, err := c.call(ctx, Request{Op: OpCreate, Name: name, Columns: columns})
	return err
}

func (c *client) DropBuffer(ctx context.Context, name string) error {
	_, err := c.call(ctx, Request{Op: OpDrop, Name: name})
	return err
}

func (c *client) Load(ctx context.Context, name string, columns []Column, s Statement, most int64) (Loaded, error) {
	req := s.request(OpLoad)
	req.Name, req.Columns, req.Most = name, columns, most
	reply, err := c.call(ctx, req)
	return Loaded{Rows: reply.Rows, Bytes: reply.Bytes}, err
}

func (c *client) Unload(ctx context.Context, name string) error {
	_, err := c.call(ctx, Request{Op: OpUnload, Name: name})
	return err
}

func (c *client) Append(ctx context.Context, name string, streams []byte) error {
	f, err := NewMemfd("batch")
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(streams); err != nil {
		return fmt.Errorf("hand over batch: %w", err)
	}
	if err := Seal(f); err != nil {
		return err
	}
	_, err = c.call(ctx, Request{Op: OpAppend, Name: name}, f)
	return err
}

func (c *client) Export(ctx context.Context, s Statement, out *os.File) (int64, error) {
	req := s.request(OpExport)
	reply, err := c.call(ctx, req, out)
	return reply.Rows, err
}

func (c *client) Import(ctx context.Context, in *os.File, spec Import, out *os.File) (int64, error) {
	reply, err := c.call(ctx, Request{Op: OpImport, Import: &spec}, in, out)
	return reply.Rows, err
}

func (s Statement) request(op Op) Request {
	params := make([]Param, len(s.Params))
	for i, p := range s.Params {
		params[i] = Param{p}
	}
	return Request{Op: op, SQL: s.SQL, Params: params, Extents: s.Extents}
}
