package arm

import (
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/wire"
)

// serveMetadata answers GET /metadata/endpoints, which clients ask without a
// token to learn about the cloud. It reports whether the path was that.
func (f *Front) serveMetadata(w http.ResponseWriter, r *http.Request) bool {
	if !is(strings.Trim(r.URL.Path, "/"), "metadata/endpoints") {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		f.writeError(w, r, azerr.MethodNotAllowed(r.Method, "metadata/endpoints"))
		return true
	}
	asked := queryValue(r.URL.Query(), "api-version")
	v, ok := parseVersion(asked)
	var body any
	switch {
	case asked == "":
		f.writeError(w, r, azerr.MissingAPIVersionParameter())
		return true
	case asked == "1.0" || ok && v.date < "2018-05-01":
		body = stackEndpoints()
	case ok && v.date < "2022-09-01":
		body = []cloud{publicCloud()}
	case ok:
		body = publicCloud()
	default:
		f.writeError(w, r, azerr.InvalidAPIVersionParameter(asked, []string{"2022-09-01", "2019-05-01", "2015-01-01", "1.0"}))
		return true
	}
	wire.WriteJSON(w, http.StatusOK, body)
	return true
}

type authentication struct {
	LoginEndpoint    string   `json:"loginEndpoint"`
	Audiences        []string `json:"audiences"`
	Tenant           string   `json:"tenant,omitempty"`
	IdentityProvider string   `json:"identityProvider,omitempty"`
}

// stack is the first shape of the document.
type stack struct {
	GalleryEndpoint string         `json:"galleryEndpoint"`
	GraphEndpoint   string         `json:"graphEndpoint"`
	PortalEndpoint  string         `json:"portalEndpoint"`
	Authentication  authentication `json:"authentication"`
}

func stackEndpoints() stack {
	return stack{
		GalleryEndpoint: "https://gallery.azure.com/",
		GraphEndpoint:   "https://graph.windows.net/",
		PortalEndpoint:  "https://portal.azure.com/",
		Authentication: authentication{
			LoginEndpoint: "https://login.microsoftonline.com/",
			Audiences:     []string{"https://management.core.windows.net/", "https://management.azure.com/"},
		},
	}
}

// cloud is the shape since 2018: alone since 2022-09-01, in an array before.
type cloud struct {
	Portal                     string            `json:"portal"`
	Authentication             authentication    `json:"authentication"`
	Media                      string            `json:"media"`
	GraphAudience              string            `json:"graphAudience"`
	Graph                      string            `json:"graph"`
	Name                       string            `json:"name"`
	Suffixes                   map[string]string `json:"suffixes"`
	Batch                      string            `json:"batch"`
	ResourceManager            string            `json:"resourceManager"`
	VMImageAliasDoc            string            `json:"vmImageAliasDoc"`
	ActiveDirectoryDataLake    string            `json:"activeDirectoryDataLake"`
	SQLManagement              string            `json:"sqlManagement"`
	MicrosoftGraphResourceID   string            `json:"microsoftGraphResourceId"`
	AppInsightsResourceID      string            `json:"appInsightsResourceId"`
	LogAnalyticsResourceID     string            `json:"logAnalyticsResourceId"`
	AttestationResourceID      string            `json:"attestationResourceId"`
	SynapseAnalyticsResourceID string            `json:"synapseAnalyticsResourceId"`
	OSSRDBMSResourceID         string            `json:"ossrDbmsResourceId"`
	Gallery                    string            `json:"gallery"`
}

func publicCloud() cloud {
	return cloud{
		Portal: "https://portal.azure.com",
		Authentication: authentication{
			LoginEndpoint: "https://login.microsoftonline.com/", Tenant: "common", IdentityProvider: "AAD",
			Audiences: []string{"https://management.core.windows.net/", "https://management.azure.com/"},
		},
		Media: "https://rest.media.azure.net", GraphAudience: "https://graph.windows.net/", Graph: "https://graph.windows.net/",
		Name: "AzureCloud",
		Suffixes: map[string]string{
			"acrLoginServer": "azurecr.io", "attestationEndpoint": "attest.azure.net",
			"azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net", "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
			"azureFrontDoorEndpointSuffix": "azurefd.net", "keyVaultDns": "vault.azure.net", "mhsmDns": "managedhsm.azure.net",
			"mariadbServerEndpoint": "mariadb.database.azure.com", "mysqlServerEndpoint": "mysql.database.azure.com",
			"postgresqlServerEndpoint": "postgres.database.azure.com", "sqlServerHostname": "database.windows.net",
			"storage": "core.windows.net", "storageSyncEndpointSuffix": "afs.azure.net", "synapseAnalytics": "dev.azuresynapse.net",
		},
		Batch: "https://batch.core.windows.net/", ResourceManager: "https://management.azure.com/",
		VMImageAliasDoc:         "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/master/arm-compute/quickstart-templates/aliases.json",
		ActiveDirectoryDataLake: "https://datalake.azure.net/", SQLManagement: "https://management.core.windows.net:8443/",
		MicrosoftGraphResourceID: "https://graph.microsoft.com/", AppInsightsResourceID: "https://api.applicationinsights.io",
		LogAnalyticsResourceID: "https://api.loganalytics.io", AttestationResourceID: "https://attest.azure.net",
		SynapseAnalyticsResourceID: "https://dev.azuresynapse.net", OSSRDBMSResourceID: "https://ossrdbms-aad.database.windows.net",
		Gallery: "https://gallery.azure.com/",
	}
}
