package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// ReencryptionState says how a re-encryption stands.
type ReencryptionState string

// The states. The last three are ends; a failed one can be resumed.
const (
	ReencryptionRunning ReencryptionState = "Running"
	ReencryptionPaused  ReencryptionState = "Paused"
	// Shown only, of one that goes on by itself:
	ReencryptionAwaitsKey     ReencryptionState = "WaitingForKey"     // the key of the cluster, or of a database, is away
	ReencryptionAwaitsCluster ReencryptionState = "WaitingForCluster" // it is stopped or starting

	ReencryptionDone     ReencryptionState = "Done"
	ReencryptionFailed   ReencryptionState = "Failed"
	ReencryptionCanceled ReencryptionState = "Canceled"
)

// Ended reports whether nothing happens any more.
func (s ReencryptionState) Ended() bool {
	return s == ReencryptionDone || s == ReencryptionFailed || s == ReencryptionCanceled
}

// ReencryptionRequest asks for a re-encryption.
type ReencryptionRequest struct {
	Database string      // name of the only database; "" means all of the cluster
	By       audit.Actor // who asks
}

// Reencryption is how a re-encryption stands, or how the last one ended.
type Reencryption struct {
	ID       string // GUID
	Database string // name of the only database, "" when it is of all
	State    ReencryptionState
	Why      string    // why it waits, tries again or has failed; "" otherwise
	Since    time.Time // when it was asked for
	Ended    time.Time // zero until then
	// Databases are those that there were when it was asked for.
	Databases []ReencryptedDatabase
}

// ReencryptedDatabase is how far it is in one database.
type ReencryptedDatabase struct {
	ID, Name string
	// KeyVersion is the version of the database's key under which everything
	// is when it is done; 0 as long as it was not made.
	KeyVersion int
	// Dropped are the older versions, which are gone.
	Dropped []int
	// Extents and Bytes (of encrypted files) are what there is to do, as far as
	// it is known, with what is done; merges and retention change them.
	Extents, ExtentsDone int64
	Bytes, BytesDone     int64
	// Damaged is how many extents cannot be read and stay as they are.
	Damaged int
	Done    bool
}

// Totals sums the databases up.
func (r Reencryption) Totals() (t ReencryptedDatabase) {
	for _, d := range r.Databases {
		t.Extents, t.ExtentsDone = t.Extents+d.Extents, t.ExtentsDone+d.ExtentsDone
		t.Bytes, t.BytesDone = t.Bytes+d.Bytes, t.BytesDone+d.BytesDone
		t.Damaged += d.Damaged
	}
	return t
}

// Fraction is how much is done, from 0 to 1; it is 1 at the end only.
func (r Reencryption) Fraction() float64 {
	t := r.Totals()
	switch {
	case r.State == ReencryptionDone:
		return 1
	case t.Bytes == 0:
		return 0
	}
	return min(float64(t.BytesDone)/float64(t.Bytes), 0.99)
}

// ReencryptionEvent is what becomes of a re-encryption, for the audit log.
type ReencryptionEvent struct {
	What   string // started, paused, resumed, done, failed, canceled
	By     audit.Actor
	ID     string
	Detail string
}

// ErrReencrypting says that a re-encryption of the cluster has not ended.
var ErrReencrypting = errors.New("a re-encryption of the cluster has not ended")

// ErrReencryptionState says that what was asked cannot be done to a
// re-encryption as it stands.
var ErrReencryptionState = errors.New("this is not possible now")

const reencryptionBucket = "cluster.reencryptions" // key: cluster id

// reencryption is what the store holds: the one that runs, or the last one.
type reencryption struct {
	Reencryption
	Format int // 1
	By     audit.Actor
	Told   bool // its beginning is in the audit log
}

// part finds the entry of a database.
func (r *reencryption) part(databaseID string) *ReencryptedDatabase {
	for i := range r.Databases {
		if r.Databases[i].ID == databaseID {
			return &r.Databases[i]
		}
	}
	return &ReencryptedDatabase{}
}

