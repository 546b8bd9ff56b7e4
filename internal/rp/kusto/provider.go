package kusto

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Namespace is the provider's namespace as the service writes it.
const Namespace = "Microsoft.Kusto"

// Config is what a provider is made from. Every field but Log, Now,
// RetryAfter, AllowedVaultHosts and Rules2020 is required.
type Config struct {
	Store      store.Store
	Operations Operations
	Runtime    Runtime
	Identities Identities
	Users      UserIdentityReader
	Principals Principals
	Vaults     VaultReader
	Keys       KeyChecker
	Authorizer authz.Authorizer
	// Assignments is told what is deleted; nil where nobody can make role assignments.
	Assignments Assignments
	TenantID    string
	// AllowedVaultHosts are vault hosts outside vault.azure.net, "host" or
	// "host:port", that keyVaultUri may name.
	AllowedVaultHosts []string
	// Rules2020 applies the rules of January 2020 to customer-managed keys:
	// system identity only, software RSA keys of 2048 bits only, a pinned version.
	Rules2020 bool
	// RetryAfter is the Retry-After of async answers in seconds; 0 means 1.
	RetryAfter int
	Now        func() time.Time
	Log        *slog.Logger
}

// Provider is the resource provider. It is safe for concurrent use.
type Provider struct {
	store      store.Store
	operations Operations
	runtime    Runtime
	identities Identities
	users      UserIdentityReader
	principals Principals
	vaults     VaultReader
	keys       KeyChecker
	authorizer authz.Authorizer
	scopes     Assignments
	tenant     string
	hosts      keyvault.Hosts
	rules2020  bool
	retryAfter int
	now        func() time.Time
	log        *slog.Logger
	routes     map[string]route
}

// New makes a provider and registers its operations, so that a later
// operations.Manager.Resume can finish what a restart interrupted.
func New(c Config) *Provider {
	p := &Provider{
		store: c.Store, operations: c.Operations, runtime: c.Runtime, identities: c.Identities, users: c.Users, principals: c.Principals,
		vaults: c.Vaults, keys: c.Keys, authorizer: c.Authorizer, scopes: c.Assignments, tenant: c.TenantID, rules2020: c.Rules2020,
		retryAfter: c.RetryAfter, now: c.Now, log: c.Log, hosts: keyvault.NewHosts(c.AllowedVaultHosts),
	}
	if p.retryAfter == 0 {
		p.retryAfter = 1
	}
	if p.now == nil {
		p.now = time.Now
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.routes = p.table()
	p.registerOperations()
	p.registerDatabaseOperations()
	p.registerReencrypt()
	return p
}

// Namespace implements provider.Provider.
func (p *Provider) Namespace() string { return Namespace }

type handler func(ctx context.Context, req *provider.Request) (*provider.Response, error)

// route is one row of the provider's API.
type route struct {
	since  string
	handle handler
}

// Handle implements provider.Provider.
func (p *Provider) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	r, err := p.find(req)
	if err != nil {
		return nil, err
	}
	return r.handle(ctx, req)
}

// find looks a request up by method, type path and action. An action counts
// as one more type segment, so that it does not matter on which side of the
// line the front door puts "skus".
func (p *Provider) find(req *provider.Request) (route, error) {
	path := strings.ToLower(req.ID.TypePath())
	if req.Action != "" {
		path += "/" + strings.ToLower(req.Action)
	}
	if req.ID.IsResource() && req.Action == "" {
		path += "/*"
	}
	method := req.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	r, ok := p.routes[method+" "+path]
	if !ok || req.Shape < r.since {
		return route{}, azerr.KustoFeatureNotSupported(method+" "+Namespace+"/"+strings.TrimSuffix(path, "/*"), "this server does not have the operation at api-version "+req.APIVersion)
	}
	return r, nil
}

