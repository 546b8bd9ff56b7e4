package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	readHeaderTimeout = 30 * time.Second
	idleTimeout       = 3 * time.Minute
	maxHeaderBytes    = 64 << 10
	shutdownTimeout   = 10 * time.Second
)

// Options say where to listen and what to serve.
type Options struct {
	// ProxyAddr and DirectAddr are host:port; port 0 picks a free one.
	ProxyAddr, DirectAddr string
	// CA is nil while its key is sealed: then a CONNECT is answered with 503 and
	// no TLS handshake succeeds.
	CA     *CA
	Planes Planes
	// WithProxyUser stores the proxy credentials of an identity request in its context.
	WithProxyUser func(ctx context.Context, user, secret string) context.Context
	Log           *slog.Logger
}

// Server owns the listeners. Make it with Listen, then call Serve once.
type Server struct {
	planes        Planes
	ca            *CA
	log           *slog.Logger
	withProxyUser func(context.Context, string, string) context.Context
	proxy, direct net.Listener
	tunnels       *tunnelListener
	outer, inner  *http.Server
	own           *ownConnections // of inner
	carriers      *carriers       // of all servers

	mu       sync.Mutex
	clusters map[string]*clusterListener // by cluster host name
	clients  []*http.Transport           // of Client
}

// Listen opens the two listeners, so that their addresses are known before
// anything is served.
func Listen(opts Options) (*Server, error) {
	s := &Server{ca: opts.CA, log: opts.Log, withProxyUser: opts.WithProxyUser,
		tunnels: newTunnelListener(), own: newOwnConnections(), carriers: newCarriers(), clusters: map[string]*clusterListener{}}
	s.SetPlanes(opts.Planes)
	var err error
	if s.proxy, err = net.Listen("tcp", opts.ProxyAddr); err != nil {
		return nil, fmt.Errorf("listen for the proxy: %w", err)
	}
	if s.direct, err = net.Listen("tcp", opts.DirectAddr); err != nil {
		_ = s.proxy.Close()
		return nil, fmt.Errorf("listen for direct TLS: %w", err)
	}
	s.outer = s.httpServer(http.HandlerFunc(s.proxyHandler))
	s.inner = s.httpServer(http.HandlerFunc(s.router))
	s.inner.ConnState = func(c net.Conn, state http.ConnState) {
		s.own.state(c, state)
		s.carriers.state(c, state)
	}
	return s, nil
}

// SetPlanes installs the handlers; it must be called before Serve. Some planes
// need the listeners' addresses, so they are composed after Listen.
func (s *Server) SetPlanes(p Planes) {
	if p.Kusto != nil {
		p.Kusto = s.carriers.plane(p.Kusto)
	}
	s.planes = p
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 only
		ErrorLog:     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnContext:  withConnection, ConnState: s.carriers.state,
	}
}

// ProxyAddr is the address the proxy listens on.
func (s *Server) ProxyAddr() string { return s.proxy.Addr().String() }

// DirectAddr is the address of the direct TLS listener.
func (s *Server) DirectAddr() string { return s.direct.Addr().String() }

// Serve runs until ctx ends, then stops accepting, waits for running requests
// up to a bound, and returns nil. A listener that breaks ends it with an error.
func (s *Server) Serve(ctx context.Context) error {
	errs := make(chan error, 3)
	go func() { errs <- s.outer.Serve(washing{s.proxy}) }()
	go func() { errs <- s.inner.Serve(washing{s.tunnels}) }()
	go func() { errs <- s.inner.Serve(washing{tls.NewListener(s.direct, s.tlsConfig("", s.servesHTTPS))}) }()
	var failure error
	select {
	case <-ctx.Done():
	case err := <-errs:
		failure = fmt.Errorf("serve: %w", err)
	}
	_ = s.tunnels.Close()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	s.closeClusters(stop)
	for _, srv := range []*http.Server{s.outer, s.inner} {
		if err := srv.Shutdown(stop); err != nil && !errors.Is(err, http.ErrServerClosed) {
			_ = srv.Close()
		}
	}
	return failure
}
