package server

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

// scripted is a connection that gives one text, and then its end.
type scripted struct {
	net.Conn
	rest io.Reader
}

func (c scripted) Read(p []byte) (int, error) { return c.rest.Read(p) }

// A reader that was another connection's, as net/http hands them on.
func TestReaderOfAnotherConnectionIsWashed(t *testing.T) {
	t.Parallel()
	seen := &kept{}
	r := bufio.NewReaderSize(seen, readerSize)
	of := func(text string) {
		seen.from = &washed{scripted{rest: strings.NewReader(text)}}
		r.Reset(seen)
		if _, err := io.Copy(io.Discard, io.LimitReader(r, int64(len(text)))); err != nil {
			t.Fatal(err)
		}
	}
	of(strings.Repeat("row of a cluster\n", 300))
	if !bytes.Contains(seen.buffer, []byte("row of")) {
		t.Fatal("the buffer never had a row: the test sees nothing")
	}
	of("GET / HTTP/1.1\r\n\r\n")
	if bytes.Contains(seen.buffer, []byte("row of")) {
		t.Errorf("another connection's rows are in the buffer: %q", seen.buffer)
	}
	of(strings.Repeat("row of a cluster\n", 100))
	if _, err := r.ReadByte(); err != io.EOF {
		t.Fatal(err)
	}
	if bytes.Contains(seen.buffer, []byte("row of")) {
		t.Errorf("a connection that ended left its rows: %q", seen.buffer)
	}
}

// kept remembers the buffer that it is read into.
type kept struct {
	from   io.Reader
	buffer []byte
}

func (k *kept) Read(p []byte) (int, error) {
	k.buffer = p
	return k.from.Read(p)
}

// A handler's own, larger buffer is not written behind what was read.
func TestLargeBufferIsLeftAlone(t *testing.T) {
	t.Parallel()
	p := bytes.Repeat([]byte{7}, readerSize+1)
	c := &washed{scripted{rest: strings.NewReader("abc")}}
	if n, err := c.Read(p); n != 3 || err != nil || p[3] != 7 {
		t.Errorf("%d, %v, %d", n, err, p[3])
	}
}
