package openapi_test

import (
	"path"
	"slices"
	"strings"
)

// refusal is a set of operations that the documents have and we do not serve.
type refusal struct {
	folder     string // the folder of the documents begins so
	operations string // patterns of operation ids
	codes      string // one of them is the error's code
	why        string
}

func (f refusal) covers(op *operation) bool {
	return strings.HasPrefix(op.folder, f.folder) && slices.ContainsFunc(strings.Fields(f.operations), func(pattern string) bool {
		ok, err := path.Match(pattern, op.id())
		return ok && err == nil
	})
}

// refusals lists what is refused by name, and why.
func refusals() []refusal {
	const (
		data    = "keyvault/data-plane/"
		vaults  = "keyvault/resource-manager/"
		general = "resources/Microsoft.Resources/"
	)
	return []refusal{
		{data, "GetCertificateContacts Certificates_GetCertificateContacts", "ContactsNotFound", "none can be set; azurerm asks, and takes this for none"},
		{data, "*Certificate *Certificates *Certificate?* Certificates_*Certificate*", "NotSupported", "certificates are not built"},
		{data, "*StorageAccount* *SasDefinition*", "NotSupported", "managed storage accounts are retired, and not built"},
		{data, "release Keys_Release", "NotSupported", "no exportable keys"},
		{data, "GetRandomBytes Keys_GetRandomBytes", "BadParameter", "of managed HSMs only"},
		{data, "RoleDefinitions_* RoleAssignments_*", "BadParameter", "local roles are of managed HSMs; vaults have those of Resource Manager"},
		{vaults, "PrivateEndpointConnections_Get PrivateEndpointConnections_Put PrivateEndpointConnections_Delete PrivateLinkResources_* Vaults_PrivateLinkResources*", "NotSupported", "no private networks"},
		{vaults, "MHSMListRegions_*", "InvalidResourceType", "no managed HSMs"},
		{vaults, "Openapis_ManagedHsmsCheckMhsmNameAvailability", "MethodNotAllowed", "no managed HSMs"},

		{"kusto", "DataConnections_Get DataConnections_List* DataConnections_CreateOrUpdate DataConnections_Update DataConnections_Delete", "InvalidResourceType", "no event hubs, IoT hubs and storage accounts to read from"},
		{"kusto", "DataConnections_CheckNameAvailability DataConnections_dataConnectionValidation", "FeatureNotSupported", "no data connections"},
		{"kusto", "AttachedDatabaseConfigurations_Get AttachedDatabaseConfigurations_List* AttachedDatabaseConfigurations_CreateOrUpdate AttachedDatabaseConfigurations_Delete Clusters_ListFollowerDatabasesGet", "InvalidResourceType", "no followers"},
		{"kusto", "AttachedDatabaseConfigurations_CheckNameAvailability Clusters_ListFollowerDatabases Clusters_DetachFollowerDatabases Database_InviteFollower", "FeatureNotSupported", "no followers"},
		{"kusto", "Clusters_*LanguageExtensions", "FeatureNotSupported", "no Python and R sandboxes"},
		{"kusto", "Clusters_*CalloutPolic*", "FeatureNotSupported", "nothing is ever called out to"},
		{"kusto", "Clusters_DiagnoseVirtualNetwork", "FeatureNotSupported", "no virtual networks"},
		{"kusto", "Clusters_Migrate", "FeatureNotSupported", "no migration between clusters"},
		{"kusto", "Scripts_Get Scripts_List* Scripts_CreateOrUpdate Scripts_Update Scripts_Delete", "InvalidResourceType", "no script resources"},
		{"kusto", "Scripts_CheckNameAvailability", "FeatureNotSupported", "no script resources"},
		{"kusto", "Private* ManagedPrivateEndpoints_Get ManagedPrivateEndpoints_List ManagedPrivateEndpoints_CreateOrUpdate ManagedPrivateEndpoints_Update ManagedPrivateEndpoints_Delete Clusters_ListOutbound*", "InvalidResourceType", "no private networks"},
		{"kusto", "ManagedPrivateEndpoints_CheckNameAvailability", "FeatureNotSupported", "no private networks"},
		{"kusto", "SandboxCustomImages_Get SandboxCustomImages_List* SandboxCustomImages_CreateOrUpdate SandboxCustomImages_Update SandboxCustomImages_Delete", "InvalidResourceType", "no sandboxes"},
		{"kusto", "SandboxCustomImages_CheckNameAvailability", "FeatureNotSupported", "no sandboxes"},

		{"resources/Microsoft.Authorization", "AuthorizationOperations_List ProviderOperationsMetadata_*", "InvalidResourceType", "no catalogue of the actions of all providers"},
		{"resources/Microsoft.Features", "*", "InvalidResourceNamespace InvalidResourceType", "no previews to register for"},
		{"resources/Microsoft.Management", "HierarchySettings_*", "InvalidResourceType", "no settings of the hierarchy"},
		{general, "checkResourceName", "OperationNotSupported", "no list of reserved words"},
		{general, "Subscriptions_CheckZonePeers", "OperationNotSupported", "no availability zones"},
		{general, "Operations_List", "InvalidResourceType", "no catalogue of the actions of Microsoft.Resources"},
		{general, "ProviderResourceTypes_List Providers_ProviderPermissions", "InvalidResourceType", "not built"},
		{general, "Providers_RegisterAtManagementGroupScope", "MethodNotAllowed", "providers are registered in subscriptions"},
	}
}
