package resources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	deleteGroupKind = "ResourceGroupDelete"
	// pollEvery is the pause while a provider or a deployment finishes by itself.
	pollEvery = 200 * time.Millisecond
	// deleteRounds bounds how often what is left of a group is tried again: a
	// resource can be held by another one, or by an operation that ends soon.
	deleteRounds = 50
	// retryAfter is what pollers are told, in seconds. Not 0: some SDKs take
	// that as nothing said and wait half a minute.
	retryAfter = 1
)

type deleteGroupPayload struct{ Subscription, Group string }

// deleteGroup records the deletion and answers 202; the work is an operation.
// The front door lets no write into the group run while this does, so what was
// written before is seen by the operation and what comes later is refused.
func (p *Provider) deleteGroup(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var id string
	started := false
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		g, err := findGroup(tx, req)
		if err != nil {
			return err
		}
		if g.Deleting != "" {
			id = g.Deleting
			return nil
		}
		payload, err := json.Marshal(deleteGroupPayload{g.Subscription, g.Name})
		if err != nil {
			return err
		}
		g.Deleting, err = p.Operations.Start(tx, operations.Operation{
			Kind: deleteGroupKind, Provider: namespace, ResourceID: g.ID().String(), Location: string(g.Location),
			Payload: payload, Principal: req.Principal, APIVersion: req.APIVersion,
		})
		if err != nil {
			return err
		}
		id, started = g.Deleting, true
		return scope.PutGroup(tx, g)
	})
	if err != nil {
		return nil, fmt.Errorf("delete resource group: %w", err)
	}
	if started {
		p.Operations.Launch(id)
	}
	resp := &provider.Response{Status: http.StatusAccepted, Header: http.Header{}, OperationID: id}
	operations.Headers(resp.Header, "", resultURL(req, id), retryAfter)
	return resp, nil
}

func resultURL(req *provider.Request, id string) string {
	return fmt.Sprintf("%s/subscriptions/%s/operationresults/%s?api-version=%s", req.BaseURL, where(req), id, req.APIVersion)
}

// operationResult is what the Location of a deletion leads to: 202 until the
// group is gone, then 200, or the error.
func (p *Provider) operationResult(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	op, err := p.Operations.Get(ctx, req.ID.Name())
	in := ids.ID{Subscription: where(req)}
	if errors.Is(err, operations.ErrNotFound) || err == nil && (op.Provider != namespace || !strings.HasPrefix(strings.ToLower(op.ResourceID), in.Key()+"/")) {
		return nil, azerr.ResourceNotFound("operationresults/"+req.ID.Name(), "")
	}
	switch {
	case err != nil:
		return nil, err
	case op.Error != nil:
		return nil, op.Error
	case op.Done() && op.Kind != deleteGroupKind:
		return &provider.Response{Status: http.StatusNoContent}, nil
	case op.Done():
		return &provider.Response{Status: http.StatusOK}, nil
	}
	resp := &provider.Response{Status: http.StatusAccepted, Header: http.Header{}}
	operations.Headers(resp.Header, "", resultURL(req, op.ID), retryAfter)
	return resp, nil
}

// runGroupDeletion empties the group and removes its record. When something
// cannot be deleted the group lives on with what is left in it.
func (p *Provider) runGroupDeletion(ctx context.Context, op *operations.Operation) (any, error) {
	var target deleteGroupPayload
	if err := json.Unmarshal(op.Payload, &target); err != nil {
		return nil, fmt.Errorf("decode payload: %w", err)
	}
	err := p.emptyGroup(ctx, target, op.APIVersion)
	if ctx.Err() != nil {
		return nil, ctx.Err() // the next start goes on
	}
	failed := err
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		g, err := scope.FindGroup(tx, target.Subscription, target.Group)
		if errors.Is(err, scope.ErrNoGroup) || err == nil && g.Deleting != op.ID {
			return nil // an earlier run got this far
		}
		if err != nil {
			return err
		}
		if failed != nil {
			g.Deleting = ""
			return scope.PutGroup(tx, g)
		}
		if p.Assignments != nil {
			if err := p.Assignments.RemoveScope(tx, g.ID().String()); err != nil {
				return fmt.Errorf("remove role assignments: %w", err)
			}
		}
		return scope.DeleteGroup(tx, target.Subscription, target.Group)
	})
	if err != nil {
		return nil, fmt.Errorf("end deletion of resource group: %w", err)
	}
	return nil, failed
}

