package authz

import "strings"

// Permission is one block of a role definition. An action is granted when a
// pattern of Actions covers it and none of NotActions does; the same for data
// actions. '*' in a pattern stands for any text.
type Permission struct {
	Actions        []string
	NotActions     []string
	DataActions    []string
	NotDataActions []string
}

func (p Permission) allows(action string, data bool) bool {
	granted, excluded := p.Actions, p.NotActions
	if data {
		granted, excluded = p.DataActions, p.NotDataActions
	}
	return anyMatches(granted, action) && !anyMatches(excluded, action)
}

func anyMatches(patterns []string, action string) bool {
	for _, pattern := range patterns {
		if matches(pattern, action) {
			return true
		}
	}
	return false
}

// RoleDefinition is a named set of permissions. All are built in: they have
// the ids of public Azure and can be assigned at any scope.
type RoleDefinition struct {
	ID          string // GUID
	Name        string
	Description string
	Permission  Permission
}

// Ids of roles that code refers to.
const (
	RoleOwner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	// RoleCryptoServiceEncryptionUser is the role a cluster's identity needs for
	// a customer-managed key in a vault that goes by roles.
	RoleCryptoServiceEncryptionUser = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
)

// Roles lists the built-in role definitions.
func Roles() []RoleDefinition {
	// What most roles add so that a portal can show the resource.
	manage := func(actions ...string) []string {
		return append([]string{"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/deployments/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*"}, actions...)
	}
	vaultReads := manage("Microsoft.KeyVault/checkNameAvailability/read", "Microsoft.KeyVault/deletedVaults/read",
		"Microsoft.KeyVault/locations/*/read", "Microsoft.KeyVault/vaults/*/read", "Microsoft.KeyVault/operations/read")
	vault := func(actions ...string) []string {
		for i, a := range actions {
			actions[i] = "Microsoft.KeyVault/vaults/" + a
		}
		return actions
	}
	identity := func(actions ...string) []string {
		for i, a := range actions {
			actions[i] = "Microsoft.ManagedIdentity/userAssignedIdentities/" + a
		}
		return manage(actions...)
	}
	return []RoleDefinition{
		{RoleOwner, "Owner", "Manages every resource and who has access to it.", Permission{Actions: []string{"*"}}},
		{"b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor", "Manages every resource, but not who has access to it.", Permission{
			Actions: []string{"*"},
			NotActions: []string{"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action",
				"Microsoft.Blueprint/blueprintAssignments/write", "Microsoft.Blueprint/blueprintAssignments/delete", "Microsoft.Compute/galleries/share/action",
				"Microsoft.Purview/consents/write", "Microsoft.Purview/consents/delete", "Microsoft.Resources/deploymentStacks/manageDenySetting/action"}}},
		{"acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", "Sees every resource and changes none.", Permission{Actions: []string{"*/read"}}},
		{"18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", "User Access Administrator", "Manages who has access to resources.", Permission{
			Actions: []string{"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"}}},
		{"f58310d9-a9f6-439a-9e8d-f62e7b41a168", "Role Based Access Control Administrator", "Manages access to resources by role assignments only.", Permission{
			Actions: []string{"Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read", "Microsoft.Support/*"}}},
		{"4a9ae827-6dc8-4573-8ac7-8239d42aa03f", "Tag Contributor", "Manages tags, without access to the resources that have them.", Permission{
			Actions: manage("Microsoft.Resources/subscriptions/resourceGroups/resources/read", "Microsoft.Resources/subscriptions/resources/read", "Microsoft.Resources/tags/*")}},
		{"e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", "Managed Identity Contributor", "Creates, reads, updates and deletes user-assigned identities.", Permission{
			Actions: identity("read", "write", "delete", "federatedIdentityCredentials/read", "federatedIdentityCredentials/write", "federatedIdentityCredentials/delete", "revokeTokens/action")}},
		{"f1a07417-d97a-45cb-824c-7a7467783830", "Managed Identity Operator", "Reads user-assigned identities and gives them to resources.", Permission{
			Actions: identity("*/read", "*/assign/action")}},
		{"00482a5a-887f-4fb3-b363-3b7fe8e74483", "Key Vault Administrator", "Does every data operation on a vault's keys, secrets and certificates.", Permission{
			Actions: vaultReads, DataActions: vault("*")}},
		{"21090545-7ca7-4776-b22c-e363652d74d2", "Key Vault Reader", "Reads metadata of vaults, keys, secrets and certificates, never a secret's value.", Permission{
			Actions: vaultReads, DataActions: vault("*/read", "secrets/readMetadata/action")}},
		{"14b46e9e-c2b7-41b4-b07b-48a6ebf60603", "Key Vault Crypto Officer", "Does every data operation on keys.", Permission{
			Actions: vaultReads, DataActions: vault("keys/*", "keyrotationpolicies/*")}},
		{"12338af0-0e69-4776-bea7-57ae8d297424", "Key Vault Crypto User", "Uses keys for cryptography.", Permission{
			DataActions: vault("keys/read", "keys/update/action", "keys/backup/action", "keys/encrypt/action", "keys/decrypt/action",
				"keys/wrap/action", "keys/unwrap/action", "keys/sign/action", "keys/verify/action")}},
		{RoleCryptoServiceEncryptionUser, "Key Vault Crypto Service Encryption User", "Reads keys, wraps and unwraps: what a service needs for a customer-managed key.", Permission{
			Actions:     []string{"Microsoft.EventGrid/eventSubscriptions/write", "Microsoft.EventGrid/eventSubscriptions/read", "Microsoft.EventGrid/eventSubscriptions/delete"},
			DataActions: vault("keys/read", "keys/wrap/action", "keys/unwrap/action")}},
		{"08bbd89e-9f13-488c-ac41-acfcb10c90ab", "Key Vault Crypto Service Release User", "Releases keys.", Permission{DataActions: vault("keys/release/action")}},
		{"b86a8fe4-44ce-4948-aee5-eccb2c155cd7", "Key Vault Secrets Officer", "Does every data operation on secrets.", Permission{
			Actions: vaultReads, DataActions: vault("secrets/*")}},
		{"4633458b-17de-408a-b874-0445c86b69e6", "Key Vault Secrets User", "Reads the values of secrets.", Permission{
			DataActions: vault("secrets/getSecret/action", "secrets/readMetadata/action")}},
		{"f25e0fa2-a7c8-4377-a976-54943a77a395", "Key Vault Contributor", "Manages vaults, but neither reads nor uses what is in them.", Permission{
			Actions:    manage("Microsoft.KeyVault/*"),
			NotActions: []string{"Microsoft.KeyVault/locations/deletedVaults/purge/action", "Microsoft.KeyVault/hsmPools/*", "Microsoft.KeyVault/managedHsms/*"}}},
	}
}

// Role finds a role definition by its GUID.
func Role(id string) (RoleDefinition, bool) {
	for _, role := range Roles() {
		if strings.EqualFold(role.ID, id) {
			return role, true
		}
	}
	return RoleDefinition{}, false
}
