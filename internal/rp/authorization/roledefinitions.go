package authorization

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

const builtInRole = "BuiltInRole"

type definitionResource struct {
	Properties definitionProperties `json:"properties"`
	ID         string               `json:"id"`
	Type       string               `json:"type"`
	Name       string               `json:"name"`
}

type definitionProperties struct {
	RoleName         string       `json:"roleName"`
	Type             string       `json:"type"`
	Description      string       `json:"description"`
	AssignableScopes []string     `json:"assignableScopes"`
	Permissions      []permission `json:"permissions"`
}

type permission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

func wirePermission(p authz.Permission) permission {
	list := func(actions []string) []string { return append([]string{}, actions...) } // never null
	return permission{list(p.Actions), list(p.NotActions), list(p.DataActions), list(p.NotDataActions)}
}

// definitionID is the id of a built-in role as seen from a scope: in its
// subscription, or at the tenant.
func definitionID(scope, role string) string {
	id, err := ids.Parse(scope)
	suffix := "/providers/Microsoft.Authorization/roleDefinitions/" + role
	if err != nil || id.Subscription == "" {
		return suffix
	}
	return "/subscriptions/" + id.Subscription + suffix
}

func definition(role authz.RoleDefinition, scope string) definitionResource {
	return definitionResource{ID: definitionID(scope, role.ID), Type: "Microsoft.Authorization/roleDefinitions", Name: role.ID, Properties: definitionProperties{
		RoleName: role.Name, Type: builtInRole, Description: role.Description, AssignableScopes: []string{"/"}, Permissions: []permission{wirePermission(role.Permission)}}}
}

func (p *Provider) getDefinition(req *provider.Request) (*provider.Response, error) {
	role, known := authz.Role(req.ID.Name())
	if !known {
		return nil, azerr.RoleDefinitionDoesNotExist(req.ID.Name(), http.StatusNotFound)
	}
	return ok(definition(role, req.ID.Scope().String()))
}

func (p *Provider) listDefinitions(req *provider.Request) (*provider.Response, error) {
	name, builtIn := "", true
	if text := req.Query.Get("$filter"); text != "" {
		terms, parsed := parseFilter(text)
		for _, c := range terms {
			switch {
			case c.is("roleName", false) && c.value != "" && name == "":
				name = c.value
			case c.is("type", false):
				builtIn = builtIn && strings.EqualFold(c.value, builtInRole)
			case (c.is("atScope", true) || c.is("atScopeAndBelow", true)) && c.value == "":
				// built-in roles are at every scope
			default:
				parsed = false
			}
		}
		if !parsed {
			return nil, azerr.UnsupportedAuthorizationFilter(text, "'roleName eq '{value}'', 'type eq '{value}'', 'atScope()' and 'atScopeAndBelow()', joined by 'and'")
		}
	}
	out := []definitionResource{}
	for _, role := range authz.Roles() {
		if builtIn && (name == "" || strings.EqualFold(role.Name, name)) {
			out = append(out, definition(role, req.ID.Scope().String()))
		}
	}
	return ok(list{Value: out})
}

// changeDefinition refuses: there are no custom roles, and the others are fixed.
func (p *Provider) changeDefinition(req *provider.Request) (*provider.Response, error) {
	if _, known := authz.Role(req.ID.Name()); known {
		return nil, azerr.BuiltInRoleImmutable(req.ID.Name())
	}
	if req.Method == http.MethodDelete {
		return &provider.Response{Status: http.StatusNoContent}, nil
	}
	return nil, azerr.CustomRolesNotSupported()
}

func (p *Provider) listPermissions(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	found, err := p.engine.Permissions(ctx, req.Principal.ObjectID, req.ID.Scope().String())
	if err != nil {
		return nil, err
	}
	out := make([]permission, len(found))
	for i, f := range found {
		out[i] = wirePermission(f)
	}
	return ok(list{Value: out})
}
