package kusto

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

func (p *Provider) getCluster(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	rec, err := p.mustLoad(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return p.clusterAnswer(ctx, http.StatusOK, rec, req.Shape, "")
}

// list reads the clusters of a subscription, or of one group when it is not empty.
func (p *Provider) list(ctx context.Context, subscription, group string) ([]record, error) {
	prefix := "/subscriptions/" + strings.ToLower(subscription) + "/"
	if group != "" {
		prefix += "resourcegroups/" + strings.ToLower(group) + "/"
	}
	var recs []record
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		recs, err = store.ListJSON[record](tx, bucketClusters, prefix)
		return err
	})
	return recs, err
}

func (p *Provider) listClusters(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	recs, err := p.list(ctx, req.ID.Subscription, req.ID.ResourceGroup)
	if err != nil {
		return nil, err
	}
	value := make([]object, len(recs))
	for i := range recs {
		if value[i], err = p.clusterBody(ctx, &recs[i], req.Shape, ""); err != nil {
			return nil, err
		}
	}
	return listOf(value), nil
}

// listOf is a list answer without paging.
func listOf[T any](value []T) *provider.Response {
	if value == nil {
		value = []T{}
	}
	return &provider.Response{Status: http.StatusOK, Body: object{{"value", value}}}
}

func (p *Provider) startCluster(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.act(ctx, req, kindClusterStart, "Starting", provRunning)
}

func (p *Provider) stopCluster(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.act(ctx, req, kindClusterStop, "Stopping", provRunning)
}

func (p *Provider) deleteCluster(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	return p.act(ctx, req, kindClusterDelete, "Deleting", provDeleting)
}

// act starts an operation that takes no input.
func (p *Provider) act(ctx context.Context, req *provider.Request, kind, activity, provisioning string) (*provider.Response, error) {
	key := clusterKey(req.ID)
	var rec *record
	var operation string
	err := p.store.Update(ctx, func(tx store.Tx) (err error) {
		if rec, err = loadTx(tx, key); err != nil || rec == nil {
			return err
		}
		if err := p.idle(rec); err != nil {
			return err
		}
		if !rec.Born && kind != kindClusterDelete {
			return azerr.KustoClusterState("resource", "Unavailable")
		}
		operation, err = p.operations.Start(tx, operations.Operation{Kind: kind, Provider: Namespace, ResourceID: rec.resourceID(),
			Location: string(rec.Location), Payload: mustJSON(clusterWork{Key: key}), Principal: req.Principal, APIVersion: req.APIVersion})
		if err != nil {
			return err
		}
		rec.Operation, rec.Activity, rec.Provisioning = operation, activity, provisioning
		return save(tx, rec)
	})
	switch {
	case err != nil:
		return nil, err
	case rec == nil && kind == kindClusterDelete:
		return &provider.Response{Status: http.StatusNoContent}, nil
	case rec == nil:
		return nil, clusterNotFound(req.ID)
	}
	p.operations.Launch(operation)
	return &provider.Response{Status: http.StatusAccepted, OperationID: operation,
		Header: p.asyncHeaders(req, rec.Subscription, rec.Location, operation, true)}, nil
}
