package authorization

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// assignmentBody is a role assignment as sent. Read-only properties that
// clients send back are not even decoded.
type assignmentBody struct {
	Properties *struct {
		RoleDefinitionID  string  `json:"roleDefinitionId"`
		PrincipalID       string  `json:"principalId"`
		PrincipalType     string  `json:"principalType"`
		Description       *string `json:"description"`
		Condition         *string `json:"condition"`
		DelegatedIdentity *string `json:"delegatedManagedIdentityResourceId"`
	} `json:"properties"`
}

// assignmentResource is a role assignment as answered.
type assignmentResource struct {
	Properties any    `json:"properties"`
	ID         string `json:"id"`
	Type       string `json:"type"`
	Name       string `json:"name"`
}

type assignmentProperties struct {
	RoleDefinitionID string `json:"roleDefinitionId"`
	PrincipalID      string `json:"principalId"`
	PrincipalType    string `json:"principalType,omitempty"`
	Scope            string `json:"scope"`
}

type assignmentAuthorship struct {
	CreatedOn string  `json:"createdOn"`
	UpdatedOn string  `json:"updatedOn"`
	CreatedBy *string `json:"createdBy"`
	UpdatedBy *string `json:"updatedBy"`
}

// assignmentOptions came with the versions of 2020.
type assignmentOptions struct {
	Condition         *string `json:"condition"`
	ConditionVersion  *string `json:"conditionVersion"`
	DelegatedIdentity *string `json:"delegatedManagedIdentityResourceId"`
	Description       *string `json:"description"`
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// resource shapes an assignment by the known api-version. The role's id is as
// seen from where it was asked for: clients look it up in the list of roles of
// that scope.
func resource(a authz.Assignment, req *provider.Request) assignmentResource {
	shape, from := req.Shape, a.Scope
	if id, err := ids.Parse(a.Scope); err == nil && id.Subscription == "" {
		from = req.ID.Scope().String()
	}
	properties := assignmentProperties{RoleDefinitionID: definitionID(from, a.RoleID), PrincipalID: a.PrincipalID, Scope: a.Scope}
	authorship := assignmentAuthorship{CreatedOn: wire.Time(a.Created), UpdatedOn: wire.Time(a.Updated), CreatedBy: orNull(a.CreatedBy), UpdatedBy: orNull(a.UpdatedBy)}
	out := assignmentResource{ID: strings.TrimSuffix(a.Scope, "/") + "/providers/Microsoft.Authorization/roleAssignments/" + a.Name,
		Type: "Microsoft.Authorization/roleAssignments", Name: a.Name}
	if shape >= "2018" {
		properties.PrincipalType = a.PrincipalType
	}
	switch {
	case shape >= "2020":
		out.Properties = struct {
			assignmentProperties
			assignmentOptions
			assignmentAuthorship
		}{properties, assignmentOptions{Description: orNull(a.Description)}, authorship}
	case shape >= "2018":
		out.Properties = struct {
			assignmentProperties
			assignmentAuthorship
		}{properties, authorship}
	default:
		out.Properties = properties
	}
	return out
}

func (p *Provider) getAssignment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	a, err := p.engine.Get(ctx, req.ID.Scope().String(), req.ID.Name())
	if errors.Is(err, authz.ErrAssignmentNotFound) {
		return nil, azerr.RoleAssignmentNotFound(req.ID.Name())
	}
	if err != nil {
		return nil, err
	}
	return provider.OK(resource(a, req))
}

func (p *Provider) putAssignment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	a, err := p.readAssignment(ctx, req)
	if err != nil {
		return nil, err
	}
	stored, created, err := p.engine.Create(ctx, a)
	var exists *authz.AssignmentExistsError
	switch {
	case errors.Is(err, authz.ErrAssignmentImmutable):
		return nil, azerr.RoleAssignmentUpdateNotPermitted()
	case errors.Is(err, authz.ErrRoleScope):
		return nil, azerr.RoleScopeNotAssignable(a.Scope, a.RoleID)
	case errors.As(err, &exists):
		return nil, azerr.RoleAssignmentExists(exists.Name)
	case err != nil:
		return nil, err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		p.changed(stored.Scope)
	}
	return &provider.Response{Status: status, Body: resource(stored, req)}, nil
}

// Preflight refuses what putAssignment would refuse by the body alone.
func (p *Provider) Preflight(ctx context.Context, req *provider.Request) error {
	if req.Method != http.MethodPut || !strings.EqualFold(req.ID.TypePath(), "roleAssignments") {
		return nil
	}
	_, err := p.readAssignment(ctx, req)
	var e *azerr.Error
	if errors.As(err, &e) && e.Code == "PrincipalNotFound" {
		return nil // a template may make the principal before the assignment
	}
	return err
}

