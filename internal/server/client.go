package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// Client returns the HTTP client with which our own services call the public
// APIs: the hosts in extra (lower case) go to the network under the system's
// trust store, other hosts that this server serves are dialled at the direct
// TLS listener under the local CA; every other host is refused before a connection is
// made. Redirects are never followed.
func (s *Server) Client(extra []string) *http.Client {
	own := &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.ca.Pool()},
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, network, s.DirectAddr())
			if err == nil {
				s.own.dialled(conn)
			}
			return conn, err
		},
	}
	outside := &http.Transport{IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}
	s.mu.Lock()
	s.clients = append(s.clients, own, outside)
	s.mu.Unlock()
	allowed := map[string]bool{}
	for _, h := range extra {
		allowed[h] = true
	}
	return &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			switch {
			case r.URL.Scheme != "https":
				return nil, errors.New("only https is allowed")
			case allowed[strings.ToLower(r.URL.Host)]: // also a real vault under vault.azure.net
				return outside.RoundTrip(r)
			case s.servesHTTPS(r.URL.Host):
				return own.RoundTrip(r)
			}
			return nil, errors.New("host " + r.URL.Host + " is not allowed")
		}),
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// FromClient reports whether a request with that context came from one of the
// clients of Client, and not from anybody else on the machine.
func (s *Server) FromClient(ctx context.Context) bool {
	conn, ok := ctx.Value(connectionKey{}).(net.Conn)
	return ok && s.own.has(conn)
}

// forgetConnections closes the idle connections of our own clients, in whose
// buffers the last answers lie.
func (s *Server) forgetConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.clients {
		t.CloseIdleConnections()
	}
}
