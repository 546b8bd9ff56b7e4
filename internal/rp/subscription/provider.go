package subscription

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const namespace = "Microsoft.Subscription"

// Owners makes a principal Owner of a scope in the caller's transaction.
type Owners interface {
	AssignOwner(tx store.Tx, scope, objectID, principalType string) error
}

// Config is what the provider needs; Log and Now have defaults.
type Config struct {
	Store      store.Store
	Authorizer authz.Authorizer
	Owners     Owners
	TenantID   string
	Log        *slog.Logger
	Now        func() time.Time
}

// New returns the provider of Microsoft.Subscription.
func New(cfg Config) provider.Provider {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &rp{Config: cfg, tree: scope.Hierarchy{TenantID: cfg.TenantID}}
}

type rp struct {
	Config
	tree scope.Hierarchy
}

func (p *rp) Namespace() string { return namespace }

func versions() []string {
	return []string{"2024-08-01-preview", "2021-10-01", "2020-09-01", "2019-10-01-preview", "2019-03-01-preview"}
}

func (p *rp) Types() []provider.ResourceType {
	return []provider.ResourceType{
		{Type: "aliases", APIVersions: versions()},
		{Type: "operations", APIVersions: versions()},
	}
}

// Resources is empty: nothing here has a location.
func (p *rp) Resources(context.Context, string, string) ([]provider.Resource, error) { return nil, nil }

// Handle serves one request.
func (p *rp) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	route := req.Method + " " + strings.ToLower(req.ID.TypePath())
	if req.ID.IsCollection() {
		route += "/"
	}
	if req.Action != "" {
		route += " " + strings.ToLower(req.Action)
	}
	atTenant := req.ID.Subscription == "" && req.ID.Parent == nil
	atSubscription := req.ID.Subscription != "" && req.ID.ResourceGroup == "" && req.ID.Parent == nil
	switch {
	case atTenant && route == "GET aliases/":
		return p.list(ctx)
	case atTenant && route == "GET aliases":
		return p.get(ctx, req)
	case atTenant && route == "PUT aliases":
		return p.put(ctx, req)
	case atTenant && route == "DELETE aliases":
		return p.delete(ctx, req)
	case atTenant && route == "GET operations/":
		return ok(operationList())
	case atSubscription && route == "POST  rename":
		return p.rename(ctx, req)
	case atSubscription && route == "POST  cancel":
		return p.setState(ctx, req, scope.Disabled)
	case atSubscription && route == "POST  enable":
		return p.setState(ctx, req, scope.Enabled)
	}
	if req.Action != "" {
		return nil, azerr.OperationNotSupported(req.Action, namespace)
	}
	if !atTenant {
		return nil, azerr.InvalidResourceType(req.ID.TypePath(), namespace, req.APIVersion, versions())
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

func ok(body any) (*provider.Response, error) {
	return &provider.Response{Status: http.StatusOK, Body: body}, nil
}

// demand asks for a right of the caller that is not the one of the request.
func (p *rp) demand(ctx context.Context, req *provider.Request, action string, at ids.ID) error {
	d, err := p.Authorizer.Authorize(ctx, req.Principal, action, at.String())
	if err != nil {
		return fmt.Errorf("authorize %s: %w", action, err)
	}
	if !d.Allowed {
		return azerr.AuthorizationFailed(req.Principal.AppID, req.Principal.ObjectID, action, at.String())
	}
	return nil
}

type operation struct {
	Name    string           `json:"name"`
	Display operationDisplay `json:"display"`
}

type operationDisplay struct {
	Provider  string `json:"provider"`
	Resource  string `json:"resource"`
	Operation string `json:"operation"`
}

func operationList() any {
	var out []operation
	for _, o := range [][3]string{{"aliases/write", "Aliases", "Create subscription alias"}, {"aliases/read", "Aliases", "Get subscription alias"}, {"aliases/delete", "Aliases", "Delete subscription alias"},
		{"rename/action", "Subscription", "Rename subscription"}, {"cancel/action", "Subscription", "Cancel subscription"}, {"enable/action", "Subscription", "Enable subscription"}} {
		out = append(out, operation{namespace + "/" + o[0], operationDisplay{namespace, o[1], o[2]}})
	}
	return map[string][]operation{"value": out}
}
