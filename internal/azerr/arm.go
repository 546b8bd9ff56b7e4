package azerr

import (
	"fmt"
	"net/http"
	"strings"
)

// The errors of Azure Resource Manager itself: the front door, resource groups,
// providers. Those of templates and deployments are in deployment.go.

// MissingAPIVersionParameter: the request has no api-version.
func MissingAPIVersionParameter() *Error {
	return bad("MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests.")
}

// InvalidAPIVersionParameter: the version is malformed, or too old for a route
// of ARM itself. supported is printed as given: newest first.
func InvalidAPIVersionParameter(version string, supported []string) *Error {
	return bad("InvalidApiVersionParameter", fmt.Sprintf("The api-version '%s' is invalid. The supported versions are '%s'.", version, strings.Join(supported, ",")))
}

// NoRegisteredProviderFound: the type is known, but not in this version or location.
func NoRegisteredProviderFound(location, version, typ string, versions, locations []string) *Error {
	return bad("NoRegisteredProviderFound", fmt.Sprintf("No registered resource provider found for location '%s' and API version '%s' for type '%s'. The supported api-versions are '%s'. The supported locations are '%s'.",
		location, version, typ, strings.Join(versions, ", "), strings.Join(locations, ", ")))
}

// InvalidResourceType: the namespace has no such type. An empty typ gives the
// older text that names none.
func InvalidResourceType(typ, namespace, version string, supported []string) *Error {
	if typ == "" {
		return missing("InvalidResourceType", fmt.Sprintf("The resource type could not be found in the namespace '%s' for api version '%s'.", namespace, version))
	}
	return missing("InvalidResourceType", fmt.Sprintf("The resource type '%s' could not be found in the namespace '%s' for api version '%s'. The supported api-versions are '%s'.",
		typ, namespace, version, strings.Join(supported, ",")))
}

// InvalidResourceNamespace: nobody serves the namespace.
func InvalidResourceNamespace(namespace string) *Error {
	return missing("InvalidResourceNamespace", fmt.Sprintf("The resource namespace '%s' is invalid.", namespace))
}

// MissingSubscriptionRegistration: the namespace was unregistered. Clients
// register it and try again when they see this code.
func MissingSubscriptionRegistration(namespace string) *Error {
	const code = "MissingSubscriptionRegistration"
	message := fmt.Sprintf("The subscription is not registered to use namespace '%s'. See https://aka.ms/rps-not-found for how to register subscriptions.", namespace)
	e := conflict(code, message)
	e.Details = []*Error{{Status: http.StatusConflict, Code: code, Target: namespace, Message: message}}
	return e
}

// ResourceNotFound: path is namespace and type/name pairs
// ("Microsoft.Kusto/clusters/c"). group is empty for resources outside groups.
func ResourceNotFound(path, group string) *Error {
	where := ""
	if group != "" {
		where = fmt.Sprintf(" under resource group '%s'", group)
	}
	return missing("ResourceNotFound", fmt.Sprintf("The Resource '%s'%s was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix", path, where))
}

// ParentResourceNotFound: operation is "write", "read" …; typ the full type of
// the child, parent the full id of what is missing.
func ParentResourceNotFound(operation, typ, parent string) *Error {
	return missing("ParentResourceNotFound", fmt.Sprintf("Failed to perform '%s' on resource(s) of type '%s', because the parent resource '%s' could not be found.", operation, typ, parent))
}

// ResourceGroupNotFound: no such group in the subscription.
func ResourceGroupNotFound(group string) *Error {
	return missing("ResourceGroupNotFound", fmt.Sprintf("Resource group '%s' could not be found.", group))
}

// SubscriptionNotFound: the id is well formed and unknown.
func SubscriptionNotFound(subscription string) *Error {
	return missing("SubscriptionNotFound", fmt.Sprintf("The subscription '%s' could not be found.", subscription))
}

