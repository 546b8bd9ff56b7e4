package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// The kinds of operation. The first three names were seen on the wire.
const (
	kindClusterCreate = "ClusterCreateExternal"
	kindClusterUpdate = "ServiceConfigurationAlter"
	kindClusterDelete = "ClusterDelete"
	kindClusterStop   = "ClusterSuspend"
	kindClusterStart  = "ClusterResume"
)

// clusterWork is the payload of an operation on a cluster.
type clusterWork struct {
	Key   string  `json:"key"`             // of the record
	After *record `json:"after,omitempty"` // what a write asked for
	Rekey bool    `json:"rekey,omitempty"`
	// Made is the object id of a system identity that the accepting transaction
	// made; Removed of one that goes when the operation has succeeded.
	Made    string `json:"made,omitempty"`
	Removed string `json:"removed,omitempty"`
}

func (p *Provider) registerOperations() {
	p.handleCluster(kindClusterCreate, p.runCreate, p.finishWrite)
	p.handleCluster(kindClusterUpdate, p.runUpdate, p.finishWrite)
	p.handleCluster(kindClusterStop, func(ctx context.Context, rec *record, _ *clusterWork) error { return p.runtime.Stop(ctx, rec.ID) }, p.finishAction)
	p.handleCluster(kindClusterStart, p.runStart, p.finishAction)
	p.handleCluster(kindClusterDelete, p.runDelete, p.finishDelete)
}

type (
	clusterStep   = func(ctx context.Context, rec *record, work *clusterWork) error
	clusterFinish = func(ctx context.Context, tx store.Tx, op *operations.Operation, rec *record, work *clusterWork) error
)

// handleCluster registers a kind: step does the work outside of a transaction
// and may be repeated; finish writes the outcome together with the end of the
// operation's hold on the record. A failed step leaves the old values in force.
func (p *Provider) handleCluster(kind string, step clusterStep, finish clusterFinish) {
	p.operations.Handle(kind, func(ctx context.Context, op *operations.Operation) (result any, err error) {
		var work clusterWork
		if err := json.Unmarshal(op.Payload, &work); err != nil {
			return nil, fmt.Errorf("decode payload of operation %s: %w", op.ID, err)
		}
		rec, err := p.load(ctx, work.Key)
		if err != nil {
			return nil, err
		}
		if rec == nil {
			if kind == kindClusterDelete {
				return nil, nil // an earlier run came as far as this
			}
			return nil, azerr.KustoResourceGone(op.ResourceID)
		}
		if rec.Operation != op.ID {
			if rec.LastOperation == op.ID && rec.LastError != nil {
				return nil, rec.LastError // an earlier run ended and the process stopped before it was told
			}
			return nil, nil
		}
		defer func() {
			if v := recover(); v != nil {
				_ = p.fail(context.WithoutCancel(ctx), op, &work, azerr.InternalServerError())
				panic(v)
			}
		}()
		if err := step(ctx, rec, &work); err != nil {
			if ctx.Err() != nil {
				return nil, err // the server stops: the next start runs this again
			}
			wireErr := p.wireError(err, rec, &work)
			if err := p.fail(ctx, op, &work, wireErr); err != nil {
				return nil, err
			}
			return nil, wireErr
		}
		return nil, p.store.Update(ctx, func(tx store.Tx) error {
			now, err := loadTx(tx, work.Key)
			if err != nil || now == nil {
				return err
			}
			return finish(ctx, tx, op, now, &work)
		})
	})
}

// fail ends the operation's hold and keeps everything else as it was.
func (p *Provider) fail(ctx context.Context, op *operations.Operation, work *clusterWork, cause *azerr.Error) error {
	return p.store.Update(ctx, func(tx store.Tx) error {
		rec, err := loadTx(tx, work.Key)
		if err != nil || rec == nil {
			return err
		}
		if work.Made != "" && rec.Born {
			if err := p.dropIdentity(ctx, tx, work.Made); err != nil {
				return err
			}
		}
		rec.release(op.ID)
		rec.LastError, rec.Provisioning = cause, provFailed
		return save(tx, rec)
	})
}

// release ends an operation's hold on the record.
func (r *record) release(operation string) {
	r.Operation, r.Activity, r.LastOperation, r.LastError = "", "", operation, nil
}

// touch marks a change that clients see.
func (p *Provider) touch(rec *record, op *operations.Operation) {
	now := p.now()
	if rec.Born {
		rec.ETag = `"` + now.UTC().Format("2006-01-02T15:04:05.0000000Z") + `"`
	}
	rec.System.changed(op.Principal, now)
}

