package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxInline is the largest message that travels in the socket itself; a
	// larger one travels in a memfd, as the first file of the message.
	maxInline = 48 << 10
	maxFiles  = 8

	inline  = byte(0)
	spilled = byte(1)
)

// Conn is one end of the control socket: whole messages of JSON with files
// beside them. Send may be called by many goroutines, Receive by one.
type Conn struct {
	f   *os.File
	raw syscall.RawConn
	buf []byte
	oob []byte

	mu sync.Mutex // one writer at a time
}

// NewConn takes over fd, a SEQPACKET socket.
func NewConn(fd int) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "control")
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Conn{f: f, raw: raw, buf: make([]byte, maxInline+64), oob: make([]byte, unix.CmsgSpace(maxFiles*4))}, nil
}

// Close ends the connection; a blocked Receive returns.
func (c *Conn) Close() error { return c.f.Close() }

// Send writes v. The files stay the caller's; for one that is closed by now the error
// is os.ErrClosed and nothing is sent.
func (c *Conn) Send(v any, files ...*os.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	message := append([]byte{inline}, body...)
	if len(body) > maxInline {
		spill, err := spillFile(body)
		if err != nil {
			return err
		}
		defer spill.Close()
		message = []byte{spilled}
		files = append([]*os.File{spill}, files...)
	}
	oob, release, err := rights(files)
	if err != nil {
		return err
	}
	defer release()
	c.mu.Lock()
	defer c.mu.Unlock()
	var sendErr error
	err = c.raw.Write(func(fd uintptr) bool {
		for {
			sendErr = unix.Sendmsg(int(fd), message, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			if sendErr != unix.EINTR {
				return sendErr != unix.EAGAIN
			}
		}
	})
	if err = errors.Join(err, sendErr); err != nil {
		return fmt.Errorf("send to engine peer: %w", err)
	}
	return nil
}

// rights makes the part of a message that hands files over. It has descriptors of its
// own until release: whoever owns a file may close it meanwhile, and its number may
// then be that of another file already.
func rights(files []*os.File) (oob []byte, release func(), err error) {
	fds := make([]int, 0, len(files))
	release = func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	for _, f := range files {
		fd, err := duplicate(f)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("hand over file to engine peer: %w", err)
		}
		fds = append(fds, fd)
	}
	if len(fds) == 0 {
		return nil, release, nil
	}
	return unix.UnixRights(fds...), release, nil
}

func duplicate(f *os.File) (fd int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var dupErr error
	err = raw.Control(func(own uintptr) { fd, dupErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil { // the only one there is, and it is not os.ErrClosed
		return 0, os.ErrClosed
	}
	return fd, dupErr
}

func spillFile(body []byte) (*os.File, error) {
	f, err := NewMemfd("message")
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(body); err != nil {
		f.Close()
		return nil, fmt.Errorf("write message: %w", err)
	}
	return f, nil
}

// Receive reads the next message into v and returns its files, which are then
// the caller's. At the end it returns io.EOF. When this process has no
// descriptor left for a file, the message comes without any: whoever carries it
// out misses them and refuses.
func (c *Conn) Receive(v any) ([]*os.File, error) {
	var n, oobn, flags int
	var recvErr error
	err := c.raw.Read(func(fd uintptr) bool {
		for {
			n, oobn, flags, _, recvErr = unix.Recvmsg(int(fd), c.buf, c.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
			if recvErr != unix.EINTR {
				return recvErr != unix.EAGAIN
			}
		}
	})
	if err = errors.Join(err, recvErr); err != nil {
		return nil, fmt.Errorf("receive from engine peer: %w", err)
	}
	files, err := parseFiles(c.oob[:oobn])
	if err != nil {
		return nil, err
	}
	body, files, err := c.body(n, flags, files)
	if flags&unix.MSG_CTRUNC != 0 {
		for _, f := range files {
			f.Close()
		}
		files = nil
	}
	if err == nil {
		if err = json.Unmarshal(body, v); err == nil {
			return files, nil
		}
		err = errors.New("malformed message from engine peer")
	}
	for _, f := range files {
		f.Close()
	}
	return nil, err
}

func (c *Conn) body(n, flags int, files []*os.File) ([]byte, []*os.File, error) {
	if n == 0 {
		return nil, files, io.EOF
	}
	if flags&unix.MSG_TRUNC != 0 {
		return nil, files, errors.New("message from engine peer is too large")
	}
	if c.buf[0] == inline {
		return c.buf[1:n], files, nil
	}
	if len(files) == 0 {
		return nil, files, errors.New("message from engine peer lacks its body")
	}
	body, err := ReadMemfd(files[0])
	files[0].Close()
	return body, files[1:], err
}

func parseFiles(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("receive from engine peer: %w", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "handed over"))
		}
	}
	return files, nil
}

// ReadMemfd reads a whole memfd from its start, wherever its offset stands.
func ReadMemfd(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read memfd: %w", err)
	}
	body := make([]byte, info.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, info.Size()), body); err != nil {
		return nil, fmt.Errorf("read memfd: %w", err)
	}
	return body, nil
}
