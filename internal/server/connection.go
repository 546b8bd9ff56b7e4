package server

import (
	"path/filepath"

	"github.com/kustos-io/kustos/internal/connection"
	"github.com/kustos-io/kustos/internal/directory"
)

// connectionOf fills the connection file's fixed part.
func connectionOf(in *instance, s *Server, all []*tenant, pid int) connection.File {
	first := all[0].connection()
	f := connection.File{
		Proxy: "http://" + s.ProxyAddr(), Direct: "https://" + s.DirectAddr(), CAFile: filepath.Join(in.dir, caName),
		TenantID: first.TenantID, TenantName: first.TenantName, TenantDomain: first.TenantDomain,
		SubscriptionID: first.SubscriptionID, ClientID: first.ClientID, ClientSecret: first.ClientSecret,
		SealFile: in.sealFile(), InstanceID: in.barrier.InstanceID(), PID: pid, IdentityEndpoint: "http://" + s.ProxyAddr() + directory.IdentityEndpointPath, Clusters: []connection.Cluster{},
	}
	for _, t := range all[1:] {
		f.Tenants = append(f.Tenants, t.connection())
	}
	return f
}

// connection is the way into a tenant.
func (t *tenant) connection() connection.Tenant {
	return connection.Tenant{TenantID: t.ID, TenantName: t.Name, TenantDomain: t.Domain,
		SubscriptionID: t.bootstrap.SubscriptionID, ClientID: t.bootstrap.ClientID, ClientSecret: t.bootstrap.ClientSecret.Reveal()}
}
