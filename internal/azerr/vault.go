package azerr

import (
	"fmt"
	"net/http"
)

// Errors of Microsoft.KeyVault as an ARM resource. They have no innererror.

// VaultBadRequest is the provider's plain 400.
func VaultBadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: message}
}

// VaultInvalidValue names a property whose value is not acceptable.
func VaultInvalidValue(property string) *Error {
	return VaultBadRequest(fmt.Sprintf("An invalid value was provided for '%s'.", property))
}

// VaultMissingProperty names a property that a create needs.
func VaultMissingProperty(property string) *Error {
	return VaultBadRequest(fmt.Sprintf("The parameter %s is not specified.", property))
}

// DeletedVaultNotFound: no soft-deleted vault of that name and location.
func DeletedVaultNotFound(name string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "DeletedVaultNotFound", Message: fmt.Sprintf("The deleted vault '%s' was not found.", name)}
}

// VaultNameNotValid: the name breaks the 3-24 character rule.
func VaultNameNotValid(name string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "VaultNameNotValid", Message: VaultNameNotValidText(name)}
}

// VaultNameNotValidText is the sentence that checkNameAvailability shares with the error.
func VaultNameNotValidText(name string) string {
	return fmt.Sprintf("The vault name '%s' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens. Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2147742", name)
}

// VaultAlreadyExists: the name is in use by a vault somewhere else.
func VaultAlreadyExists(name string) *Error {
	return &Error{Status: http.StatusConflict, Code: "VaultAlreadyExists", Message: VaultAlreadyExistsText(name)}
}

// VaultAlreadyExistsText is the sentence that checkNameAvailability shares with the error.
func VaultAlreadyExistsText(name string) string {
	return fmt.Sprintf("The vault name '%s' is already in use. Vault names are globally unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state. If the vault is in a recoverable state then the vault will need to be purged before reusing the name. For more information about VaultAlreadyExists, soft delete and purging a vault, please refer to this link https://go.microsoft.com/fwlink/?linkid=2147740.", name)
}

// VaultDeletedStateConflict: a create met a soft-deleted vault of the same subscription.
func VaultDeletedStateConflict() *Error {
	return &Error{Status: http.StatusConflict, Code: "ConflictError", Message: "A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete."}
}

// SoftDeletedVaultDoesNotExist: createMode recover found nothing to recover.
func SoftDeletedVaultDoesNotExist() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "SoftDeletedVaultDoesNotExist", Message: "A soft deleted vault with the given name does not exist. Ensure that the name for the vault that is being attempted to recover is in a recoverable state. For more information on soft delete please follow this link https://go.microsoft.com/fwlink/?linkid=2149745"}
}

// VaultRetentionFixed: softDeleteRetentionInDays is set once.
func VaultRetentionFixed() *Error {
	return VaultBadRequest(`The property "softDeleteRetentionInDays" has been set already and it can't be modified.`)
}

// VaultPurgeProtectionFixed: enablePurgeProtection is never false.
func VaultPurgeProtectionFixed() *Error {
	return VaultBadRequest(`The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.`)
}

// VaultSoftDeleteFixed: enableSoftDelete is never false on a vault that has it,
// nor on a new vault of a current api-version.
func VaultSoftDeleteFixed() *Error {
	return VaultBadRequest(`The property "enableSoftDelete" cannot be set to false. Enabling the soft delete for a vault is an irreversible action.`)
}

// VaultPurgeNotAllowed: the deleted vault is purge protected.
func VaultPurgeNotAllowed() *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed", Message: "Operation 'DeletedVaultPurge' is not allowed."}
}

// VaultRegionNotSupported: no such region.
func VaultRegionNotSupported(location string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "RegionNotSupported", Message: fmt.Sprintf("The region '%s' is not supported for vaults.", location)}
}

// VaultSkuNotSupported: neither standard nor premium.
func VaultSkuNotSupported(name string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "SkuNotSupported", Message: fmt.Sprintf("The sku '%s' is not supported for vaults; it must be standard or premium.", name)}
}

// VaultNotOffered refuses by name what this server does not build (private
// endpoints, managed HSMs …).
func VaultNotOffered(what string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "NotSupported", Message: what + " are not offered by this server."}
}

// Errors of the data plane of a vault.

// VaultUnauthorized is 401 with the challenge; message begins with the AKV code.
func VaultUnauthorized(message, challenge string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "Unauthorized", Message: message, Header: http.Header{"Www-Authenticate": {challenge}}}
}

