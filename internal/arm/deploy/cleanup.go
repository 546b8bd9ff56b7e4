package deploy

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// cleanUp deletes what is in the group and not in the template (mode Complete).
func (x *execution) cleanUp(ctx context.Context) ([]*step, error) {
	scope, err := ids.Parse(x.r.Scope)
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for _, id := range x.outputResources() {
		keep[strings.ToLower(id)] = true
	}
	for _, r := range x.p.Resources {
		if r.Condition || template.BeforeEmptyLoops(x.r.APIVersion) {
			keep[strings.ToLower(r.ID)] = true
		}
	}
	var failed []*step
	n := 0
	for _, p := range x.e.front.Providers() {
		list, err := p.Resources(ctx, scope.Subscription, scope.ResourceGroup)
		if err != nil {
			return nil, fmt.Errorf("list resources of %s: %w", p.Namespace(), err)
		}
		for _, r := range list {
			if keep[r.ID.Key()] || !strings.EqualFold(r.ID.ResourceGroup, scope.ResourceGroup) {
				continue
			}
			s := x.newStep("d"+strconv.Itoa(n), "DeploymentCleanup", r.ID.String())
			n++
			if err := x.remove(ctx, s, r); err != nil {
				return nil, err
			}
			if s.State == stateFailed {
				failed = append(failed, s)
			}
		}
	}
	return failed, nil
}

func (x *execution) remove(ctx context.Context, s *step, r provider.Resource) error {
	resp, err := x.e.front.Dispatch(ctx, x.request("DELETE", r.ID, r.APIVersion, nil))
	if err == nil && resp.OperationID != "" {
		s.Status = resp.Status
		var op operations.Operation
		if op, err = x.e.ops.Wait(ctx, resp.OperationID); err != nil {
			return err
		}
		if op.Error != nil {
			err = op.Error
		}
	}
	s.State = stateSucceeded
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wire := azerr.From(err)
		if wire.Code == "ScopeLocked" { // what is locked stays
			return nil
		}
		s.State, s.Status, s.Error = stateFailed, wire.Status, azerr.DeploymentFailedCleanUp(r.ID.String(), wire)
	}
	return x.save(ctx, s)
}
