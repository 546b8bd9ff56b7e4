package server

import (
	"path/filepath"

	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/internal/directory"
)

// connectionOf fills the connection file's fixed part.
func connectionOf(in *instance, s *Server, b directory.Bootstrap, pid int) connection.File {
	return connection.File{
		Proxy: "http://" + s.ProxyAddr(), Direct: "https://" + s.DirectAddr(), CAFile: filepath.Join(in.dir, caName),
		TenantID: b.TenantID, SubscriptionID: b.SubscriptionID, ClientID: b.ClientID, ClientSecret: b.ClientSecret.Reveal(),
		SealFile: in.sealFile(), InstanceID: in.barrier.InstanceID(), PID: pid, IdentityEndpoint: "http://" + s.ProxyAddr() + directory.IdentityEndpointPath, Clusters: []connection.Cluster{},
	}
}