// readAssignment validates the body of a PUT.
func (p *Provider) readAssignment(ctx context.Context, req *provider.Request) (authz.Assignment, error) {
	var none authz.Assignment
	if !ids.IsGUID(req.ID.Name()) {
		return none, azerr.InvalidRoleAssignmentID(req.ID.Name())
	}
	var body assignmentBody
	if err := json.Unmarshal(req.Body, &body); err != nil || body.Properties == nil {
		return none, azerr.AuthorizationBadRequestFormat("The body must be an object with 'properties'.")
	}
	in := body.Properties
	switch {
	case in.Condition != nil && *in.Condition != "":
		return none, azerr.RoleAssignmentPropertyNotSupported("condition")
	case in.DelegatedIdentity != nil && *in.DelegatedIdentity != "":
		return none, azerr.RoleAssignmentPropertyNotSupported("delegatedManagedIdentityResourceId")
	case !ids.IsGUID(in.PrincipalID):
		return none, azerr.AuthorizationBadRequestFormat("The property 'principalId' must be the object id of a principal.")
	case !isPrincipalType(in.PrincipalType):
		return none, azerr.AuthorizationBadRequestFormat("The property 'principalType' must be one of User, Group, ServicePrincipal, ForeignGroup, Device.")
	}
	scope := req.ID.Scope()
	role, err := p.roleOf(ctx, in.RoleDefinitionID, scope)
	if err != nil {
		return none, err
	}
	entry, err := p.principals.Lookup(ctx, in.PrincipalID)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return none, azerr.PrincipalNotFound(in.PrincipalID, p.tenantID)
	case err != nil:
		return none, err
	case !strings.EqualFold(entry.ObjectID, in.PrincipalID): // a client id: a usual mistake
		return none, azerr.PrincipalNotFound(in.PrincipalID, p.tenantID)
	case in.PrincipalType != "" && !strings.EqualFold(in.PrincipalType, string(entry.Type)):
		return none, azerr.UnmatchedPrincipalType(in.PrincipalID, string(entry.Type), in.PrincipalType)
	}
	a := authz.Assignment{Name: req.ID.Name(), Scope: scope.String(), RoleID: role.ID, PrincipalID: entry.ObjectID, PrincipalType: string(entry.Type), CreatedBy: req.Principal.ObjectID}
	if in.Description != nil {
		a.Description = *in.Description
	}
	return a, nil
}

func isPrincipalType(text string) bool {
	switch strings.ToLower(text) {
	case "", "user", "group", "serviceprincipal", "foreigngroup", "device":
		return true
	}
	return false
}

// roleOf reads a roleDefinitionId: the full id, at the tenant or in the
// subscription of scope.
func (p *Provider) roleOf(ctx context.Context, text string, scope ids.ID) (authz.RoleDefinition, error) {
	id, err := ids.Parse(text)
	if err != nil || !strings.EqualFold(id.Type(), "Microsoft.Authorization/roleDefinitions") || !ids.IsGUID(id.Name()) {
		return authz.RoleDefinition{}, azerr.AuthorizationBadRequestFormat("The property 'roleDefinitionId' must be the full id of a role definition.")
	}
	absent := azerr.RoleDefinitionDoesNotExist(id.Name(), http.StatusBadRequest)
	if id.Subscription != "" && !strings.EqualFold(id.Subscription, scope.Subscription) {
		return authz.RoleDefinition{}, absent
	}
	if role, known := authz.Role(id.Name()); known {
		return role, nil
	}
	custom, err := p.engine.CustomRole(ctx, id.Name())
	if errors.Is(err, authz.ErrRoleNotFound) {
		return authz.RoleDefinition{}, absent
	}
	return custom.RoleDefinition, err
}

func (p *Provider) deleteAssignment(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	a, err := p.engine.Delete(ctx, req.ID.Scope().String(), req.ID.Name())
	switch {
	case errors.Is(err, authz.ErrAssignmentNotFound):
		return &provider.Response{Status: http.StatusNoContent}, nil
	case errors.Is(err, authz.ErrLastOwner):
		return nil, azerr.LastOwnerAssignment()
	case err != nil:
		return nil, err
	}
	p.changed(a.Scope)
	return provider.OK(resource(a, req))
}

func (p *Provider) listAssignments(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	filter := authz.Filter{Scope: req.ID.Scope().String()}
	principal, groups := "", false // whose assignments, and whether those of its groups too
	if text := req.Query.Get("$filter"); text != "" {
		terms, parsed := parseFilter(text)
		for _, c := range terms {
			switch {
			case c.is("atScope", true) && c.value == "":
				filter.AtScope = true
			case (c.is("principalId", false) || c.is("assignedTo", true)) && c.value != "" && (principal == "" || strings.EqualFold(principal, c.value)):
				principal, groups = c.value, groups || c.is("assignedTo", true)
			default:
				parsed = false
			}
		}
		if !parsed {
			return nil, azerr.UnsupportedAuthorizationFilter(text, "'atScope()', 'principalId eq '{value}'' and 'assignedTo('{value}')', joined by 'and'")
		}
	}
	if principal != "" {
		filter.PrincipalIDs = []string{principal}
	}
	if groups {
		filter.PrincipalIDs = append(filter.PrincipalIDs, p.principals.GroupsOf(principal)...)
	}
	found, err := p.engine.List(ctx, filter)
	if err != nil {
		return nil, err
	}
	out := make([]assignmentResource, len(found))
	for i, a := range found {
		out[i] = resource(a, req)
	}
	return provider.OK(list{Value: out})
}
