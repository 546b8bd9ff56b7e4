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
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

func customDefinition(role authz.CustomRole, scope, shape string) definitionResource {
	out := definition(role.RoleDefinition, scope, shape)
	out.Properties.Type, out.Properties.AssignableScopes = customRole, role.AssignableScopes
	if shape < "2018" {
		return out
	}
	out.Properties.CreatedOn, out.Properties.UpdatedOn = wire.Time(role.Created), wire.Time(role.Updated)
	out.Properties.CreatedBy, out.Properties.UpdatedBy = orNull(role.CreatedBy), orNull(role.UpdatedBy)
	return out
}

// The limits of a role definition.
const (
	maxRoleName        = 512
	maxRoleDescription = 2048
)

// readRole validates the id and the body of a PUT.
func readRole(req *provider.Request) (authz.CustomRole, error) {
	var role authz.CustomRole
	if !ids.IsGUID(req.ID.Name()) {
		return role, azerr.InvalidRoleDefinitionID(req.ID.Name())
	}
	var body struct {
		Properties *struct {
			RoleName         string
			Description      string
			Type             string
			RoleType         string
			AssignableScopes []string
			Permissions      []permission
		}
	}
	if err := json.Unmarshal(req.Body, &body); err != nil || body.Properties == nil {
		return role, azerr.AuthorizationBadRequestFormat("The body must be an object with 'properties'.")
	}
	in := body.Properties
	switch {
	case in.RoleName == "" || len([]rune(in.RoleName)) > maxRoleName:
		return role, azerr.AuthorizationBadRequestFormat("The property 'roleName' must have 1 to 512 characters.")
	case len([]rune(in.Description)) > maxRoleDescription:
		return role, azerr.AuthorizationBadRequestFormat("The property 'description' can have 2048 characters.")
	case in.Type != "" && !strings.EqualFold(in.Type, customRole):
		return role, azerr.AuthorizationBadRequestFormat("The property 'type' of a role definition that is written must be CustomRole.")
	case len(in.Permissions) != 1:
		return role, azerr.AuthorizationBadRequestFormat("The property 'permissions' must hold one permission.")
	case len(in.AssignableScopes) == 0:
		return role, azerr.MissingAssignableScopes()
	}
	given := in.Permissions[0]
	for _, list := range [][]string{given.Actions, given.NotActions, given.DataActions, given.NotDataActions} {
		for _, action := range list {
			if !isAction(action) {
				return role, azerr.InvalidActionOrNotAction(action)
			}
		}
	}
	for _, text := range in.AssignableScopes {
		at, err := ids.Parse(text)
		group := strings.EqualFold(at.Type(), "Microsoft.Management/managementGroups") && at.IsResource()
		if err != nil || at.Subscription == "" && !group || at.Subscription != "" && at.Namespace != "" {
			return role, azerr.InvalidAssignableScope(text)
		}
		if group && len(given.DataActions) > 0 {
			return role, azerr.InvalidAssignableScope(text)
		}
		role.AssignableScopes = append(role.AssignableScopes, at.String())
	}
	role.RoleDefinition = authz.RoleDefinition{ID: req.ID.Name(), Name: in.RoleName, Description: in.Description,
		Permission: authz.Permission{Actions: given.Actions, NotActions: given.NotActions, DataActions: given.DataActions, NotDataActions: given.NotDataActions}}
	role.CreatedBy, role.UpdatedBy = req.Principal.ObjectID, req.Principal.ObjectID
	return role, nil
}

// isAction accepts "*" and {namespace}/{path}, each with '*' anywhere.
func isAction(text string) bool {
	if text == "*" {
		return true
	}
	ns, path, cut := strings.Cut(text, "/")
	return cut && ns != "" && path != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("*/._-", r))
	})
}

func (p *Provider) putDefinition(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if _, builtIn := authz.Role(req.ID.Name()); builtIn {
		return nil, azerr.BuiltInRoleImmutable(req.ID.Name())
	}
	role, err := readRole(req)
	if err != nil {
		return nil, err
	}
	if err := p.mayChange(ctx, req, "write", role); err != nil {
		return nil, err
	}
	old, err := p.engine.CustomRole(ctx, role.ID)
	if err == nil { // what it was must be the caller's to change, too
		err = p.mayChange(ctx, req, "write", old)
	}
	if err != nil && !errors.Is(err, authz.ErrRoleNotFound) {
		return nil, err
	}
	stored, _, err := p.engine.PutRole(ctx, role)
	switch {
	case errors.Is(err, authz.ErrRoleName):
		return nil, azerr.RoleDefinitionWithSameNameExists(role.Name)
	case errors.Is(err, authz.ErrRoleInUse):
		return nil, azerr.RoleDefinitionHasAssignments()
	case err != nil:
		return nil, err
	}
	return &provider.Response{Status: http.StatusCreated, Body: customDefinition(stored, req.ID.Scope().String(), req.Shape)}, nil
}

// mayChange asks for the right in every assignable scope of the role.
func (p *Provider) mayChange(ctx context.Context, req *provider.Request, verb string, role authz.CustomRole) error {
	action := namespace + "/roleDefinitions/" + verb
	for _, s := range role.AssignableScopes {
		d, err := p.engine.Authorize(ctx, req.Principal, action, s)
		if err != nil {
			return err
		}
		if !d.Allowed {
			caller := req.Principal
			return azerr.LinkedAuthorizationFailed(caller.AppID, caller.ObjectID, action, req.ID.String(), action, s)
		}
	}
	return nil
}

func (p *Provider) deleteDefinition(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if _, builtIn := authz.Role(req.ID.Name()); builtIn {
		return nil, azerr.BuiltInRoleImmutable(req.ID.Name())
	}
	role, err := p.engine.CustomRole(ctx, req.ID.Name())
	if err == nil {
		if err := p.mayChange(ctx, req, "delete", role); err != nil {
			return nil, err
		}
		role, err = p.engine.DeleteRole(ctx, req.ID.Name())
	}
	switch {
	case errors.Is(err, authz.ErrRoleNotFound):
		return &provider.Response{Status: http.StatusNoContent}, nil
	case errors.Is(err, authz.ErrRoleInUse):
		return nil, azerr.RoleDefinitionHasAssignments()
	case err != nil:
		return nil, err
	}
	return provider.OK(customDefinition(role, req.ID.Scope().String(), req.Shape))
}
