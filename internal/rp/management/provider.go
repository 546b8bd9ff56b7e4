package management

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

const (
	namespace = "Microsoft.Management"
	typeName  = "managementGroups"
	fullType  = "Microsoft.Management/managementGroups"
)

// Assignments removes the role assignments at and below a scope in the caller's
// transaction.
type Assignments interface {
	RemoveScope(tx store.Tx, scope string) error
}

// Config is what the provider needs; Log and Now have defaults.
type Config struct {
	Store       store.Store
	Authorizer  authz.Authorizer
	Assignments Assignments
	TenantID    string
	Log         *slog.Logger
	Now         func() time.Time
}

// New returns the provider of Microsoft.Management.
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
	return []string{"2023-04-01", "2021-04-01", "2020-10-01", "2020-05-01", "2020-02-01", "2019-11-01", "2018-03-01-preview", "2018-01-01-preview", "2017-11-01-preview"}
}

func (p *rp) Types() []provider.ResourceType {
	return []provider.ResourceType{
		{Type: typeName, APIVersions: versions(), Actions: []string{"descendants"}, Capabilities: "SupportsExtension"},
		{Type: typeName + "/subscriptions", APIVersions: versions(), NoBody: true},
		{Type: "operations", APIVersions: versions()},
	}
}

// Resources is empty: nothing here has a location.
func (p *rp) Resources(context.Context, string, string) ([]provider.Resource, error) { return nil, nil }

// ShowsOnlyOwn are the lists that leave out what the caller may not read, what
// tells nothing of the tenant, and the PUT of a group: a new one needs a right
// at its parent, which the body names.
func (p *rp) ShowsOnlyOwn(req *provider.Request) bool {
	if len(req.ID.Segments) == 0 {
		switch strings.ToLower(req.Action) {
		case "getentities", "checknameavailability", "starttenantbackfill", "tenantbackfillstatus":
			return true
		}
		return false
	}
	if len(req.ID.Segments) != 1 || req.Action != "" || req.ID.Parent != nil || req.ID.Subscription != "" {
		return false
	}
	return req.Method == http.MethodGet && req.ID.IsCollection() || req.Method == http.MethodPut && !req.ID.IsCollection() && strings.EqualFold(req.ID.TypePath(), typeName)
}

// Handle serves one request.
func (p *rp) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if req.ID.Parent != nil || req.ID.Subscription != "" {
		return nil, azerr.InvalidResourceType(req.ID.TypePath(), namespace, req.APIVersion, versions())
	}
	route := provider.Route(req)
	switch route {
	case "GET managementgroups/":
		return p.list(ctx, req)
	case "GET managementgroups":
		return p.get(ctx, req)
	case "PUT managementgroups":
		return p.put(ctx, req)
	case "PATCH managementgroups":
		return p.patch(ctx, req)
	case "DELETE managementgroups":
		return p.delete(ctx, req)
	case "GET managementgroups descendants":
		return p.descendants(ctx, req)
	case "GET managementgroups/subscriptions/":
		return p.listSubscriptions(ctx, req)
	case "GET managementgroups/subscriptions":
		return p.getSubscription(ctx, req)
	case "PUT managementgroups/subscriptions":
		return p.putSubscription(ctx, req)
	case "DELETE managementgroups/subscriptions":
		return p.deleteSubscription(ctx, req)
	case "POST  getentities":
		return p.entities(ctx, req)
	case "POST  checknameavailability":
		return p.checkName(ctx, req)
	case "POST  starttenantbackfill", "POST  tenantbackfillstatus":
		return provider.OK(map[string]string{"tenantId": p.TenantID, "status": "Completed"}) // every subscription is in the tree from its making
	case "GET operations/":
		return provider.OK(operationList())
	}
	if req.Action != "" {
		return nil, azerr.OperationNotSupported(req.Action, namespace+"/"+req.ID.TypePath())
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

// list is the body of every list.
type list[T any] struct {
	Value    []T    `json:"value"`
	NextLink string `json:"nextLink,omitempty"`
}

// allowed asks for a right of the caller that is not the one of the request.
func (p *rp) allowed(ctx context.Context, req *provider.Request, action string, at ids.ID) (bool, error) {
	d, err := p.Authorizer.Authorize(ctx, req.Principal, action, at.String())
	if err != nil {
		return false, fmt.Errorf("authorize %s: %w", action, err)
	}
	return d.Allowed, nil
}

// tree is a snapshot of groups and subscriptions.
type snapshot struct {
	root          string
	groups        map[string]scope.ManagementGroup // by lower-case name
	order         []scope.ManagementGroup          // the root first, then by name
	subscriptions []scope.Subscription
}

func (p *rp) snapshot(ctx context.Context) (snapshot, error) {
	s := snapshot{root: p.TenantID, groups: map[string]scope.ManagementGroup{}}
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		if s.order, err = p.tree.All(tx); err != nil {
			return err
		}
		s.subscriptions, err = scope.Subscriptions(tx)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("read management groups: %w", err)
	}
	for _, g := range s.order {
		s.groups[strings.ToLower(g.Name)] = g
	}
	return s, nil
}

func (s snapshot) find(name string) (scope.ManagementGroup, error) {
	g, ok := s.groups[strings.ToLower(name)]
	if !ok {
		return g, azerr.ManagementGroupNotFound(name)
	}
	return g, nil
}

// children are the groups and subscriptions directly in a group.
func (s snapshot) children(name string) (groups []scope.ManagementGroup, subscriptions []scope.Subscription) {
	for _, g := range s.order {
		if g.Parent != "" && strings.EqualFold(g.Parent, name) {
			groups = append(groups, g)
		}
	}
	for _, sub := range s.subscriptions {
		if strings.EqualFold(s.parentOf(sub), name) {
			subscriptions = append(subscriptions, sub)
		}
	}
	return groups, subscriptions
}

func (s snapshot) parentOf(sub scope.Subscription) string {
	return scope.Hierarchy{TenantID: s.root}.ParentOf(sub)
}

// path lists the groups from the root to the named one.
func (s snapshot) path(name string) []scope.ManagementGroup {
	var path []scope.ManagementGroup
	for name != "" && len(path) <= scope.MaxDepth {
		g := s.groups[strings.ToLower(name)]
		path = append([]scope.ManagementGroup{g}, path...)
		name = g.Parent
	}
	return path
}

func operationList() provider.OperationList {
	var out provider.OperationList
	for _, o := range [][3]string{
		{"managementGroups/read", "Management Groups", "Get or list management groups"},
		{"managementGroups/write", "Management Groups", "Create or update a management group"},
		{"managementGroups/delete", "Management Groups", "Delete a management group"},
		{"managementGroups/descendants/read", "Management Group", "List what is in a management group"},
		{"managementGroups/subscriptions/read", "Management Group Subscriptions", "List the subscriptions in a management group"},
		{"managementGroups/subscriptions/write", "Management Group Subscriptions", "Put a subscription into a management group"},
		{"managementGroups/subscriptions/delete", "Management Group Subscriptions", "Take a subscription out of a management group"},
	} {
		out.Value = append(out.Value, provider.Operation{Name: namespace + "/" + o[0], Display: provider.OperationDisplay{Provider: "Microsoft Management", Resource: o[1], Operation: o[2], Description: o[2] + "."}})
	}
	return out
}
