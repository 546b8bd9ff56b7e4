package azerr

import (
	"fmt"
	"net/http"
)

// Errors of the Kusto resource provider beside the eight of cmk.go.

// KustoBadRequest: the provider's general refusal; message names the member or the reason.
func KustoBadRequest(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: message}
}

// KustoInvalidMember: a member of the body has a wrong type or value. want completes "must be …".
func KustoInvalidMember(path, want string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: fmt.Sprintf("The value of '%s' is invalid: it must be %s.", path, want), Target: path}
}

// KustoFeatureNotSupported: the member or operation exists in Azure and is not served here.
func KustoFeatureNotSupported(what, why string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "FeatureNotSupported", Message: fmt.Sprintf("'%s' is not supported: %s.", what, why), Target: what}
}

// KustoSkuCapacity: the capacity is outside the SKU's range.
func KustoSkuCapacity(sku string, minimum, maximum int) *Error {
	return KustoBadRequest(fmt.Sprintf("Invalid SKU capacity provided, the SKU %s should be between %d and %d", sku, minimum, maximum))
}

// KustoNameTaken: another cluster has the name; names are unique in the whole cloud.
func KustoNameTaken(name string) *Error {
	return &Error{Status: http.StatusConflict, Code: "Conflict", Message: KustoNameTakenMessage(name)}
}

// KustoNameTakenMessage is the text of a name check that failed.
func KustoNameTakenMessage(name string) string {
	return fmt.Sprintf("Name '%s' with type Engine is already taken. Please specify a different name", name)
}

// KustoInvalidName: the resource's name breaks the rule of its type.
func KustoInvalidName(name, typ, rule string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidResourceName", Message: fmt.Sprintf("Resource name '%s' of type '%s' is invalid: %s.", name, typ, rule)}
}

// KustoRequestConflict: another operation runs on the resource.
func KustoRequestConflict(id string) *Error {
	return &Error{Status: http.StatusConflict, Code: "RequestConflict", Message: fmt.Sprintf("Cannot modify resource with id '%s' because the resource entity provisioning state is not terminal. Please wait for the provisioning state to become terminal and then retry the request.", id)}
}

// KustoPreconditionFailed: If-Match or If-None-Match does not hold.
func KustoPreconditionFailed(id string) *Error {
	return &Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: fmt.Sprintf("The condition of the request on the resource '%s' is not satisfied.", id)}
}

// KustoClusterState: the request needs a running cluster. what is the plural noun ("databases").
func KustoClusterState(what, state string) *Error {
	return KustoBadRequest(fmt.Sprintf("Cannot fetch %s while resource is in state '%s'.", what, state))
}

// KustoVaultUnreachable: the vault did not answer, or with trouble of its own;
// that says nothing about the key. uri is printed as the client sent it.
func KustoVaultUnreachable(uri string) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: fmt.Sprintf("KeyVault '%s' did not answer. Please retry the request later.", uri), Header: http.Header{"Retry-After": {"5"}}}
}

// KustoResourceGone: an operation found its resource deleted.
func KustoResourceGone(id string) *Error {
	return &Error{Status: http.StatusConflict, Code: "Conflict", Message: fmt.Sprintf("[Conflict] The resource '%s' does not exist any more.", id)}
}
