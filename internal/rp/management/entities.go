package management

import (
	"context"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

type entity struct {
	ID         string           `json:"id"`
	Type       string           `json:"type"`
	Name       string           `json:"name"`
	Properties entityProperties `json:"properties"`
}

type entityProperties struct {
	TenantID     string   `json:"tenantId"`
	DisplayName  string   `json:"displayName"`
	Parent       parentID `json:"parent"`
	Permissions  string   `json:"permissions"`
	Inherited    string   `json:"inheritedPermissions"`
	Descendants  int      `json:"numberOfDescendants"`
	Children     int      `json:"numberOfChildren"`
	ChildGroups  int      `json:"numberOfChildGroups"`
	DisplayChain []string `json:"parentDisplayNameChain"`
	NameChain    []string `json:"parentNameChain"`
}

type parentID struct {
	ID *string `json:"id"` // null for the root
}

// entities lists the groups and subscriptions that the caller may see, each
// with what it may do there.
func (p *rp) entities(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	for _, name := range []string{"$search", "$filter", "$view", "$skip"} {
		if option(req, name) != "" {
			return nil, azerr.InvalidQueryParameter(name, option(req, name), "it is not supported on getEntities")
		}
	}
	page, err := provider.ParsePage(req)
	if err != nil {
		return nil, err
	}
	s, err := p.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	within := strings.ToLower(option(req, "groupName"))
	out := struct {
		Value    []entity `json:"value"`
		Count    int      `json:"count"`
		NextLink string   `json:"nextLink,omitempty"`
	}{Value: []entity{}}
	add := func(e entity, chain []scope.ManagementGroup, at ids.ID, readAction, writeAction string) error {
		readable, err := p.allowed(ctx, req, readAction, at)
		if err != nil || !readable {
			return err
		}
		writable, err := p.allowed(ctx, req, writeAction, at)
		if err != nil {
			return err
		}
		e.Properties.TenantID, e.Properties.Permissions = p.TenantID, "view"
		if writable {
			e.Properties.Permissions = "edit"
		}
		e.Properties.Inherited = e.Properties.Permissions
		e.Properties.NameChain, e.Properties.DisplayChain = []string{}, []string{}
		inside := within == "" || strings.EqualFold(e.Name, within)
		for _, g := range chain {
			e.Properties.NameChain = append(e.Properties.NameChain, g.Name)
			e.Properties.DisplayChain = append(e.Properties.DisplayChain, g.DisplayName)
			inside = inside || strings.EqualFold(g.Name, within)
		}
		if len(chain) > 0 {
			id := chain[len(chain)-1].ID().String()
			e.Properties.Parent.ID = &id
		}
		if inside {
			out.Value = append(out.Value, e)
		}
		return nil
	}
	for _, g := range s.order {
		e := entity{ID: g.ID().String(), Type: fullType, Name: g.Name, Properties: entityProperties{DisplayName: g.DisplayName}}
		groups, subscriptions := s.children(g.Name)
		e.Properties.ChildGroups, e.Properties.Children, e.Properties.Descendants = len(groups), len(groups)+len(subscriptions), s.count(g.Name)
		path := s.path(g.Name)
		if err := add(e, path[:len(path)-1], g.ID(), fullType+"/read", fullType+"/write"); err != nil {
			return nil, err
		}
	}
	for _, sub := range s.subscriptions {
		e := entity{ID: sub.Scope().String(), Type: subscriptionType, Name: sub.ID, Properties: entityProperties{DisplayName: sub.Name}}
		if err := add(e, s.path(s.parentOf(sub)), sub.Scope(), "Microsoft.Resources/subscriptions/read", "Microsoft.Resources/subscriptions/write"); err != nil {
			return nil, err
		}
	}
	out.Count = len(out.Value)
	out.Value, out.NextLink = provider.Paged(req, page, out.Value)
	return provider.OK(out)
}

// count is the number of groups and subscriptions below a group.
func (s snapshot) count(name string) int {
	groups, subscriptions := s.children(name)
	n := len(groups) + len(subscriptions)
	for _, g := range groups {
		n += s.count(g.Name)
	}
	return n
}
