package authorization

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// The two types of role definitions.
const (
	builtInRole = "BuiltInRole"
	customRole  = "CustomRole"
)

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
	CreatedOn        string       `json:"createdOn,omitempty"`
	UpdatedOn        string       `json:"updatedOn,omitempty"`
	CreatedBy        *string      `json:"createdBy,omitempty"`
	UpdatedBy        *string      `json:"updatedBy,omitempty"`
}

type permission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions,omitzero"`
	NotDataActions []string `json:"notDataActions,omitzero"`
}

// wirePermission leaves out data actions before they were there.
func wirePermission(p authz.Permission, shape string) permission {
	list := func(actions []string) []string { return append([]string{}, actions...) } // never null
	if shape < "2018" {
		return permission{Actions: list(p.Actions), NotActions: list(p.NotActions)}
	}
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

func definition(role authz.RoleDefinition, scope, shape string) definitionResource {
	return definitionResource{ID: definitionID(scope, role.ID), Type: "Microsoft.Authorization/roleDefinitions", Name: role.ID, Properties: definitionProperties{
		RoleName: role.Name, Type: builtInRole, Description: role.Description, AssignableScopes: []string{"/"}, Permissions: []permission{wirePermission(role.Permission, shape)}}}
}

func (p *Provider) getDefinition(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if role, known := authz.Role(req.ID.Name()); known {
		return provider.OK(definition(role, req.ID.Scope().String(), req.Shape))
	}
	role, err := p.engine.CustomRole(ctx, req.ID.Name())
	if errors.Is(err, authz.ErrRoleNotFound) {
		return nil, azerr.RoleDefinitionDoesNotExist(req.ID.Name(), http.StatusNotFound)
	}
	if err != nil {
		return nil, err
	}
	visible, err := p.visible(ctx, req, role)
	if err != nil {
		return nil, err
	}
	if !visible {
		return nil, azerr.RoleDefinitionDoesNotExist(req.ID.Name(), http.StatusNotFound)
	}
	return provider.OK(customDefinition(role, req.ID.Scope().String(), req.Shape))
}

// visible decides about a custom role that is asked for at the tenant, where
// everybody may read: the caller must be able to read it in some scope of it.
func (p *Provider) visible(ctx context.Context, req *provider.Request, role authz.CustomRole) (bool, error) {
	if at := req.ID.Scope(); at.Subscription != "" || at.Namespace != "" || req.Principal.FirstParty != "" {
		return true, nil
	}
	for _, s := range role.AssignableScopes {
		d, err := p.engine.Authorize(ctx, req.Principal, namespace+"/roleDefinitions/read", s)
		if err != nil || d.Allowed {
			return d.Allowed, err
		}
	}
	return false, nil
}

// definitionFilter is the $filter of a list.
type definitionFilter struct {
	name            string
	builtIn, custom bool
	below           bool
}

func parseDefinitionFilter(req *provider.Request) (definitionFilter, error) {
	f := definitionFilter{builtIn: true, custom: true}
	text := req.Query.Get("$filter")
	if text == "" {
		return f, nil
	}
	terms, parsed := parseFilter(text)
	for _, c := range terms {
		switch {
		case c.is("roleName", false) && c.value != "" && f.name == "":
			f.name = c.value
		case c.is("type", false):
			f.builtIn = f.builtIn && strings.EqualFold(c.value, builtInRole)
			f.custom = f.custom && strings.EqualFold(c.value, customRole)
		case c.is("atScope", true) && c.value == "":
		case c.is("atScopeAndBelow", true) && c.value == "":
			f.below = true
		default:
			parsed = false
		}
	}
	if !parsed {
		return f, azerr.UnsupportedAuthorizationFilter(text, "'roleName eq '{value}'', 'type eq '{value}'', 'atScope()' and 'atScopeAndBelow()', joined by 'and'")
	}
	return f, nil
}

func (p *Provider) listDefinitions(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	f, err := parseDefinitionFilter(req)
	if err != nil {
		return nil, err
	}
	at := req.ID.Scope().String()
	out := []definitionResource{}
	for _, role := range authz.Roles() {
		if f.builtIn && (f.name == "" || strings.EqualFold(role.Name, f.name)) {
			out = append(out, definition(role, at, req.Shape))
		}
	}
	if f.custom {
		roles, err := p.engine.CustomRoles(ctx, at, f.below)
		if err != nil {
			return nil, err
		}
		for _, role := range roles {
			if f.name == "" || strings.EqualFold(role.Name, f.name) {
				out = append(out, customDefinition(role, at, req.Shape))
			}
		}
	}
	return provider.OK(list{Value: out})
}

func (p *Provider) listPermissions(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	found, err := p.engine.Permissions(ctx, req.Principal, req.ID.Scope().String())
	if err != nil {
		return nil, err
	}
	out := make([]permission, len(found))
	for i, f := range found {
		out[i] = wirePermission(f, req.Shape)
	}
	return provider.OK(list{Value: out})
}
