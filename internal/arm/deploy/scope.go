package deploy

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// api versions of ARM's own routes that the engine reads.
const (
	groupVersion      = "2022-09-01"
	managementVersion = "2020-05-01"
)

// scope describes where a template goes: what resourceGroup(), subscription()
// and the like return. The facts about the scope itself are read with ARM's own
// authority: the front door has already decided that the caller may deploy here.
func (e *Engine) scope(ctx context.Context, id ids.ID, req *provider.Request) (*eval.Scope, error) {
	s := &eval.Scope{
		SubscriptionID: id.Subscription, ResourceGroup: id.ResourceGroup, TenantID: e.tenant, RoleDefinition: e.roles, Providers: e.provided, Environment: environment(),
		Tenant:   value.Of(m("countryCode", "US"), m("displayName", "Default Directory"), m("id", "/tenants/"+e.tenant), m("tenantId", e.tenant)),
		Deployer: value.Of(m("objectId", req.Principal.ObjectID), m("tenantId", req.Principal.TenantID), m("userPrincipalName", "")),
	}
	switch {
	case id.Namespace != "" && len(id.Segments) == 1 && id.Type() != "":
		s.Kind, s.ManagementGroup = eval.ScopeManagementGroup, id.Name()
		group, err := e.firstParty(ctx, id, managementVersion)
		if err != nil {
			return nil, err
		}
		s.Management = value.Of(m("id", "/providers/Microsoft.Management/managementGroups/"+id.Name()), m("name", id.Name()),
			m("type", "/providers/Microsoft.Management/managementGroups"), m("properties", group.Object("properties")))
		return s, nil
	case id.ResourceGroup != "":
		s.Kind = eval.ScopeGroup
		group, err := e.firstParty(ctx, ids.ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup}, groupVersion)
		if err != nil {
			return nil, err
		}
		if name := group.Text("name"); name != "" {
			s.ResourceGroup = name
		}
		s.Group = group
	case id.Subscription != "":
		s.Kind = eval.ScopeSubscription
	default:
		s.Kind = eval.ScopeTenant
	}
	if id.Subscription != "" {
		sub, err := e.firstParty(ctx, ids.ID{Subscription: id.Subscription}, groupVersion)
		if err != nil {
			return nil, err
		}
		s.Subscription = value.Of(m("id", "/subscriptions/"+id.Subscription), m("authorizationSource", "RoleBased"), m("managedByTenants", []value.Value{}),
			m("subscriptionId", id.Subscription), m("tenantId", e.tenant), m("displayName", sub.Text("displayName")))
	}
	return s, nil
}

func m(name string, v value.Value) value.Member {
	if o, ok := v.(*value.Object); ok && o == nil {
		v = value.NewObject(0)
	}
	return value.Member{Name: name, Value: v}
}

// firstParty reads a scope with ARM's own authority.
func (e *Engine) firstParty(ctx context.Context, id ids.ID, version string) (*value.Object, error) {
	resp, err := e.front.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: id, APIVersion: version, Principal: authz.Principal{TenantID: e.tenant, FirstParty: namespace}})
	if err != nil {
		return nil, err
	}
	return object(resp)
}

// object is a response's body as an object.
func object(resp *provider.Response) (*value.Object, error) {
	v, err := answerOf(resp)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*value.Object)
	if !ok {
		return nil, azerr.InternalServerError().Because(fmt.Errorf("the answer of a provider is of type %s, not an object", value.TypeName(v)))
	}
	return o, nil
}

func answerOf(resp *provider.Response) (value.Value, error) {
	data, err := resp.JSON()
	if err != nil || len(data) == 0 {
		return nil, err
	}
	v, err := value.FromJSON(data)
	if err != nil {
		return nil, fmt.Errorf("read a provider's answer: %w", err)
	}
	return v, nil
}

// environment is the cloud document of environment().
func environment() *value.Object {
	return value.Of(
		m("name", "AzureCloud"), m("gallery", "https://gallery.azure.com/"), m("graph", "https://graph.windows.net/"), m("portal", "https://portal.azure.com"),
		m("graphAudience", "https://graph.windows.net/"), m("activeDirectoryDataLake", "https://datalake.azure.net/"), m("batch", "https://batch.core.windows.net/"),
		m("media", "https://rest.media.azure.net"), m("sqlManagement", "https://management.core.windows.net:8443/"),
		m("vmImageAliasDoc", "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/master/arm-compute/quickstart-templates/aliases.json"),
		m("resourceManager", "https://management.azure.com/"),
		m("authentication", value.Of(m("loginEndpoint", "https://login.microsoftonline.com/"),
			m("audiences", []value.Value{"https://management.core.windows.net/", "https://management.azure.com/"}), m("tenant", "common"), m("identityProvider", "AAD"))),
		m("suffixes", value.Of(m("acrLoginServer", ".azurecr.io"), m("azureDatalakeAnalyticsCatalogAndJob", "azuredatalakeanalytics.net"),
			m("azureDatalakeStoreFileSystem", "azuredatalakestore.net"), m("azureFrontDoorEndpointSuffix", "azurefd.net"), m("keyvaultDns", ".vault.azure.net"),
			m("sqlServerHostname", ".database.windows.net"), m("storage", "core.windows.net"))),
	)
}

// provided describes a namespace or a type for providers().
func (e *Engine) provided(ns, typ string) (value.Value, bool) {
	texts := func(list []string) []value.Value {
		out := make([]value.Value, len(list))
		for i, s := range list {
			out[i] = s
		}
		return out
	}
	for _, p := range e.front.Providers() {
		if !strings.EqualFold(p.Namespace(), ns) {
			continue
		}
		all := []value.Value{}
		for _, t := range p.Types() {
			d := value.Of(m("resourceType", t.Type), m("locations", texts(t.Locations)), m("apiVersions", texts(t.APIVersions)))
			if strings.EqualFold(t.Type, typ) {
				return d, true
			}
			all = append(all, d)
		}
		return value.Of(m("namespace", p.Namespace()), m("resourceTypes", all)), typ == ""
	}
	return nil, false
}
