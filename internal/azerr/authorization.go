package azerr

import (
	"fmt"
	"net/http"
	"strings"
)

// Errors of Microsoft.Authorization.

// RoleDefinitionDoesNotExist: no role has that id. status is 400 inside a
// request body and 404 in a path.
func RoleDefinitionDoesNotExist(id string, status int) *Error {
	return &Error{Status: status, Code: "RoleDefinitionDoesNotExist", Message: fmt.Sprintf("The specified role definition with ID '%s' does not exist.", id)}
}

// PrincipalNotFound: the directory has no such object.
func PrincipalNotFound(principalID, tenant string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "PrincipalNotFound",
		Message: fmt.Sprintf("Principal %s does not exist in the directory %s. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype", strings.ReplaceAll(principalID, "-", ""), tenant)}
}

// UnmatchedPrincipalType: the principal is there, but of another type.
func UnmatchedPrincipalType(principalID, is, said string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "UnmatchedPrincipalType",
		Message: fmt.Sprintf("The PrincipalId '%s' has type '%s' , which is different from specified PrincipalType '%s'.", strings.ReplaceAll(principalID, "-", ""), is, said)}
}

// RoleAssignmentExists: the principal has the role at the scope, by another assignment.
func RoleAssignmentExists(name string) *Error {
	return &Error{Status: http.StatusConflict, Code: "RoleAssignmentExists",
		Message: fmt.Sprintf("The role assignment already exists. The ID of the existing role assignment is %s.", strings.ReplaceAll(name, "-", ""))}
}

// RoleAssignmentUpdateNotPermitted: the name belongs to another assignment.
func RoleAssignmentUpdateNotPermitted() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "RoleAssignmentUpdateNotPermitted",
		Message: "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."}
}

// RoleAssignmentNotFound: no assignment of that name at that scope.
func RoleAssignmentNotFound(name string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "RoleAssignmentNotFound", Message: fmt.Sprintf("The role assignment '%s' is not found.", strings.ReplaceAll(name, "-", ""))}
}

// InvalidRoleAssignmentID: the name is not a GUID.
func InvalidRoleAssignmentID(name string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "InvalidRoleAssignmentId",
		Message: fmt.Sprintf("The role assignment ID '%s' is not valid. The role assignment ID must be a GUID.", name)}
}

// LastOwnerAssignment: the subscription would be left without an owner.
func LastOwnerAssignment() *Error {
	return &Error{Status: http.StatusBadRequest, Code: "RoleAssignmentDeletionNotPermitted", Message: "Cannot delete the last RBAC admin assignment"}
}

// AuthorizationBadRequestFormat: the body or the filter is not what the
// operation takes; why names it.
func AuthorizationBadRequestFormat(why string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequestFormat", Message: "The request was incorrectly formatted. " + why}
}

// RoleAssignmentPropertyNotSupported: conditions and delegated identities are not evaluated.
func RoleAssignmentPropertyNotSupported(property string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "NotSupported", Message: fmt.Sprintf("The property '%s' of a role assignment is not supported.", property)}
}

// UnsupportedAuthorizationFilter: the $filter is none of the forms of the list.
func UnsupportedAuthorizationFilter(filter, forms string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "UnsupportedQuery", Message: fmt.Sprintf("The filter '%s' is not supported. Supported filters are %s.", filter, forms)}
}

// InvalidRoleDefinitionID: the name is not a GUID.
func InvalidRoleDefinitionID(name string) *Error {
	return bad("InvalidRoleDefinitionId", fmt.Sprintf("The role definition ID '%s' is not valid. The role definition ID must be a GUID.", name))
}

// MissingAssignableScopes: a custom role that could be assigned nowhere.
func MissingAssignableScopes() *Error {
	return bad("MissingAssignableScopes", "The role definition must have at least one assignable scope.")
}

// InvalidAssignableScope: a custom role is for management groups (then without
// data actions), subscriptions and resource groups.
func InvalidAssignableScope(scope string) *Error {
	return bad("InvalidAssignableScope", fmt.Sprintf("The scope '%s' cannot be an assignable scope of the role definition: it must be a subscription, a resource group or, without data actions, a management group.", scope))
}

// InvalidActionOrNotAction: the text is no operation's name.
func InvalidActionOrNotAction(action string) *Error {
	return bad("InvalidActionOrNotAction", fmt.Sprintf("'%s' does not match any of the actions supported by the providers.", action))
}

// RoleDefinitionWithSameNameExists: names are unique in the tenant.
func RoleDefinitionWithSameNameExists(name string) *Error {
	return conflict("RoleDefinitionWithSameNameExists", fmt.Sprintf("A role definition with the name '%s' already exists in this directory. Use a different name.", name))
}

// RoleDefinitionHasAssignments: the role is assigned to somebody.
func RoleDefinitionHasAssignments() *Error {
	return bad("RoleDefinitionHasAssignments", "There are existing role assignments referencing role (code: RoleDefinitionHasAssignments).")
}

// RoleScopeNotAssignable: the scope is in none of the role's assignable scopes.
func RoleScopeNotAssignable(scope, role string) *Error {
	return bad("RoleAssignmentScopeNotAssignableToRoleDefinition", fmt.Sprintf("The scope '%s' is not in the assignable scopes of the role definition '%s'.", scope, role))
}

// DenyAssignmentNotFound: there are none.
func DenyAssignmentNotFound(name string) *Error {
	return missing("DenyAssignmentNotFound", fmt.Sprintf("The deny assignment '%s' is not found.", strings.ReplaceAll(name, "-", "")))
}

// BuiltInRoleImmutable: a built-in role was to be changed or deleted.
func BuiltInRoleImmutable(id string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "RoleDefinitionUpdateNotPermitted", Message: fmt.Sprintf("The role definition '%s' is built in and can be neither changed nor deleted.", id)}
}