// The AKV texts of [VaultUnauthorized].
const (
	AKV10000 = "AKV10000: Request is missing a Bearer or PoP token."
	AKV10001 = "AKV10001: The token could not be read or its signature is not valid."
	AKV10021 = "AKV10021: The token is expired or not yet valid."
)

// AKV10022 names the audience that was expected and the one that came.
func AKV10022(expected, found string) string {
	return fmt.Sprintf("AKV10022: Invalid audience. Expected %s, found: %s.", expected, found)
}

// AKV10032 names the issuer that was expected and the one that came.
func AKV10032(expected, found string) string {
	return fmt.Sprintf("AKV10032: Invalid issuer. Expected one of %s, found %s.", expected, found)
}

// VaultHostNotFound: the host names a vault that is not there.
func VaultHostNotFound(name string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "VaultNotFound", Message: fmt.Sprintf("The vault '%s' was not found.", name)}
}

// BadParameter is the data plane's 400; inner may be "".
func BadParameter(message, inner string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadParameter", Message: message, Inner: inner}
}

// NotBase64URL: the text of a binary property cannot be decoded.
func NotBase64URL(property string) *Error {
	return BadParameter(fmt.Sprintf("Content of '%s' is not base64url.\r\nProperty '%s' is required.\r\n", property, property), "")
}

// KeyTypeNotSupported: a kty that vaults do not hold.
func KeyTypeNotSupported(kty string) *Error {
	return BadParameter("Invalid kty value: "+kty, "KeyTypeNotSupported")
}

// HardwareKeyNotAllowed: a key of an -HSM type in a vault of the standard sku.
func HardwareKeyNotAllowed() *Error {
	return vaultForbidden("", "Hardware key operation not allowed on standard vault")
}

// ExportableNeedsPremium: an exportable key in a vault of the standard sku, or
// asked for with an api-version that does not know such keys.
func ExportableNeedsPremium() *Error {
	return BadParameter("AKV.SKR.1001: The exportable attribute is only supported with premium vaults and API version >= '7.3-preview'.", "")
}

// ExportableNeedsPolicy: an exportable key without a release policy.
func ExportableNeedsPolicy() *Error {
	return BadParameter("AKV.SKR.1004: Exportable keys must have release policy.", "")
}

// PolicyNeedsExportable: a release policy for a key that is not exportable.
func PolicyNeedsExportable() *Error {
	return BadParameter("AKV.SKR.1005: Non-exportable keys must not have release policy", "")
}

// VaultAccessDenied: no access policy of the vault grants the permission. noun is "keys" or "secrets".
func VaultAccessDenied(caller, noun, permission, vault, location string) *Error {
	return vaultForbidden("AccessDenied", fmt.Sprintf("The user, group or application '%s' does not have %s %s permission on key vault '%s;location=%s'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287", caller, noun, permission, vault, location))
}

// VaultForbiddenByRbac: no role assignment grants the data action on the resource.
func VaultForbiddenByRbac(caller, action, resource, vault, location string) *Error {
	return vaultForbidden("ForbiddenByRbac", VaultForbiddenByRbacText(caller, action, resource, vault, location))
}

// VaultForbiddenByRbacText is the text of [VaultForbiddenByRbac], which ARM repeats.
func VaultForbiddenByRbacText(caller, action, resource, vault, location string) string {
	return fmt.Sprintf("Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: %s\r\nAction: '%s'\r\nResource: '%s'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: %s;location=%s\r\n", caller, action, resource, vault, location)
}

// VaultForbiddenByFirewall: the client's address passes no rule of networkAcls.
func VaultForbiddenByFirewall(address, caller, vault, location string) *Error {
	return vaultForbidden("ForbiddenByFirewall", fmt.Sprintf("Client address is not authorized and caller is not a trusted service.\r\nClient address: %s\r\nCaller: %s\r\nVault: %s;location=%s", address, caller, vault, location))
}

// VaultForbiddenByConnection: the vault takes no public connections.
func VaultForbiddenByConnection(caller, vault, location string) *Error {
	return vaultForbidden("ForbiddenByConnection", fmt.Sprintf("Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\nCaller: %s\r\nVault: %s;location=%s", caller, vault, location))
}

// PurgeForbiddenByPolicy: purge protection keeps the object until its purge date.
func PurgeForbiddenByPolicy(vault, location string) *Error {
	return vaultForbidden("ForbiddenByPolicy", fmt.Sprintf("Operation \"purge\" is not allowed because purge protection is enabled for this vault. Key Vault service will automatically purge it after the retention period has passed.\r\nVault: %s;location=%s", vault, location))
}

// KeyDisabled: op as the service writes it ("unwrapKey").
func KeyDisabled(op string) *Error {
	return vaultForbidden("KeyDisabled", fmt.Sprintf("Operation %s is not allowed on a disabled key.", op))
}

