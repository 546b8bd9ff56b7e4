package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// later is the runtime before a deployment: nothing can be read yet.
type later struct{}

func (later) Reference(target, _ string, _ bool) (value.Value, error) {
	return nil, &eval.Deferred{Function: "reference", Target: target}
}

func (later) References(loop string, _ bool) (value.Value, error) {
	return nil, &eval.Deferred{Function: "references", Target: loop}
}

func (later) List(function, target, _ string, _ value.Value) (value.Value, error) {
	return nil, &eval.Deferred{Function: function, Target: target}
}

// site is a program and the deployment it belongs to: the root, or a nested one.
type site struct {
	program *template.Program
	parent  *site
	name    string
}

// makes reports whether this deployment or one around it creates id.
func (s *site) makes(id string) bool {
	for ; s != nil; s = s.parent {
		for _, r := range s.program.Resources {
			if r.Condition && !r.Existing && strings.EqualFold(r.ID, id) {
				return true
			}
		}
	}
	return false
}

// makesRole is makes for a role definition, which has one name in all the
// scopes its id can be written with.
func (s *site) makesRole(id string) bool {
	for ; s != nil; s = s.parent {
		for _, r := range s.program.Resources {
			if r.Condition && !r.Existing && strings.EqualFold(r.Type, "Microsoft.Authorization/roleDefinitions") && strings.EqualFold(r.Name, lastName(id)) {
				return true
			}
		}
	}
	return false
}

// preflight asks for every write of the deployment, nested ones included,
// whether it would be refused. It changes nothing.
func (e *Engine) preflight(ctx context.Context, req *provider.Request, c *compiled) error {
	var details []*azerr.Error
	err := e.preflightSite(ctx, req, &site{program: c.program, name: c.name}, &details, map[string]bool{})
	if err != nil || len(details) == 0 {
		return err
	}
	for _, d := range details {
		if d.Code == "AuthorizationFailed" && d.Target != "" {
			p := req.Principal
			return azerr.InvalidTemplateDeploymentReason(fmt.Sprintf("Authorization failed for template resource '%s' of type '%s'. The client '%s' with object id '%s' does not have permission to perform action '%s' at scope '%s'.",
				lastName(d.Target), typeOf(d.Target), p.AppID, p.ObjectID, typeOf(d.Target)+"/write", d.Target))
		}
	}
	return azerr.InvalidTemplateDeployment(c.name, req.CorrelationID, details...)
}

func typeOf(id string) string {
	parsed, err := ids.Parse(id)
	if err != nil {
		return id
	}
	if parsed.Namespace == "" {
		return "Microsoft.Resources/resourceGroups"
	}
	return parsed.Type()
}

