package kusto

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// databaseRecord is a database as it is kept. The data, and what the data
// plane knows of it, are the runtime's.
type databaseRecord struct {
	ID         string `json:"id"` // the catalogue's database id, a GUID
	Name       string `json:"name"`
	SoftDelete string `json:"softDelete,omitempty"` // ISO 8601, "" when never set
	HotCache   string `json:"hotCache,omitempty"`
	// KeyVault is the database's own key, nil when it follows the cluster's.
	KeyVault *keyVaultProperties `json:"keyVault,omitempty"`
	System   authorship          `json:"systemData"`

	Born          bool         `json:"born"`
	Provisioning  string       `json:"provisioning"`
	Operation     string       `json:"operation,omitempty"`
	LastOperation string       `json:"lastOperation,omitempty"`
	LastError     *azerr.Error `json:"lastError,omitempty"`
	Revision      int64        `json:"revision"`
}

func (d *databaseRecord) catalog() catalog.Database {
	return catalog.Database{ID: d.ID, Name: d.Name, SoftDelete: d.SoftDelete, HotCache: d.HotCache}
}

// databaseID is the ARM id of a database.
func (r *record) databaseID(name string) ids.ID { return r.armID().Child("Databases", name) }

func loadDatabase(tx store.Tx, key string) (*databaseRecord, error) {
	d, err := store.GetJSON[databaseRecord](tx, bucketDatabases, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read database: %w", err)
	}
	return &d, nil
}

func saveDatabase(tx store.Tx, key string, d *databaseRecord) error {
	d.Revision++
	if err := store.PutJSON(tx, bucketDatabases, key, *d); err != nil {
		return fmt.Errorf("write database: %w", err)
	}
	return nil
}

// database reads the database that req names, with its cluster; the database
// is nil when it is absent.
func (p *Provider) database(ctx context.Context, id ids.ID) (rec *record, d *databaseRecord, err error) {
	err = p.store.View(ctx, func(tx store.Tx) error {
		if rec, err = loadTx(tx, clusterKey(id)); err != nil || rec == nil {
			return err
		}
		d, err = loadDatabase(tx, databaseKey(id))
		return err
	})
	return rec, d, err
}

// databaseKey is the key of the database that id names or lies in.
func databaseKey(id ids.ID) string {
	id.Segments = id.Segments[:2]
	return id.Key()
}

// parent reads the cluster of a nested resource, which must be there.
func (p *Provider) parent(ctx context.Context, req *provider.Request) (*record, error) {
	rec, err := p.load(ctx, clusterKey(req.ID))
	if err != nil {
		return nil, err
	}
	if rec == nil {
		return nil, parentNotFound(req)
	}
	return rec, nil
}

func parentNotFound(req *provider.Request) error {
	operation := "write"
	switch req.Method {
	case "GET":
		operation = "read"
	case "DELETE":
		operation = "delete"
	}
	parent := req.ID
	if len(parent.Segments) > 1 {
		parent, _ = parent.ParentResource()
	}
	return azerr.ParentResourceNotFound(operation, req.ID.Type(), parent.String())
}

// running reads the cluster of a request that the data plane backs: it must run.
func (p *Provider) running(ctx context.Context, req *provider.Request) (*record, error) {
	rec, err := p.parent(ctx, req)
	if err != nil {
		return nil, err
	}
	s, err := p.shown(ctx, rec)
	if err != nil {
		return nil, err
	}
	if s.state != "Running" {
		return nil, azerr.KustoClusterState("databases", s.state)
	}
	return rec, nil
}

func checkDatabaseName(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9 ._-]{1,260}$`).MatchString(name) || strings.TrimSpace(name) == "" {
		return azerr.KustoInvalidName(name, Namespace+"/clusters/databases", "it must have 1 to 260 letters, digits, blanks, dashes, dots and underscores, and not only blanks")
	}
	return nil
}

// duration is the form of softDeletePeriod and hotCachePeriod: days and time.
var duration = regexp.MustCompile(`^P(\d{1,8}D)?(T(\d{1,8}H)?(\d{1,8}M)?(\d{1,8}(\.\d{1,7})?S)?)?$`)

func mergeDuration(b body, path, name, present string) (string, error) {
	text, err := b.text(path, name, present)
	if err != nil {
		return "", err
	}
	if text != "" && (!duration.MatchString(text) || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T")) {
		return "", azerr.KustoInvalidMember(path, "an ISO 8601 duration of days and time such as P365D")
	}
	return text, nil
}

// databaseBody is the resource in the shape of one api-version.
func (p *Provider) databaseBody(ctx context.Context, rec *record, d *databaseRecord, shape string) object {
	o := object{{"id", rec.databaseID(d.Name).String()}, {"name", rec.Name + "/" + d.Name}, {"type", Namespace + "/Clusters/Databases"}, {"location", rec.Location.Display()}}
	if shape >= v20190907 {
		o.add("kind", "ReadWrite")
	}
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	props := object{{"provisioningState", provisioningAt(d.Provisioning, shape)}, {"softDeletePeriod", orNull(d.SoftDelete)}, {"hotCachePeriod", orNull(d.HotCache)}}
	if size, ok := p.databaseSize(ctx, rec, d); ok {
		props.add("statistics", object{{"size", size}})
	}
	if shape >= v20191109 {
		props.add("isFollowed", false)
	}
	if shape >= v20230502 {
		props.add("keyVaultProperties", d.KeyVault.wire(shape))
		props.add("suspensionDetails", p.suspensionDetails(ctx, rec, d))
	}
	o.add("properties", props)
	return o
}

// databaseSize adds up the bytes on disk; ok is false when they cannot be told now.
func (p *Provider) databaseSize(ctx context.Context, rec *record, d *databaseRecord) (size int64, ok bool) {
	if !d.Born {
		return 0, false
	}
	tables, err := p.runtime.Tables(ctx, rec.ID, d.Name)
	if err != nil {
		return 0, false
	}
	for _, t := range tables {
		s, err := p.runtime.TableStats(ctx, rec.ID, d.Name, t.Name)
		if err != nil {
			return 0, false
		}
		size += s.StoredBytes
	}
	return size, true
}
