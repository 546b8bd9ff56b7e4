package management

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

type member struct {
	ID         string           `json:"id"`
	Type       string           `json:"type"`
	Name       string           `json:"name"`
	Properties memberProperties `json:"properties"`
}

type memberProperties struct {
	Tenant      string `json:"tenant"`
	DisplayName string `json:"displayName"`
	Parent      idOnly `json:"parent"`
	State       string `json:"state"`
}

func (s snapshot) member(g scope.ManagementGroup, sub scope.Subscription) member {
	state := "Active"
	if sub.State == scope.Disabled {
		state = "Disabled"
	}
	return member{ID: g.ID().Child("subscriptions", sub.ID).String(), Type: fullType + "/subscriptions", Name: sub.ID,
		Properties: memberProperties{Tenant: s.root, DisplayName: sub.Name, Parent: idOnly{g.ID().String()}, State: state}}
}

// groupOf is the group of the id's first segment.
func (p *rp) groupOf(ctx context.Context, req *provider.Request) (snapshot, scope.ManagementGroup, error) {
	s, err := p.snapshot(ctx)
	if err != nil {
		return s, scope.ManagementGroup{}, err
	}
	g, err := s.find(req.ID.Segments[0].Name)
	return s, g, err
}

func (p *rp) listSubscriptions(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, g, err := p.groupOf(ctx, req)
	if err != nil {
		return nil, err
	}
	out := list[member]{Value: []member{}}
	_, subscriptions := s.children(g.Name)
	for _, sub := range subscriptions {
		out.Value = append(out.Value, s.member(g, sub))
	}
	return provider.OK(out)
}

func (p *rp) getSubscription(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, g, err := p.groupOf(ctx, req)
	if err != nil {
		return nil, err
	}
	_, subscriptions := s.children(g.Name)
	for _, sub := range subscriptions {
		if strings.EqualFold(sub.ID, req.ID.Name()) {
			return provider.OK(s.member(g, sub))
		}
	}
	return nil, azerr.SubscriptionNotUnderManagementGroup(req.ID.Name(), g.Name)
}

// putSubscription moves a subscription into a group. The front door has asked
// for the right at the group; what the move means for the subscription is asked
// for here.
func (p *rp) putSubscription(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	_, g, err := p.groupOf(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := p.moveSubscription(ctx, req, g.Name, ""); err != nil {
		return nil, err
	}
	return p.getSubscription(ctx, req)
}

// deleteSubscription takes a subscription out of a group: it goes to the root.
func (p *rp) deleteSubscription(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, g, err := p.groupOf(ctx, req)
	if err != nil {
		return nil, err
	}
	_, subscriptions := s.children(g.Name)
	for _, sub := range subscriptions {
		if strings.EqualFold(sub.ID, req.ID.Name()) && !p.tree.IsRoot(g.Name) {
			return &provider.Response{Status: http.StatusOK}, p.moveSubscription(ctx, req, p.TenantID, g.Name)
		}
	}
	return &provider.Response{Status: http.StatusNoContent}, nil
}

// moveSubscription puts a subscription under a group; from, unless empty, is
// where it must still be.
func (p *rp) moveSubscription(ctx context.Context, req *provider.Request, to, from string) error {
	name := req.ID.Name()
	if !ids.IsGUID(name) {
		return azerr.InvalidSubscriptionID(name)
	}
	if err := provider.Demand(ctx, p.Authorizer, req, "Microsoft.Authorization/roleAssignments/write", ids.ID{Subscription: name}); err != nil {
		return err
	}
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		sub, err := scope.FindSubscription(tx, name)
		if errors.Is(err, scope.ErrNoSubscription) {
			return azerr.SubscriptionNotFound(name)
		}
		if err != nil {
			return err
		}
		if from != "" && !strings.EqualFold(p.tree.ParentOf(sub), from) {
			return azerr.SubscriptionNotUnderManagementGroup(name, from)
		}
		g, err := p.tree.Find(tx, to)
		if errors.Is(err, scope.ErrNoManagementGroup) {
			return azerr.ManagementGroupNotFound(to)
		}
		if err != nil {
			return err
		}
		sub.Parent = g.Name
		if p.tree.IsRoot(g.Name) {
			sub.Parent = ""
		}
		return scope.PutSubscription(tx, sub)
	})
	if err != nil {
		return fmt.Errorf("move subscription: %w", err)
	}
	p.Log.InfoContext(ctx, "subscription moved", "scope", "/subscriptions/"+name, "principal", req.Principal.ObjectID)
	return nil
}
