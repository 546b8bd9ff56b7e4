package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/store"
)

// suspensionBucket keeps since when a database is suspended, so that a restart
// does not forget it. Key: cluster id / database id.
const suspensionBucket = "cluster.suspensions"

// noteSuspension records that a database is suspended from now on, when it is
// not already, or that it is not any more.
func (k *databaseKey) noteSuspension(on bool) {
	key := k.n.spec.ID + "/" + k.id
	err := k.n.r.cfg.Store.Update(context.WithoutCancel(k.n.r.ctx), func(tx store.Tx) error {
		_, err := tx.Get(suspensionBucket, key)
		switch there := err == nil; {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return err
		case on && !there:
			return store.PutJSON(tx, suspensionBucket, key, k.n.r.cfg.Now().UTC())
		case !on && there:
			return tx.Delete(suspensionBucket, key)
		}
		return nil
	})
	if err != nil {
		k.n.r.cfg.Log.Error("begin of a suspension cannot be recorded", "cluster", k.n.spec.ID, "database", k.id, "error", err)
	}
}

// forgetSuspensions removes what is kept of a cluster's databases.
func forgetSuspensions(tx store.Tx, clusterID string) error {
	var keys []string
	for e, err := range tx.Scan(suspensionBucket, clusterID+"/", "") {
		if err != nil {
			return err
		}
		keys = append(keys, e.Key)
	}
	for _, key := range keys {
		if err := tx.Delete(suspensionBucket, key); err != nil {
			return err
		}
	}
	return nil
}

func forgetSuspension(tx store.Tx, clusterID, databaseID string) error {
	err := tx.Delete(suspensionBucket, clusterID+"/"+databaseID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// changingKey is the entry of a database whose KEK is being changed, with its
// changing held.
func (n *node) changingKey(id string) *databaseKey {
	for {
		k := n.ownKey(id, envelope.KeyCluster)
		k.changing.Lock()
		k.mu.Lock()
		gone := k.gone
		k.mu.Unlock()
		if !gone {
			return k
		}
		k.changing.Unlock()
	}
}

// ChangeDatabaseKEK gives a database a KEK of its own, another one, or, with
// envelope.PlatformKEK, the cluster's again. The data is not touched and queries
// go on; on any error the old one stays in force.
func (r *Runtime) ChangeDatabaseKEK(ctx context.Context, id, database string, kek envelope.KEK) error {
	n, err := r.node(ctx, id)
	if err != nil {
		return err
	}
	db, err := r.Database(ctx, id, database)
	if err != nil {
		return err
	}
	if kek.Kind != envelope.KindCustomer {
		if _, own, err := n.ring.DatabaseWrapped(ctx, db.ID); err != nil || !own {
			return err
		}
	}
	k := n.changingKey(db.ID)
	defer k.changing.Unlock()
	if err := n.ring.ChangeDatabaseKEK(ctx, db.ID, kek); err != nil {
		if errors.Is(err, envelope.ErrLocked) && !errors.Is(err, envelope.ErrDatabaseLocked) {
			return fmt.Errorf("%w: %w", ErrNotRunning, err)
		}
		return err
	}
	if kek.Kind == envelope.KindCustomer {
		k.move(envelope.KeyToCustomer, nil)
		k.answered()
	} else {
		k.move(envelope.KeyToCluster, nil)
		k.noteSuspension(false)
	}
	k.watch()
	k.wake()
	return nil
}

// DatabaseState says how it stands with one database, in every phase.
func (r *Runtime) DatabaseState(ctx context.Context, id, database string) (DatabaseState, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return DatabaseState{}, err
	}
	db, err := r.Database(ctx, id, database)
	if err != nil {
		return DatabaseState{}, err
	}
	wrapped, own, err := n.ring.DatabaseWrapped(ctx, db.ID)
	n.mu.Lock()
	k, s := n.own[db.ID], n.current
	n.mu.Unlock()
	var damage *LogError
	if s != nil {
		damage = s.damage(db.ID)
	}
	if err != nil || !own {
		return DatabaseState{Key: envelope.KeyCluster, Damage: damage}, err
	}
	st := DatabaseState{Damage: damage, Own: true, KEK: wrapped.KEK, KeyVersion: wrapped.KeyVersion, Key: envelope.KeyCustomer}
	if k == nil {
		return st, nil
	}
	k.mu.Lock()
	var cause error
	st.Key, cause = k.state, k.cause
	k.mu.Unlock()
	if cause != nil {
		st.Reason = cause.Error()
	}
	switch st.Key {
	case envelope.KeySuspending, envelope.KeySuspended, envelope.KeyRestoring, envelope.KeyFailed:
		st.Suspended = true
	default:
		st.Suspended = s != nil && s.keyAway(db.ID) != nil
	}
	if e := k.suspended(cause); cause != nil && st.Suspended {
		st.Reason, st.Code, st.VaultURI = e.Reason, e.Code, e.VaultURI
	}
	if st.Reason != "" {
		st.Reason = k.patience.say(st.Reason)
	}
	if !st.Suspended {
		return st, nil
	}
	err = r.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		st.Since, err = store.GetJSON[time.Time](tx, suspensionBucket, n.spec.ID+"/"+db.ID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		n.mu.Lock()
		st.Since, err = n.since, nil // closed since the cluster started, without a refusal
		n.mu.Unlock()
	}
	return st, err
}
