package kusto

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// operationResult serves both poll URLs: the status object, and, with
// operationResultResponseType=Location, what the operation itself would have
// answered had it not been asynchronous.
func (p *Provider) operationResult(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	op, err := p.operations.Get(ctx, req.ID.Name())
	if err != nil && !errors.Is(err, operations.ErrNotFound) {
		return nil, err
	}
	id, parseErr := ids.Parse(op.ResourceID)
	if err != nil || parseErr != nil || op.Provider != Namespace || !strings.EqualFold(id.Subscription, req.ID.Subscription) {
		return nil, azerr.ResourceNotFound(Namespace+"/locations/"+req.ID.Segments[0].Name+"/operationResults/"+req.ID.Name(), "")
	}
	if strings.EqualFold(req.Query.Get("operationResultResponseType"), "Location") {
		return p.locationResult(ctx, req, op, id)
	}
	return &provider.Response{Status: http.StatusOK, Body: statusBody(op, req), Header: p.pollHeader(op)}, nil
}

func (p *Provider) pollHeader(op operations.Operation) http.Header {
	if op.Done() {
		return nil
	}
	return http.Header{"Retry-After": {strconv.Itoa(p.retryAfter)}}
}

func statusBody(op operations.Operation, req *provider.Request) object {
	percent, provisioning, state := 0.5, provRunning, "InProgress"
	if op.Kind == kindReencrypt { // the one kind that knows how far it is
		percent = op.Percent
	}
	switch op.Status {
	case operations.Succeeded:
		percent, provisioning, state = 1, provSucceeded, "Completed"
	case operations.Failed, operations.Canceled:
		percent, provisioning, state = 1, provFailed, "Failed"
		if op.Error != nil && op.Error.Status < http.StatusInternalServerError {
			state = "BadInput"
		}
	}
	o := object{
		{"id", "/subscriptions/" + req.ID.Subscription + "/providers/" + Namespace + "/locations/" + ids.Location(op.Location).Display() + "/operationresults/" + op.ID},
		{"name", op.ID}, {"status", op.Status}, {"startTime", wire.Time(op.Start)}, {"endTime", wire.Time(op.End)}, {"percentComplete", percent},
	}
	if req.Shape <= v20210827 {
		o.add("properties", object{{"OperationKind", op.Kind}, {"provisioningState", provisioning}, {"OperationState", state}, {"RootActivityId", op.ID}})
	} else {
		o.add("properties", object{{"operationKind", op.Kind}, {"provisioningState", provisioning}, {"operationState", state}})
	}
	if op.Error != nil {
		o.add("error", object{{"code", op.Error.Code}, {"message", op.Error.Message}})
	}
	return o
}

// locationResult is 202 while the operation runs, and then the answer: an empty
// 200 for an action or a deletion, the resource for a write, the error for a
// failure.
func (p *Provider) locationResult(ctx context.Context, req *provider.Request, op operations.Operation, id ids.ID) (*provider.Response, error) {
	switch {
	case !op.Done():
		h := p.pollHeader(op)
		h.Set("Location", operationURL(req, req.ID.Subscription, ids.Location(op.Location), op.ID)+locationSuffix)
		return &provider.Response{Status: http.StatusAccepted, Header: h}, nil
	case op.Error != nil:
		return nil, op.Error
	case op.Kind == kindClusterCreate || op.Kind == kindClusterUpdate || op.Kind == kindDatabaseWrite:
		get := *req
		get.Method, get.ID, get.Action = http.MethodGet, id, ""
		return p.Handle(ctx, &get)
	}
	return &provider.Response{Status: http.StatusOK}, nil
}
