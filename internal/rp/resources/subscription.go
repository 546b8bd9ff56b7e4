package resources

import (
	"context"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

type subscription struct {
	ID                  string            `json:"id"`
	AuthorizationSource string            `json:"authorizationSource"`
	ManagedByTenants    []string          `json:"managedByTenants"`
	Tags                map[string]string `json:"tags,omitzero"`
	SubscriptionID      string            `json:"subscriptionId"`
	TenantID            string            `json:"tenantId"`
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
	d, err := p.Authorizer.Authorize(ctx, req.Principal, "Microsoft.Resources/subscriptions/read", "/subscriptions/"+p.SubscriptionID)
	if err != nil {
		return nil, fmt.Errorf("authorize list of subscriptions: %w", err)
	}
	body := struct {
		Value []subscription `json:"value"`
		Count count          `json:"count"`
	}{Value: []subscription{}, Count: count{Type: "Total"}}
	if d.Allowed {
		s, err := p.subscription(ctx)
		if err != nil {
			return nil, err
		}
		body.Value, body.Count.Value = append(body.Value, s), 1
	}
	return ok(body)
}

type count struct {
	Type  string `json:"type"`
	Value int    `json:"value"`
}

func (p *Provider) getSubscription(ctx context.Context) (*provider.Response, error) {
	s, err := p.subscription(ctx)
	if err != nil {
		return nil, err
	}
	return ok(s)
}

func (p *Provider) subscription(ctx context.Context) (subscription, error) {
	var stored scope.Subscription
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		stored, err = scope.FindSubscription(tx, p.SubscriptionID)
		return err
	})
	if err != nil {
		return subscription{}, fmt.Errorf("read subscription: %w", err)
	}
	id := strings.ToLower(p.SubscriptionID)
	return subscription{
		ID: "/subscriptions/" + id, AuthorizationSource: "RoleBased", ManagedByTenants: []string{}, Tags: stored.Tags,
		SubscriptionID: id, TenantID: p.TenantID, DisplayName: p.SubscriptionName, State: "Enabled",
		Policies: policies{LocationPlacementID: "Public_2014-09-01", QuotaID: "PayAsYouGo_2014-09-01", SpendingLimit: "Off"},
	}, nil
}

type tenant struct {
	ID             string `json:"id"`
	TenantID       string `json:"tenantId"`
	CountryCode    string `json:"countryCode"`
	DisplayName    string `json:"displayName"`
	TenantCategory string `json:"tenantCategory"`
	TenantType     string `json:"tenantType"`
}

func (p *Provider) listTenants() (*provider.Response, error) {
	return ok(list[tenant]{Value: []tenant{{ID: "/tenants/" + p.TenantID, TenantID: p.TenantID, CountryCode: "US",
		DisplayName: p.TenantName, TenantCategory: "Home", TenantType: "AAD"}}})
}

type location struct {
	ID                  string           `json:"id"`
	Name                string           `json:"name"`
	Type                string           `json:"type"`
	DisplayName         string           `json:"displayName"`
	RegionalDisplayName string           `json:"regionalDisplayName"`
	Metadata            locationMetadata `json:"metadata"`
}

type locationMetadata struct {
	RegionType     string `json:"regionType"`
	RegionCategory string `json:"regionCategory"`
}

func (p *Provider) listLocations() (*provider.Response, error) {
	out := list[location]{}
	for _, l := range ids.Locations() {
		out.Value = append(out.Value, location{
			ID: "/subscriptions/" + p.SubscriptionID + "/locations/" + string(l), Name: string(l), Type: "Region",
			DisplayName: l.Display(), RegionalDisplayName: l.Display(),
			Metadata: locationMetadata{RegionType: "Physical", RegionCategory: "Recommended"},
		})
	}
	return ok(out)
}
