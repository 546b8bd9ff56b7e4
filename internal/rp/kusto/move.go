package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

var _ provider.Mover = (*Provider)(nil)

// A move changes ids and nothing else: the runtime knows a cluster by a GUID,
// its keys, data and address are bound to that and to its name, and its system
// identity keeps its object id. So a move never needs the key, and neither
// queries nor ingestion notice.

// CheckMove refuses what is not a cluster and a cluster at work.
func (p *Provider) CheckMove(ctx context.Context, from, _ ids.ID) error {
	if !strings.EqualFold(from.TypePath(), "clusters") {
		return azerr.ResourceMoveNotSupported(from.Type())
	}
	return p.store.View(ctx, func(tx store.Tx) error {
		_, _, err := p.movable(tx, from)
		return err
	})
}

// movable finds a cluster and its databases by their keys; nothing may run on them.
func (p *Provider) movable(tx store.Tx, from ids.ID) (*record, map[string]databaseRecord, error) {
	rec, err := loadTx(tx, from.Key())
	switch {
	case err != nil:
		return nil, nil, err
	case rec == nil:
		return nil, nil, clusterNotFound(from)
	}
	if err := p.idle(rec); err != nil {
		return nil, nil, err
	}
	databases := map[string]databaseRecord{}
	for e, err := range tx.Scan(bucketDatabases, from.Key()+"/", "") {
		if err != nil {
			return nil, nil, err
		}
		var d databaseRecord
		if err := json.Unmarshal(e.Value, &d); err != nil {
			return nil, nil, fmt.Errorf("decode database: %w", err)
		}
		if d.Operation != "" {
			return nil, nil, azerr.KustoRequestConflict(rec.databaseID(d.Name).String())
		}
		databases[e.Key] = d
	}
	return rec, databases, nil
}

// Moved has nothing to do: nothing that is kept in memory knows a cluster by its id.
func (p *Provider) Moved(context.Context, ids.ID, ids.ID, authz.Principal) {}

// Move gives a cluster, its databases and its principal assignments other ids.
func (p *Provider) Move(ctx context.Context, tx store.Tx, from, to ids.ID) error {
	rec, databases, err := p.movable(tx, from)
	if err != nil {
		return err
	}
	rec.Subscription, rec.ResourceGroup = to.Subscription, to.ResourceGroup
	if rec.Born {
		rec.ETag = `"` + p.now().UTC().Format("2006-01-02T15:04:05.0000000Z") + `"`
	}
	key := rec.armID().Key()
	if rec.Identity.System != nil {
		err := p.identities.MoveIdentity(ctx, tx, rec.Identity.System.ObjectID, rec.resourceID())
		if err != nil && !errors.Is(err, directory.ErrNotFound) {
			return err
		}
	}
	for old, d := range databases {
		if err := tx.Delete(bucketDatabases, old); err != nil {
			return err
		}
		if err := saveDatabase(tx, key+strings.TrimPrefix(old, from.Key()), &d); err != nil {
			return err
		}
	}
	if err := p.moveAssignments(tx, rec.ID, from.Key(), key); err != nil {
		return err
	}
	if err := tx.Delete(bucketClusters, from.Key()); err != nil {
		return err
	}
	for _, e := range [][2]string{{bucketNames, strings.ToLower(rec.Name)}, {bucketIDs, rec.ID}} {
		if err := tx.Put(e[0], e[1], []byte(key)); err != nil {
			return err
		}
	}
	return save(tx, rec)
}

// moveAssignments renames the assignments of a cluster and of its databases,
// and what they grant on the data plane with them.
func (p *Provider) moveAssignments(tx store.Tx, cluster, from, to string) error {
	all, err := store.ListJSON[assignmentRecord](tx, bucketAssignments, from+"/")
	if err != nil {
		return err
	}
	for _, a := range all {
		old := a.Grant.ID
		a.Grant.ID = to + strings.TrimPrefix(old, from)
		if err := p.runtime.DeleteGrant(tx, cluster, old); err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if err := p.runtime.PutGrant(tx, cluster, a.Grant); err != nil {
			return err
		}
		if err := tx.Delete(bucketAssignments, old); err != nil {
			return err
		}
		if err := store.PutJSON(tx, bucketAssignments, a.Grant.ID, a); err != nil {
			return err
		}
	}
	return nil
}

// ResourceID is the ARM id of the cluster that the runtime knows by this id, ""
// when there is none.
func (p *Provider) ResourceID(ctx context.Context, clusterID string) (string, error) {
	id := ""
	err := p.store.View(ctx, func(tx store.Tx) error {
		key, err := tx.Get(bucketIDs, clusterID)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		rec, err := loadTx(tx, string(key))
		if rec != nil {
			id = rec.resourceID()
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("resource id of cluster %s: %w", clusterID, err)
	}
	return id, nil
}
