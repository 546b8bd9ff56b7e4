package catalog

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// The buckets. Keys are ids joined by slashes: cluster/database/table/extent,
// cluster/database/segment.
const (
	databaseBucket = "catalog.databases"
	tableBucket    = "catalog.tables"
	extentBucket   = "catalog.extents"
	positionBucket = "catalog.positions"
	segmentBucket  = "catalog.segments"
	policyBucket   = "catalog.policies"
	grantBucket    = "catalog.grants"
)

// Sealers seals values under the key of a database, inside a transaction.
type Sealers interface {
	Sealer(tx store.Tx, databaseID string) store.Sealer
}

// Catalog is the catalogue of one cluster. It keeps nothing in memory: every
// method works inside the caller's transaction. Methods that read or write
// what tells about rows need the keys of Sealers; the others work without.
type Catalog struct {
	cluster string
	sealers Sealers
	now     func() time.Time
}

// New returns the catalogue of a cluster.
func New(clusterID string, sealers Sealers, now func() time.Time) *Catalog {
	return &Catalog{cluster: clusterID, sealers: sealers, now: now}
}

func (c *Catalog) key(parts ...string) string {
	return c.cluster + "/" + strings.Join(parts, "/")
}

// missing turns the store's "no such key" into ours.
func missing(err error, format string, args ...any) error {
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf(format+": %w", append(args, ErrNotFound)...)
	}
	return err
}

// deleteAll removes every key of a bucket that begins with prefix.
func deleteAll(tx store.Tx, bucket, prefix string) error {
	var doomed []string
	for e, err := range tx.Scan(bucket, prefix, "") {
		if err != nil {
			return err
		}
		doomed = append(doomed, e.Key)
	}
	for _, key := range doomed {
		if err := tx.Delete(bucket, key); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes everything the catalogue holds of the cluster. It needs no key.
func (c *Catalog) Delete(tx store.Tx) error {
	for _, bucket := range []string{databaseBucket, tableBucket, extentBucket, positionBucket, segmentBucket, policyBucket, grantBucket} {
		if err := deleteAll(tx, bucket, c.cluster+"/"); err != nil {
			return err
		}
	}
	return nil
}

// CreateDatabase adds a database and returns it with its id. Its key is the
// caller's to make, in the same transaction.
func (c *Catalog) CreateDatabase(tx store.Tx, db Database) (Database, error) {
	all, err := c.Databases(tx)
	if err != nil {
		return Database{}, err
	}
	for _, other := range all {
		if strings.EqualFold(other.Name, db.Name) {
			return Database{}, fmt.Errorf("database %s: %w", db.Name, ErrExists)
		}
	}
	if db.ID == "" {
		db.ID = ids.NewGUID()
	}
	if db.Created.IsZero() {
		db.Created = c.now().UTC()
	}
	return db, store.PutJSON(tx, databaseBucket, c.key(db.ID), db)
}

// PutDatabase replaces the record of a database that is there.
func (c *Catalog) PutDatabase(tx store.Tx, db Database) error {
	if _, err := tx.Get(databaseBucket, c.key(db.ID)); err != nil {
		return missing(err, "database %s", db.Name)
	}
	return store.PutJSON(tx, databaseBucket, c.key(db.ID), db)
}

// DeleteDatabase removes a database with its tables, extents and policies. It
// needs no key; the database's key is the caller's to delete.
func (c *Catalog) DeleteDatabase(tx store.Tx, databaseID string) error {
	if err := tx.Delete(databaseBucket, c.key(databaseID)); err != nil {
		return missing(err, "database %s", databaseID)
	}
	for _, bucket := range []string{tableBucket, extentBucket, positionBucket, segmentBucket, policyBucket} {
		if err := deleteAll(tx, bucket, c.key(databaseID)+"/"); err != nil {
			return err
		}
	}
	return nil
}

// Databases lists the databases in the order of their ids.
func (c *Catalog) Databases(tx store.Tx) ([]Database, error) {
	return store.ListJSON[Database](tx, databaseBucket, c.cluster+"/")
}

// FindDatabase finds a database by name, without regard to case.
func (c *Catalog) FindDatabase(tx store.Tx, name string) (Database, error) {
	all, err := c.Databases(tx)
	if err != nil {
		return Database{}, err
	}
	for _, db := range all {
		if strings.EqualFold(db.Name, name) {
			return db, nil
		}
	}
	return Database{}, fmt.Errorf("database %s: %w", name, ErrNotFound)
}
