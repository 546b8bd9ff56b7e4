// Package connection is DIR/connection.json: what a client needs to reach the
// server of a data folder. The server writes a [File], for its owner only; the
// commands read it. It is one of the two documented places where a secret lies
// on the disk in clear, and must never be printed as a whole.
package connection

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kustos-io/kustos/internal/durable"
)

// Name is the file's name in the data folder.
const Name = "connection.json"

// File is what stands in the file.
type File struct {
	Proxy  string `json:"proxy"`
	CAFile string `json:"caFile"`
	Direct string `json:"direct"`
	// TenantID and what follows are those of the first tenant.
	TenantID       string `json:"tenantId"`
	TenantName     string `json:"tenantName"`
	TenantDomain   string `json:"tenantDomain"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
	SealFile       string `json:"sealFile"`
	InstanceID     string `json:"instanceId"`
	PID            int    `json:"pid"`
	// Control and ControlToken are empty when the control API is off.
	Control      string `json:"control,omitempty"`
	ControlToken string `json:"controlToken,omitempty"`
	// IdentityEndpoint is for IDENTITY_ENDPOINT; IDENTITY_HEADER is an identity's secret.
	IdentityEndpoint string    `json:"identityEndpoint"`
	Clusters         []Cluster `json:"clusters"`
	// Tenants are the further tenants, in the order of their making.
	Tenants []Tenant `json:"tenants,omitempty"`
}

// Tenant is a tenant with its first subscription and its first principal.
type Tenant struct {
	TenantID       string `json:"tenantId"`
	TenantName     string `json:"tenantName"`
	TenantDomain   string `json:"tenantDomain"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
}

// All lists the tenants, the first one first.
func (f File) All() []Tenant {
	first := Tenant{f.TenantID, f.TenantName, f.TenantDomain, f.SubscriptionID, f.ClientID, f.ClientSecret}
	return append([]Tenant{first}, f.Tenants...)
}

// Of is the file as it is for clients of one tenant, which is named by its id,
// its domain or its name without case; "" is the first one.
func (f File) Of(tenant string) (File, error) {
	if tenant == "" {
		return f, nil
	}
	for _, name := range []func(Tenant) string{
		func(t Tenant) string { return t.TenantID }, func(t Tenant) string { return t.TenantDomain }, func(t Tenant) string { return t.TenantName },
	} {
		for _, t := range f.All() {
			if strings.EqualFold(tenant, name(t)) {
				f.TenantID, f.TenantName, f.TenantDomain = t.TenantID, t.TenantName, t.TenantDomain
				f.SubscriptionID, f.ClientID, f.ClientSecret = t.SubscriptionID, t.ClientID, t.ClientSecret
				return f, nil
			}
		}
	}
	return File{}, fmt.Errorf("the server has no tenant %q; 'kustos tenant list' shows those that it has", tenant)
}

// Cluster is the loopback listener of one running cluster. Kusto SDKs trust
// https://localhost:PORT without any configuration.
type Cluster struct {
	Name string `json:"name"` // cluster name
	Host string `json:"host"` // {cluster}.{region}.kusto.windows.net
	URL  string `json:"url"`  // https://localhost:PORT
	Port int    `json:"port"`
}

// Read reads the file of the server on dir.
func Read(dir string) (File, error) {
	path := filepath.Join(dir, Name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return File{}, fmt.Errorf("no server has been started on %s: %s is missing; start one with 'kustos up'", dir, path)
	}
	if err != nil {
		return File{}, err
	}
	var f File
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, fmt.Errorf("%s is not a connection file: %w", path, err)
	}
	return f, nil
}

// Write replaces the file of dir as a whole.
func (f File) Write(dir string) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, Name), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write connection file: %w", err)
	}
	return nil
}
