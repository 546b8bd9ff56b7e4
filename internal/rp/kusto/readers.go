package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// FirstPartyReader reads the tenant's vaults and user-assigned identities
// through the front door, with the provider's own authority, which can only
// read. It implements [VaultReader] and [UserIdentityReader].
type FirstPartyReader struct {
	Front    Dispatcher
	TenantID string
}

// VaultReaders reads the vaults of several tenants: it asks their readers one
// after the other, in the order in which the function lists them now.
type VaultReaders func() []VaultReader

// VaultByName implements VaultReader.
func (r VaultReaders) VaultByName(ctx context.Context, name string) (VaultFacts, bool, error) {
	for _, reader := range r() {
		if facts, ok, err := reader.VaultByName(ctx, name); err != nil || ok {
			return facts, ok, err
		}
	}
	return VaultFacts{}, false, nil
}

const (
	vaultVersion         = "2022-07-01"
	identityVersion      = "2023-01-31"
	subscriptionsVersion = "2022-12-01"
)

// get dispatches one GET and decodes the answer; ok is false for 404.
func (r FirstPartyReader) get(ctx context.Context, id ids.ID, version string, query url.Values, into any) (ok bool, err error) {
	res, err := r.Front.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: id, APIVersion: version, Query: query, Header: http.Header{},
		Principal: authz.Principal{TenantID: r.TenantID, Name: Namespace, FirstParty: Namespace}})
	var refusal *azerr.Error
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", id, err)
	}
	data, err := json.Marshal(res.Body)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", id, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return false, fmt.Errorf("decode %s: %w", id, err)
	}
	return true, nil
}

// VaultByName implements VaultReader: it looks for the vault in the lists of
// the live vaults of every subscription.
func (r FirstPartyReader) VaultByName(ctx context.Context, name string) (VaultFacts, bool, error) {
	var subscriptions struct {
		Value []struct{ SubscriptionID string }
	}
	all := ids.ID{Namespace: "Microsoft.Resources", Segments: []ids.Segment{{Type: "subscriptions"}}}
	if _, err := r.get(ctx, all, subscriptionsVersion, nil, &subscriptions); err != nil {
		return VaultFacts{}, false, err
	}
	for _, s := range subscriptions.Value {
		facts, ok, err := r.vaultIn(ctx, s.SubscriptionID, name)
		if err != nil || ok {
			return facts, ok, err
		}
	}
	return VaultFacts{}, false, nil
}

func (r FirstPartyReader) vaultIn(ctx context.Context, subscription, name string) (VaultFacts, bool, error) {
	id := ids.ID{Subscription: subscription, Namespace: "Microsoft.KeyVault", Segments: []ids.Segment{{Type: "vaults"}}}
	query := url.Values{}
	for {
		var page struct {
			Value []struct {
				ID, Name, Location string
				Properties         struct {
					TenantID              string `json:"tenantId"`
					EnableSoftDelete      bool   `json:"enableSoftDelete"`
					EnablePurgeProtection bool   `json:"enablePurgeProtection"`
				}
			}
			NextLink string
		}
		ok, err := r.get(ctx, id, vaultVersion, query, &page)
		if err != nil || !ok {
			return VaultFacts{}, false, err
		}
		for _, v := range page.Value {
			if strings.EqualFold(v.Name, name) {
				return VaultFacts{ResourceID: v.ID, TenantID: v.Properties.TenantID, Location: ids.ParseLocation(v.Location),
					SoftDelete: v.Properties.EnableSoftDelete, PurgeProtection: v.Properties.EnablePurgeProtection}, true, nil
			}
		}
		if page.NextLink == "" {
			return VaultFacts{}, false, nil
		}
		next, err := url.Parse(page.NextLink)
		if err != nil || next.Query().Encode() == query.Encode() {
			return VaultFacts{}, false, fmt.Errorf("the list of vaults has a next link that leads nowhere: %q", page.NextLink)
		}
		query = next.Query()
		query.Del("api-version")
	}
}

// UserIdentity implements UserIdentityReader.
func (r FirstPartyReader) UserIdentity(ctx context.Context, id ids.ID) (ServicePrincipal, bool, error) {
	var body struct {
		Properties struct{ TenantID, PrincipalID, ClientID string }
	}
	ok, err := r.get(ctx, id, identityVersion, nil, &body)
	if err != nil || !ok {
		return ServicePrincipal{}, false, err
	}
	if body.Properties.PrincipalID == "" {
		return ServicePrincipal{}, false, fmt.Errorf("read %s: the identity has no principal", id)
	}
	return ServicePrincipal{ObjectID: body.Properties.PrincipalID, ClientID: body.Properties.ClientID, TenantID: body.Properties.TenantID}, true, nil
}
