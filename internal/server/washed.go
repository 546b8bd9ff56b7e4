package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
)

// washed is a connection whose reader finds nothing of others in its buffer.
// net/http hands the buffers of connections that ended to new ones as they are,
// and a request that is shorter than the last one leaves the end of that to be
// seen: rows, for as long as the new connection is open.
type washed struct{ net.Conn }

// readerSize is how long the buffers are that net/http hands on, in bytes. What
// is larger is a handler's own.
const readerSize = 4096

// Read fills p, or what is left of it, with zeros behind what it read: a reader
// of net/http gives its whole buffer whenever it holds nothing unread.
func (c *washed) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if len(p) <= readerSize {
		clear(p[n:])
	}
	var notTLS tls.RecordHeaderError
	if errors.As(err, &notTLS) && notTLS.Conn != nil {
		// net/http says so to connections of which it knows that they are TLS.
		_, _ = io.WriteString(notTLS.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		_ = notTLS.Conn.Close()
	}
	return n, err
}

// washing is a listener of such connections.
type washing struct{ net.Listener }

func (l washing) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &washed{conn}, nil
}