// InvalidSubscriptionID: the id is no GUID.
func InvalidSubscriptionID(subscription string) *Error {
	return bad("InvalidSubscriptionId", fmt.Sprintf("The provided subscription identifier '%s' is malformed or invalid.", subscription))
}

// ReadOnlyDisabledSubscription: a write in a canceled subscription.
func ReadOnlyDisabledSubscription(subscription string) *Error {
	return conflict("ReadOnlyDisabledSubscription", fmt.Sprintf("The subscription '%s' is disabled and therefore marked as read only. You cannot perform any write actions on this subscription until it is re-enabled.", subscription))
}

// AuthorizationFailed: client is the application id, object the object id.
func AuthorizationFailed(client, object, action, scope string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "AuthorizationFailed", Message: fmt.Sprintf("The client '%s' with object id '%s' does not have authorization to perform action '%s' over scope '%s' or the scope is invalid. If access was recently granted, please refresh your credentials.", client, object, action, scope)}
}

// LinkedAuthorizationFailed: the caller may do it here, but not what it means
// for the resource at the linked scope.
func LinkedAuthorizationFailed(client, object, action, scope, linkedAction, linkedScope string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "LinkedAuthorizationFailed", Message: fmt.Sprintf("The client '%s' with object id '%s' has permission to perform action '%s' on scope '%s'; however, it does not have permission to perform action(s) '%s' on the linked scope(s) '%s' or the linked scope(s) are invalid.", client, object, action, scope, linkedAction, linkedScope)}
}

// InvalidRequestContent: why is a short reason.
func InvalidRequestContent(why string) *Error {
	return bad("InvalidRequestContent", fmt.Sprintf("The request content was invalid and could not be deserialized: '%s'.", why))
}

// LocationRequired: a tracked resource or a group without location.
func LocationRequired() *Error {
	return bad("LocationRequired", "The location property is required for this definition.")
}

// LocationNotAvailableForResourceType: the region is unknown or not offered.
func LocationNotAvailableForResourceType(location, typ string, available []string) *Error {
	return bad("LocationNotAvailableForResourceType", fmt.Sprintf("The provided location '%s' is not available for resource type '%s'. List of available regions for the resource type is '%s'.", location, typ, strings.Join(available, ",")))
}

// LocationNotAvailableForResourceGroup is the same for a resource group.
func LocationNotAvailableForResourceGroup(location string, available []string) *Error {
	return bad("LocationNotAvailableForResourceGroup", fmt.Sprintf("The provided location '%s' is not available for resource group. List of available regions is '%s'.", location, strings.Join(available, ",")))
}

// InvalidResourceLocation: the resource exists elsewhere.
func InvalidResourceLocation(name, existing, group, wanted string) *Error {
	return conflict("InvalidResourceLocation", fmt.Sprintf("The resource '%s' already exists in location '%s' in resource group '%s'. A resource with the same name cannot be created in location '%s'. Please select a new resource name.", name, existing, group, wanted))
}

// InvalidResourceGroupLocation: the group exists elsewhere.
func InvalidResourceGroupLocation(group, existing, wanted string) *Error {
	return conflict("InvalidResourceGroupLocation", fmt.Sprintf("Invalid resource group location '%s'. The Resource group already exists in location '%s'.", wanted, existing)).withTarget(group)
}

// ResourceGroupBeingDeleted: a write in a group whose deletion runs.
func ResourceGroupBeingDeleted(group string) *Error {
	return conflict("ResourceGroupBeingDeleted", fmt.Sprintf("The resource group '%s' is in deprovisioning state and cannot perform this operation.", group))
}

// ScopeLocked: operation is "delete" or "write".
func ScopeLocked(scope, operation, locked string) *Error {
	return conflict("ScopeLocked", fmt.Sprintf("The scope '%s' cannot perform %s operation because following scope(s) are locked: '%s'. Please remove the lock and try again.", scope, operation, locked))
}

