package management

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
)

const subscriptionType = "/subscriptions"

func (p *rp) list(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	out := list[group]{Value: []group{}}
	for _, g := range s.order {
		allowed, err := p.allowed(ctx, req, fullType+"/read", g.ID())
		if err != nil {
			return nil, err
		}
		if allowed {
			w := s.wire(g)
			w.Properties.Details = nil
			out.Value = append(out.Value, w)
		}
	}
	return provider.OK(out)
}

// get answers with what $expand and $recurse ask for.
func (p *rp) get(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	g, err := s.find(req.ID.Name())
	if err != nil {
		return nil, err
	}
	recurse := strings.EqualFold(option(req, "$recurse"), "true")
	onlyGroups := false
	switch filter := strings.ToLower(strings.ReplaceAll(option(req, "$filter"), " ", "")); filter {
	case "":
	case "children.childtypeneq'subscription'", "children.childtypene'subscription'", "children.childtypene'subscriptions'":
		onlyGroups = true
	default:
		return nil, azerr.InvalidFilterInQueryString(option(req, "$filter"), "only \"children.childType ne 'Subscription'\" is supported")
	}
	w := s.wire(g)
	switch strings.ToLower(option(req, "$expand")) {
	case "":
		if recurse {
			return nil, azerr.InvalidQueryParameter("$recurse", "true", "it needs $expand=children")
		}
	case "children":
		children := s.below(g.Name, recurse, onlyGroups)
		w.Properties.Children = &children
	case "path":
		w.Properties.Details.Path = elements(s.path(g.Name))
	case "ancestors":
		path := s.path(g.Name)
		for i := len(path) - 2; i >= 0; i-- { // the nearest first
			w.Properties.Details.Ancestors = append(w.Properties.Details.Ancestors, path[i].Name)
			w.Properties.Details.AncestorsChain = append(w.Properties.Details.AncestorsChain, pathElement{path[i].Name, path[i].DisplayName})
		}
	default:
		return nil, azerr.InvalidQueryParameter("$expand", option(req, "$expand"), "it can be children, path or ancestors")
	}
	return provider.OK(w)
}

func elements(path []scope.ManagementGroup) []pathElement {
	out := make([]pathElement, len(path))
	for i, g := range path {
		out[i] = pathElement{g.Name, g.DisplayName}
	}
	return out
}

func (s snapshot) below(name string, recurse, onlyGroups bool) []child {
	groups, subscriptions := s.children(name)
	out := []child{}
	for _, g := range groups {
		c := child{Type: fullType, ID: g.ID().String(), Name: g.Name, DisplayName: g.DisplayName}
		if recurse {
			more := s.below(g.Name, true, onlyGroups)
			c.Children = &more
		}
		out = append(out, c)
	}
	for _, sub := range subscriptions {
		if !onlyGroups {
			out = append(out, child{Type: subscriptionType, ID: sub.Scope().String(), Name: sub.ID, DisplayName: sub.Name})
		}
	}
	return out
}

type descendant struct {
	ID         string               `json:"id"`
	Type       string               `json:"type"`
	Name       string               `json:"name"`
	Properties descendantProperties `json:"properties"`
}

type descendantProperties struct {
	DisplayName string `json:"displayName"`
	Parent      idOnly `json:"parent"`
}

type idOnly struct {
	ID string `json:"id"`
}

func (p *rp) descendants(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	g, err := s.find(req.ID.Name())
	if err != nil {
		return nil, err
	}
	out := list[descendant]{Value: []descendant{}}
	var walk func(at scope.ManagementGroup)
	walk = func(at scope.ManagementGroup) {
		groups, subscriptions := s.children(at.Name)
		for _, sub := range subscriptions {
			out.Value = append(out.Value, descendant{sub.Scope().String(), subscriptionType, sub.ID, descendantProperties{sub.Name, idOnly{at.ID().String()}}})
		}
		for _, below := range groups {
			out.Value = append(out.Value, descendant{below.ID().String(), fullType, below.Name, descendantProperties{below.DisplayName, idOnly{at.ID().String()}}})
			walk(below)
		}
	}
	walk(g)
	page, err := provider.ParsePage(req)
	if err != nil {
		return nil, err
	}
	out.Value, out.NextLink = provider.Paged(req, page, out.Value)
	return provider.OK(out)
}

// option is a query option without case.
func option(req *provider.Request, name string) string { return provider.Option(req, name) }

func (p *rp) checkName(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body struct{ Name, Type string }
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return nil, azerr.InvalidRequestContent("An object with 'name' and 'type' is expected").Because(err)
	}
	if !strings.EqualFold(strings.TrimPrefix(body.Type, "/providers/"), fullType) {
		return nil, azerr.InvalidRequestContent(fmt.Sprintf("The type must be '%s'. Path 'type'", fullType))
	}
	s, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	answer := struct {
		Available bool   `json:"nameAvailable"`
		Reason    string `json:"reason,omitempty"`
		Message   string `json:"message,omitempty"`
	}{Available: true}
	if _, taken := s.groups[strings.ToLower(body.Name)]; taken {
		answer.Available, answer.Reason, answer.Message = false, "AlreadyExists", "The group with the specified name already exists."
	} else if !validName(body.Name) {
		answer.Available, answer.Reason, answer.Message = false, "Invalid", azerr.InvalidManagementGroupName(body.Name).Message
	}
	return provider.OK(answer)
}
