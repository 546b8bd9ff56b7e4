package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/fsck/report"
)

// request is the body of every call; each takes what it needs.
type request struct {
	Seal string `json:"seal,omitempty"`
	// Name is an identity's resource id, or the name of a user or a tenant.
	Name        string       `json:"name,omitempty"`
	Tenant      string       `json:"tenant,omitempty"`
	Domain      string       `json:"domain,omitempty"`
	DisplayName string       `json:"displayName,omitempty"`
	Owner       bool         `json:"owner,omitempty"`
	Secret      []byte       `json:"secret,omitempty"`
	Filter      audit.Filter `json:"filter,omitzero"`
	Lines       int          `json:"lines,omitempty"`
	After       string       `json:"after,omitempty"`
}

type nothing struct{}

type rotated struct {
	DataKey uint32 `json:"dataKey"`
}

// ErrNoServer: nobody listens on the socket of the folder.
var ErrNoServer = errors.New("no server is running")

// Client speaks to the server on one data folder.
type Client struct {
	dir  string
	http *http.Client
}

// NewClient makes a client; it connects at the first call.
func NewClient(dir string) *Client {
	c := &Client{dir: dir}
	c.http = &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, done, err := short(dir)
		if err != nil {
			return nil, err
		}
		defer done()
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	return c
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) call(ctx context.Context, path string, in request, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	defer clear(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w on %s", ErrNoServer, c.dir)
	}
	if err != nil {
		return fmt.Errorf("admin socket of %s: %w", c.dir, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var f failure
		if err := json.NewDecoder(res.Body).Decode(&f); err != nil || f.Error == "" {
			return fmt.Errorf("the server answered %s", res.Status)
		}
		return errors.New(f.Error)
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// Status reads the server's state.
func (c *Client) Status(ctx context.Context) (out Status, err error) {
	err = c.call(ctx, "status", request{}, &out)
	return out, err
}

// Seal stops answering and wipes the keys.
func (c *Client) Seal(ctx context.Context) error {
	return c.call(ctx, "seal", request{}, &nothing{})
}

// Unseal opens the seal again; secret is a passphrase, for seals that want one.
func (c *Client) Unseal(ctx context.Context, secret Secret) error {
	return c.call(ctx, "unseal", request{Secret: secret}, &nothing{})
}

// Rekey makes a new root key, under another seal when spec is not empty.
func (c *Client) Rekey(ctx context.Context, spec string, secret Secret) error {
	return c.call(ctx, "rekey", request{Seal: spec, Secret: secret}, &nothing{})
}

// Rotate makes a new data key and returns its number.
func (c *Client) Rotate(ctx context.Context) (uint32, error) {
	var out rotated
	err := c.call(ctx, "rotate", request{}, &out)
	return out.DataKey, err
}

type signingKey struct {
	KeyID string `json:"keyId"`
}

// Identity tells how to speak as a user-assigned identity.
func (c *Client) Identity(ctx context.Context, resourceID string) (out Identity, err error) {
	err = c.call(ctx, "identity", request{Name: resourceID}, &out)
	return out, err
}

// CreateTenant makes a tenant.
func (c *Client) CreateTenant(ctx context.Context, name, domain string) (out Tenant, err error) {
	err = c.call(ctx, "tenant", request{Name: name, Domain: domain}, &out)
	return out, err
}

// CreateUser makes a person.
func (c *Client) CreateUser(ctx context.Context, u NewUser) (out User, err error) {
	err = c.call(ctx, "user", request{Tenant: u.Tenant, Name: u.Name, DisplayName: u.DisplayName, Owner: u.Owner, Secret: u.Password}, &out)
	return out, err
}

// RotateSigningKey makes a new token signing key of a tenant and returns its id.
func (c *Client) RotateSigningKey(ctx context.Context, tenant string) (string, error) {
	var out signingKey
	err := c.call(ctx, "signing-key", request{Tenant: tenant}, &out)
	return out.KeyID, err
}

// AuditTail returns the newest n events that the filter selects, oldest first.
func (c *Client) AuditTail(ctx context.Context, filter audit.Filter, n int) (out []audit.Event, err error) {
	err = c.call(ctx, "audit/tail", request{Filter: filter, Lines: n}, &out)
	return out, err
}

// AuditVerify verifies the whole log.
func (c *Client) AuditVerify(ctx context.Context) (out audit.Report, err error) {
	err = c.call(ctx, "audit/verify", request{}, &out)
	return out, err
}

// Fsck verifies everything on disk while the server runs, step by step.
func (c *Client) Fsck(ctx context.Context) (all report.Report, err error) {
	for after := ""; ; {
		var step FsckStep
		if err := c.call(ctx, "fsck", request{After: after}, &step); err != nil {
			return all, err
		}
		all.Add(step.Report)
		if step.Next == "" {
			return all, nil
		}
		after = step.Next
	}
}
