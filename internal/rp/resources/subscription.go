package resources

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

type subscription struct {
	ID                  string            `json:"id"`
	AuthorizationSource string            `json:"authorizationSource"`
	ManagedByTenants    []string          `json:"managedByTenants,omitzero"`
	Tags                map[string]string `json:"tags,omitzero"`
	SubscriptionID      string            `json:"subscriptionId"`
	TenantID            string            `json:"tenantId,omitempty"`
	DisplayName         string            `json:"displayName"`
	State               string            `json:"state"`
	Policies            policies          `json:"subscriptionPolicies"`
}

type policies struct {
	LocationPlacementID string `json:"locationPlacementId"`
	QuotaID             string `json:"quotaId"`
	SpendingLimit       string `json:"spendingLimit"`
}

// listSubscriptions shows the subscriptions in which the caller may do
// something: the front door asks no right for this list.
func (p *Provider) listSubscriptions(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var all []scope.Subscription
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		all, err = scope.Subscriptions(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list subscriptions: %w", err)
	}
	body := struct {
		Value []subscription `json:"value"`
	}{Value: []subscription{}}
	for _, s := range all {
		d, err := p.Authorizer.Authorize(ctx, req.Principal, "Microsoft.Resources/subscriptions/read", s.Scope().String())
		if err != nil {
			return nil, fmt.Errorf("authorize list of subscriptions: %w", err)
		}
		if d.Allowed {
			body.Value = append(body.Value, p.wireSubscription(s, req.Shape))
		}
	}
	return provider.OK(body)
}

func (p *Provider) getSubscription(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var s scope.Subscription
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		s, err = scope.FindSubscription(tx, where(req))
		return err
	})
	if errors.Is(err, scope.ErrNoSubscription) {
		return nil, azerr.SubscriptionNotFound(where(req))
	}
	if err != nil {
		return nil, fmt.Errorf("read subscription: %w", err)
	}
	return provider.OK(p.wireSubscription(s, req.Shape))
}

func (p *Provider) wireSubscription(s scope.Subscription, shape string) subscription {
	quota := "PayAsYouGo_2014-09-01"
	if s.Workload == "DevTest" {
		quota = "MSDNDevTest_2014-09-01"
	}
	w := subscription{
		ID: "/subscriptions/" + s.ID, AuthorizationSource: "RoleBased", ManagedByTenants: []string{}, Tags: s.Tags,
		SubscriptionID: s.ID, TenantID: p.TenantID, DisplayName: s.Name, State: string(s.State),
		Policies: policies{LocationPlacementID: "Public_2014-09-01", QuotaID: quota, SpendingLimit: "Off"},
	}
	if shape < "2019" {
		w.TenantID, w.ManagedByTenants = "", nil
	}
	if shape < "2019-11" {
		w.Tags = nil
	}
	return w
}

type tenant struct {
	ID             string `json:"id"`
	TenantID       string `json:"tenantId"`
	CountryCode    string `json:"countryCode,omitempty"`
	DisplayName    string `json:"displayName,omitempty"`
	TenantCategory string `json:"tenantCategory,omitempty"`
	TenantType     string `json:"tenantType,omitempty"`
}

func (p *Provider) listTenants(req *provider.Request) (*provider.Response, error) {
	t := tenant{ID: "/tenants/" + p.TenantID, TenantID: p.TenantID}
	if req.Shape >= "2019" {
		t.CountryCode, t.DisplayName, t.TenantCategory = "US", p.TenantName, "Home"
	}
	if req.Shape >= "2021" {
		t.TenantType = "AAD"
	}
	return provider.OK(list[tenant]{Value: []tenant{t}})
}

type location struct {
	ID                  string            `json:"id"`
	Name                string            `json:"name"`
	Type                string            `json:"type,omitempty"`
	DisplayName         string            `json:"displayName"`
	RegionalDisplayName string            `json:"regionalDisplayName,omitempty"`
	Metadata            *locationMetadata `json:"metadata,omitempty"`
}

type locationMetadata struct {
	RegionType     string `json:"regionType"`
	RegionCategory string `json:"regionCategory"`
}

func (p *Provider) listLocations(req *provider.Request) (*provider.Response, error) {
	out := list[location]{}
	for _, l := range ids.Locations() {
		w := location{ID: "/subscriptions/" + where(req) + "/locations/" + string(l), Name: string(l), DisplayName: l.Display()}
		if req.Shape >= "2019-11" {
			w.RegionalDisplayName, w.Metadata = l.Display(), &locationMetadata{RegionType: "Physical", RegionCategory: "Recommended"}
		}
		if req.Shape >= "2021" {
			w.Type = "Region"
		}
		out.Value = append(out.Value, w)
	}
	return provider.OK(out)
}