func loadReencryption(tx store.Tx, clusterID string) (reencryption, error) {
	job, err := store.GetJSON[reencryption](tx, reencryptionBucket, clusterID)
	if errors.Is(err, store.ErrNotFound) {
		return job, fmt.Errorf("re-encryption of cluster %s: %w", clusterID, catalog.ErrNotFound)
	}
	if err == nil && job.Format > 1 {
		return job, fmt.Errorf("re-encryption of cluster %s has format %d, this binary knows 1", clusterID, job.Format)
	}
	return job, err
}

func forgetReencryption(tx store.Tx, clusterID string) error {
	err := tx.Delete(reencryptionBucket, clusterID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// StartReencryption records a re-encryption inside the caller's transaction;
// WakeReencryption begins it after the commit. The cluster must run, and the
// database if one is named. ErrReencrypting while there is one that has not ended.
func (r *Runtime) StartReencryption(ctx context.Context, tx store.Tx, id string, req ReencryptionRequest) (Reencryption, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return Reencryption{}, err
	}
	s, err := n.running()
	if err != nil {
		return Reencryption{}, err
	}
	switch last, err := loadReencryption(tx, n.spec.ID); {
	case err == nil && !last.State.Ended():
		return Reencryption{}, ErrReencrypting
	case err != nil && !errors.Is(err, catalog.ErrNotFound):
		return Reencryption{}, err
	}
	databases, err := n.cat.Databases(tx)
	if err != nil {
		return Reencryption{}, err
	}
	job := reencryption{Format: 1, By: req.By, Reencryption: Reencryption{ID: ids.NewGUID(), State: ReencryptionRunning, Since: r.cfg.Now().UTC()}}
	for _, db := range databases {
		if req.Database != "" && !strings.EqualFold(db.Name, req.Database) {
			continue
		}
		if req.Database != "" {
			job.Database = db.Name
			if damaged := s.damage(db.ID); damaged != nil {
				return Reencryption{}, fmt.Errorf("%w: %s", ErrReencryptionState, damaged.Summary())
			}
			if err := s.databaseClosed(db.ID); err != nil {
				return Reencryption{}, err
			}
		}
		part := ReencryptedDatabase{ID: db.ID, Name: db.Name}
		if part.Extents, part.Bytes, err = n.cat.ExtentTotals(tx, db.ID); err != nil {
			return Reencryption{}, err
		}
		job.Databases = append(job.Databases, part)
	}
	if req.Database != "" && len(job.Databases) == 0 {
		return Reencryption{}, fmt.Errorf("database %s: %w", req.Database, catalog.ErrNotFound)
	}
	return job.Reencryption, store.PutJSON(tx, reencryptionBucket, n.spec.ID, job)
}

// WakeReencryption makes the cluster look at its re-encryption now.
func (r *Runtime) WakeReencryption(id string) {
	if n, err := r.node(r.ctx, id); err == nil {
		n.job.look()
	}
}

// Reencrypt begins to rewrite all extents of a cluster, or of one database,
// under new keys. It goes on by itself, also after a suspension and a restart.
func (r *Runtime) Reencrypt(ctx context.Context, id string, req ReencryptionRequest) (job Reencryption, err error) {
	err = r.cfg.Store.Update(ctx, func(tx store.Tx) error {
		job, err = r.StartReencryption(ctx, tx, id, req)
		return err
	})
	if err == nil {
		r.WakeReencryption(id)
	}
	return job, err
}

// Reencryption says how a cluster's re-encryption stands, or how the last one
// ended; in every phase. catalog.ErrNotFound when there never was one.
func (r *Runtime) Reencryption(ctx context.Context, id string) (Reencryption, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return Reencryption{}, err
	}
	var job reencryption
	err = r.cfg.Store.View(ctx, func(tx store.Tx) (err error) {
		job, err = loadReencryption(tx, n.spec.ID)
		return err
	})
	if err != nil || job.State != ReencryptionRunning {
		return job.Reencryption, err
	}
	var suspended *SuspendedError
	_, err = n.running()
	trouble, waits := n.job.trouble()
	switch {
	case errors.As(err, &suspended):
		job.State, job.Why = ReencryptionAwaitsKey, suspended.Error()
	case err != nil:
		job.State, job.Why = ReencryptionAwaitsCluster, err.Error()
	case waits:
		job.State, job.Why = ReencryptionAwaitsKey, trouble.Error()
	case trouble != nil:
		job.Why = "tried again: " + trouble.Error()
	}
	return job.Reencryption, nil
}

