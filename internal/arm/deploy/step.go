package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// The pauses of a poll: from the first to the longest, each a half longer.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// request makes a request of the deployment's principal.
func (x *execution) request(method string, id ids.ID, version string, body []byte) *provider.Request {
	return &provider.Request{
		Method: method, ID: id, APIVersion: version, Principal: x.r.Principal, Body: body, BaseURL: x.r.BaseURL, CorrelationID: x.r.Correlation,
	}
}

// resource provisions one resource. The step says how it ended; an error means
// that it has not ended: the process stops or the deployment was canceled.
func (x *execution) resource(ctx context.Context, i int, r *template.Resource) (*step, error) {
	x.mu.Lock()
	s := x.steps[stepKey(i)]
	x.mu.Unlock()
	if s == nil || s.State != stateRunning {
		s = x.newStep(stepKey(i), "Create", r.ID)
		if err := x.save(ctx, s); err != nil {
			return nil, err
		}
	}
	err := x.write(ctx, s, r)
	if ctx.Err() != nil {
		if errors.Is(context.Cause(ctx), operations.ErrCanceled) {
			if r.IsDeployment() {
				x.cancelNested(context.WithoutCancel(ctx), s, r)
			}
			s.State = stateCanceled
			return s, errors.Join(ctx.Err(), x.save(ctx, s))
		}
		return nil, ctx.Err()
	}
	if err == nil {
		s.State, s.Waits, s.Error = stateSucceeded, "", nil
		if r.IsDeployment() {
			s.readAnswer()
		}
		return s, x.save(ctx, s)
	}
	wire := azerr.From(err)
	if wire.Status >= http.StatusInternalServerError {
		x.e.log.ErrorContext(ctx, "deployment step failed", "correlation_id", x.r.Correlation, "scope", r.ID, "code", wire.Code, "error", errors.Unwrap(wire))
	}
	copied := *wire
	if copied.Target == "" {
		copied.Target = r.ID
	}
	if s.Status == 0 {
		s.Status = copied.Status
	}
	s.State, s.Waits, s.Error = stateFailed, "", &copied
	return s, x.save(ctx, s)
}

// cancelNested cancels the nested deployment of a step, also one that was
// accepted while its answer was cut off: it would go on with nobody to wait for it.
func (x *execution) cancelNested(ctx context.Context, s *step, r *template.Resource) {
	own := s.Waits
	if inner := x.nestedRecord(ctx, r); own == "" && inner != nil && inner.active() && inner.Correlation == x.r.Correlation {
		own = inner.Operation
	}
	if own != "" {
		_ = x.e.ops.Cancel(ctx, own) // it may have ended by itself
	}
}

// write puts the resource and waits until its provider is done with it.
func (x *execution) write(ctx context.Context, s *step, r *template.Resource) error {
	id, err := ids.Parse(r.ID)
	if err != nil {
		return azerr.InvalidTemplate("The id '"+r.ID+"' of the template resource '"+r.Name+"' is not valid", r.Line, r.Column, r.Path)
	}
	if s.Waits != "" { // from before a restart
		return x.wait(ctx, s, r)
	}
	x.evaluating.Lock()
	body, err := x.p.Body(r, &live{x: x, ctx: ctx})
	x.evaluating.Unlock()
	if err != nil {
		return err
	}
	if x.r.wants("requestContent") {
		s.Request = x.content(body)
	}
	var resp *provider.Response
	for try := 0; ; try++ {
		resp, err = x.put(ctx, x.request(http.MethodPut, id, r.APIVersion, value.Raw(body)))
		own, other := x.active(ctx, r, err)
		if own != "" { // put just before a restart
			s.Waits = own
			return x.wait(ctx, s, r)
		}
		if other == "" || try == maxTurns {
			break
		}
		if _, err := x.e.ops.Wait(ctx, other); err != nil { // its turn, then ours
			return err
		}
	}
	if err != nil {
		return err
	}
	if x.r.wants("responseContent") {
		if answer, err := answerOf(resp); err == nil {
			s.Response = x.content(answer)
		}
	}
	s.Status, s.Wrote, s.Waits = resp.Status, true, resp.OperationID
	if s.Waits != "" {
		if err := x.save(ctx, s); err != nil {
			return err
		}
		err = x.wait(ctx, s, r)
	} else {
		var answer value.Value
		if answer, err = answerOf(resp); err == nil {
			err = x.poll(ctx, r, id, answer, resp.Status)
		}
	}
	if err != nil || r.IsDeployment() {
		return err
	}
	return x.absorb(ctx, r.Type, r.APIVersion, id, body)
}

