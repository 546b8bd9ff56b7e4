package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/connection"
)

type clusterListener struct {
	connection.Cluster
	server *http.Server
}

// OpenCluster opens the loopback listener, on 127.0.0.1 and ::1, of a cluster
// whose data plane host is host. Requests are served as if they had been sent to that host. A
// cluster that has a listener keeps it.
func (s *Server) OpenCluster(name, host string) (connection.Cluster, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.clusters[host]; ok {
		return c.Cluster, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return connection.Cluster{}, fmt.Errorf("listen for cluster %s: %w", name, err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	c := &clusterListener{Cluster: connection.Cluster{Name: name, Host: host, URL: fmt.Sprintf("https://localhost:%d", port), Port: port}}
	c.server = s.httpServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = host // the data plane knows clusters by their Azure host name
		collapse(r.URL)
		s.planes.Kusto.ServeHTTP(w, r)
	}))
	s.clusters[host] = c
	listeners := []net.Listener{l}
	// The same port on ::1, where the machine has it: localhost may mean either.
	if six, err := net.Listen("tcp", fmt.Sprintf("[::1]:%d", port)); err == nil {
		listeners = append(listeners, six)
	} else {
		s.log.Info("no IPv6 loopback listener for a cluster", "cluster", name, "error", err)
	}
	for _, l := range listeners {
		go func() {
			err := c.server.Serve(washing{tls.NewListener(l, s.tlsConfig(hostLocalhost, isLoopback))})
			s.log.Debug("cluster listener ended", "cluster", name, "error", err)
		}()
	}
	return c.Cluster, nil
}

// CloseCluster closes a cluster's loopback listener; running requests are cut.
func (s *Server) CloseCluster(host string) {
	s.mu.Lock()
	c := s.clusters[host]
	delete(s.clusters, host)
	s.mu.Unlock()
	if c != nil {
		_ = c.server.Close()
	}
}

// Clusters lists the open loopback listeners by name.
func (s *Server) Clusters() []connection.Cluster {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []connection.Cluster{}
	for _, c := range s.clusters {
		out = append(out, c.Cluster)
	}
	slices.SortFunc(out, func(a, b connection.Cluster) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func (s *Server) closeClusters(ctx context.Context) {
	s.mu.Lock()
	all := s.clusters
	s.clusters = map[string]*clusterListener{}
	s.mu.Unlock()
	for _, c := range all {
		if err := c.server.Shutdown(ctx); err != nil {
			_ = c.server.Close()
		}
	}
}
