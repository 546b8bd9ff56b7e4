package deploy_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm/deploy"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

const (
	sub   = "6d1f1c9e-6d5f-4d33-8c46-0a9f6a7b1c2d"
	group = "/subscriptions/" + sub + "/resourceGroups/rg1"
)

// front is a small front door: a store of resources whose type decides how
// they behave. Test.Sync answers at once, Test.Async by an operation,
// Test.Poll by its provisioningState; a property "fail" refuses the write, and
// "failLater" lets the operation fail.
type front struct {
	engine *deploy.Engine
	ops    *operations.Manager
	store  store.Store

	mu        sync.Mutex
	resources map[string]map[string]any
	writes    []string // "PUT id" in order
	bodies    map[string]string
	running   int
	most      int
	hold      chan struct{} // when set, Async operations wait for it
	preflight func(*provider.Request) error
}

func (f *front) Providers() []provider.Provider { return []provider.Provider{lister{f}} }

type lister struct{ f *front }

func (lister) Namespace() string { return "Test.Sync" }
func (lister) Types() []provider.ResourceType {
	return []provider.ResourceType{{Type: "things"}, {Type: "wholes", Replaced: true}}
}
func (lister) Handle(context.Context, *provider.Request) (*provider.Response, error) {
	panic("not called")
}
func (l lister) Resources(_ context.Context, _, rg string) ([]provider.Resource, error) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	var out []provider.Resource
	for _, r := range l.f.resources {
		id, err := ids.Parse(r["id"].(string))
		if err == nil && strings.EqualFold(id.ResourceGroup, rg) && id.Namespace != "" {
			out = append(out, provider.Resource{ID: id, APIVersion: "2020-01-01"})
		}
	}
	return out, nil
}

func (f *front) Preflight(_ context.Context, req *provider.Request) error {
	if f.preflight != nil {
		return f.preflight(req)
	}
	return nil
}

func (f *front) Dispatch(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if strings.EqualFold(req.ID.Type(), "Microsoft.Resources/deployments") {
		return f.engine.HandleDeployment(ctx, req)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := req.ID.Key()
	switch {
	case req.Method == http.MethodGet && req.ID.Namespace == "" && req.ID.ResourceGroup == "":
		return ok(map[string]any{"id": req.ID.String(), "displayName": "Test"}), nil
	case req.Method == http.MethodGet && req.ID.Namespace == "Test.Blind":
		return nil, azerr.MethodNotAllowed("GET", req.ID.Type())
	case req.Method == http.MethodGet:
		r, there := f.resources[k]
		if !there && req.ID.Namespace == "" {
			return nil, azerr.ResourceGroupNotFound(req.ID.ResourceGroup)
		}
		if !there {
			return nil, provider.NotFound(req.ID)
		}
		if p, _ := r["properties"].(map[string]any); p["provisioningState"] == "Creating" { // Test.Poll: done at the second look
			if p["looked"] == true {
				p["provisioningState"] = "Succeeded"
				delete(p, "looked")
			} else {
				p["looked"] = true
			}
		}
		return ok(clone(r)), nil
	case req.Method == http.MethodPost:
		return ok(map[string]any{"action": req.Action, "of": req.ID.Name(), "body": json.RawMessage(append([]byte(nil), req.Body...))}), nil
	case req.Method == http.MethodDelete:
		delete(f.resources, k)
		f.writes = append(f.writes, "DELETE "+req.ID.Name())
		return &provider.Response{Status: http.StatusOK}, nil
	}
	return f.put(ctx, req, k)
}

func (f *front) put(ctx context.Context, req *provider.Request, k string) (*provider.Response, error) {
	var body map[string]any
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return nil, azerr.InvalidRequestContent(err.Error())
	}
	f.writes = append(f.writes, "PUT "+req.ID.Name())
	f.bodies[req.ID.Name()] = string(req.Body)
	props, _ := body["properties"].(map[string]any)
	if props == nil {
		props = map[string]any{}
	}
	if props["fail"] != nil {
		return nil, &azerr.Error{Status: 409, Code: "Refused", Message: fmt.Sprint(props["fail"])}
	}
	r := map[string]any{"id": req.ID.String(), "name": req.ID.Name(), "type": req.ID.Type(), "properties": props}
	for _, name := range []string{"location", "tags", "sku", "kind"} {
		if body[name] != nil {
			r[name] = body[name]
		}
	}
	if req.ID.Namespace == "Test.Deaf" { // takes a secret and never shows it, and has words of its own
		delete(props, "secret")
		props["word"] = strings.ToUpper(fmt.Sprint(props["word"]))
		props["list"] = []any{"none"}
	}
	if req.ID.Namespace == "" {
		r["name"] = req.ID.ResourceGroup
	}
	props["provisioningState"] = "Succeeded"
	f.resources[k] = r
	resp := &provider.Response{Status: http.StatusCreated, Body: clone(r), Header: http.Header{}}
	switch req.ID.Namespace {
	case "Test.Poll":
		props["provisioningState"] = "Creating"
		resp.Body = clone(r)
	case "Test.Async":
		payload, _ := json.Marshal(map[string]any{"key": k, "fail": props["failLater"] != nil})
		err := f.store.Update(ctx, func(tx store.Tx) (err error) {
			resp.OperationID, err = f.ops.Start(tx, operations.Operation{Kind: "Test.Async", ResourceID: k, Payload: payload})
			return err
		})
		if err != nil {
			return nil, err
		}
		f.ops.Launch(resp.OperationID)
	}
	return resp, nil
}

