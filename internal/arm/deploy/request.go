package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/template"
	"github.com/kustos-io/kustos/internal/arm/template/eval"
	"github.com/kustos-io/kustos/internal/arm/template/relaxed"
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// submission is the body of a PUT, validate or what-if.
type submission struct {
	location   string
	tags       json.RawMessage
	mode       string
	template   *relaxed.Node
	parameters *relaxed.Node
	debug      string
	idsOnly    bool // what-if: ResourceIdOnly
	// The links that the template and the parameters come from, when they do.
	templateLink, parametersLink *link
	onError                      *onError
}

// readSubmission reads the body and refuses by name what is not supported.
func readSubmission(req *provider.Request) (*submission, error) {
	root, err := relaxed.Parse(req.Body)
	var syntax *relaxed.SyntaxError
	if errors.As(err, &syntax) {
		return nil, azerr.InvalidRequestContent(syntax.Error()).Because(err)
	}
	if err != nil {
		return nil, azerr.InvalidRequestContent("The content is not JSON").Because(err)
	}
	if root.Kind != relaxed.Object {
		return nil, unread(root, "", "An object is expected, not %s", root.TypeName())
	}
	for _, m := range root.Members {
		switch strings.ToLower(m.Name) {
		case "properties", "location", "tags", "id", "name", "type", "scope":
		default:
			return nil, unread(&relaxed.Node{Line: m.Line, Column: m.Column}, m.Name, "Could not find member '%s' on object of type 'DeploymentContent'", m.Name)
		}
	}
	props := root.Get("properties")
	if props.IsNull() || props.Kind != relaxed.Object {
		return nil, lacks(root, "", "properties")
	}
	s := &submission{template: props.Get("template"), parameters: props.Get("parameters")}
	s.location, _ = root.Get("location").Text()
	for _, c := range []struct {
		n    *relaxed.Node
		path string
		kind relaxed.Kind
	}{
		{props.Get("templateLink"), "properties.templateLink", relaxed.Object}, {props.Get("parametersLink"), "properties.parametersLink", relaxed.Object},
		{props.Get("debugSetting"), "properties.debugSetting", relaxed.Object}, {props.Get("whatIfSettings"), "properties.whatIfSettings", relaxed.Object},
		{root.Get("tags"), "tags", relaxed.Object}, {root.Get("location"), "location", relaxed.Scalar},
	} {
		if !c.n.IsNull() && c.n.Kind != c.kind {
			return nil, unread(c.n, c.path, "The value of type '%s' cannot be converted to what is expected", c.n.TypeName())
		}
	}
	if tags := root.Get("tags"); !tags.IsNull() {
		s.tags = value.Raw(tags.Value())
	}
	mode, _ := props.Get("mode").Text()
	switch {
	case strings.EqualFold(mode, "Incremental"):
		s.mode = "Incremental"
	case strings.EqualFold(mode, "Complete"):
		s.mode = "Complete"
	case props.Get("mode") == nil:
		return nil, lacks(props, "properties", "mode")
	default:
		return nil, unread(props.Get("mode"), "properties.mode", "Error converting value %s to type 'DeploymentMode'. The supported values are 'Incremental, Complete'", value.JSON(props.Get("mode").Value()))
	}
	s.debug, _ = props.Get("debugSetting").Get("detailLevel").Text()
	if n := props.Get("whatIfSettings").Get("resultFormat"); !n.IsNull() {
		format, _ := n.Text()
		if s.idsOnly = strings.EqualFold(format, "ResourceIdOnly"); !s.idsOnly && !strings.EqualFold(format, "FullResourcePayloads") {
			return nil, unread(n, "properties.whatIfSettings.resultFormat", "Error converting value %s to type 'WhatIfResultFormat'. The supported values are 'ResourceIdOnly, FullResourcePayloads'", value.JSON(n.Value()))
		}
	}
	if n := props.Get("templateLink"); !n.IsNull() {
		l := readLink(n)
		s.templateLink = &l
	}
	if n := props.Get("parametersLink"); !n.IsNull() {
		l := readLink(n)
		s.parametersLink = &l
	}
	if err := s.refuse(req, props); err != nil {
		return nil, err
	}
	if n := props.Get("onErrorDeployment"); !n.IsNull() {
		s.onError, err = readOnError(n)
	}
	return s, err
}

// unread refuses the part of a request that stands at n.
func unread(n *relaxed.Node, path, format string, args ...any) *azerr.Error {
	return azerr.InvalidRequestContent(fmt.Sprintf("%s. Path '%s', line %d, position %d.", fmt.Sprintf(format, args...), path, n.Line, n.Column))
}

// lacks refuses an object that ends without a member it must have.
func lacks(n *relaxed.Node, path, member string) *azerr.Error {
	return unread(&relaxed.Node{Line: n.EndLine, Column: n.EndColumn}, path, "Required property '%s' not found in JSON", member)
}

// linked are the files that a submission's links led to.
type linked struct{ Template, Parameters []byte }

// follow reads the files that the links lead to, or takes those read before.
func (e *Engine) follow(ctx context.Context, req *provider.Request, s *submission, before linked) (linked, error) {
	get := func(l *link, have []byte) ([]byte, *relaxed.Node, error) {
		if have != nil {
			n, err := relaxed.Parse(have)
			return have, n, err
		}
		data, n, err := e.fetch(ctx, *l, req.CorrelationID)
		if err == nil {
			err = l.checkVersion(n)
		}
		return data, n, err
	}
	var err error
	if s.templateLink != nil {
		if before.Template, s.template, err = get(s.templateLink, before.Template); err != nil {
			return before, err
		}
	}
	if s.parametersLink != nil {
		var n *relaxed.Node
		if before.Parameters, n, err = get(s.parametersLink, before.Parameters); err != nil {
			return before, err
		}
		s.parameters = n.Get("parameters")
	}
	return before, nil
}

