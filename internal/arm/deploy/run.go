package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// parallel is how many resources of one deployment are provisioned at a time.
const parallel = 16

// execution is one deployment at work.
type execution struct {
	e *Engine
	r *record
	k string
	p *template.Program

	mu    sync.Mutex // guards what follows
	steps map[string]*step
	cache map[string]*value.Object // live resources, until the next change

	evaluating sync.Mutex // a Program is not safe for concurrent use
}

// run is the runner of the operation: it does what is left to do. However early
// it is canceled, also before it has begun, the deployment ends as the operation
// does: one that stayed active could never be replaced or deleted.
func (e *Engine) run(ctx context.Context, op *operations.Operation) (any, error) {
	x, err := e.resume(context.WithoutCancel(ctx), op)
	if err != nil {
		return nil, err
	}
	result, err := x.work(ctx)
	if x.r.active() && errors.Is(context.Cause(ctx), operations.ErrCanceled) {
		return nil, x.finish(ctx, stateCanceled, nil)
	}
	return result, err
}

// work deploys, and leaves the record active when it is canceled.
func (x *execution) work(ctx context.Context) (any, error) {
	if !x.r.active() { // it ended, and the process died before the operation was told
		return x.r.wire(), x.r.ended()
	}
	if err := x.setState(ctx, stateRunning); err != nil {
		return nil, err
	}
	failed, err := x.provision(ctx)
	if err == nil && len(failed) == 0 && x.r.Mode == "Complete" {
		failed, err = x.cleanUp(ctx)
	}
	switch {
	case errors.Is(context.Cause(ctx), operations.ErrCanceled):
		return nil, operations.ErrCanceled
	case err != nil:
		return nil, err
	case len(failed) > 0:
		return nil, x.failed(ctx, azerr.DeploymentFailed(x.r.ID, details(failed)...))
	}
	if err := x.outputs(ctx); err != nil {
		var wire *azerr.Error
		if !errors.As(err, &wire) {
			return nil, err
		}
		return nil, x.failed(ctx, wire)
	}
	if err := x.finish(ctx, stateSucceeded, nil); err != nil {
		return nil, err
	}
	return x.r.wire(), nil
}

// ended is what the operation reports for a deployment that has ended.
func (r *record) ended() error {
	switch {
	case r.State == stateCanceled:
		return operations.ErrCanceled
	case r.Error != nil:
		return r.Error
	}
	return nil
}

func details(failed []*step) []*azerr.Error {
	out := make([]*azerr.Error, len(failed))
	for i, s := range failed {
		out[i] = s.Error
	}
	return out
}

// resume reads what is stored of a deployment and compiles it again.
func (e *Engine) resume(ctx context.Context, op *operations.Operation) (*execution, error) {
	var k string
	if err := json.Unmarshal(op.Payload, &k); err != nil {
		return nil, fmt.Errorf("read payload of %s: %w", op.ID, err)
	}
	x := &execution{e: e, k: k, cache: map[string]*value.Object{}}
	var in run
	err := e.store.View(ctx, func(tx store.Tx) (err error) {
		if x.r, err = findRecord(tx, k); err != nil || x.r.Operation != op.ID || !x.r.active() {
			return err
		}
		if in, err = store.GetJSON[run](tx, runBucket, k); err != nil {
			return err
		}
		x.steps, err = steps(tx, k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read deployment %s: %w", k, err)
	}
	if x.r.Operation != op.ID {
		return nil, fmt.Errorf("operation %s is not the one of deployment %s", op.ID, k)
	}
	if !x.r.active() {
		return x, nil
	}
	fixed, err := value.FromJSON(in.Fixed)
	if err != nil {
		return nil, fmt.Errorf("read parameters of %s: %w", k, err)
	}
	scope, err := ids.Parse(x.r.Scope)
	if err != nil {
		return nil, fmt.Errorf("read scope of %s: %w", k, err)
	}
	req := &provider.Request{Method: "PUT", Body: in.Body, Principal: x.r.Principal, CorrelationID: x.r.Correlation, BaseURL: x.r.BaseURL, APIVersion: x.r.APIVersion}
	req.ID = scope
	req.ID.Parent, req.ID.Namespace, req.ID.Segments = nil, namespace, []ids.Segment{{Type: "deployments", Name: x.r.Name}}
	if scope.Namespace != "" {
		req.ID = ids.ID{Parent: &scope, Namespace: namespace, Segments: req.ID.Segments}
	}
	s, err := readSubmission(req)
	if err != nil {
		return nil, err
	}
	if _, err := e.follow(ctx, req, s, in.Files); err != nil {
		return nil, err
	}
	sc, err := e.scope(ctx, scope, req)
	if err != nil {
		return nil, x.finish(ctx, stateFailed, azerr.From(err))
	}
	params, _ := fixed.(*value.Object)
	x.p, err = template.Compile(template.Source{
		Template: s.template, Path: "properties.template", Library: e.library, Scope: sc, Fixed: params, Name: x.r.Name, Location: x.r.Location, Mode: x.r.Mode, Link: s.shownLink(), NoEmptyLoops: template.BeforeEmptyLoops(x.r.APIVersion),
		Fresh: &eval.Fresh{Now: x.r.Started, NewGUID: ids.NewGUID},
	})
	if err != nil {
		return nil, x.finish(ctx, stateFailed, azerr.From(err))
	}
	return x, nil
}

// setState records a change of the state.
func (x *execution) setState(ctx context.Context, state string) error {
	x.r.State, x.r.Changed = state, x.e.now().UTC()
	return x.e.store.Update(ctx, func(tx store.Tx) error { return store.PutJSON(tx, recordBucket, x.k, x.r) })
}

// finish records the end, forgets what the run needed, and returns what the
// operation ends with.
func (x *execution) finish(ctx context.Context, state string, why *azerr.Error) error {
	x.r.State, x.r.Error, x.r.Changed = state, why, x.e.now().UTC()
	x.r.OutputResources = x.outputResources()
	err := x.e.store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error {
		if err := tx.Delete(runBucket, x.k); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return store.PutJSON(tx, recordBucket, x.k, x.r)
	})
	if err != nil {
		return fmt.Errorf("record the end of deployment %s: %w", x.r.ID, err)
	}
	attrs := []any{"correlation_id", x.r.Correlation, "scope", x.r.ID, "state", state, "took", x.r.Changed.Sub(x.r.Started)}
	if why != nil {
		x.e.log.WarnContext(ctx, "deployment ended", append(attrs, "code", why.Code)...)
	} else {
		x.e.log.InfoContext(ctx, "deployment ended", attrs...)
	}
	return x.r.ended()
}

// outputResources lists what was deployed, in the order of the template.
func (x *execution) outputResources() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := []string{}
	if x.p == nil {
		return out
	}
	for i, r := range x.p.Resources {
		s := x.steps[stepKey(i)]
		if s == nil || !s.done() {
			continue
		}
		if r.IsDeployment() {
			out = append(out, s.Nested...)
			continue
		}
		out = append(out, r.ID)
	}
	return slices.Compact(out)
}

