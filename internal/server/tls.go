package server

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// tlsConfig serves HTTP/1.1 with a leaf for the name the client asks for
// (SNI), or for fallback where it sends none. serves decides which names get
// a certificate.
func (s *Server) tlsConfig(fallback string, serves func(host string) bool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, // no client needs h2, and one protocol is one behaviour
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
			if host == "" {
				host = fallback
			}
			if host == "" || !serves(host) {
				return nil, errors.New("host " + host + " is not served")
			}
			if s.ca == nil {
				return nil, errors.New("the server is sealed, and its certificates with it")
			}
			return s.ca.Leaf(host)
		},
	}
}

// isLoopback reports whether host is localhost or a loopback address.
func isLoopback(host string) bool {
	if strings.EqualFold(host, hostLocalhost) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
