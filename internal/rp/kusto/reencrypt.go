package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// The re-encryption of a cluster. Azure has nothing like it, so its name says
// whose it is: docs/compatibility.md describes it.

// kindReencrypt is an operation that follows a re-encryption of the runtime. It
// does not hold the cluster's record: keys can be changed meanwhile.
const kindReencrypt = "KustosReencrypt"

const actionReencrypt = "kustosReencrypt"

// Reencryptions is what the runtime does for it; satisfied by *cluster.Runtime.
type Reencryptions interface {
	StartReencryption(ctx context.Context, tx store.Tx, id string, req cluster.ReencryptionRequest) (cluster.Reencryption, error)
	WakeReencryption(id string)
	Reencryption(ctx context.Context, id string) (cluster.Reencryption, error)
	PauseReencryption(ctx context.Context, id string, by audit.Actor) (cluster.Reencryption, error)
	ResumeReencryption(ctx context.Context, id string, by audit.Actor) (cluster.Reencryption, error)
	CancelReencryption(ctx context.Context, id string, by audit.Actor) (cluster.Reencryption, error)
	AwaitReencryption(ctx context.Context, id, job string, seen func(cluster.Reencryption) error) (cluster.Reencryption, error)
}

// reencryptWork is the payload of its operation.
type reencryptWork struct {
	Cluster string `json:"cluster"` // the runtime's id
	Job     string `json:"job"`
}

func actor(req *provider.Request) audit.Actor {
	p := req.Principal
	return audit.Actor{ObjectID: p.ObjectID, AppID: p.AppID, TenantID: p.TenantID, Identity: p.Identity, FirstParty: p.FirstParty}
}