func (p *Provider) dropIdentity(ctx context.Context, tx store.Tx, objectID string) error {
	if err := p.identities.DeleteIdentity(ctx, tx, objectID); err != nil && !errors.Is(err, directory.ErrNotFound) {
		return err
	}
	return nil
}

// runCreate brings a new cluster up: first under the customer's key when the
// request names one (nothing was written under the platform's by then).
func (p *Provider) runCreate(ctx context.Context, rec *record, work *clusterWork) error {
	if work.Rekey {
		if err := p.rekey(ctx, rec, work.After); err != nil {
			return err
		}
	}
	return p.runtime.Start(ctx, rec.ID)
}

func (p *Provider) runUpdate(ctx context.Context, rec *record, work *clusterWork) error {
	if !work.Rekey {
		return nil
	}
	return p.rekey(ctx, rec, work.After)
}

func (p *Provider) runStart(ctx context.Context, rec *record, _ *clusterWork) error {
	return p.runtime.Start(ctx, rec.ID)
}

// rekey puts the key of after in force. It is repeatable: when the runtime
// holds the new key already, an earlier run got so far, and the checks, which
// the world may fail by now, are not repeated.
func (p *Provider) rekey(ctx context.Context, rec, after *record) error {
	st, err := p.runtime.State(ctx, rec.ID)
	if err != nil {
		return err
	}
	kek, have := after.kek(), st.KEK
	if kek.Kind == envelope.KindPlatform && have.Kind == envelope.KindPlatform || kek == have && kek != rec.kek() {
		return nil
	}
	if kek.Kind == envelope.KindCustomer {
		if err := p.checkKey(ctx, after); err != nil {
			return err
		}
		kek = after.kek()
	}
	for attempt := 0; ; attempt++ {
		err := p.runtime.ChangeKEK(ctx, rec.ID, kek)
		if !errors.Is(err, envelope.ErrConflict) || attempt == 3 { // the keeper followed a newer version meanwhile
			return err
		}
	}
}

// finishWrite puts what was asked for in force.
func (p *Provider) finishWrite(ctx context.Context, tx store.Tx, op *operations.Operation, rec *record, work *clusterWork) error {
	after := work.After
	after.Revision, after.System, after.Born = rec.Revision, rec.System, rec.Born
	p.touch(after, op)
	after.release(op.ID)
	after.Born, after.Provisioning = true, provSucceeded
	if work.Removed != "" {
		if err := p.dropIdentity(ctx, tx, work.Removed); err != nil {
			return err
		}
	}
	return save(tx, after)
}

func (p *Provider) finishAction(_ context.Context, tx store.Tx, op *operations.Operation, rec *record, _ *clusterWork) error {
	p.touch(rec, op)
	rec.release(op.ID)
	rec.Provisioning = provSucceeded
	return save(tx, rec)
}

func (p *Provider) runDelete(ctx context.Context, rec *record, _ *clusterWork) error {
	err := p.runtime.Delete(ctx, rec.ID) // never needs the key
	if errors.Is(err, catalog.ErrNotFound) {
		return nil // an earlier run came as far as this
	}
	return err
}

// finishDelete removes everything that was kept about the cluster and frees its name.
func (p *Provider) finishDelete(ctx context.Context, tx store.Tx, _ *operations.Operation, rec *record, work *clusterWork) error {
	if rec.Identity.System != nil {
		if err := p.dropIdentity(ctx, tx, rec.Identity.System.ObjectID); err != nil {
			return err
		}
	}
	if err := p.removeScope(tx, rec.resourceID()); err != nil {
		return err
	}
	for _, bucket := range []string{bucketDatabases, bucketAssignments} {
		if err := deleteUnder(tx, bucket, work.Key+"/"); err != nil {
			return err
		}
	}
	for _, e := range [][2]string{{bucketNames, strings.ToLower(rec.Name)}, {bucketIDs, rec.ID}, {bucketClusters, work.Key}} {
		if err := tx.Delete(e[0], e[1]); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

func (p *Provider) removeScope(tx store.Tx, scope string) error {
	if p.scopes == nil {
		return nil
	}
	return p.scopes.RemoveScope(tx, scope)
}

func deleteUnder(tx store.Tx, bucket, prefix string) error {
	var keys []string
	for e, err := range tx.Scan(bucket, prefix, "") {
		if err != nil {
			return err
		}
		keys = append(keys, e.Key)
	}
	for _, k := range keys {
		if err := tx.Delete(bucket, k); err != nil {
			return err
		}
	}
	return nil
}