// emptyGroup deletes in rounds until nothing is left: in a round, the providers
// from the last registered to the first. It gives up when a round has deleted
// nothing for deleteRounds times.
func (p *Provider) emptyGroup(ctx context.Context, target deleteGroupPayload, apiVersion string) error {
	if err := p.deleteDeployments(ctx, target, apiVersion); err != nil {
		return err
	}
	before, stuck := -1, 0
	for {
		left, err := p.inDeletionOrder(ctx, target)
		if err != nil {
			return err
		}
		if len(left) == 0 {
			return nil
		}
		if len(left) == before {
			stuck++
		} else {
			stuck = 0
		}
		before = len(left)
		var refused []*azerr.Error
		for _, r := range left {
			if err := p.deleteResource(ctx, r); err != nil {
				e := *azerr.From(err)
				e.Target = r.IDText
				refused = append(refused, &e)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		if stuck == deleteRounds && len(refused) > 0 {
			return azerr.ResourceGroupDeletionFailed(target.Group, refused)
		}
		if stuck > 0 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
}

func pause(ctx context.Context) error {
	select {
	case <-time.After(pollEvery):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inDeletionOrder lists what is left: what may use others first.
func (p *Provider) inDeletionOrder(ctx context.Context, target deleteGroupPayload) ([]provider.Resource, error) {
	var left []provider.Resource
	for _, served := range slices.Backward(p.Registry.Providers()) {
		some, err := served.Resources(ctx, target.Subscription, target.Group)
		if err != nil {
			return nil, fmt.Errorf("list resources of %s: %w", served.Namespace(), err)
		}
		slices.SortStableFunc(some, func(a, b provider.Resource) int { return len(b.ID.Segments) - len(a.ID.Segments) })
		for _, r := range some {
			if r.APIVersion == "" {
				r.APIVersion = provider.NewestVersion([]provider.Provider{served}, r.ID)
			}
			left = append(left, r)
		}
	}
	return left, nil
}

// deleteResource deletes one resource through the front door, with the
// authority of ARM itself, and waits for the end of its operation.
func (p *Provider) deleteResource(ctx context.Context, r provider.Resource) error {
	resp, err := p.Dispatcher.Dispatch(ctx, &provider.Request{Method: http.MethodDelete, ID: r.ID, APIVersion: r.APIVersion, Principal: p.self()})
	if err != nil {
		return err
	}
	if resp.OperationID == "" {
		return nil // gone, or on its way: the next round will see
	}
	op, err := p.Operations.Wait(ctx, resp.OperationID)
	if err != nil {
		return err
	}
	if op.Error != nil {
		return op.Error
	}
	return nil
}

// self is the first-party principal of ARM.
func (p *Provider) self() authz.Principal {
	return authz.Principal{TenantID: p.TenantID, FirstParty: namespace, Name: namespace}
}

// deleteDeployments removes the group's deployment history. One that still
// runs ends by itself soon, because every write into the group is refused now.
func (p *Provider) deleteDeployments(ctx context.Context, target deleteGroupPayload, apiVersion string) error {
	base := ids.ID{Subscription: target.Subscription, ResourceGroup: target.Group, Namespace: namespace}
	all := base
	all.Segments = []ids.Segment{{Type: "deployments"}}
	for round := 0; ; round++ {
		resp, err := p.Dispatcher.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: all, APIVersion: apiVersion, Principal: p.self()})
		if e := azerr.From(err); e != nil && e.Code == "InvalidResourceType" {
			return nil // no deployment engine, no history
		}
		if err != nil {
			return fmt.Errorf("list deployments: %w", err)
		}
		names, err := deploymentNames(resp)
		if err != nil || len(names) == 0 {
			return err
		}
		var failed error
		for _, name := range names {
			err := p.deleteResource(ctx, provider.Resource{ID: base.Child("deployments", name), APIVersion: apiVersion})
			if err != nil && failed == nil {
				failed = err
			}
		}
		if failed != nil && round == deleteRounds {
			return fmt.Errorf("delete deployments: %w", failed)
		}
		if failed != nil || round > 0 {
			if err := pause(ctx); err != nil {
				return err
			}
		}
	}
}

func deploymentNames(resp *provider.Response) ([]string, error) {
	data, err := resp.JSON()
	if err != nil {
		return nil, err
	}
	var body struct {
		Value []struct {
			Name string `json:"name"`
		} `json:"value"`
	}
	if err := json.Unmarshal(data, &body); err != nil {
		return nil, fmt.Errorf("decode list of deployments: %w", err)
	}
	names := make([]string, len(body.Value))
	for i, d := range body.Value {
		names[i] = d.Name
	}
	return names, nil
}