func (s *submission) refuse(req *provider.Request, props *relaxed.Node) error {
	link, params := props.Get("templateLink"), props.Get("parametersLink")
	switch {
	case !params.IsNull() && !s.parameters.IsNull():
		return unread(props, "properties", "The properties 'parameters' and 'parametersLink' cannot both be given")
	case !link.IsNull() && !s.template.IsNull():
		return unread(props, "properties", "The properties 'template' and 'templateLink' cannot both be given")
	case link.IsNull() && s.template.IsNull():
		return unread(props, "properties", "One of the properties 'template' and 'templateLink' is required")
	case !link.IsNull() && !link.Get("id").IsNull():
		return azerr.DeploymentFeatureNotSupported("TemplateSpecs", "Template specs are not supported: the template must be in the request.")
	case !link.IsNull() && !link.Get("relativePath").IsNull():
		text, _ := link.Get("relativePath").Text()
		return azerr.InvalidContentLink(text, req.CorrelationID)
	}
	if req.ID.Scope().ResourceGroup == "" {
		if s.location == "" {
			return azerr.InvalidDeployment(fmt.Sprintf("The 'location' property must be specified for '%s'. Please see https://aka.ms/deploy-to-subscription for usage details.", req.ID.Segments[0].Name))
		}
		if s.mode == "Complete" {
			return unread(props.Get("mode"), "properties.mode", "The deployment mode 'Complete' is supported at resource group scope only")
		}
	} else if s.location != "" {
		return azerr.InvalidDeployment(fmt.Sprintf("The 'location' property is not allowed for '%s' at resource group scope. Please see https://aka.ms/deploy-to-subscription for usage details.", req.ID.Segments[0].Name))
	}
	return nil
}

// compiled is a submission with its program.
type compiled struct {
	*submission
	name    string
	version string // of the API the request came by
	scope   ids.ID
	program *template.Program
	files   linked
}

// compile turns a request into a program. partial admits what only a running
// deployment knows.
func (e *Engine) compile(ctx context.Context, req *provider.Request, s *submission) (*compiled, error) {
	c := &compiled{submission: s, name: req.ID.Segments[0].Name, version: req.APIVersion, scope: req.ID.Scope()}
	scope, err := e.scope(ctx, c.scope, req)
	if err != nil {
		return nil, err
	}
	if c.files, err = e.follow(ctx, req, s, linked{}); err != nil {
		return nil, err
	}
	given, err := template.GivenFrom(s.parameters, "properties.parameters", e.secret(ctx, req))
	if err != nil {
		return nil, err
	}
	c.program, err = template.Compile(template.Source{
		Template: s.template, Path: "properties.template", Given: given, Library: e.library, Scope: scope,
		Fresh: &eval.Fresh{Now: e.now().UTC(), NewGUID: ids.NewGUID}, Name: c.name, Location: s.location, Mode: s.mode, Link: s.shownLink(),
		NoEmptyLoops: template.BeforeEmptyLoops(req.APIVersion),
	})
	return c, explainLink(err)
}

// shownLink is deployment().properties.templateLink; nil without a link.
func (s *submission) shownLink() value.Value {
	if s.templateLink == nil {
		return nil
	}
	return s.templateLink.shown()
}

// explainLink adds to the error of a template that asks for its own address
// why it has none.
func explainLink(err error) error {
	var wire *azerr.Error
	if !errors.As(err, &wire) || wire.Code != "InvalidTemplate" || !strings.Contains(wire.Message, "'templateLink' doesn't exist") {
		return err
	}
	copied := *wire
	copied.Details = append(copied.Details, azerr.RelativeContentLink())
	return &copied
}

// secret resolves parameters that refer to a vault.
func (e *Engine) secret(ctx context.Context, req *provider.Request) func(string, *relaxed.Node) (*relaxed.Node, error) {
	return func(name string, ref *relaxed.Node) (*relaxed.Node, error) {
		text, _ := ref.Get("keyVault").Get("id").Text()
		secret, _ := ref.Get("secretName").Text()
		version, _ := ref.Get("secretVersion").Text()
		vault, err := ids.Parse(text)
		if err != nil || secret == "" || !strings.EqualFold(vault.Type(), "Microsoft.KeyVault/vaults") {
			return nil, unread(ref, "properties.parameters."+name, "The reference of the parameter '%s' must have the members 'keyVault.id' and 'secretName'", name)
		}
		if e.secrets == nil {
			return nil, azerr.KeyVaultParameterRetrieveFailed(name, text, 0, "References to a vault's secrets are not supported")
		}
		v, err := e.secrets.ParameterSecret(ctx, req.Principal, vault, secret, version)
		if err != nil {
			return nil, explainSecret(err, name, text)
		}
		return &relaxed.Node{Line: ref.Line, Column: ref.Column, Scalar: v}, nil
	}
}

// explainSecret says which parameter could not be had, and from which vault.
func explainSecret(err error, parameter, vault string) error {
	var wire *azerr.Error
	switch {
	case !errors.As(err, &wire) || wire.Status >= http.StatusInternalServerError:
		return err
	case wire.Code == "ResourceNotFound" || wire.Code == "ResourceGroupNotFound" || wire.Code == "SubscriptionNotFound":
		return azerr.KeyVaultParameterNotFound(vault).Because(err)
	case wire.Code == "AuthorizationFailed":
		return azerr.KeyVaultParameterAuthorizationFailed(parameter, vault, wire.Message).Because(err)
	}
	return azerr.KeyVaultParameterRetrieveFailed(parameter, vault, wire.Status, wire.Message).Because(err)
}