// startReencrypt accepts {"database": NAME}; without it, and without a body, all
// databases are meant.
func (p *Provider) startReencrypt(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.mustLoad(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	database, err := reencryptedDatabase(req)
	if err != nil {
		return nil, err
	}
	var job cluster.Reencryption
	var operation string
	err = p.store.Update(ctx, func(tx store.Tx) (err error) {
		if job, err = p.runtime.StartReencryption(ctx, tx, rec.ID, cluster.ReencryptionRequest{Database: database, By: actor(req)}); err != nil {
			return err
		}
		operation, err = p.followReencryption(tx, req, rec, job)
		return err
	})
	if err != nil {
		return nil, reencryptRefusal(err, req.ID, database)
	}
	p.runtime.WakeReencryption(rec.ID)
	return p.acceptReencrypt(req, rec, job, operation), nil
}

func reencryptedDatabase(req *provider.Request) (string, error) {
	if req.Body == nil {
		return "", nil
	}
	b, err := requestBody(req)
	if err != nil {
		return "", err
	}
	for name := range b {
		if name != "database" {
			return "", azerr.KustoInvalidMember(name, "left out: the only member is 'database'")
		}
	}
	if !b.has("database") {
		return "", nil
	}
	database, err := b.text("database", "database", "")
	if err == nil && database == "" {
		err = azerr.KustoInvalidMember("database", "the name of a database")
	}
	return database, err
}

func (p *Provider) followReencryption(tx store.Tx, req *provider.Request, rec *record, job cluster.Reencryption) (string, error) {
	return p.operations.Start(tx, operations.Operation{Kind: kindReencrypt, Provider: Namespace, ResourceID: rec.resourceID(), Location: string(rec.Location),
		Payload: mustJSON(reencryptWork{Cluster: rec.ID, Job: job.ID}), Principal: req.Principal, APIVersion: req.APIVersion})
}

func (p *Provider) acceptReencrypt(req *provider.Request, rec *record, job cluster.Reencryption, operation string) *provider.Response {
	p.operations.Launch(operation)
	return &provider.Response{Status: http.StatusAccepted, OperationID: operation, Body: reencryptBody(rec, job),
		Header: p.asyncHeaders(req, rec.Subscription, rec.Location, operation, true)}
}

func (p *Provider) getReencrypt(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.mustLoad(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	job, err := p.runtime.Reencryption(ctx, rec.ID)
	if err != nil {
		return nil, reencryptRefusal(err, req.ID, "")
	}
	return &provider.Response{Status: http.StatusOK, Body: reencryptBody(rec, job)}, nil
}

func (p *Provider) pauseReencrypt(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.steerReencrypt(ctx, req, p.runtime.PauseReencryption)
}

func (p *Provider) cancelReencrypt(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.steerReencrypt(ctx, req, p.runtime.CancelReencryption)
}

func (p *Provider) steerReencrypt(ctx context.Context, req *provider.Request, change func(ctx context.Context, id string, by audit.Actor) (cluster.Reencryption, error)) (*provider.Response, error) {
	rec, err := p.mustLoad(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	job, err := change(ctx, rec.ID, actor(req))
	if err != nil {
		return nil, reencryptRefusal(err, req.ID, "")
	}
	return &provider.Response{Status: http.StatusOK, Body: reencryptBody(rec, job)}, nil
}

// resumeReencrypt starts an operation anew: that of one that failed has ended.
// While an earlier operation still follows the same re-encryption both end alike.
func (p *Provider) resumeReencrypt(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.mustLoad(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	job, err := p.runtime.ResumeReencryption(ctx, rec.ID, actor(req))
	if err != nil {
		return nil, reencryptRefusal(err, req.ID, "")
	}
	var operation string
	err = p.store.Update(ctx, func(tx store.Tx) (err error) {
		operation, err = p.followReencryption(tx, req, rec, job)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.acceptReencrypt(req, rec, job, operation), nil
}

// reencryptRefusal is the wire error of what the runtime refused.
func reencryptRefusal(err error, id ids.ID, database string) error {
	var suspended *cluster.SuspendedError
	path := Namespace + "/clusters/" + id.Segments[0].Name
	switch {
	case errors.As(err, &suspended):
		return azerr.Conflict("Nothing can be re-encrypted now: " + suspended.Error() + ".").Because(err)
	case errors.Is(err, cluster.ErrNotRunning):
		return azerr.Conflict("Nothing can be re-encrypted while the cluster is not running; start it first.").Because(err)
	case errors.Is(err, cluster.ErrReencrypting), errors.Is(err, cluster.ErrReencryptionState):
		return azerr.Conflict("Cluster '" + id.Segments[0].Name + "': " + err.Error() + ".").Because(err)
	case errors.Is(err, catalog.ErrNotFound) && database != "":
		return azerr.ResourceNotFound(path+"/databases/"+database, id.ResourceGroup)
	case errors.Is(err, catalog.ErrNotFound):
		return azerr.ResourceNotFound(path+"/"+actionReencrypt, id.ResourceGroup)
	}
	return err
}

// reencryptBody is how a re-encryption is shown.
func reencryptBody(rec *record, job cluster.Reencryption) object {
	t := job.Totals()
	o := object{{"id", rec.resourceID() + "/" + actionReencrypt}, {"reencryptionId", job.ID}, {"state", job.State}}
	if job.Why != "" {
		o.add("reason", job.Why)
	}
	if job.Database != "" {
		o.add("database", job.Database)
	}
	o.add("startTime", wire.Time(job.Since))
	if !job.Ended.IsZero() {
		o.add("endTime", wire.Time(job.Ended))
	}
	o.add("percentComplete", job.Fraction())
	o = append(o, amounts(t)...)
	databases := make([]object, 0, len(job.Databases))
	for _, d := range job.Databases {
		one := object{{"name", d.Name}, {"done", d.Done}, {"keyVersion", d.KeyVersion}, {"droppedKeyVersions", append([]int{}, d.Dropped...)}}
		databases = append(databases, append(one, amounts(d)...))
	}
	o.add("databases", databases)
	return o
}

func amounts(d cluster.ReencryptedDatabase) object {
	return object{{"extents", d.Extents}, {"extentsDone", d.ExtentsDone}, {"extentsDamaged", d.Damaged}, {"bytes", d.Bytes}, {"bytesDone", d.BytesDone}}
}

func (p *Provider) registerReencrypt() {
	p.operations.Handle(kindReencrypt, func(ctx context.Context, op *operations.Operation) (any, error) {
		var work reencryptWork
		if err := json.Unmarshal(op.Payload, &work); err != nil {
			return nil, fmt.Errorf("decode payload of operation %s: %w", op.ID, err)
		}
		job, err := p.runtime.AwaitReencryption(ctx, work.Cluster, work.Job, func(now cluster.Reencryption) error {
			if now.Fraction() < op.Percent+0.01 || now.State.Ended() {
				return nil
			}
			op.Percent = now.Fraction()
			return p.operations.Progress(ctx, op)
		})
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			return nil, azerr.KustoResourceGone(op.ResourceID)
		case err != nil:
			return nil, err
		case job.State == cluster.ReencryptionCanceled:
			return nil, operations.ErrCanceled
		case job.State == cluster.ReencryptionFailed:
			return nil, azerr.Conflict("The re-encryption failed: " + job.Why + ".")
		}
		return nil, nil
	})
}
