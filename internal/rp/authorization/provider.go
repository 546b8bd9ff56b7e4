package authorization

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/store"
)

const namespace = "Microsoft.Authorization"

// Principals finds principals; satisfied by directory.Directory.
type Principals interface {
	// Lookup takes an object id or a client id and returns directory.ErrNotFound
	// when there is no such principal.
	Lookup(ctx context.Context, id string) (directory.Entry, error)
	// GroupsOf returns the object ids of all groups that a principal is in.
	GroupsOf(objectID string) []string
}

// Front is the front door: locks ask it whether what they lock is there.
type Front interface {
	provider.Dispatcher
	Providers() []provider.Provider
}

// Config is what a Provider is made of.
type Config struct {
	Engine     *authz.Engine
	Principals Principals
	// Store and Front are for management locks.
	Store    store.Store
	Front    Front
	TenantID string
	// Changed is called after a committed change of an assignment with its
	// scope. It says nothing of what changed. nil = nothing.
	Changed func(scope string)
}

// Provider serves Microsoft.Authorization. It is safe for concurrent use.
type Provider struct {
	engine     *authz.Engine
	principals Principals
	store      store.Store
	front      Front
	tenantID   string
	changed    func(scope string)
}

var _ provider.Provider = (*Provider)(nil)

// New returns a provider over the engine's assignments.
func New(cfg Config) *Provider {
	changed := cfg.Changed
	if changed == nil {
		changed = func(string) {}
	}
	return &Provider{engine: cfg.Engine, principals: cfg.Principals, store: cfg.Store, front: cfg.Front, tenantID: cfg.TenantID, changed: changed}
}

// Namespace is "Microsoft.Authorization".
func (p *Provider) Namespace() string { return namespace }

// Types lists the extension types served.
func (p *Provider) Types() []provider.ResourceType {
	definitions := []string{"2022-05-01-preview", "2022-04-01", "2018-01-01-preview", "2015-07-01"}
	return []provider.ResourceType{
		{Type: "roleAssignments", Capabilities: "SupportsExtension", APIVersions: []string{"2022-04-01", "2020-10-01-preview", "2020-08-01-preview",
			"2020-04-01-preview", "2018-09-01-preview", "2018-01-01-preview", "2017-10-01-preview", "2015-07-01"}},
		{Type: "roleDefinitions", Capabilities: "SupportsExtension", APIVersions: definitions},
		{Type: "locks", Capabilities: "SupportsExtension", APIVersions: []string{"2020-05-01", "2017-04-01", "2016-09-01", "2015-01-01"}},
		{Type: "denyAssignments", Capabilities: "SupportsExtension", APIVersions: []string{"2022-04-01", "2018-07-01-preview"}},
		{Type: "permissions", Capabilities: "SupportsExtension", APIVersions: definitions},
	}
}

// Resources is empty: nothing here has a location.
func (p *Provider) Resources(context.Context, string, string) ([]provider.Resource, error) {
	return nil, nil
}

// Handle serves one request.
func (p *Provider) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if len(req.ID.Segments) != 1 || req.Action != "" {
		return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
	}
	type route struct {
		typ, method string
		named       bool
	}
	switch (route{strings.ToLower(req.ID.TypePath()), req.Method, req.ID.IsResource()}) {
	case route{"roleassignments", http.MethodGet, false}:
		return p.listAssignments(ctx, req)
	case route{"roleassignments", http.MethodGet, true}:
		return p.getAssignment(ctx, req)
	case route{"roleassignments", http.MethodPut, true}:
		return p.putAssignment(ctx, req)
	case route{"roleassignments", http.MethodDelete, true}:
		return p.deleteAssignment(ctx, req)
	case route{"roledefinitions", http.MethodGet, false}:
		return p.listDefinitions(ctx, req)
	case route{"roledefinitions", http.MethodGet, true}:
		return p.getDefinition(ctx, req)
	case route{"roledefinitions", http.MethodPut, true}:
		return p.putDefinition(ctx, req)
	case route{"roledefinitions", http.MethodDelete, true}:
		return p.deleteDefinition(ctx, req)
	case route{"denyassignments", http.MethodGet, false}:
		return provider.OK(list{Value: []any{}}) // only the service itself makes them, and it makes none
	case route{"denyassignments", http.MethodGet, true}:
		return nil, azerr.DenyAssignmentNotFound(req.ID.Name())
	case route{"locks", http.MethodGet, false}:
		return p.listLocks(ctx, req)
	case route{"locks", http.MethodGet, true}:
		return p.getLock(ctx, req)
	case route{"locks", http.MethodPut, true}:
		return p.putLock(ctx, req)
	case route{"locks", http.MethodDelete, true}:
		return p.deleteLock(ctx, req)
	case route{"permissions", http.MethodGet, false}:
		return p.listPermissions(ctx, req)
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

// list is the body of every collection.
type list struct {
	Value    any     `json:"value"`
	NextLink *string `json:"nextLink,omitempty"`
}
