package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// handshakeTimeout bounds the TLS handshake inside a tunnel.
const handshakeTimeout = 20 * time.Second

// proxyHandler is the HTTP side of the forward proxy: CONNECT tunnels,
// absolute-form requests for the identity endpoint, and https:// in absolute
// form, which some axios versions send instead of a CONNECT.
func (s *Server) proxyHandler(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		s.connect(w, r)
		return
	}
	host := hostOnly(r.Host)
	switch {
	case r.URL.IsAbs() && r.URL.Scheme == "http" && host == hostIdentity:
		user, secret := proxyUser(r.Header.Get("Proxy-Authorization"))
		collapse(r.URL)
		s.planes.Identity.ServeHTTP(w, r.WithContext(s.withProxyUser(r.Context(), user, secret)))
	case r.URL.IsAbs() && r.URL.Scheme == "https" && s.planes.handler(host) != nil:
		s.router(w, r)
	case s.planes.IdentityEndpoint != nil && r.URL.Scheme != "https" && isLoopback(host) && isLoopback(hostOnly(r.RemoteAddr)) && strings.HasPrefix(r.URL.Path, "/msi/"):
		// Node sends this through the proxy as well, in absolute form.
		s.planes.IdentityEndpoint.ServeHTTP(w, r)
	case !r.URL.IsAbs():
		http.Error(w, "This is the Kustos proxy. Set HTTPS_PROXY to it; 'kustos env' prints how.", http.StatusBadRequest)
	default:
		refuseHost(w, host)
	}
}

func refuseHost(w http.ResponseWriter, host string) {
	http.Error(w, "Kustos does not serve "+host+" and never dials out.", http.StatusForbidden)
}

// connect answers a CONNECT: 403 at once for what is not served, else it
// terminates TLS itself and hands the connection to the inner HTTP server.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || port != "443" || s.planes.handler(host) == nil {
		refuseHost(w, r.Host)
		return
	}
	if s.ca == nil {
		s.planes.handler(host).ServeHTTP(w, r)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.log.ErrorContext(r.Context(), "hijack tunnel", "error", err)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection Established\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	inner := tls.Server(&bufferedConn{Conn: conn, r: buf.Reader}, s.tlsConfig(strings.ToLower(host), s.servesHTTPS))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), handshakeTimeout)
	defer cancel()
	if err := inner.HandshakeContext(ctx); err != nil {
		s.log.DebugContext(r.Context(), "tunnel handshake", "host", host, "error", err)
		_ = inner.Close()
		return
	}
	if !s.tunnels.offer(inner) {
		_ = inner.Close()
	}
}

func (s *Server) servesHTTPS(host string) bool { return s.planes.handler(host) != nil }

// proxyUser reads "Basic base64(user:secret)"; empty strings when it is not that.
func proxyUser(header string) (user, secret string) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", ""
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", ""
	}
	user, secret, _ = strings.Cut(string(raw), ":")
	return user, secret
}

// bufferedConn reads first what the HTTP server had already buffered.
type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// tunnelListener is a net.Listener fed with connections that came through CONNECT.
type tunnelListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newTunnelListener() *tunnelListener {
	return &tunnelListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// offer hands conn to Accept; false when the listener is closed.
func (l *tunnelListener) offer(conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.done:
		return false
	}
}

func (l *tunnelListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *tunnelListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *tunnelListener) Addr() net.Addr { return tunnelAddr{} }

type tunnelAddr struct{}

func (tunnelAddr) Network() string { return "tunnel" }
func (tunnelAddr) String() string  { return "tunnel" }
