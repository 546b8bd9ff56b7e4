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
func New(cfg Config) provider.Provider { return &rp{cfg} }

type rp struct{ Config }

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

// Handle serves one request.
func (p *rp) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	path := strings.ToLower(req.ID.TypePath())
	if req.Action != "" {
		path = strings.TrimPrefix(path+"/"+strings.ToLower(req.Action), "/")
	}
	key := req.Method + " " + path
	if req.ID.IsCollection() {
		key += "/"
	}
	switch key {
	case "PUT vaults":
		return p.putVault(ctx, req)
	case "PATCH vaults":
		return p.patchVault(ctx, req)
	case "GET vaults":
		return p.getVault(ctx, req)
	case "DELETE vaults":
		return p.deleteVault(ctx, req)
	case "GET vaults/":
		return p.listVaults(ctx, req)
	case "PUT vaults/accesspolicies":
		return p.putPolicies(ctx, req)
	case "PUT vaults/keys":
		return p.putKey(ctx, req)
	case "GET vaults/keys", "GET vaults/keys/versions":
		return p.getKey(ctx, req)
	case "GET vaults/keys/":
		return p.listKeys(ctx, req)
	case "GET vaults/keys/versions/":
		return p.listKeyVersions(ctx, req)
	case "PUT vaults/secrets":
		return p.putSecret(ctx, req)
	case "PATCH vaults/secrets":
		return p.patchSecret(ctx, req)
	case "GET vaults/secrets":
		return p.getSecret(ctx, req)
	case "GET vaults/secrets/":
		return p.listSecrets(ctx, req)
	case "GET deletedvaults/":
		return p.listDeleted(ctx, req)
	case "GET locations/deletedvaults":
		return p.getDeleted(ctx, req)
	case "POST locations/deletedvaults/purge", "POST locations/deletedvaults/purge/":
		return p.purgeDeleted(ctx, req)
	case "GET locations/operationresults":
		return p.operationResult(ctx, req)
	case "POST checknameavailability", "POST checknameavailability/", "POST checknameavailability/checknameavailability", "POST checknameavailability/checknameavailability/":
		return p.checkName(ctx, req)
	case "GET operations/":
		return ok(operationList()), nil
	case "GET managedhsms/", "GET deletedmanagedhsms/", "GET vaults/privateendpointconnections/":
		return ok(list{Value: []any{}}), nil
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
