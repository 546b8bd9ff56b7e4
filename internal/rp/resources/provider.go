package resources

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const namespace = "Microsoft.Resources"

// Registry lists the providers of the front door, this one included. The order
// matters to the deletion of a group: a provider whose resources use another's
// is registered after it, and is emptied before it.
type Registry interface {
	Providers() []provider.Provider
}

// Assignments removes the role assignments at and below a scope in the
// caller's transaction: a group made anew under an old name must not inherit
// the old one's rights.
type Assignments interface {
	RemoveScope(tx store.Tx, scope string) error
}

// Config is what the provider needs. Only Log, Now and the names have defaults.
type Config struct {
	Store      store.Store
	Authorizer authz.Authorizer
	Operations *operations.Manager
	Registry   Registry
	Dispatcher provider.Dispatcher
	// Assignments may be nil only where nobody can make role assignments.
	Assignments Assignments
	Log         *slog.Logger
	Now         func() time.Time

	TenantID   string
	TenantName string
}

// Provider serves Microsoft.Resources.
type Provider struct{ Config }

// New returns the provider and registers its operations with cfg.Operations.
func New(cfg Config) *Provider {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.TenantName == "" {
		cfg.TenantName = "Kustos"
	}
	p := &Provider{cfg}
	cfg.Operations.Handle(deleteGroupKind, p.runGroupDeletion)
	cfg.Operations.Handle(moveKind, p.runMove)
	cfg.Operations.Handle(validateMoveKind, p.runValidateMove)
	return p
}

// Namespace is Microsoft.Resources.
func (p *Provider) Namespace() string { return namespace }

func versions() []string {
	return []string{"2025-04-01", "2025-03-01", "2024-11-01", "2024-07-01", "2024-03-01", "2023-07-01", "2022-12-01", "2022-09-01", "2022-06-01",
		"2022-05-01", "2022-01-01", "2021-04-01", "2021-01-01", "2020-10-01", "2020-09-01", "2020-08-01", "2020-07-01", "2020-06-01",
		"2020-05-01", "2020-01-01", "2019-11-01", "2019-10-01", "2019-09-01", "2019-08-01", "2019-07-01", "2019-06-01", "2019-05-10",
		"2019-05-01", "2019-03-01", "2018-11-01", "2018-09-01", "2018-08-01", "2018-07-01", "2018-06-01", "2018-05-01", "2018-02-01",
		"2018-01-01", "2017-12-01", "2017-08-01", "2017-06-01", "2017-05-10", "2017-05-01", "2017-03-01", "2016-09-01", "2016-07-01",
		"2016-06-01", "2016-02-01", "2015-11-01", "2015-01-01", "2014-04-01", "2014-01-01"}
}

// Types lists ARM's own types; deployments are served by the engine and stand
// here for the registration document.
func (p *Provider) Types() []provider.ResourceType {
	names := []string{"tenants", "providers", "subscriptions", "subscriptions/locations", "subscriptions/providers", "subscriptions/resources",
		"subscriptions/operationresults", "subscriptions/resourceGroups", "subscriptions/resourceGroups/resources", "subscriptions/tagNames", "subscriptions/tagNames/tagValues", "tags",
		"deployments", "deployments/operations"}
	types := make([]provider.ResourceType, len(names))
	for i, n := range names {
		types[i] = provider.ResourceType{Type: n, APIVersions: versions(), NoBody: strings.HasPrefix(n, "subscriptions/tagNames")}
		if n == "subscriptions/resourceGroups" {
			types[i].Capabilities = "SupportsTags, SupportsLocation"
			types[i].Locations = displayNames()
		}
	}
	return types
}

// Resources is empty: groups are not resources of a group.
func (p *Provider) Resources(context.Context, string, string) ([]provider.Resource, error) {
	return nil, nil
}

// Handle serves one request.
func (p *Provider) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	route := provider.Route(req)
	switch route {
	case "GET subscriptions/":
		return p.listSubscriptions(ctx, req)
	case "GET subscriptions":
		return p.getSubscription(ctx, req)
	case "GET subscriptions/locations/":
		return p.listLocations(req)
	case "GET tenants/":
		return p.listTenants(req)
	case "GET providers/", "GET subscriptions/providers/":
		return p.listProviders(ctx, req)
	case "GET providers", "GET subscriptions/providers":
		return p.getProvider(ctx, req)
	case "POST subscriptions/providers register":
		return p.setRegistration(ctx, req, true)
	case "POST subscriptions/providers unregister":
		return p.setRegistration(ctx, req, false)
	case "GET subscriptions/resourcegroups/":
		return p.listGroups(ctx, req)
	case "GET subscriptions/resourcegroups":
		return p.getGroup(ctx, req)
	case "PUT subscriptions/resourcegroups":
		return p.putGroup(ctx, req)
	case "PATCH subscriptions/resourcegroups":
		return p.patchGroup(ctx, req)
	case "DELETE subscriptions/resourcegroups":
		return p.deleteGroup(ctx, req)
	case "POST subscriptions/resourcegroups moveresources":
		return p.moveResources(ctx, req, moveKind)
	case "POST subscriptions/resourcegroups validatemoveresources":
		return p.moveResources(ctx, req, validateMoveKind)
	case "POST subscriptions/resourcegroups exporttemplate":
		return p.exportTemplate(ctx, req)
	case "GET subscriptions/tagnames/":
		return p.listTagNames(ctx, req)
	case "PUT subscriptions/tagnames", "PUT subscriptions/tagnames/tagvalues":
		return p.putTagName(ctx, req)
	case "DELETE subscriptions/tagnames", "DELETE subscriptions/tagnames/tagvalues":
		return p.deleteTagName(ctx, req)
	case "GET subscriptions/operationresults":
		return p.operationResult(ctx, req)
	case "GET subscriptions/resources/", "GET subscriptions/resourcegroups/resources/":
		return p.listResources(ctx, req)
	case "GET tags", "PUT tags", "PATCH tags", "DELETE tags":
		return p.tags(ctx, req)
	}
	if req.Action != "" {
		return nil, azerr.OperationNotSupported(req.Action, namespace+"/"+req.ID.TypePath())
	}
	return nil, azerr.MethodNotAllowed(req.Method, namespace+"/"+req.ID.TypePath())
}

// list is the body of every list.
type list[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

func displayNames() []string {
	var names []string
	for _, l := range ids.Locations() {
		names = append(names, l.Display())
	}
	return names
}
