package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const recordBucket = "cluster.clusters" // key: cluster id

// record is what the store holds of a cluster.
type record struct {
	Spec
	Running bool // the user wishes it to run
	Created time.Time
}

func (r *Runtime) records(ctx context.Context) (out []record, err error) {
	err = r.cfg.Store.View(ctx, func(tx store.Tx) error {
		out, err = store.ListJSON[record](tx, recordBucket, "")
		return err
	})
	return out, err
}

// Create records a cluster and makes its key under the platform's KEK, inside
// the caller's transaction. The cluster is Stopped until Start.
func (r *Runtime) Create(ctx context.Context, tx store.Tx, c Spec) error {
	c.ID = strings.ToLower(c.ID)
	if !ids.IsGUID(c.ID) {
		return fmt.Errorf("cluster id %q is not a guid", c.ID)
	}
	if _, err := tx.Get(recordBucket, c.ID); err == nil {
		return fmt.Errorf("cluster %s: %w", c.Name, catalog.ErrExists)
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	others, err := store.ListJSON[record](tx, recordBucket, "")
	if err != nil {
		return err
	}
	for _, o := range others {
		if strings.EqualFold(o.URI, c.URI) {
			return fmt.Errorf("cluster %s: %w", c.Name, catalog.ErrExists)
		}
	}
	ring, err := envelope.New(envelope.Config{ClusterID: c.ID, Store: r.cfg.Store, Wrappers: r.cfg.Wrappers, Log: r.cfg.Log, Audit: r.cfg.Audit})
	if err != nil {
		return err
	}
	create := ring.Create
	if c.DoubleEncryption {
		create = ring.CreateLayered
	}
	if err := create(ctx, tx); err != nil {
		return err
	}
	return store.PutJSON(tx, recordBucket, c.ID, record{Spec: c, Created: r.cfg.Now().UTC()})
}

// wish records whether the user wants the cluster to run.
func (r *Runtime) wish(ctx context.Context, id string, running bool) error {
	return r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		rec, err := store.GetJSON[record](tx, recordBucket, id)
		if errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("cluster %s: %w", id, catalog.ErrNotFound)
		} else if err != nil {
			return err
		}
		if rec.Running == running {
			return nil
		}
		rec.Running = running
		return store.PutJSON(tx, recordBucket, id, rec)
	})
}