// Conflict: why says with what.
func Conflict(why string) *Error { return conflict("Conflict", why) }

// AnotherOperationInProgress: a write while an earlier one still runs on id.
func AnotherOperationInProgress(id string) *Error {
	return conflict("AnotherOperationInProgress", fmt.Sprintf("Another operation on '%s' is in progress. Please wait for it to finish and retry the request.", id))
}

// RequestDisallowedByPolicy: resource was refused by the named policy assignment.
func RequestDisallowedByPolicy(resource, policy string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "RequestDisallowedByPolicy", Target: resource, Message: fmt.Sprintf("Resource '%s' was disallowed by policy '%s'.", resource, policy)}
}

// TooManyRequests: retryAfter is in seconds.
func TooManyRequests(retryAfter int) *Error {
	return throttled("TooManyRequests", "The request is being throttled.", retryAfter)
}

// SubscriptionRequestsThrottled: kind is "read", "write" or "delete".
func SubscriptionRequestsThrottled(subscription, kind string, retryAfter int) *Error {
	return throttled("SubscriptionRequestsThrottled", fmt.Sprintf("Number of '%s' requests for subscription '%s' exceeded the limit. Please try again after '%d' seconds.", kind, subscription, retryAfter), retryAfter)
}

// RequestContentTooLarge: limit is in bytes.
func RequestContentTooLarge(limit int) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestContentTooLarge", Message: fmt.Sprintf("The request content size exceeds the maximum size of '%d' bytes.", limit)}
}

// MethodNotAllowed: the path is known, the method is not one of it.
func MethodNotAllowed(method, typ string) *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: "MethodNotAllowed", Message: fmt.Sprintf("The method '%s' is not supported for the resource type '%s'.", method, typ)}
}

// InvalidFilterInQueryString: why names what is not understood.
func InvalidFilterInQueryString(filter, why string) *Error {
	return bad("InvalidFilterInQueryString", fmt.Sprintf("Invalid $filter '%s' specified in the query string: %s.", filter, why))
}

// InvalidQueryParameter: for $top, $skiptoken and $expand.
func InvalidQueryParameter(name, value, why string) *Error {
	return bad("InvalidQueryParameterValue", fmt.Sprintf("The value '%s' of the query parameter '%s' is invalid: %s.", value, name, why))
}

// InvalidResourceGroupName: the rule of the name is in the text.
func InvalidResourceGroupName(name string) *Error {
	return bad("InvalidResourceGroup", fmt.Sprintf("The provided resource group name '%s' is invalid: it must have 1 to 90 letters, digits, '_', '-', '.', '(' or ')' and may not end with a period.", name))
}

// InvalidTag: why is the broken rule.
func InvalidTag(name, why string) *Error {
	return bad("InvalidTagName", fmt.Sprintf("The tag '%s' is invalid: %s.", name, why))
}

func bad(code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message}
}

func missing(code, message string) *Error {
	return &Error{Status: http.StatusNotFound, Code: code, Message: message}
}

func conflict(code, message string) *Error {
	return &Error{Status: http.StatusConflict, Code: code, Message: message}
}

func throttled(code, message string, retryAfter int) *Error {
	return &Error{Status: http.StatusTooManyRequests, Code: code, Message: message, Header: http.Header{"Retry-After": {fmt.Sprint(retryAfter)}}}
}

func (e *Error) withTarget(target string) *Error {
	e.Target = target
	return e
}

// OperationNotSupported refuses an action of Azure that is not built here.
func OperationNotSupported(action, typ string) *Error {
	return bad("OperationNotSupported", fmt.Sprintf("The operation '%s' is not supported on '%s' by this server.", action, typ))
}

// TooManyTags: a resource has a limit.
func TooManyTags(count, limit int) *Error {
	return bad("TagCountExceeded", fmt.Sprintf("The number of tags is %d, which exceeds the limit of %d.", count, limit))
}

