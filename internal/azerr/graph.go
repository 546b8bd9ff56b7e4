package azerr

import (
	"fmt"
	"net/http"
)

// Errors of Microsoft Graph (directory objects). Graph's envelope differs in
// innerError; the directory's handler writes it.

// GraphInvalidAuthenticationToken: no token, or one that is not accepted; why
// is a sentence without anything of the token.
func GraphInvalidAuthenticationToken(why string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "InvalidAuthenticationToken", Message: why, Header: http.Header{
		"Www-Authenticate": {`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`}}}
}

// GraphRequestDenied: the caller may not read or manage the directory.
func GraphRequestDenied() *Error {
	return &Error{Status: http.StatusForbidden, Code: "Authorization_RequestDenied", Message: "Insufficient privileges to complete the operation."}
}

// GraphResourceNotFound: no object of that id.
func GraphResourceNotFound(id string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "Request_ResourceNotFound",
		Message: fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", id)}
}

// GraphSegmentNotFound: no such path.
func GraphSegmentNotFound(segment string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: fmt.Sprintf("Resource not found for the segment '%s'.", segment)}
}

// GraphMeNeedsUser: /me was asked by an application.
func GraphMeNeedsUser() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: "/me request is only valid with delegated authentication flow."}
}

// GraphBadRequest: the body or a value in it is wrong; why names it.
func GraphBadRequest(why string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_BadRequest", Message: why}
}

// GraphNotSupported: a part of Graph that is not there; what names it.
func GraphNotSupported(what string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_BadRequest", Message: what + " is not supported by this directory."}
}

// GraphInvalidFilter: $filter does not parse; why has the position.
func GraphInvalidFilter(why string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest", Message: "Invalid filter clause: " + why}
}

// GraphUnsupportedFilter: $filter names a property it cannot be used with.
func GraphUnsupportedFilter(property, resource string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_UnsupportedQuery",
		Message: fmt.Sprintf("Unsupported or invalid query filter clause specified for property '%s' of resource '%s'.", property, resource)}
}

// GraphUnsupportedQuery: a query option that is not there.
func GraphUnsupportedQuery(option string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_UnsupportedQuery", Message: fmt.Sprintf("The query option '%s' is not supported.", option)}
}

// GraphSelectUnknown: $select names a property that is not there.
func GraphSelectUnknown(property, resource string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest",
		Message: fmt.Sprintf("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.%s'.", property, resource)}
}

// GraphPrincipalExists: the application has a service principal already.
func GraphPrincipalExists(appID string) *Error {
	return &Error{Status: http.StatusConflict, Code: "Request_MultipleObjectsWithSameKeyValue",
		Message: fmt.Sprintf("The service principal cannot be created, updated, or restored because the service principal name %s is already in use.", appID)}
}

// GraphMethodNotAllowed: the path is there, the method is not.
func GraphMethodNotAllowed(method string) *Error {
	return &Error{Status: http.StatusMethodNotAllowed, Code: "Request_BadRequest", Message: fmt.Sprintf("The method '%s' is not supported for this resource.", method)}
}

// GraphTooLarge: the body is over the limit.
func GraphTooLarge() *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "Request_BadRequest", Message: "The request body is too large."}
}

// GraphCredentialExists: a federated credential of that name, or of that
// issuer and subject, is there already.
func GraphCredentialExists(why string) *Error {
	return &Error{Status: http.StatusConflict, Code: "Request_MultipleObjectsWithSameKeyValue", Message: why}
}

// GraphReferenceExists: the object is in the collection already.
func GraphReferenceExists(collection string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "Request_BadRequest",
		Message: fmt.Sprintf("One or more added object references already exist for the following modified properties: '%s'.", collection)}
}