func stepKey(i int) string { return "r" + fmt.Sprintf("%04d", i) }

type outcome struct {
	index int
	step  *step
	err   error // the process stops, or the deployment was canceled
}

// provision writes the resources whose dependencies are done, in parallel. It
// returns the steps that failed. After a failure nothing new is started, and
// what runs is waited for.
func (x *execution) provision(ctx context.Context) (failed []*step, err error) {
	n := len(x.p.Resources)
	left := make([]int, n)
	dependents := make([][]int, n)
	for i, r := range x.p.Resources {
		left[i] = len(r.Needs)
		for _, need := range r.Needs {
			dependents[need] = append(dependents[need], i)
		}
	}
	var ready []int
	for i := range n {
		if left[i] == 0 {
			ready = append(ready, i)
		}
	}
	results := make(chan outcome)
	running := 0
	release := func(i int) {
		for _, d := range dependents[i] {
			if left[d]--; left[d] == 0 {
				ready = append(ready, d)
			}
		}
	}
	for {
		for len(ready) > 0 && running < parallel && len(failed) == 0 && err == nil && ctx.Err() == nil {
			i := ready[0]
			ready = ready[1:]
			r := x.p.Resources[i]
			if !r.Condition || r.Existing || x.isDone(i) {
				release(i)
				continue
			}
			running++
			go func() {
				s, err := x.resource(ctx, i, r)
				results <- outcome{i, s, err}
			}()
		}
		if running == 0 {
			if err == nil {
				err = ctx.Err()
			}
			return failed, err
		}
		o := <-results
		running--
		switch {
		case o.err != nil:
			err = errors.Join(err, o.err)
		case o.step.State == stateFailed:
			failed = append(failed, o.step)
		default:
			release(o.index)
		}
	}
}

func (x *execution) isDone(i int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.steps[stepKey(i)]
	return s != nil && s.done()
}

// save stores a step and remembers it.
func (x *execution) save(ctx context.Context, s *step) error {
	s.Changed = x.e.now().UTC()
	x.mu.Lock()
	x.steps[s.Key] = s
	clear := s.State != stateRunning
	if clear {
		x.cache = map[string]*value.Object{}
	}
	x.mu.Unlock()
	err := x.e.store.Update(context.WithoutCancel(ctx), func(tx store.Tx) error { return putStep(tx, x.k, s) })
	if err != nil {
		return fmt.Errorf("record step %s of %s: %w", s.Key, x.r.ID, err)
	}
	return nil
}

func (x *execution) newStep(key, operation, target string) *step {
	return &step{Key: key, Operation: operation, State: stateRunning, Started: x.e.now().UTC(), Tracking: ids.NewGUID(), RequestID: ids.NewGUID(), Target: target}
}

// outputs computes the outputs once everything is deployed.
func (x *execution) outputs(ctx context.Context) error {
	x.evaluating.Lock()
	list, failed, err := x.p.Outputs(&live{x: x, ctx: ctx})
	x.evaluating.Unlock()
	if err != nil {
		return err
	}
	s := x.newStep("outputs", "EvaluateDeploymentOutput", "")
	s.State, s.Status = stateSucceeded, 200
	if len(failed) == 0 {
		if len(list) > 0 {
			x.r.Outputs = shownOutputs(list)
		}
		return x.save(ctx, s)
	}
	names, why := make([]string, len(failed)), make([]*azerr.Error, len(failed))
	for i, f := range failed {
		names[i] = f.Name
		text := f.Err.Error()
		var wire *azerr.Error
		var inner []*azerr.Error
		if errors.As(f.Err, &wire) {
			text, inner = wire.Message, []*azerr.Error{wire}
		}
		why[i] = azerr.DeploymentOutputInvalid(f.Name, text, inner...)
	}
	s.State, s.Status = stateFailed, 400
	s.Error = azerr.DeploymentOutputEvaluationFailed(names, why...)
	if err := x.save(ctx, s); err != nil {
		return err
	}
	return s.Error
}