func (f *front) async(ctx context.Context, op *operations.Operation) (any, error) {
	f.mu.Lock()
	f.running++
	f.most = max(f.most, f.running)
	hold := f.hold
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	} else {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var in struct{ Fail bool }
	if err := json.Unmarshal(op.Payload, &in); err != nil {
		return nil, err
	}
	if in.Fail {
		return nil, &azerr.Error{Status: 400, Code: "BrokeDown", Message: "it broke down"}
	}
	return nil, nil
}

func ok(body any) *provider.Response { return &provider.Response{Status: http.StatusOK, Body: body} }

func clone(v map[string]any) map[string]any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err)
	}
	return out
}

// rig is an engine on a front, with a store that can be started again.
type rig struct {
	t       testing.TB
	store   store.Store
	ops     *operations.Manager
	front   *front
	links   deploy.Links
	log     *bytes.Buffer
	version string // of the API; the usual one when empty
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, store: memstore.New(), log: &bytes.Buffer{}}
	r.front = &front{resources: map[string]map[string]any{}, bodies: map[string]string{}, store: r.store}
	r.front.resources[strings.ToLower(group)] = map[string]any{"id": group, "name": "rg1", "type": "Microsoft.Resources/resourceGroups", "location": "westeurope",
		"properties": map[string]any{"provisioningState": "Succeeded"}}
	r.start()
	return r
}

// start makes a new engine and manager on the same store.
func (r *rig) start() {
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.ops = operations.New(operations.Config{Store: r.store, Log: log})
	r.front.ops = r.ops
	r.front.engine = deploy.New(deploy.Config{Store: r.store, Operations: r.ops, Front: r.front, Links: r.links, Log: log, TenantID: "99999999-8888-7777-6666-555555555555"})
	r.ops.Handle("Test.Async", r.front.async)
}

func (r *rig) do(method, id, action, body string) (*provider.Response, error) {
	r.t.Helper()
	return r.doAs("c-"+method, method, id, action, body)
}

func (r *rig) doAs(correlation, method, id, action, body string) (*provider.Response, error) {
	r.t.Helper()
	parsed, err := ids.Parse(id)
	if err != nil {
		r.t.Fatal(err)
	}
	req := &provider.Request{Method: method, ID: parsed, Action: action, APIVersion: cmp.Or(r.version, "2021-04-01"), Body: json.RawMessage(body), BaseURL: "https://management.azure.com",
		Principal: authz.Principal{ObjectID: "o1", AppID: "a1", TenantID: "t1"}, RequestID: "r", CorrelationID: correlation, Header: http.Header{}, Query: map[string][]string{}}
	if path, query, found := strings.Cut(id, "?"); found {
		_ = path
		r.t.Fatal("no query in ids: " + query)
	}
	return r.front.engine.HandleDeployment(r.t.Context(), req)
}

const deployments = "/providers/Microsoft.Resources/deployments/"

// request is a deployment's body around a template's text.
func request(template, parameters string) string {
	if parameters == "" {
		parameters = "{}"
	}
	return `{"properties": {"mode": "Incremental", "parameters": ` + parameters + `, template: ` + template + `}}`
}

func doc(resources, rest string) string {
	return `{"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0", "resources": ` + resources + rest + `}`
}

// deploy puts a deployment and waits for its end; it returns what GET shows.
func (r *rig) deploy(id, body string) map[string]any {
	r.t.Helper()
	resp, err := r.do(http.MethodPut, id, "", body)
	if err != nil {
		r.t.Fatalf("put %s: %v", id, err)
	}
	if _, err := r.ops.Wait(r.t.Context(), resp.OperationID); err != nil {
		r.t.Fatal(err)
	}
	return r.show(id)
}

func (r *rig) show(id string) map[string]any {
	r.t.Helper()
	resp, err := r.do(http.MethodGet, id, "", "")
	if err != nil {
		r.t.Fatal(err)
	}
	return tree(r.t, resp)
}

func tree(t testing.TB, resp *provider.Response) map[string]any {
	t.Helper()
	data, err := resp.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return out
}

func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			a, _ := v.([]any)
			if p >= len(a) {
				return nil
			}
			v = a[p]
		}
	}
	return v
}

func compact(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
