package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	kindDatabaseWrite  = "DatabaseCreate"
	kindDatabaseDelete = "DatabaseDrop"
)

// databaseWork is the payload of an operation on a database.
type databaseWork struct {
	Cluster    string          `json:"cluster"` // key of the cluster's record
	Key        string          `json:"key"`     // of the database's
	After      *databaseRecord `json:"after"`
	CallerRole string          `json:"callerRole,omitempty"` // the caller becomes this
	Rekey      bool            `json:"rekey,omitempty"`      // the key of After is to be put in force
}

func (p *Provider) registerDatabaseOperations() {
	p.operations.Handle(kindDatabaseWrite, func(ctx context.Context, op *operations.Operation) (any, error) {
		return nil, p.runDatabase(ctx, op, p.putDatabase)
	})
	p.operations.Handle(kindDatabaseDelete, func(ctx context.Context, op *operations.Operation) (any, error) {
		return nil, p.runDatabase(ctx, op, p.dropDatabase)
	})
}

// runDatabase finds the records of an operation and stores how it failed. do
// may run again after a restart, and ends the operation's hold when it succeeds.
func (p *Provider) runDatabase(ctx context.Context, op *operations.Operation, do func(ctx context.Context, op *operations.Operation, rec *record, d *databaseRecord, work *databaseWork) error) error {
	var work databaseWork
	if err := json.Unmarshal(op.Payload, &work); err != nil {
		return fmt.Errorf("decode payload of operation %s: %w", op.ID, err)
	}
	var rec *record
	var d *databaseRecord
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		if rec, err = loadTx(tx, work.Cluster); err == nil {
			d, err = loadDatabase(tx, work.Key)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case rec == nil || d == nil:
		if op.Kind == kindDatabaseDelete {
			return nil
		}
		return azerr.KustoResourceGone(op.ResourceID)
	case d.Operation != op.ID:
		if d.LastOperation == op.ID && d.LastError != nil {
			return d.LastError
		}
		return nil
	}
	if err = do(ctx, op, rec, d, &work); err == nil || ctx.Err() != nil {
		return err
	}
	wireErr := p.databaseError(err, rec, d, work.After)
	return errors.Join(wireErr, p.store.Update(ctx, func(tx store.Tx) error {
		d, err := loadDatabase(tx, work.Key)
		if err != nil || d == nil {
			return err
		}
		d.Operation, d.LastOperation, d.LastError, d.Provisioning = "", op.ID, wireErr, provFailed
		return saveDatabase(tx, work.Key, d)
	}))
}

// databaseError is the error an operation on a database ends with.
func (p *Provider) databaseError(err error, rec *record, before, after *databaseRecord) *azerr.Error {
	if errors.Is(err, cluster.ErrNotRunning) {
		return azerr.KustoBadRequest("[BadRequest] The cluster '" + rec.Name + "' is not running.").Because(err)
	}
	work := clusterWork{}
	if after != nil && after.KeyVault != nil {
		work.After = rec.under(after.KeyVault)
	}
	return p.wireError(err, rec.under(before.KeyVault), &work)
}

func (p *Provider) putDatabase(ctx context.Context, op *operations.Operation, rec *record, d *databaseRecord, work *databaseWork) error {
	after := work.After
	if work.Rekey { // before anything is made
		if err := p.checkDatabaseKey(ctx, rec, d, after); err != nil {
			return err
		}
	}
	have, err := p.runtime.Database(ctx, rec.ID, after.Name)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		err = p.runtime.CreateDatabase(ctx, rec.ID, after.catalog())
	case err == nil && have.ID != after.ID:
		err = fmt.Errorf("database %s has the id %s, not %s", after.Name, have.ID, after.ID)
	case err == nil:
		err = p.runtime.UpdateDatabase(ctx, rec.ID, after.catalog())
	}
	if err == nil && work.Rekey {
		err = p.rekeyDatabase(ctx, rec, d, after)
		if err != nil && !d.Born && ctx.Err() == nil {
			// Without the key that was asked for there is no database.
			err = errors.Join(err, p.runtime.DeleteDatabase(ctx, rec.ID, after.Name))
		}
	}
	if err != nil {
		return err
	}
	return p.store.Update(ctx, func(tx store.Tx) error {
		if work.CallerRole != "" {
			if err := p.runtime.PutGrant(tx, rec.ID, callerGrant(op.Principal, after, work.CallerRole)); err != nil {
				return err
			}
		}
		after.Revision, after.Born, after.Provisioning = d.Revision, true, provSucceeded
		after.Operation, after.LastOperation, after.LastError = "", op.ID, nil
		after.System.changed(op.Principal, p.now())
		return saveDatabase(tx, work.Key, after)
	})
}

// callerGrant makes the caller of a write a principal of the database.
func callerGrant(who authz.Principal, d *databaseRecord, role string) catalog.Grant {
	name := who.Name
	if name == "" {
		name = who.AppID
	}
	return catalog.Grant{ID: "caller/" + d.ID + "/" + who.ObjectID, Scope: catalog.ScopeDatabase, Database: d.Name, Role: role,
		PrincipalID: who.AppID, PrincipalType: "App", ObjectID: who.ObjectID, AppID: who.AppID, TenantID: who.TenantID, Name: name}
}

func (p *Provider) dropDatabase(ctx context.Context, _ *operations.Operation, rec *record, d *databaseRecord, work *databaseWork) error {
	grants, err := p.databaseGrants(ctx, rec, d.Name)
	if err != nil {
		return err
	}
	if err := p.runtime.DeleteDatabase(ctx, rec.ID, d.Name); err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	return p.store.Update(ctx, func(tx store.Tx) error {
		for _, g := range grants {
			if err := p.runtime.DeleteGrant(tx, rec.ID, g.ID); err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
		}
		if err := p.removeScope(tx, rec.databaseID(d.Name).String()); err != nil {
			return err
		}
		if err := deleteUnder(tx, bucketAssignments, work.Key+"/"); err != nil {
			return err
		}
		if err := tx.Delete(bucketDatabases, work.Key); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	})
}
