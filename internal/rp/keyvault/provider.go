package keyvault

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/vault"
)

const namespace = "Microsoft.KeyVault"

// Config is what the provider needs; both fields are required.
type Config struct {
	Vault *vault.Service
	Log   *slog.Logger
}

// New returns the provider of Microsoft.KeyVault.
func New(cfg Config) provider.Provider {
	p := &rp{Config: cfg}
	p.operations = p.table()
	return p
}

type rp struct {
	Config
	operations map[string]operation
}

func (p *rp) Namespace() string { return namespace }

// versions are the known api-versions not older than oldest, newest first.
func versions(oldest string) []string {
	all := []string{"2026-02-01", "2025-05-01", "2024-11-01", "2023-07-01", "2023-02-01", "2022-11-01", "2022-07-01",
		"2021-10-01", "2019-09-01", "2018-02-14", "2016-10-01", "2015-06-01"}
	for i, v := range all {
		if v < oldest {
			return all[:i]
		}
	}
	return all
}

// Types lists what is served, in the order of the registration document.
func (p *rp) Types() []provider.ResourceType {
	locations := make([]string, 0, len(ids.Locations()))
	for _, l := range ids.Locations() {
		locations = append(locations, l.Display())
	}
	return []provider.ResourceType{
		{Type: "vaults", APIVersions: versions("2015-06-01"), Locations: locations, Tracked: true,
			Capabilities: "CrossResourceGroupResourceMove, CrossSubscriptionResourceMove, SupportsTags, SupportsLocation"},
		{Type: "vaults/accessPolicies", APIVersions: versions("2015-06-01")},
		{Type: "vaults/keys", APIVersions: versions("2019-09-01")},
		{Type: "vaults/keys/versions", APIVersions: versions("2019-09-01")},
		{Type: "vaults/secrets", APIVersions: versions("2015-06-01")},
		{Type: "vaults/privateEndpointConnections", APIVersions: versions("2018-02-14")},
		{Type: "vaults/privateLinkResources", APIVersions: versions("2018-02-14")},
		{Type: "deletedVaults", APIVersions: versions("2016-10-01")},
		{Type: "locations", APIVersions: versions("2015-06-01")},
		{Type: "locations/deletedVaults", APIVersions: versions("2016-10-01"), Actions: []string{"purge"}},
		{Type: "locations/operationResults", APIVersions: versions("2015-06-01")},
		{Type: "operations", APIVersions: versions("2015-06-01")},
		{Type: "checkNameAvailability", APIVersions: versions("2015-06-01"), Actions: []string{"checkNameAvailability"}},
		{Type: "managedHSMs", APIVersions: versions("2021-10-01"), Locations: locations},
		{Type: "deletedManagedHSMs", APIVersions: versions("2021-10-01")},
	}
}

// Resources lists the live vaults for generic lists.
func (p *rp) Resources(ctx context.Context, subscription, group string) ([]provider.Resource, error) {
	vaults, err := p.Vault.List(ctx, subscription, group)
	if err != nil {
		return nil, err
	}
	out := make([]provider.Resource, 0, len(vaults))
	for i := range vaults {
		out = append(out, p.listed(&vaults[i]))
	}
	return out, nil
}

func (p *rp) listed(v *vault.Vault) provider.Resource {
	id, err := ids.Parse(v.ResourceID)
	if err != nil {
		panic("BUG: stored vault id does not parse: " + err.Error())
	}
	return provider.Resource{ID: id, IDText: v.ResourceID, Name: v.Name, Type: namespace + "/vaults", Location: v.Location, Tags: v.Tags,
		APIVersion: provider.NewestStable(versions("2015-06-01"))}
}

// operation serves one request.
type operation func(context.Context, *provider.Request) (*provider.Response, error)

// table is every operation by method and type path in lower case; a final
// slash marks a collection.
func (p *rp) table() map[string]operation {
	empty := func(context.Context, *provider.Request) (*provider.Response, error) {
		return ok(list{Value: []any{}}), nil
	}
	return map[string]operation{
		"PUT vaults":                             p.putVault,
		"PATCH vaults":                           p.patchVault,
		"GET vaults":                             p.getVault,
		"DELETE vaults":                          p.deleteVault,
		"GET vaults/":                            p.listVaults,
		"PUT vaults/accesspolicies":              p.putPolicies,
		"PUT vaults/keys":                        p.putKey,
		"GET vaults/keys":                        p.getKey,
		"GET vaults/keys/versions":               p.getKey,
		"GET vaults/keys/":                       p.listKeys,
		"GET vaults/keys/versions/":              p.listKeyVersions,
		"PUT vaults/secrets":                     p.putSecret,
		"PATCH vaults/secrets":                   p.patchSecret,
		"GET vaults/secrets":                     p.getSecret,
		"GET vaults/secrets/":                    p.listSecrets,
		"GET deletedvaults/":                     p.listDeleted,
		"GET locations/deletedvaults":            p.getDeleted,
		"POST locations/deletedvaults/purge":     p.purgeDeleted,
		"GET locations/operationresults":         p.operationResult,
		"POST checknameavailability":             p.checkName,
		"GET operations/":                        p.listOperations,
		"GET managedhsms/":                       empty,
		"GET deletedmanagedhsms/":                empty,
		"GET vaults/privateendpointconnections/": empty,
	}
}

// Handle serves one request.
func (p *rp) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	path := strings.ToLower(req.ID.TypePath())
	key := req.Method + " " + path
	switch {
	case req.Action != "" && strings.EqualFold(req.Action, path): // checkNameAvailability is its own action
	case req.Action != "":
		key = req.Method + " " + strings.TrimPrefix(path+"/"+strings.ToLower(req.Action), "/")
	case req.Method != http.MethodPost && req.ID.IsCollection():
		key += "/"
	}
	if serve, found := p.operations[key]; found {
		return serve(ctx, req)
	}
	switch {
	case strings.HasPrefix(path, "managedhsms"):
		return nil, azerr.VaultNotOffered("Managed HSMs")
	case strings.HasPrefix(path, "vaults/private"):
		return nil, azerr.VaultNotOffered("Private endpoints of vaults")
	case path == "vaults/accesspolicies":
		return nil, azerr.MethodNotAllowed(req.Method, namespace+"/vaults/accessPolicies")
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

func ok(body any) *provider.Response {
	return &provider.Response{Status: http.StatusOK, Body: body}
}

// decode reads a request body; a malformed or absent one is the client's error.
func decode(req *provider.Request, into any) error {
	if len(req.Body) == 0 {
		return azerr.InvalidRequestContent("the request has no body")
	}
	if err := json.Unmarshal(req.Body, into); err != nil {
		return azerr.InvalidRequestContent(err.Error())
	}
	return nil
}