// ResourceGroupDeletionFailed: the group lives on; one detail per resource
// that could not be deleted, with its id as target.
func ResourceGroupDeletionFailed(group string, details []*Error) *Error {
	var left []string
	for _, d := range details {
		left = append(left, d.Target)
	}
	e := conflict("ResourceGroupDeletionFailed", fmt.Sprintf("Deletion of resource group '%s' failed as resources with identifiers '%s' could not be deleted. The provisioning state of the resource group is rolled back.", group, strings.Join(left, ", ")))
	e.Details = details
	return e
}

// InvalidIdentityName: the rule of user-assigned identities is in the text.
func InvalidIdentityName(name string) *Error {
	return bad("InvalidParameter", fmt.Sprintf("The identity name '%s' is invalid: it must begin with a letter or a digit and have 3 to 128 letters, digits, '-' and '_'.", name))
}

// InvalidFederatedCredentialName: the rule of the name is in the text.
func InvalidFederatedCredentialName(name string) *Error {
	return bad("BadRequest", fmt.Sprintf("The federated identity credential name '%s' is invalid: it must begin with a letter or a digit and have 3 to 120 letters, digits, '-' and '_'.", name))
}

// InvalidFederatedCredential: why names the property.
func InvalidFederatedCredential(why string) *Error {
	return bad("BadRequest", fmt.Sprintf("The federated identity credential is invalid: %s.", why))
}

// TooManyFederatedCredentials: an identity has a limit.
func TooManyFederatedCredentials(limit int) *Error {
	return bad("BadRequest", fmt.Sprintf("An identity can have at most %d federated identity credentials.", limit))
}

// PreconditionFailed: If-Match or If-None-Match does not hold.
func PreconditionFailed(header, value, id string) *Error {
	return &Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Message: fmt.Sprintf("The condition '%s: %s' is not met by the resource '%s'.", header, value, id)}
}

// ResourceMoveNotSupported: resources of the type stay in their group.
func ResourceMoveNotSupported(typ string) *Error {
	return conflict("ResourceMoveNotSupported", fmt.Sprintf("Resource move is not supported for resource types '%s'.", typ))
}

// ResourceMoveValidationFailed: one detail per resource that cannot be moved;
// none of them is.
func ResourceMoveValidationFailed(details []*Error) *Error {
	e := conflict("ResourceMoveProviderValidationFailed", "Resource move validation failed. Please see details. Diagnostic information: none of the resources was moved.")
	e.Details = details
	return e
}

// InvalidMove: the request itself; why names the member.
func InvalidMove(why string) *Error {
	return bad("InvalidResourceMoveRequest", why)
}

// MoveTargetExists: the target group has a resource of that id.
func MoveTargetExists(id string) *Error {
	return conflict("ResourceMoveTargetExists", fmt.Sprintf("The resource '%s' exists already in the target resource group.", id))
}

// TagNameNotFound: a value was to be predefined for a name that is not.
func TagNameNotFound(name string) *Error {
	return missing("TagNotFound", fmt.Sprintf("The tag name '%s' could not be found.", name))
}

// TagInUse: a predefined tag that something has cannot be forgotten.
func TagInUse(name string) *Error {
	return conflict("TagInUse", fmt.Sprintf("The tag '%s' is in use by resources or resource groups and cannot be deleted.", name))
}

// ExportTemplateCompletedWithErrors stands beside the template; one detail per
// resource that is not in it.
func ExportTemplateCompletedWithErrors(details []*Error) *Error {
	e := bad("ExportTemplateCompletedWithErrors", "Export template operation completed with errors. Some resources were not exported. Please see details for more information.")
	e.Details = details
	return e
}

// ExportTemplateProviderError: why a resource is not in an exported template.
func ExportTemplateProviderError(typ, why string) *Error {
	return bad("ExportTemplateProviderError", fmt.Sprintf("Could not get resources of the type '%s': %s. Resources of this type will not be exported.", typ, strings.TrimSuffix(why, ".")))
}
