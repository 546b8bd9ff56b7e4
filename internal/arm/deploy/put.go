package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// put accepts a deployment: everything that can be checked is checked before
// it is recorded.
func (e *Engine) put(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := readSubmission(req)
	if err != nil {
		return nil, err
	}
	scope, name := req.ID.Scope(), req.ID.Segments[0].Name
	k := key(scope, name)
	if err := e.store.View(ctx, func(tx store.Tx) error { _, err := e.checkExisting(tx, k, s); return err }); err != nil {
		return nil, err
	}
	c, err := e.compile(ctx, req, s)
	if err != nil {
		return nil, err
	}
	if err := e.preflight(ctx, req, c); err != nil {
		return nil, err
	}
	if err := e.resolveOnError(ctx, req, s); err != nil {
		return nil, err
	}
	r, existed, err := e.accept(ctx, req, c)
	if err != nil {
		return nil, err
	}
	e.ops.Launch(r.Operation)
	e.log.InfoContext(ctx, "deployment accepted", "request_id", req.RequestID, "correlation_id", r.Correlation, "scope", r.ID, "resources", len(c.program.Resources))
	resp := &provider.Response{Status: http.StatusCreated, Body: r.wire(), Header: http.Header{}, OperationID: r.Operation}
	if existed {
		resp.Status = http.StatusOK
	}
	operations.Headers(resp.Header, statusURL(req, r), "", 1)
	return resp, nil
}

func (r *record) setLinks(s *submission) {
	if s.templateLink != nil {
		r.TemplateLink = value.Raw(s.templateLink.shown())
	}
	if s.parametersLink != nil {
		r.ParametersLink = value.Raw(s.parametersLink.shown())
	}
	r.OnError = s.onError
}

func statusURL(req *provider.Request, r *record) string {
	return req.BaseURL + r.ID + "/operationStatuses/" + r.Operation + "?api-version=" + req.APIVersion
}

// checkExisting refuses to replace a deployment that runs or lives elsewhere.
func (e *Engine) checkExisting(tx store.Tx, k string, s *submission) (existed bool, err error) {
	old, err := findRecord(tx, k)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if old.active() {
		const layout = "1/2/2006 3:04:05 PM"
		return true, azerr.DeploymentActive(old.Name, old.Started.UTC().Format(layout), old.Started.UTC().Add(7*24*time.Hour).Format(layout))
	}
	if ids.ParseLocation(old.Location) != ids.ParseLocation(s.location) {
		return true, azerr.InvalidDeploymentLocation(old.Name, old.Location, s.location)
	}
	return true, nil
}

// accept records a deployment and its operation in one transaction.
func (e *Engine) accept(ctx context.Context, req *provider.Request, c *compiled) (*record, bool, error) {
	now := e.now().UTC()
	p := c.program
	r := &record{
		ID: deploymentID(c.scope, c.name), Name: c.name, Location: c.location, Scope: c.scope.String(), Tags: c.tags, Mode: c.mode, Hash: p.Hash,
		ContentVersion: p.ContentVersion, Correlation: req.CorrelationID, State: stateAccepted, Started: now, Changed: now, Debug: c.debug,
		Parameters: shownParameters(p), Providers: shownProviders(p), Dependencies: shownDependencies(p),
		Principal: req.Principal, BaseURL: req.BaseURL, APIVersion: req.APIVersion,
	}
	r.setLinks(c.submission)
	fixed := value.NewObject(len(p.Parameters))
	for _, q := range p.Parameters {
		fixed.Set(q.Name, q.Value)
	}
	k := r.key()
	existed := false
	err := e.store.Update(ctx, func(tx store.Tx) (err error) {
		if existed, err = e.checkExisting(tx, k, c.submission); err != nil {
			return err
		}
		if !existed {
			if err := checkLocations(tx, c.scope, c.name, c.location); err != nil {
				return err
			}
		}
		if err := clear(tx, k); err != nil {
			return err
		}
		r.Operation, err = e.ops.Start(tx, operations.Operation{
			ID: e.statusID(now), Kind: operationKind, Provider: namespace, ResourceID: r.ID, Location: c.location, Payload: value.Raw(k), Principal: req.Principal, APIVersion: req.APIVersion,
		})
		if err != nil {
			return err
		}
		if err := tx.Put(templateBucket, k, value.Raw(p.Template())); err != nil {
			return err
		}
		if err := store.PutJSON(tx, runBucket, k, run{Body: req.Body, Files: c.files, Fixed: value.Raw(fixed)}); err != nil {
			return err
		}
		if err := store.PutJSON(tx, recordBucket, k, r); err != nil {
			return err
		}
		return prune(tx, c.scope)
	})
	if err != nil {
		return nil, false, err
	}
	return r, existed, nil
}

// statusID is the id of an operation as the service makes them: the ticks that
// are left until the end of time, in 20 digits. No two are equal.
func (e *Engine) statusID(now time.Time) string {
	const epoch = 621355968000000000 // ticks from year 1 to 1970
	want := int64(1<<63-1) - (epoch + now.UnixNano()/100)
	for {
		last := e.last.Load()
		if last != 0 && want >= last {
			want = last - 1
		}
		if e.last.CompareAndSwap(last, want) {
			return fmt.Sprintf("%020d", want)
		}
	}
}

// validate is a PUT that records nothing.
func (e *Engine) validate(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := readSubmission(req)
	if err != nil {
		return nil, err
	}
	c, err := e.compile(ctx, req, s)
	if err != nil {
		return nil, err
	}
	if err := e.preflight(ctx, req, c); err != nil {
		return nil, err
	}
	now := e.now().UTC()
	p := c.program
	r := &record{
		ID: deploymentID(c.scope, c.name), Name: c.name, Location: c.location, Tags: c.tags, Mode: c.mode, Hash: p.Hash, Correlation: req.CorrelationID, State: stateSucceeded,
		Started: now, Changed: now, Debug: c.debug, Parameters: shownParameters(p), Providers: shownProviders(p), Dependencies: shownDependencies(p),
	}
	r.setLinks(s)
	w := r.wire()
	validated := []wireID{}
	for _, q := range p.Resources {
		if q.Condition && !q.Existing {
			validated = append(validated, wireID{q.ID})
		}
	}
	w.Properties.OutputResources, w.Properties.ValidatedResources = nil, &validated
	return &provider.Response{Status: http.StatusOK, Body: w}, nil
}
