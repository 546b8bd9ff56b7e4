package directory

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/wire"
)

// discoveryDocument answers GET /common/discovery/instance.
type discoveryDocument struct {
	TenantEndpoint string              `json:"tenant_discovery_endpoint"`
	APIVersion     string              `json:"api-version"`
	Metadata       []discoveryMetadata `json:"metadata"`
}

type discoveryMetadata struct {
	PreferredNetwork string   `json:"preferred_network"`
	PreferredCache   string   `json:"preferred_cache"`
	Aliases          []string `json:"aliases"`
}

// instanceDiscovery tells MSAL that an authority's host is to be trusted. The
// tenant of the authorization endpoint is passed on and not checked here: the
// document it leads to does that.
func (d *Directory) instanceDiscovery(w http.ResponseWriter, r *http.Request) error {
	endpoint := r.URL.Query().Get("authorization_endpoint")
	if endpoint == "" {
		return errParameterMissing("authorization_endpoint")
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.User != nil || !slices.Contains(loginAliases(), strings.ToLower(u.Host)) {
		return errInstanceUnknown()
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	if tenant == "" {
		return errInstanceUnknown()
	}
	wire.WriteJSON(w, http.StatusOK, discoveryDocument{
		TenantEndpoint: "https://" + loginHost + "/" + tenant + "/v2.0/.well-known/openid-configuration",
		APIVersion:     "1.1",
		Metadata:       []discoveryMetadata{{PreferredNetwork: loginHost, PreferredCache: "login.windows.net", Aliases: loginAliases()}},
	})
	return nil
}

// openIDDocument is the OpenID configuration, of which clients read the
// endpoints and the issuer.
type openIDDocument struct {
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseModes         []string `json:"response_modes_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	SigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	Scopes                []string `json:"scopes_supported"`
	Issuer                string   `json:"issuer"`
	RequestURIParameter   bool     `json:"request_uri_parameter_supported"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	DeviceEndpoint        string   `json:"device_authorization_endpoint"`
	Claims                []string `json:"claims_supported"`
	CloudInstanceName     string   `json:"cloud_instance_name"`
	GraphHost             string   `json:"msgraph_host"`
}

// openIDConfiguration answers for this tenant and for common/organizations,
// whose issuer has the literal {tenantid}.
func (d *Directory) openIDConfiguration(w http.ResponseWriter, tenant string, v2 bool) error {
	if err := d.checkDocumentTenant(tenant); err != nil {
		return err
	}
	tenant = strings.ToLower(tenant)
	name := d.tenantID
	if isShared(tenant) {
		name = "{tenantid}"
	}
	base := "https://" + loginHost + "/" + tenant
	doc := openIDDocument{
		TokenEndpoint: base + "/oauth2/token", JWKSURI: base + "/discovery/keys", Issuer: issuer(name),
		AuthorizationEndpoint: base + "/oauth2/authorize", DeviceEndpoint: base + "/oauth2/devicecode",
		TokenAuthMethods: []string{"client_secret_post", "private_key_jwt", "client_secret_basic"}, ResponseModes: []string{"query", "fragment", "form_post"},
		SubjectTypes: []string{"pairwise"}, SigningAlgorithms: []string{"RS256"}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "profile", "email", "offline_access"}, Claims: []string{"sub", "iss", "aud", "exp", "iat", "tid", "ver", "oid", "appid"},
		CloudInstanceName: "microsoftonline.com", GraphHost: "graph.microsoft.com",
	}
	if v2 {
		doc.TokenEndpoint, doc.JWKSURI = base+"/oauth2/v2.0/token", base+"/discovery/v2.0/keys"
		doc.AuthorizationEndpoint, doc.DeviceEndpoint = base+"/oauth2/v2.0/authorize", base+"/oauth2/v2.0/devicecode"
		doc.Issuer = "https://" + loginHost + "/" + name + "/v2.0"
	}
	wire.WriteJSON(w, http.StatusOK, doc)
	return nil
}

// signingKeys answers the JWKS document: public parts only.
func (d *Directory) signingKeys(w http.ResponseWriter, tenant string, v2 bool) error {
	if err := d.checkDocumentTenant(tenant); err != nil {
		return err
	}
	tenants := []*Directory{d}
	if isShared(tenant) { // the document of all tenants
		tenants = append(tenants, d.others()...)
	}
	var keys []webKey
	for _, t := range tenants {
		own := slices.Clone(t.keys.Load().webKeys)
		for i := range own {
			if v2 {
				own[i].Issuer = issuer2(t.tenantID)
			}
		}
		keys = append(keys, own...)
	}
	wire.WriteJSON(w, http.StatusOK, map[string]any{"keys": keys})
	return nil
}

// userRealm answers GET /common/userrealm/{upn}: people of the tenant's domain
// sign in here, and no other domain is known. Whether there is such a person is
// not told.
func (d *Directory) userRealm(w http.ResponseWriter, upn string) error {
	realm := struct {
		Version  string `json:"ver"`
		Type     string `json:"account_type"`
		Domain   string `json:"domain_name,omitempty"`
		Instance string `json:"cloud_instance_name"`
		Audience string `json:"cloud_audience_urn"`
	}{"1.0", "Unknown", "", "microsoftonline.com", "urn:federation:MicrosoftOnline"}
	if _, domain, _ := strings.Cut(upn, "@"); domain == d.domain {
		realm.Type, realm.Domain = "Managed", d.domain
	}
	wire.WriteJSON(w, http.StatusOK, realm)
	return nil
}
