package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// find reads the deployment that a request names.
func (e *Engine) find(ctx context.Context, req *provider.Request) (*record, error) {
	name := req.ID.Segments[0].Name
	scope := deploymentScope(req.ID)
	var r *record
	err := e.store.View(ctx, func(tx store.Tx) (err error) {
		r, err = findRecord(tx, key(scope, name))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, azerr.DeploymentNotFound(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read deployment %s: %w", name, err)
	}
	return r, nil
}

func deploymentScope(id ids.ID) ids.ID { return id.Scope() }

func (e *Engine) get(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	r, err := e.find(ctx, req)
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: http.StatusOK, Body: r.wire()}, nil
}

// list answers newest first, with $filter=provisioningState eq '…' and $top.
func (e *Engine) list(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if req.Method != http.MethodGet {
		return nil, azerr.MethodNotAllowed(req.Method, typeName)
	}
	top, err := intQuery(req, "$top", 800)
	if err != nil {
		return nil, err
	}
	skip, err := intQuery(req, "$skiptoken", 0)
	if err != nil {
		return nil, err
	}
	state, err := stateFilter(query(req, "$filter"))
	if err != nil {
		return nil, err
	}
	var all []record
	err = e.store.View(ctx, func(tx store.Tx) (err error) {
		all, err = records(tx, req.ID.Scope())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	if state != "" {
		all = slices.DeleteFunc(all, func(r record) bool { return !strings.EqualFold(r.State, state) })
	}
	skip = min(skip, len(all))
	page := all[skip:min(skip+top, len(all))]
	out := struct {
		Value    []*wireDeployment `json:"value"`
		NextLink string            `json:"nextLink,omitempty"`
	}{Value: make([]*wireDeployment, len(page))}
	for i := range page {
		out.Value[i] = page[i].wire()
	}
	if next := skip + len(page); next < len(all) && len(page) > 0 {
		out.NextLink = req.BaseURL + strings.TrimSuffix(req.ID.Scope().String(), "/") + "/providers/" + typeName + "/?api-version=" + req.APIVersion + "&%24top=" + strconv.Itoa(top) + "&%24skiptoken=" + strconv.Itoa(next)
		if state != "" {
			out.NextLink += "&%24filter=provisioningState%20eq%20%27" + state + "%27"
		}
	}
	return &provider.Response{Status: http.StatusOK, Body: out}, nil
}

func query(req *provider.Request, name string) string {
	for k, v := range req.Query {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

func intQuery(req *provider.Request, name string, fallback int) (int, error) {
	text := query(req, name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || name == "$top" && n == 0 {
		return 0, azerr.InvalidQueryParameter(name, text, "a positive integer is expected")
	}
	return n, nil
}

func stateFilter(filter string) (string, error) {
	if filter == "" {
		return "", nil
	}
	f := strings.Fields(filter)
	if len(f) == 3 && strings.EqualFold(f[0], "provisioningState") && strings.EqualFold(f[1], "eq") && len(f[2]) > 2 && f[2][0] == '\'' && f[2][len(f[2])-1] == '\'' {
		return f[2][1 : len(f[2])-1], nil
	}
	return "", azerr.InvalidFilterInQueryString(filter, "only provisioningState eq '…' is supported")
}

// delete removes a deployment from the history; its resources stay.
func (e *Engine) delete(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	k := key(req.ID.Scope(), req.ID.Segments[0].Name)
	gone := false
	var id string
	err := e.store.Update(ctx, func(tx store.Tx) error {
		r, err := findRecord(tx, k)
		if errors.Is(err, store.ErrNotFound) {
			gone = true
			return nil
		}
		if err != nil {
			return err
		}
		if r.active() {
			return azerr.Conflict(fmt.Sprintf("The deployment '%s' cannot be deleted while it is in the provisioning state '%s'. Please cancel it first.", r.Name, r.State))
		}
		id = r.ID
		return forget(tx, k)
	})
	if err != nil {
		return nil, err
	}
	if gone {
		return &provider.Response{Status: http.StatusNoContent}, nil
	}
	resp := &provider.Response{Status: http.StatusAccepted, Header: http.Header{}}
	operations.Headers(resp.Header, "", req.BaseURL+id+"/operationResults/deleted?api-version="+req.APIVersion, 1)
	return resp, nil
}

func (e *Engine) cancel(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	r, err := e.find(ctx, req)
	if err != nil {
		return nil, err
	}
	if !r.active() {
		return nil, azerr.DeploymentCannotBeCancelled(r.Name, r.State)
	}
	if err := e.ops.Cancel(ctx, r.Operation); err != nil {
		return nil, err
	}
	return &provider.Response{Status: http.StatusNoContent}, nil
}

func (e *Engine) export(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	r, err := e.find(ctx, req)
	if err != nil {
		return nil, err
	}
	var text []byte
	err = e.store.View(ctx, func(tx store.Tx) (err error) {
		text, err = tx.Get(templateBucket, r.key())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read template of %s: %w", r.ID, err)
	}
	return &provider.Response{Status: http.StatusOK, Body: map[string]json.RawMessage{"template": text}}, nil
}

// status answers the polling of a PUT.
func (e *Engine) status(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	id := req.ID.Segments[1].Name
	op, err := e.ops.Get(ctx, id)
	if errors.Is(err, operations.ErrNotFound) || err == nil && (op.Kind != operationKind || !strings.EqualFold(op.ResourceID, deploymentID(req.ID.Scope(), req.ID.Segments[0].Name))) {
		return nil, azerr.DeploymentNotFound(req.ID.Segments[0].Name)
	}
	if err != nil {
		return nil, err
	}
	out := struct {
		Status string       `json:"status"`
		Error  *azerr.Error `json:"error,omitempty"`
	}{op.Status, op.Error}
	resp := &provider.Response{Status: http.StatusOK, Body: out, Header: http.Header{}}
	if !op.Done() {
		operations.Headers(resp.Header, "", "", 1)
	}
	return resp, nil
}

type wireOperation struct {
	ID          string                  `json:"id"`
	OperationID string                  `json:"operationId"`
	Properties  wireOperationProperties `json:"properties"`
}

type wireOperationProperties struct {
	ProvisioningOperation string         `json:"provisioningOperation"`
	ProvisioningState     string         `json:"provisioningState"`
	Timestamp             string         `json:"timestamp"`
	Duration              string         `json:"duration"`
	TrackingID            string         `json:"trackingId"`
	ServiceRequestID      string         `json:"serviceRequestId,omitempty"`
	StatusCode            string         `json:"statusCode,omitempty"`
	StatusMessage         any            `json:"statusMessage,omitempty"`
	TargetResource        *shownResource `json:"targetResource,omitempty"`
	Request               *wireContent   `json:"request,omitempty"`
	Response              *wireContent   `json:"response,omitempty"`
}

type wireContent struct {
	Content json.RawMessage `json:"content"`
}

// operations lists the operations of a deployment's newest run, or shows one.
func (e *Engine) operations(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return nil, azerr.MethodNotAllowed(req.Method, typeName+"/operations")
	}
	r, err := e.find(ctx, req)
	if err != nil {
		return nil, err
	}
	var all map[string]*step
	err = e.store.View(ctx, func(tx store.Tx) (err error) {
		all, err = steps(tx, r.key())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read operations of %s: %w", r.ID, err)
	}
	list := make([]*step, 0, len(all))
	for _, s := range all {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *step) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	if want := req.ID.Segments[1].Name; want != "" {
		for _, s := range list {
			if op := r.operation(s); op.OperationID == want {
				return &provider.Response{Status: http.StatusOK, Body: op}, nil
			}
		}
		return nil, azerr.DeploymentOperationNotFound(want, r.Name)
	}
	top, err := intQuery(req, "$top", len(list)+1)
	if err != nil {
		return nil, err
	}
	skip, err := intQuery(req, "$skiptoken", 0)
	if err != nil {
		return nil, err
	}
	out := struct {
		Value    []*wireOperation `json:"value"`
		NextLink string           `json:"nextLink,omitempty"`
	}{Value: []*wireOperation{}}
	skip = min(skip, len(list))
	for _, s := range list[skip:min(skip+top, len(list))] {
		out.Value = append(out.Value, r.operation(s))
	}
	if next := skip + len(out.Value); next < len(list) {
		out.NextLink = req.BaseURL + r.ID + "/operations?api-version=" + req.APIVersion + "&%24top=" + strconv.Itoa(top) + "&%24skiptoken=" + strconv.Itoa(next)
	}
	return &provider.Response{Status: http.StatusOK, Body: out}, nil
}

func (r *record) operation(s *step) *wireOperation {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.Operation + s.Key)) // never fails
	id := fmt.Sprintf("%016X", h.Sum64())
	op := &wireOperation{ID: r.ID + "/operations/" + id, OperationID: id, Properties: wireOperationProperties{
		ProvisioningOperation: s.Operation, ProvisioningState: s.State, Timestamp: wire.Time(s.Changed), Duration: duration(s.Changed.Sub(s.Started)),
		TrackingID: s.Tracking, ServiceRequestID: s.RequestID,
	}}
	status := s.Status
	if s.Error != nil {
		op.Properties.StatusMessage = map[string]any{"error": s.Error}
		if status < http.StatusBadRequest {
			op.Properties.StatusMessage = map[string]any{"status": s.State, "error": s.Error}
			if s.Error.Status >= http.StatusBadRequest {
				status = s.Error.Status
			}
		}
	}
	if status != 0 {
		op.Properties.StatusCode = strings.ReplaceAll(http.StatusText(status), " ", "")
	}
	if s.Request != nil {
		op.Properties.Request = &wireContent{s.Request}
	}
	if s.Response != nil {
		op.Properties.Response = &wireContent{s.Response}
	}
	if s.Target != "" {
		op.Properties.TargetResource = &shownResource{ID: s.Target, ResourceType: typeOf(s.Target), ResourceName: resourceName(s.Target)}
	}
	return op
}

// resourceName is "cluster/database": the names of an id.
func resourceName(id string) string {
	parsed, err := ids.Parse(id)
	if err != nil || parsed.Namespace == "" {
		return lastName(id)
	}
	return strings.Join(parsed.Names(), "/")
}
