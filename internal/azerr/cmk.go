package azerr

import (
	"fmt"
	"net/http"
)

// The eight errors of "configure customer-managed keys" (Azure Data Explorer,
// January 2020), in the article's order. All are 400 and synchronous.

// InvalidKeyVaultProperties: the shape, the key's type, size or operations, or
// the region is not what CMK needs.
func InvalidKeyVaultProperties() *Error {
	return cmk("InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid.")
}

// CannotProvideKeyVaultPropertiesDuringCreation: the cluster does not exist yet.
func CannotProvideKeyVaultPropertiesDuringCreation() *Error {
	return cmk("CannotProvideKeyVaultPropertiesDuringCreation", "Cannot provide KeyVaultProperties during cluster creation.")
}

// KeyVaultPropertiesOnlyForSystemAssignedResources: the cluster has no usable identity.
func KeyVaultPropertiesOnlyForSystemAssignedResources() *Error {
	return cmk("KeyVaultPropertiesOnlyForSystemAssignedResources", "KeyVaultProperties can be provided only for resources with SystemAssigned Identity.")
}

// KeyVaultNotFound: no such vault, or it is soft-deleted. uri is printed as the client sent it.
func KeyVaultNotFound(uri string) *Error {
	return cmk("KeyVaultNotFound", fmt.Sprintf("KeyVault '%s' was not found", uri))
}

// KeyNotFound: the key or the pinned version is absent or soft-deleted.
func KeyNotFound(key, uri string) *Error {
	return cmk("KeyNotFound", fmt.Sprintf("Key '%s' was not found in KeyVault '%s'", key, uri))
}

// IdentityDoesNotHaveAccessToKeyVault: the vault refused get, wrapKey or unwrapKey.
func IdentityDoesNotHaveAccessToKeyVault(uri string) *Error {
	return cmk("IdentityDoesNotHaveAccessToKeyVault", fmt.Sprintf("Cluster identity does not have access to KeyVault '%s'", uri))
}

// KeyVaultNotPurgeProtected: purge protection is off.
func KeyVaultNotPurgeProtected(uri string) *Error {
	return cmk("KeyVaultNotPurgeProtected", fmt.Sprintf("KeyVault '%s' is not Purge Protected", uri))
}

// KeyVaultNotSoftDeleteEnabled: soft delete is off.
func KeyVaultNotSoftDeleteEnabled(uri string) *Error {
	return cmk("KeyVaultNotSoftDeleteEnabled", fmt.Sprintf("KeyVault '%s' is not Soft-Delete enabled", uri))
}

func cmk(code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}
