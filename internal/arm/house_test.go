package arm_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// tokens verifies "owner" and "stranger"; other texts are refused by kind.
type tokens struct{}

func (tokens) Verify(_ context.Context, token string, audiences ...string) (authz.Principal, error) {
	switch token {
	case "owner", "stranger":
		return authz.Principal{TenantID: tenant, ObjectID: token + "-oid", AppID: token + "-app", FirstParty: "Microsoft.Resources"}, nil
	case "expired":
		return authz.Principal{}, &authz.TokenError{Kind: authz.TokenExpired, Found: "2026-01-02T03:04:05Z"}
	case "vault":
		return authz.Principal{}, &authz.TokenError{Kind: authz.TokenAudience, Found: "https://vault.azure.net", Expected: strings.Join(audiences, " ")}
	case "foreign":
		return authz.Principal{}, &authz.TokenError{Kind: authz.TokenIssuer, Found: "https://sts.windows.net/other/"}
	}
	return authz.Principal{}, &authz.TokenError{Kind: authz.TokenMalformed}
}

// owner allows everything to the owner and records what was asked.
type owner struct {
	mu    sync.Mutex
	asked []string
}

func (o *owner) Authorize(_ context.Context, p authz.Principal, action, at string) (authz.Decision, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, action+" @ "+at)
	return authz.Decision{Allowed: p.ObjectID == "owner-oid"}, nil
}

func (o *owner) AuthorizeData(context.Context, authz.Principal, string, string) (authz.Decision, error) {
	return authz.Decision{}, nil
}

func (o *owner) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.asked) == 0 {
		return ""
	}
	return o.asked[len(o.asked)-1]
}

// echo answers with what it was given.
type echo struct {
	namespace string
	types     []provider.ResourceType
	handle    func(ctx context.Context, req *provider.Request) (*provider.Response, error)
}

func (e *echo) Namespace() string { return e.namespace }

func (e *echo) Types() []provider.ResourceType { return e.types }

func (e *echo) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if e.handle != nil {
		return e.handle(ctx, req)
	}
	return &provider.Response{Status: http.StatusOK, Header: http.Header{"Etag": {`"1"`}}, Body: map[string]any{
		"id": req.ID.String(), "type": req.ID.Type(), "action": req.Action, "version": req.APIVersion, "shape": req.Shape,
		"method": req.Method, "body": string(req.Body), "location": req.GroupLocation, "firstParty": req.Principal.FirstParty, "token": req.Header.Get("Authorization"),
	}}, nil
}

func (e *echo) Resources(context.Context, string, string) ([]provider.Resource, error) {
	return nil, nil
}

func toys() *echo {
	return &echo{namespace: "Contoso.Toys", types: []provider.ResourceType{
		{Type: "boxes", APIVersions: []string{"2024-01-01", "2022-01-01-preview", "2020-06-01"}, Locations: []string{"West Europe", "East US"}, Tracked: true, Actions: []string{"open", "listToys", "lids/close"}},
		{Type: "boxes/toys", APIVersions: []string{"2024-01-01", "2021-01-01"}},
		{Type: "labels", APIVersions: []string{"2024-01-01"}},
	}}
}

func ownRoutes() *echo {
	v := []string{"2022-09-01", "2021-04-01", "2014-01-01"}
	return &echo{namespace: "Microsoft.Resources", types: []provider.ResourceType{
		{Type: "tenants", APIVersions: v}, {Type: "providers", APIVersions: v}, {Type: "subscriptions", APIVersions: v},
		{Type: "subscriptions/resourceGroups", APIVersions: v}, {Type: "subscriptions/resources", APIVersions: v},
		{Type: "subscriptions/resourceGroups/resources", APIVersions: v}, {Type: "subscriptions/providers", APIVersions: v},
		{Type: "subscriptions/operationresults", APIVersions: v}, {Type: "tags", APIVersions: v},
	}}
}

type deployer struct{ got []*provider.Request }

func (d *deployer) HandleDeployment(_ context.Context, req *provider.Request) (*provider.Response, error) {
	d.got = append(d.got, req)
	return &provider.Response{Status: http.StatusOK, Body: map[string]string{"id": req.ID.String(), "action": req.Action, "body": string(req.Body)}}, nil
}

type house struct {
	*arm.Front
	store store.Store
	auth  *owner
}

func newHouse(t *testing.T, providers ...provider.Provider) *house {
	t.Helper()
	h := &house{store: memstore.New(), auth: &owner{}}
	if providers == nil {
		providers = []provider.Provider{ownRoutes(), toys()}
	}
	h.Front = arm.New(arm.Config{
		Store: h.store, Verifier: tokens{}, Authorizer: h.auth, Providers: providers, SubscriptionID: subID, TenantID: tenant,
		Now: func() time.Time { return time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC) },
	})
	err := h.store.Update(t.Context(), func(tx store.Tx) error {
		if err := (scope.Hierarchy{TenantID: tenant}).Put(tx, scope.ManagementGroup{Name: "m", Parent: tenant}); err != nil {
			return err
		}
		if err := scope.PutGroup(tx, scope.Group{Subscription: subID, Name: "dying", Location: "eastus", Deleting: "op"}); err != nil {
			return err
		}
		return scope.PutGroup(tx, scope.Group{Subscription: subID, Name: "Rg1", Location: "westeurope"})
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (a answer) code() string {
	e, _ := a.json["error"].(map[string]any)
	code, _ := e["code"].(string)
	return code
}

func (a answer) message() string {
	e, _ := a.json["error"].(map[string]any)
	m, _ := e["message"].(string)
	return m
}

func (h *house) do(t *testing.T, method, target, body, token string) answer {
	t.Helper()
	r := httptest.NewRequest(method, "https://management.azure.com"+target, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	data, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: w.Code, header: w.Result().Header, body: string(data)}
	_ = json.Unmarshal(data, &a.json) // lists and empty bodies have no members to look at
	return a
}