func lastName(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// preflightSite asks for the resources of one template. groups are the resource
// groups seen so far in the whole deployment.
func (e *Engine) preflightSite(ctx context.Context, req *provider.Request, s *site, details *[]*azerr.Error, groups map[string]bool) error {
	for _, r := range s.program.Resources {
		if !r.Condition || r.Existing || r.Unresolved != "" {
			continue
		}
		if id, err := ids.Parse(r.ID); err == nil && id.Namespace != "" {
			if err := countGroup(groups, id.Scope()); err != nil {
				return err
			}
		}
		if err := e.preflightResource(ctx, req, s, r, details); err != nil {
			return err
		}
		if !r.IsDeployment() {
			continue
		}
		inner, err := e.nested(ctx, req, s, r, later{})
		if err != nil {
			return err
		}
		if inner != nil {
			if err := e.preflightSite(ctx, req, &site{program: inner, parent: s, name: r.Name}, details, groups); err != nil {
				return err
			}
		}
	}
	return nil
}

// nested compiles a nested template as far as it is known; nil when there is none.
func (e *Engine) nested(ctx context.Context, req *provider.Request, s *site, r *template.Resource, rt eval.Runtime) (*template.Program, error) {
	id, err := ids.Parse(r.ID)
	if err != nil {
		return nil, azerr.InvalidTemplate("The id of the nested deployment '"+r.Name+"' is not valid", r.Line, r.Column, r.Path)
	}
	scope, err := e.scope(ctx, id.Scope(), req)
	var wire *azerr.Error
	if errors.As(err, &wire) && (wire.Code == "ResourceGroupNotFound" || wire.Code == "ManagementGroupNotFound") && s.makes(id.Scope().String()) {
		scope, err = e.comingScope(ctx, s, id.Scope(), req)
	}
	if err != nil {
		return nil, err
	}
	inner, err := s.program.CompileNested(r, scope, rt, func(props *relaxed.Node) (*relaxed.Node, value.Value, error) {
		n := props.Get("templateLink")
		if n.IsNull() {
			return nil, nil, nil
		}
		if !n.Get("id").IsNull() {
			return nil, nil, azerr.DeploymentFeatureNotSupported("TemplateSpecs", "Template specs are not supported: the template must be in the request.")
		}
		l := readLink(n)
		_, t, err := e.fetch(ctx, l, req.CorrelationID)
		if err == nil {
			err = l.checkVersion(t)
		}
		return t, l.shown(), err
	})
	return inner, explainLink(err)
}

// comingScope describes a resource group or management group that this
// deployment is going to make.
func (e *Engine) comingScope(ctx context.Context, s *site, id ids.ID, req *provider.Request) (*eval.Scope, error) {
	if id.ResourceGroup == "" {
		return e.comingManagementGroup(ctx, s, id, req)
	}
	scope, err := e.scope(ctx, ids.ID{Subscription: id.Subscription}, req)
	if err != nil {
		return nil, err
	}
	scope.Kind, scope.ResourceGroup = eval.ScopeGroup, id.ResourceGroup
	location := ""
	for t := s; t != nil; t = t.parent {
		for _, r := range t.program.Resources {
			if strings.EqualFold(r.ID, id.String()) {
				location = r.Location
			}
		}
	}
	scope.Group = value.Of(m("id", id.String()), m("name", id.ResourceGroup), m("type", "Microsoft.Resources/resourceGroups"),
		m("location", string(ids.ParseLocation(location))), m("properties", value.Of(m("provisioningState", "Succeeded"))))
	return scope, nil
}

func (e *Engine) comingManagementGroup(ctx context.Context, s *site, id ids.ID, req *provider.Request) (*eval.Scope, error) {
	scope, err := e.scope(ctx, ids.ID{}, req)
	if err != nil {
		return nil, err
	}
	scope.Kind, scope.ManagementGroup = eval.ScopeManagementGroup, id.Name()
	display := id.Name()
	for t := s; t != nil; t = t.parent {
		for _, r := range t.program.Resources {
			if !strings.EqualFold(r.ID, id.String()) {
				continue
			}
			body, _, err := t.program.PartialBody(r, later{})
			if err != nil {
				return nil, explainLink(err)
			}
			if name := body.Object("properties").Text("displayName"); name != "" {
				display = name
			}
		}
	}
	scope.Management = value.Of(m("id", "/providers/Microsoft.Management/managementGroups/"+id.Name()), m("name", id.Name()),
		m("type", "/providers/Microsoft.Management/managementGroups"), m("properties", value.Of(m("tenantId", e.tenant), m("displayName", display))))
	return scope, nil
}

func (e *Engine) preflightResource(ctx context.Context, req *provider.Request, s *site, r *template.Resource, details *[]*azerr.Error) error {
	body, unresolved, err := s.program.PartialBody(r, later{})
	if err != nil {
		return explainLink(err)
	}
	id, err := ids.Parse(r.ID)
	if err != nil {
		return azerr.InvalidTemplate("The id '"+r.ID+"' of the template resource '"+r.Name+"' is not valid", r.Line, r.Column, r.Path)
	}
	if r.IsDeployment() {
		return nil // its own resources are asked for; its own name was checked by the template
	}
	err = e.front.Preflight(ctx, &provider.Request{
		Method: http.MethodPut, ID: id, APIVersion: r.APIVersion, Principal: req.Principal, Body: value.Raw(body),
		BaseURL: req.BaseURL, RequestID: req.RequestID, CorrelationID: req.CorrelationID,
	})
	if err == nil {
		return nil
	}
	var wire *azerr.Error
	if !errors.As(err, &wire) {
		return err
	}
	switch {
	case wire.Status >= http.StatusInternalServerError:
		return err
	case (wire.Code == "ResourceGroupNotFound" || wire.Code == "ManagementGroupNotFound") && s.makes(id.Scope().String()),
		(wire.Code == "ParentResourceNotFound" || wire.Code == "ResourceNotFound" || wire.Code == "ManagementGroupNotFound") && len(r.Needs) > 0:
		return nil // an earlier resource of this deployment makes it
	case wire.Code == "RoleDefinitionDoesNotExist" && s.makesRole(body.Object("properties").Text("roleDefinitionId")):
		return nil
	case unresolved > 0 && !admission(wire.Code):
		return nil // the provider cannot judge values it does not see yet
	}
	copied := *wire
	if copied.Target == "" {
		copied.Target = r.ID
	}
	switch wire.Code {
	case "InvalidResourceNamespace", "InvalidResourceType", "NoRegisteredProviderFound":
		copied.Details = append(slices.Clip(copied.Details),
			azerr.TemplateResourceNotServed(wire.Code, r.Name, r.Type, r.APIVersion, r.ID, r.Line, r.Column, r.Path))
	}
	*details = append(*details, &copied)
	return nil
}

// admission tells the front door's own refusals from a provider's.
func admission(code string) bool {
	switch code {
	case "InvalidResourceNamespace", "InvalidResourceType", "NoRegisteredProviderFound", "MissingSubscriptionRegistration", "AuthorizationFailed",
		"InvalidApiVersionParameter", "ResourceGroupNotFound", "SubscriptionNotFound", "ResourceGroupBeingDeleted", "ScopeLocked":
		return true
	}
	return false
}