// PauseReencryption stops it until it is resumed. When it returns, no extent
// is exchanged any more. It works in every phase of the cluster.
func (r *Runtime) PauseReencryption(ctx context.Context, id string, by audit.Actor) (Reencryption, error) {
	return r.steer(ctx, id, "paused", by, func(job *reencryption) error {
		if job.State != ReencryptionRunning {
			return ErrReencryptionState
		}
		job.State = ReencryptionPaused
		return nil
	})
}

// ResumeReencryption lets one go on that is paused or has failed. The cluster must run.
func (r *Runtime) ResumeReencryption(ctx context.Context, id string, by audit.Actor) (Reencryption, error) {
	if _, err := r.session(ctx, id); err != nil {
		return Reencryption{}, err
	}
	return r.steer(ctx, id, "resumed", by, func(job *reencryption) error {
		if job.State != ReencryptionPaused && job.State != ReencryptionFailed {
			return ErrReencryptionState
		}
		job.State, job.Why, job.Ended = ReencryptionRunning, "", time.Time{}
		return nil
	})
}

// CancelReencryption ends it. What is rewritten stays so; older versions of
// the database's key stay as long as something is under them.
func (r *Runtime) CancelReencryption(ctx context.Context, id string, by audit.Actor) (Reencryption, error) {
	return r.steer(ctx, id, "canceled", by, func(job *reencryption) error {
		if job.State.Ended() {
			return ErrReencryptionState
		}
		job.State, job.Ended = ReencryptionCanceled, r.cfg.Now().UTC()
		return nil
	})
}

// steer changes the state of a re-encryption in one transaction and tells.
func (r *Runtime) steer(ctx context.Context, id, what string, by audit.Actor, fn func(job *reencryption) error) (Reencryption, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return Reencryption{}, err
	}
	var job reencryption
	err = r.cfg.Store.Update(ctx, func(tx store.Tx) (err error) {
		if job, err = loadReencryption(tx, n.spec.ID); err != nil {
			return err
		}
		was := job.State
		if err := fn(&job); err != nil {
			return fmt.Errorf("the re-encryption is %s: %w", was, err)
		}
		return store.PutJSON(tx, reencryptionBucket, n.spec.ID, job)
	})
	if err != nil {
		return Reencryption{}, err
	}
	r.cfg.tell(n.spec, ReencryptionEvent{What: what, By: by, ID: job.ID})
	n.job.look()
	n.job.changed()
	return job.Reencryption, nil
}

// AwaitReencryption waits for the end of a re-encryption and tells seen of
// every step until then. catalog.ErrNotFound when it is not the cluster's last one.
func (r *Runtime) AwaitReencryption(ctx context.Context, id, job string, seen func(Reencryption) error) (Reencryption, error) {
	n, err := r.node(ctx, id)
	if err != nil {
		return Reencryption{}, err
	}
	for {
		moved := n.job.next() // before it is read: no step can be missed
		now, err := r.Reencryption(ctx, id)
		if err != nil {
			return now, err
		}
		if now.ID != job {
			return now, fmt.Errorf("re-encryption %s: %w", job, catalog.ErrNotFound)
		}
		if err := seen(now); err != nil || now.State.Ended() {
			return now, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return now, context.Cause(ctx)
		}
	}
}

func (c Config) tell(spec Spec, e ReencryptionEvent) {
	c.Log.Info("re-encryption "+e.What, "cluster", spec.ID, "reencryption", e.ID, "detail", e.Detail)
	if c.OnReencryption != nil {
		c.OnReencryption(spec, e)
	}
}
