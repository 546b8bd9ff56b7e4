package resources

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/rp/resources/filter"
)

// listResources is the generic list of a subscription or a group.
func (p *Provider) listResources(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	expr, err := parseFilter(req)
	if err != nil {
		return nil, err
	}
	page, err := parsePage(req)
	if err != nil {
		return nil, err
	}
	expand, err := parseExpand(req)
	if err != nil {
		return nil, err
	}
	in := ""
	if len(req.ID.Segments) == 3 {
		in = req.ID.Segments[1].Name
	}
	all, err := p.all(ctx, where(req), in)
	if err != nil {
		return nil, err
	}
	var found []provider.Resource
	for _, r := range all {
		if expr != nil && !expr.Match(subject(r)) {
			continue
		}
		if !expand["createdtime"] {
			r.CreatedTime = ""
		}
		if !expand["changedtime"] {
			r.ChangedTime = ""
		}
		if !expand["provisioningstate"] {
			r.ProvisioningState = ""
		}
		found = append(found, r)
	}
	return provider.OK(paged(req, page, found, func(r provider.Resource) string { return r.ID.Key() }))
}

// all asks every provider, and sorts by id.
func (p *Provider) all(ctx context.Context, subscription, in string) ([]provider.Resource, error) {
	var all []provider.Resource
	for _, served := range p.Registry.Providers() {
		some, err := served.Resources(ctx, subscription, in)
		if err != nil {
			return nil, fmt.Errorf("list resources of %s: %w", served.Namespace(), err)
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b provider.Resource) int { return cmp.Compare(a.ID.Key(), b.ID.Key()) })
	return all, nil
}

func parseExpand(req *provider.Request) (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, name := range strings.Split(option(req, "$expand"), ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		switch name {
		case "":
		case "createdtime", "changedtime", "provisioningstate":
			wanted[name] = true
		default:
			return nil, azerr.InvalidQueryParameter("$expand", name, "it can be createdTime, changedTime and provisioningState")
		}
	}
	return wanted, nil
}

func subject(r provider.Resource) filter.Subject {
	s := filter.Subject{Name: r.Name, ResourceType: r.Type, ResourceGroup: r.ID.ResourceGroup, Location: r.Location, Tags: r.Tags}
	var identity struct {
		Type        string `json:"type"`
		PrincipalID string `json:"principalId"`
	}
	if len(r.Identity) > 0 && json.Unmarshal(r.Identity, &identity) == nil {
		s.IdentityType, s.PrincipalID = identity.Type, identity.PrincipalID
	}
	return s
}