func (p *Provider) table() map[string]route {
	return map[string]route{
		"GET operations":                                                   {vFirst, p.listOperations},
		"GET clusters":                                                     {vFirst, p.listClusters},
		"GET skus":                                                         {vFirst, p.listSKUs},
		"GET locations/skus":                                               {v20221111, p.listLocationSKUs},
		"POST locations/checknameavailability":                             {vFirst, p.checkClusterName},
		"GET locations/operationresults/*":                                 {vFirst, p.operationResult},
		"PUT clusters/*":                                                   {vFirst, p.writeCluster},
		"PATCH clusters/*":                                                 {vFirst, p.writeCluster},
		"GET clusters/*":                                                   {vFirst, p.getCluster},
		"DELETE clusters/*":                                                {vFirst, p.deleteCluster},
		"POST clusters/start":                                              {vFirst, p.startCluster},
		"POST clusters/stop":                                               {vFirst, p.stopCluster},
		"POST clusters/kustosreencrypt":                                    {vFirst, p.startReencrypt},
		"GET clusters/kustosreencrypt":                                     {vFirst, p.getReencrypt},
		"POST clusters/kustosreencrypt/pause":                              {vFirst, p.pauseReencrypt},
		"POST clusters/kustosreencrypt/resume":                             {vFirst, p.resumeReencrypt},
		"POST clusters/kustosreencrypt/cancel":                             {vFirst, p.cancelReencrypt},
		"GET clusters/skus":                                                {vFirst, p.listClusterSKUs},
		"POST clusters/checknameavailability":                              {vFirst, p.checkNameInCluster},
		"GET clusters/databases":                                           {vFirst, p.listDatabases},
		"GET clusters/databases/*":                                         {vFirst, p.getDatabase},
		"PUT clusters/databases/*":                                         {vFirst, p.writeDatabase},
		"PATCH clusters/databases/*":                                       {vFirst, p.writeDatabase},
		"DELETE clusters/databases/*":                                      {vFirst, p.deleteDatabase},
		"POST clusters/databases/listprincipals":                           {vFirst, p.listPrincipals},
		"POST clusters/databases/addprincipals":                            {vFirst, p.addPrincipals},
		"POST clusters/databases/removeprincipals":                         {vFirst, p.removePrincipals},
		"GET clusters/principalassignments":                                {v20191109, p.listAssignments},
		"GET clusters/principalassignments/*":                              {v20191109, p.getAssignment},
		"PUT clusters/principalassignments/*":                              {v20191109, p.putAssignment},
		"DELETE clusters/principalassignments/*":                           {v20191109, p.deleteAssignment},
		"GET clusters/databases/principalassignments":                      {v20191109, p.listAssignments},
		"GET clusters/databases/principalassignments/*":                    {v20191109, p.getAssignment},
		"PUT clusters/databases/principalassignments/*":                    {v20191109, p.putAssignment},
		"DELETE clusters/databases/principalassignments/*":                 {v20191109, p.deleteAssignment},
		"POST clusters/checkprincipalassignmentnameavailability":           {v20191109, p.checkAssignmentNameAvailability},
		"POST clusters/databases/checkprincipalassignmentnameavailability": {v20191109, p.checkAssignmentNameAvailability},
	}
}

// Types implements provider.Provider. It lists what is served and nothing else.
func (p *Provider) Types() []provider.ResourceType {
	var places []string
	for _, l := range ids.Locations() {
		places = append(places, l.Display())
	}
	all := versions()
	return []provider.ResourceType{
		{Type: "clusters", APIVersions: all, Locations: places, Tracked: true, ChecksETag: true,
			Capabilities: "CrossResourceGroupResourceMove, CrossSubscriptionResourceMove, SystemAssignedResourceIdentity, SupportsTags, SupportsLocation",
			Actions: []string{"start", "stop", "skus", "checkNameAvailability", "checkPrincipalAssignmentNameAvailability",
				actionReencrypt, actionReencrypt + "/pause", actionReencrypt + "/resume", actionReencrypt + "/cancel"}},
		{Type: "clusters/databases", APIVersions: all, Locations: places, Capabilities: "None",
			Actions: []string{"addPrincipals", "listPrincipals", "removePrincipals", "checkPrincipalAssignmentNameAvailability"}},
		{Type: "clusters/principalassignments", APIVersions: versionsSince(v20191109), Locations: places, Capabilities: "None"},
		{Type: "clusters/databases/principalassignments", APIVersions: versionsSince(v20191109), Locations: places, Capabilities: "None"},
		{Type: "locations", APIVersions: all, Actions: []string{"checkNameAvailability", "skus"}},
		{Type: "locations/operationresults", APIVersions: all},
		{Type: "skus", APIVersions: all},
		{Type: "operations", APIVersions: all},
	}
}

// Resources implements provider.Provider.
func (p *Provider) Resources(ctx context.Context, subscription, group string) ([]provider.Resource, error) {
	recs, err := p.list(ctx, subscription, group)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Resource, 0, len(recs))
	for _, r := range recs {
		out = append(out, r.listed())
	}
	return out, nil
}
