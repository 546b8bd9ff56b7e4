package subscription

import (
	"context"
	"log/slog"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
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
	route := provider.Route(req)
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
		return provider.OK(operationList())
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

func operationList() provider.OperationList {
	var out provider.OperationList
	for _, o := range [][3]string{{"aliases/write", "Aliases", "Create subscription alias"}, {"aliases/read", "Aliases", "Get subscription alias"}, {"aliases/delete", "Aliases", "Delete subscription alias"},
		{"rename/action", "Subscription", "Rename subscription"}, {"cancel/action", "Subscription", "Cancel subscription"}, {"enable/action", "Subscription", "Enable subscription"}} {
		out.Value = append(out.Value, provider.Operation{Name: namespace + "/" + o[0], Display: provider.OperationDisplay{Provider: namespace, Resource: o[1], Operation: o[2]}})
	}
	return out
}
