package server

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/durable"
)

// connection is DIR/connection.json, mode 0600: what a client needs to reach
// this server. It is one of the two documented places where a secret lies on
// the disk in clear.
type connection struct {
	Proxy            string            `json:"proxy"`
	CAFile           string            `json:"caFile"`
	Direct           string            `json:"direct"`
	TenantID         string            `json:"tenantId"`
	SubscriptionID   string            `json:"subscriptionId"`
	ClientID         string            `json:"clientId"`
	ClientSecret     string            `json:"clientSecret"`
	SealFile         string            `json:"sealFile"`
	InstanceID       string            `json:"instanceId"`
	PID              int               `json:"pid"`
	Control          string            `json:"control,omitempty"`
	ControlToken     string            `json:"controlToken,omitempty"`
	IdentityEndpoint string            `json:"identityEndpoint"` // for IDENTITY_ENDPOINT; IDENTITY_HEADER is an identity's secret
	Clusters         []ClusterEndpoint `json:"clusters"`
}

// writeConnection replaces the connection file as a whole.
func writeConnection(dir string, c connection) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, connectionName), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write connection file: %w", err)
	}
	return nil
}

// connectionOf fills the file's fixed part.
func connectionOf(in *instance, s *Server, b directory.Bootstrap, pid int) connection {
	return connection{
		Proxy: "http://" + s.ProxyAddr(), Direct: "https://" + s.DirectAddr(), CAFile: filepath.Join(in.dir, caName),
		TenantID: b.TenantID, SubscriptionID: b.SubscriptionID, ClientID: b.ClientID, ClientSecret: b.ClientSecret.Reveal(),
		SealFile: in.sealFile(), InstanceID: in.barrier.InstanceID(), PID: pid, IdentityEndpoint: "http://" + s.ProxyAddr() + directory.IdentityEndpointPath, Clusters: []ClusterEndpoint{},
	}
}