// KeyExpired: a protecting operation after exp.
func KeyExpired(op string) *Error {
	return vaultForbidden("KeyExpired", fmt.Sprintf("Operation %s is not allowed on an expired key.", op))
}

// KeyNotYetValid: a protecting operation before nbf.
func KeyNotYetValid(op string) *Error {
	return vaultForbidden("KeyNotYetValid", fmt.Sprintf("Operation %s is not allowed on a key that is not yet valid.", op))
}

// KeyOperationForbidden: the operation is not among key_ops.
func KeyOperationForbidden(op string) *Error {
	return vaultForbidden("KeyOperationForbidden", fmt.Sprintf("Operation %s is not permitted on this key.", op))
}

// SecretDisabled: the value of a disabled secret is not given out.
func SecretDisabled() *Error {
	return vaultForbidden("SecretDisabled", "Operation get is not allowed on a disabled secret.")
}

func vaultForbidden(inner, message string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "Forbidden", Message: message, Inner: inner}
}

// VaultObjectNotFound is 404 KeyNotFound or SecretNotFound; noun is "Key" or
// "Secret", id is the name or name/version as asked for.
func VaultObjectNotFound(noun, id string) *Error {
	article := "A key"
	if noun == "Secret" {
		article = "A secret"
	}
	return &Error{Status: http.StatusNotFound, Code: noun + "NotFound",
		Message: fmt.Sprintf("%s with (name/id) %s was not found in this key vault. If you recently deleted this %s you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182", article, id, article[2:])}
}

// DeletedObjectNotFound is the 404 of /deletedkeys and /deletedsecrets.
func DeletedObjectNotFound(noun, name string) *Error {
	return &Error{Status: http.StatusNotFound, Code: noun + "NotFound", Message: fmt.Sprintf("Deleted %s not found: %s", noun, name)}
}

// ObjectIsDeletedButRecoverable: the name belongs to a soft-deleted object.
func ObjectIsDeletedButRecoverable(noun, name string) *Error {
	lower := "key"
	if noun == "Secret" {
		lower = "secret"
	}
	return &Error{Status: http.StatusConflict, Code: "Conflict", Inner: "ObjectIsDeletedButRecoverable",
		Message: fmt.Sprintf("%s %s is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the %s can only be recovered or purged.", noun, name, lower)}
}

// ObjectAlreadyExists: a restore met an object of the same name.
func ObjectAlreadyExists(noun, name string) *Error {
	return &Error{Status: http.StatusConflict, Code: "Conflict", Message: fmt.Sprintf("%s %s already exists in this vault.", noun, name)}
}

// VaultOperationNotOffered refuses by name what this server does not build, with
// the code that the service has for what a vault is not set up for.
func VaultOperationNotOffered(what string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "NotSupported", Message: what + " are not offered by this server."}
}

// VaultOperationNotEnabled: the operation is about soft-deleted objects, and the
// vault has no soft delete. operation is the name of the permission ("purge").
func VaultOperationNotEnabled(operation string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "NotSupported", Message: fmt.Sprintf("Operation \"%s\" is not enabled for this vault.", operation)}
}

// ManagedHSMOnly: the service itself has the operation on Managed HSM only.
func ManagedHSMOnly(operation string) *Error {
	return BadParameter(fmt.Sprintf("Operation '%s' is offered by Managed HSM only, not by a vault.", operation), "")
}

// VaultRouteNotFound: the path names nothing a vault serves.
func VaultRouteNotFound(path string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "NotFound", Message: fmt.Sprintf("The path '%s' names nothing that a vault serves.", path)}
}

// VaultMethodNotAllowed: the path is served, but not with this method.
func VaultMethodNotAllowed(method, path string) *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed", Message: fmt.Sprintf("The method %s is not offered for '%s'.", method, path)}
}

// VaultManagementRefused is a data-plane refusal as ARM shows it: a 400 whose
// code is the inner one.
func VaultManagementRefused(e *Error) *Error {
	return &Error{Status: http.StatusBadRequest, Code: e.Inner, Message: fmt.Sprintf("[%s (%s)] %s", e.Inner, e.Code, e.Message)}
}

// VaultNotForDeployment: a parameter refers to a secret of a vault that is not
// enabled for template deployment.
func VaultNotForDeployment(id string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "KeyVaultParameterReferenceSecretRetrieveFailed",
		Message: fmt.Sprintf("The secret of the key vault '%s' cannot be read by a deployment: the vault's enabledForTemplateDeployment is not true.", id)}
}
