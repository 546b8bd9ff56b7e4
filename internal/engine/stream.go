package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"golang.org/x/sys/unix"
)

// Query starts a statement. The rows travel over a socket of their own, so
// that one slow reader holds up nobody else; the reply on the control socket
// says how the statement ended and how many rows there were.
func (c *client) Query(ctx context.Context, s Statement) (Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("query: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "rows of child")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[0], true); err != nil {
		unix.Close(fds[0])
		return nil, fmt.Errorf("query: %w", err)
	}
	ours := os.NewFile(uintptr(fds[0]), "rows")
	req := s.request(OpQuery)
	answer, err := c.send(&req, theirs)
	if err != nil {
		ours.Close()
		return nil, err
	}
	theirs.Close()

	r := &rows{ctx: ctx, client: c, id: req.ID, answer: answer, socket: ours}
	r.stop = context.AfterFunc(ctx, r.abandon)
	r.reader, err = ipc.NewReader(bufio.NewReaderSize(ours, 64<<10))
	if err != nil {
		// No schema came: the statement was refused, or it has no rows to say.
		if err := r.end(err); err != nil {
			r.Close()
			return nil, err
		}
		r.Close()
		return nil, &Fault{Kind: Internal, Message: "the statement has no result"}
	}
	r.schema = r.reader.Schema()
	return r, nil
}

type rows struct {
	ctx    context.Context
	client *client
	id     uint64
	answer <-chan Reply
	socket *os.File
	reader *ipc.Reader // nil after Close
	schema *arrow.Schema
	stop   func() bool

	count    int64
	finished bool // the reply was taken
	err      error
	once     sync.Once
}

// abandon interrupts the statement and unblocks both ends of the stream.
func (r *rows) abandon() {
	r.once.Do(func() {
		r.client.interrupt(r.id)
		r.socket.Close()
	})
}

func (r *rows) Schema() *arrow.Schema { return r.schema }

func (r *rows) RecordBatch() arrow.RecordBatch { return r.reader.RecordBatch() }

func (r *rows) Err() error { return r.err }

func (r *rows) Next() bool {
	if r.finished {
		return false
	}
	if r.reader.Next() {
		r.count += r.reader.RecordBatch().NumRows()
		return true
	}
	r.err = r.end(r.reader.Err())
	return false
}

// end takes the reply and decides how the stream ended; cause is what the
// reader of the stream ran into, nil at its regular end.
func (r *rows) end(cause error) error {
	if r.finished {
		return r.err
	}
	r.finished = true
	if cause != nil {
		// A broken stream alone does not end the statement in the child.
		r.abandon()
	}
	reply, err := r.client.await(r.answer, interruptLimit)
	switch {
	case r.ctx.Err() != nil:
		return r.ctx.Err()
	case err != nil:
		return err
	case reply.Rows != r.count:
		return fmt.Errorf("query: %d rows came of %d: %w", r.count, reply.Rows, errors.Join(ErrGone, cause))
	}
	return nil
}

// Close ends the statement if it still runs and waits until the child has let
// go of everything it used.
func (r *rows) Close() error {
	r.stop()
	if r.finished {
		r.socket.Close()
	} else {
		r.finished = true
		r.abandon()
		if _, err := r.client.await(r.answer, interruptLimit); err != nil && r.err == nil {
			r.err = context.Canceled
		}
	}
	if r.reader != nil {
		r.reader.Release()
		r.reader = nil
	}
	return nil
}
