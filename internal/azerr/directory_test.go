package azerr_test

import (
	"testing"

	"github.com/kustos-io/kustos/internal/azerr"
)

func TestGraphGolden(t *testing.T) {
	t.Parallel()
	compare(t, "graph.golden", []*azerr.Error{
		azerr.GraphInvalidAuthenticationToken("Access token is empty."),
		azerr.GraphRequestDenied(),
		azerr.GraphResourceNotFound("id"),
		azerr.GraphSegmentNotFound("users"),
		azerr.GraphMeNeedsUser(),
		azerr.GraphBadRequest("why"),
		azerr.GraphNotSupported("Search"),
		azerr.GraphInvalidFilter("why"),
		azerr.GraphUnsupportedFilter("owner", "application"),
		azerr.GraphUnsupportedQuery("$search"),
		azerr.GraphSelectUnknown("colour", "application"),
		azerr.GraphPrincipalExists("app"),
		azerr.GraphMethodNotAllowed("PATCH"),
		azerr.GraphTooLarge(),
	})
}

func TestAuthorizationGolden(t *testing.T) {
	t.Parallel()
	const id = "6f0c2b8e-0000-4000-8000-000000000001"
	compare(t, "authorization.golden", []*azerr.Error{
		azerr.RoleDefinitionDoesNotExist(id, 400),
		azerr.PrincipalNotFound(id, id),
		azerr.UnmatchedPrincipalType(id, "ServicePrincipal", "User"),
		azerr.RoleAssignmentExists(id),
		azerr.RoleAssignmentUpdateNotPermitted(),
		azerr.RoleAssignmentNotFound(id),
		azerr.InvalidRoleAssignmentID("x"),
		azerr.LastOwnerAssignment(),
		azerr.AuthorizationBadRequestFormat("Why."),
		azerr.RoleAssignmentPropertyNotSupported("condition"),
		azerr.UnsupportedAuthorizationFilter("x", "atScope()"),
		azerr.InvalidRoleDefinitionID("x"),
		azerr.MissingAssignableScopes(),
		azerr.InvalidAssignableScope("/"),
		azerr.InvalidActionOrNotAction("x"),
		azerr.RoleDefinitionWithSameNameExists("mine"),
		azerr.RoleDefinitionHasAssignments(),
		azerr.RoleScopeNotAssignable("/subscriptions/s", "11111111-0000-4000-8000-000000000001"),
		azerr.DenyAssignmentNotFound("11111111-0000-4000-8000-000000000001"),
		azerr.BuiltInRoleImmutable(id),
	})
}