// put dispatches a write; a provider that is too busy is asked again.
func (x *execution) put(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	for pause := 200 * time.Millisecond; ; pause *= 2 {
		resp, err := x.e.front.Dispatch(ctx, req)
		var wire *azerr.Error
		if !errors.As(err, &wire) || wire.Status != http.StatusTooManyRequests && wire.Status != http.StatusServiceUnavailable || pause > 4*time.Second {
			return resp, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// maxTurns is how many other deployments of the same name a nested deployment
// lets go first.
const maxTurns = 20

// active tells whose deployment holds the name of a nested one: the operation
// of this deployment's own, or that of another.
func (x *execution) active(ctx context.Context, r *template.Resource, err error) (own, other string) {
	var wire *azerr.Error
	if !r.IsDeployment() || !errors.As(err, &wire) || wire.Code != "DeploymentActive" {
		return "", ""
	}
	inner := x.nestedRecord(ctx, r)
	switch {
	case inner == nil:
		return "", ""
	case inner.Correlation == x.r.Correlation:
		return inner.Operation, ""
	}
	return "", inner.Operation
}

func (x *execution) nestedRecord(ctx context.Context, r *template.Resource) *record {
	id, err := ids.Parse(r.ID)
	if err != nil {
		return nil
	}
	var inner *record
	_ = x.e.store.View(ctx, func(tx store.Tx) (err error) { // absent: nil
		inner, err = findRecord(tx, key(id.Scope(), id.Name()))
		return err
	})
	return inner
}

// readAnswer takes what a nested deployment made from how it ended.
func (s *step) readAnswer() {
	var d wireDeployment
	if s.Answer == nil || json.Unmarshal(s.Answer, &d) != nil || d.Properties.OutputResources == nil {
		return
	}
	s.Nested = nil
	for _, id := range *d.Properties.OutputResources {
		s.Nested = append(s.Nested, id.ID)
	}
}

// wait follows the provider's operation to its end.
func (x *execution) wait(ctx context.Context, s *step, r *template.Resource) error {
	op, err := x.e.ops.Wait(ctx, s.Waits)
	switch {
	case errors.Is(err, operations.ErrNotFound): // ended so long ago that it was forgotten
		return nil
	case err != nil:
		return err
	case op.Status == operations.Succeeded:
		if r.IsDeployment() {
			s.Answer = op.Result
		}
		return nil
	}
	var why []*azerr.Error
	if op.Error != nil {
		why = append(why, op.Error)
	}
	return azerr.ResourceDeploymentFailure(r.ID, op.Status, why...)
}

// poll reads the resource until it reaches a terminal state: for providers
// that work without an operation of ours.
func (x *execution) poll(ctx context.Context, r *template.Resource, id ids.ID, answer value.Value, status int) error {
	for pause := firstPause; ; pause = min(pause*3/2, longestPause) {
		o, _ := answer.(*value.Object)
		state := o.Object("properties").Text("provisioningState")
		switch {
		case strings.EqualFold(state, stateSucceeded), state == "" && status != http.StatusAccepted:
			return nil
		case strings.EqualFold(state, stateFailed), strings.EqualFold(state, stateCanceled):
			return azerr.ResourceDeploymentFailure(r.ID, state)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		resp, err := x.e.front.Dispatch(ctx, x.request(http.MethodGet, id, r.APIVersion, nil))
		var wire *azerr.Error
		if errors.As(err, &wire) && wire.Status == http.StatusNotFound {
			continue // not there yet
		}
		if err != nil {
			return err
		}
		if answer, err = answerOf(resp); err != nil {
			return err
		}
		status = resp.Status
	}
}
