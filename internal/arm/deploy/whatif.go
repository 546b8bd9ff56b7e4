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
	"github.com/kustos-io/kustos/internal/arm/template/value"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// The kinds of a change.
const (
	changeCreate   = "Create"
	changeModify   = "Modify"
	changeNone     = "NoChange"
	changeDelete   = "Delete"
	changeIgnore   = "Ignore"
	changeDeploy   = "Deploy"
	changeUnknown  = "Unsupported"
	changeNoEffect = "NoEffect"
	changeArray    = "Array"
)

// change is what a deployment would do to one resource.
type change struct {
	ResourceID string          `json:"resourceId"`
	ChangeType string          `json:"changeType"`
	Reason     string          `json:"unsupportedReason,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Delta      []propertyDelta `json:"delta,omitempty"`
}

// diagnostic says what could not be foretold.
type diagnostic struct {
	Level   string `json:"level"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

// preview is one what-if.
type preview struct {
	e           *Engine
	ctx         context.Context
	req         *provider.Request
	idsOnly     bool
	changes     []change
	diagnostics []diagnostic
	seen        map[string]bool
	// after are the resources as they will be, by key: what a reference to one
	// of them reads.
	after map[string]*value.Object
	live  map[string]*value.Object // nil for a resource that does not exist
	inner map[*template.Resource]*value.Object
}

// whatIf tells what a deployment would change, and changes nothing.
func (e *Engine) whatIf(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := readSubmission(req)
	if err != nil {
		return nil, err
	}
	c, err := e.compile(ctx, req, s)
	if err != nil {
		return nil, err
	}
	if err := e.preflight(ctx, req, c); err != nil {
		return nil, err
	}
	p := &preview{e: e, ctx: ctx, req: req, idsOnly: s.idsOnly, seen: map[string]bool{}, changes: []change{},
		after: map[string]*value.Object{}, live: map[string]*value.Object{}, inner: map[*template.Resource]*value.Object{}}
	if err := p.site(&site{program: c.program, name: c.name}); err != nil {
		return nil, err
	}
	if err := p.rest(c); err != nil {
		return nil, err
	}
	out := struct {
		Status     string `json:"status"`
		Properties any    `json:"properties"`
	}{"Succeeded", struct {
		CorrelationID string       `json:"correlationId"`
		Changes       []change     `json:"changes"`
		Diagnostics   []diagnostic `json:"diagnostics,omitempty"`
	}{req.CorrelationID, p.changes, p.diagnostics}}
	return &provider.Response{Status: http.StatusOK, Body: out}, nil
}

// order lists the resources so that each comes after what it needs.
func order(p *template.Program) []*template.Resource {
	out := make([]*template.Resource, 0, len(p.Resources))
	done := make([]bool, len(p.Resources))
	var visit func(i int)
	visit = func(i int) {
		if done[i] {
			return
		}
		done[i] = true // there are no cycles
		for _, need := range p.Resources[i].Needs {
			visit(need)
		}
		out = append(out, p.Resources[i])
	}
	for i := range p.Resources {
		visit(i)
	}
	return out
}

// site foretells one template and the ones nested in it.
func (p *preview) site(s *site) error {
	rt := &foresight{p, s.program}
	for _, r := range order(s.program) {
		switch {
		case r.Unresolved != "":
			p.diagnose("ResourceNameUnresolved", r.Path, fmt.Sprintf("The resource declared as '%s' is left out: its name or condition depends on values that are known only while the deployment runs: %s", r.Path, r.Unresolved))
		case !r.Condition || r.Existing:
		case r.IsDeployment():
			if err := p.nested(s, r, rt); err != nil {
				return err
			}
		default:
			if err := p.resource(s, r, rt); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *preview) diagnose(code, target, message string) {
	p.diagnostics = append(p.diagnostics, diagnostic{Level: "Warning", Code: code, Message: message, Target: target})
}

// nested foretells a nested deployment and keeps its outputs for references.
func (p *preview) nested(s *site, r *template.Resource, rt eval.Runtime) error {
	inner, err := p.e.nested(p.ctx, p.req, s, r, rt)
	if err != nil {
		return err
	}
	if inner == nil {
		p.diagnose("NestedDeploymentShortCircuited", r.ID, "The nested deployment is left out: its template is not part of the request.")
		return nil
	}
	below := &site{program: inner, parent: s, name: r.Name}
	if err := p.site(below); err != nil {
		return err
	}
	list, failed, err := inner.Outputs(&foresight{p, inner})
	if err != nil {
		return err
	}
	if len(failed) > 0 { // known only while the deployment runs
		return nil
	}
	outputs := value.NewObject(len(list))
	for _, o := range list {
		entry := value.Of(m("type", o.Type))
		if !o.Secure {
			entry.Set("value", o.Shown)
		}
		outputs.Set(o.Name, entry)
	}
	p.inner[r] = value.Of(m("properties", value.Of(m("mode", "Incremental"), m("provisioningState", stateSucceeded), m("outputs", outputs))))
	return nil
}

// read gets a live resource; nil when it does not exist.
func (p *preview) read(id ids.ID, version string) (*value.Object, error) {
	k := id.Key() + "|" + version
	if o, ok := p.live[k]; ok {
		return o, nil
	}
	resp, err := p.e.front.Dispatch(p.ctx, &provider.Request{
		Method: http.MethodGet, ID: id, APIVersion: version, Principal: p.req.Principal, BaseURL: p.req.BaseURL, CorrelationID: p.req.CorrelationID,
	})
	if isMissing(err) {
		p.live[k] = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := object(resp)
	if err == nil {
		p.live[k] = o
	}
	return o, err
}

// resource compares what a declaration asks for with what is there.
func (p *preview) resource(s *site, r *template.Resource, rt eval.Runtime) error {
	id, err := ids.Parse(r.ID)
	if err != nil {
		return azerr.InvalidTemplate("The id '"+r.ID+"' of the template resource '"+r.Name+"' is not valid", r.Line, r.Column, r.Path)
	}
	if p.seen[id.Key()] { // a second deployment of the same resource
		return nil
	}
	p.seen[id.Key()] = true
	body, _, err := s.program.PartialBody(r, rt)
	if err != nil {
		return err
	}
	before, err := p.read(id, r.APIVersion)
	var wire *azerr.Error
	if errors.As(err, &wire) && wire.Status == http.StatusMethodNotAllowed {
		p.changes = append(p.changes, change{ResourceID: r.ID, ChangeType: changeUnknown, After: value.Raw(described(id, r, body)),
			Reason: "The resource type '" + r.Type + "' can be written but not read, so what would change is not known."})
		return nil
	}
	if err != nil {
		return err
	}
	ch := change{ResourceID: r.ID}
	var after *value.Object
	switch {
	case before == nil:
		ch.ChangeType = changeCreate
		after = described(id, r, body)
	case p.idsOnly:
		ch.ChangeType = changeDeploy
		after = written(before, body, p.e.replaced(id))
	default:
		after = written(before, body, p.e.replaced(id))
		ch.Delta = compare(shown(before, id, r.APIVersion), shown(after, id, r.APIVersion), "", ignored(r.Type))
		if err := p.e.settle(p.ctx, id, ch.Delta); err != nil {
			return err
		}
		ch.ChangeType = changeNone
		for _, d := range ch.Delta {
			if d.ChangeType != changeNoEffect {
				ch.ChangeType = changeModify
			}
		}
		ch.Before = value.Raw(shown(before, id, r.APIVersion))
		if ch.ChangeType == changeNone { // in the provider's words, not the template's
			after = before
		}
	}
	p.after[id.Key()] = after
	if !p.idsOnly {
		ch.After = value.Raw(shown(after, id, r.APIVersion))
	}
	p.changes = append(p.changes, ch)
	return nil
}

// replaced tells that a PUT replaces a resource of id's type as a whole.
func (e *Engine) replaced(id ids.ID) bool {
	for _, p := range e.front.Providers() {
		if !strings.EqualFold(p.Namespace(), id.Namespace) {
			continue
		}
		if unlisted, ok := p.(provider.AnyTyped); ok {
			t, _ := unlisted.AnyType(id.TypePath())
			return t.Replaced
		}
		for _, t := range p.Types() {
			if strings.EqualFold(t.Type, id.TypePath()) {
				return t.Replaced
			}
		}
	}
	return false
}

// described is a resource that does not exist yet, as the template has it.
func described(id ids.ID, r *template.Resource, body *value.Object) *value.Object {
	o := value.Of(m("apiVersion", r.APIVersion), m("id", r.ID), m("name", lastName(r.Name)), m("type", typeOf(r.ID)))
	if id.ResourceGroup != "" && id.Namespace != "" {
		o.Set("resourceGroup", id.ResourceGroup)
	}
	for _, member := range body.Members() {
		o.Set(member.Name, member.Value)
	}
	return o
}

// shown is a resource as a what-if prints it: with its version and group, and
// without what only the provider writes.
func shown(o *value.Object, id ids.ID, version string) *value.Object {
	out := value.Of(m("apiVersion", version), m("id", id.String()), m("name", o.Text("name")), m("type", typeOf(id.String())))
	if id.ResourceGroup != "" && id.Namespace != "" {
		out.Set("resourceGroup", id.ResourceGroup)
	}
	for _, member := range o.Members() {
		switch strings.ToLower(member.Name) {
		case "id", "name", "type", "apiversion", "resourcegroup", "etag", "systemdata":
			continue
		case "properties":
			if props, ok := member.Value.(*value.Object); ok {
				copied := props.Clone()
				copied.Delete("provisioningState")
				out.Set(member.Name, copied)
				continue
			}
		}
		out.Set(member.Name, member.Value)
	}
	return out
}

// rest lists the resources of the group that the template does not name: they
// are ignored, or deleted in mode Complete.
func (p *preview) rest(c *compiled) error {
	if c.scope.ResourceGroup == "" {
		return nil
	}
	kind := changeIgnore
	if c.mode == "Complete" {
		kind = changeDelete
	}
	for _, r := range c.program.Resources {
		if r.Condition || r.Existing || template.BeforeEmptyLoops(c.version) {
			p.seen[strings.ToLower(r.ID)] = true
		}
	}
	for _, pr := range p.e.front.Providers() {
		list, err := pr.Resources(p.ctx, c.scope.Subscription, c.scope.ResourceGroup)
		if err != nil {
			return fmt.Errorf("list resources of %s: %w", pr.Namespace(), err)
		}
		for _, r := range list {
			if p.seen[r.ID.Key()] || !strings.EqualFold(r.ID.ResourceGroup, c.scope.ResourceGroup) {
				continue
			}
			before, err := p.read(r.ID, r.APIVersion)
			var wire *azerr.Error
			if errors.As(err, &wire) && wire.Status == http.StatusForbidden || err == nil && before == nil {
				continue // not the caller's to see
			}
			if err != nil {
				return err
			}
			ch := change{ResourceID: r.ID.String(), ChangeType: kind}
			if !p.idsOnly {
				ch.Before = value.Raw(shown(before, r.ID, r.APIVersion))
			}
			p.changes = append(p.changes, ch)
		}
	}
	return nil
}

// foresight answers reference() and list*() before a deployment: from the
// resources as they will be, else from those that exist.
type foresight struct {
	p       *preview
	program *template.Program
}

// Reference implements eval.Runtime.
func (f *foresight) Reference(target, version string, full bool) (value.Value, error) {
	id, r, version, err := resolve(f.program, "reference", target, version)
	if err != nil {
		return nil, err
	}
	later := &eval.Deferred{Function: "reference", Target: target}
	if r != nil && r.IsDeployment() {
		if o := f.p.inner[r]; o != nil {
			return referenceValue(o, r, id, version, full), nil
		}
		return nil, later
	}
	before, err := f.p.read(id, version)
	if err != nil {
		return nil, err
	}
	if before == nil { // what a provider fills in is not known yet
		return nil, later
	}
	if after := f.p.after[id.Key()]; after != nil {
		before = after
	}
	return referenceValue(before, r, id, version, full), nil
}

// References implements eval.Runtime.
func (f *foresight) References(loop string, full bool) (value.Value, error) {
	return references(f.program, loop, func(r *template.Resource) (value.Value, error) {
		return f.Reference(r.ID, r.APIVersion, full)
	})
}

// List implements eval.Runtime. An action is never run for a what-if: some of
// them change what they list, and their answers are often secret.
func (f *foresight) List(function, target, _ string, _ value.Value) (value.Value, error) {
	return nil, &eval.Deferred{Function: function, Target: target}
}
