package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Buckets. Keys are lower case: resource ids, or names where said.
const (
	bucketClusters    = "kusto.clusters"    // ARM id → record
	bucketNames       = "kusto.names"       // cluster name → ARM id: names are unique in the cloud
	bucketIDs         = "kusto.ids"         // cluster id → ARM id
	bucketDatabases   = "kusto.databases"   // ARM id → databaseRecord
	bucketAssignments = "kusto.assignments" // ARM id → assignmentRecord
)

// provisioningState values.
const (
	provCreating  = "Creating"
	provAccepted  = "Accepted"
	provRunning   = "Running"
	provDeleting  = "Deleting"
	provSucceeded = "Succeeded"
	provFailed    = "Failed"
)

// record is a cluster as it is kept.
type record struct {
	ID            string                     `json:"id"` // the runtime's cluster id, a GUID
	Subscription  string                     `json:"subscription"`
	ResourceGroup string                     `json:"resourceGroup"`
	Name          string                     `json:"name"` // as written at creation
	Location      ids.Location               `json:"location"`
	Tags          map[string]string          `json:"tags,omitempty"`
	Zones         []string                   `json:"zones,omitempty"`
	SKU           sku                        `json:"sku"`
	Identity      identity                   `json:"identity"`
	Properties    map[string]json.RawMessage `json:"properties,omitempty"` // members that were set, see properties.go
	KeyVault      *keyVaultProperties        `json:"keyVault,omitempty"`   // in force

	// Born is set once the cluster has run; until then a PUT is still a creation.
	Born         bool   `json:"born"`
	Provisioning string `json:"provisioning"`
	// Activity is the state to show while Operation runs ("Creating", "Stopping" …), "" otherwise.
	Activity  string `json:"activity,omitempty"`
	Operation string `json:"operation,omitempty"` // the operation that runs
	// LastOperation ended, with LastError when it failed: a repeated run answers the same.
	LastOperation string       `json:"lastOperation,omitempty"`
	LastError     *azerr.Error `json:"lastError,omitempty"`

	Revision int64      `json:"revision"`
	ETag     string     `json:"etag"` // with its quotes
	System   authorship `json:"systemData"`
}

// authorship is ARM's systemData.
type authorship struct {
	CreatedBy   string    `json:"createdBy"`
	CreatedType string    `json:"createdType"`
	CreatedAt   time.Time `json:"createdAt"`
	ChangedBy   string    `json:"changedBy"`
	ChangedType string    `json:"changedType"`
	ChangedAt   time.Time `json:"changedAt"`
}

func newAuthorship(p authz.Principal, at time.Time) authorship {
	by, typ := author(p)
	return authorship{by, typ, at, by, typ, at}
}

func (a *authorship) changed(p authz.Principal, at time.Time) {
	a.ChangedBy, a.ChangedType = author(p)
	a.ChangedAt = at
}

func author(p authz.Principal) (by, typ string) {
	if p.Identity != "" {
		return p.ObjectID, "ManagedIdentity"
	}
	if p.IsUser() {
		return p.UPN, "User"
	}
	return p.AppID, "Application"
}

// resourceID is the cluster's id as the service writes it, with capital "Clusters".
func (r *record) resourceID() string {
	return r.armID().String()
}

func (r *record) armID() ids.ID {
	return ids.ID{Subscription: r.Subscription, ResourceGroup: r.ResourceGroup, Namespace: Namespace,
		Segments: []ids.Segment{{Type: "Clusters", Name: r.Name}}}
}

// host is the cluster's DNS name without the suffix: "demo.westeurope".
func (r *record) host() string { return strings.ToLower(r.Name) + "." + string(r.Location) }

func (r *record) uri() string { return "https://" + r.host() + ".kusto.windows.net" }

func (r *record) ingestURI() string { return "https://ingest-" + r.host() + ".kusto.windows.net" }

// doubleEncryption is decided when the cluster's keys are made, with its first PUT.
func (r *record) doubleEncryption() bool {
	return sameJSON(r.Properties["enableDoubleEncryption"], json.RawMessage("true"))
}

// clone is a deep enough copy: no map or slice is shared with r.
func (r *record) clone() *record {
	c := *r
	c.Tags = cloneMap(r.Tags)
	c.Zones = slices.Clone(r.Zones)
	c.Properties = cloneMap(r.Properties)
	c.Identity = r.Identity.clone()
	if r.SKU.Capacity != nil {
		n := *r.SKU.Capacity
		c.SKU.Capacity = &n
	}
	if r.KeyVault != nil {
		kv := *r.KeyVault
		c.KeyVault = &kv
	}
	return &c
}

func cloneMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return nil
	}
	c := make(map[string]V, len(m))
	for k, v := range m {
		c[k] = v
	}
	return c
}

// clusterKey is the key of the cluster that id names or lies in.
func clusterKey(id ids.ID) string {
	id.Segments = id.Segments[:1]
	return id.Key()
}

// load reads a cluster; nil when there is none.
func (p *Provider) load(ctx context.Context, key string) (*record, error) {
	var rec *record
	err := p.store.View(ctx, func(tx store.Tx) error {
		var err error
		rec, err = loadTx(tx, key)
		return err
	})
	return rec, err
}

func loadTx(tx store.Tx, key string) (*record, error) {
	rec, err := store.GetJSON[record](tx, bucketClusters, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read cluster: %w", err)
	}
	return &rec, nil
}

// mustLoad is load for a cluster that has to be there.
func (p *Provider) mustLoad(ctx context.Context, id ids.ID) (*record, error) {
	rec, err := p.load(ctx, clusterKey(id))
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, clusterNotFound(id)
	}
	return rec, nil
}

func clusterNotFound(id ids.ID) error { return notFound(id, "clusters", 1) }

// notFound is the front door's own text; depth says how many segments of id
// name the missing resource, typ is its type in lower case.
func notFound(id ids.ID, typ string, depth int) error {
	names := id.Names()[:depth]
	types := strings.Split(typ, "/")
	path := Namespace
	for i := range names {
		path += "/" + types[i] + "/" + names[i]
	}
	e := azerr.ResourceNotFound(path, id.ResourceGroup)
	e.Header = http.Header{"X-Ms-Failure-Cause": {"gateway"}}
	return e
}

// save writes a record with the next revision.
func save(tx store.Tx, rec *record) error {
	rec.Revision++
	if err := store.PutJSON(tx, bucketClusters, rec.armID().Key(), *rec); err != nil {
		return fmt.Errorf("write cluster: %w", err)
	}
	return nil
}

// present says whether a key is there.
func present(tx store.Tx, bucket, key string) (bool, error) {
	_, err := tx.Get(bucket, key)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
