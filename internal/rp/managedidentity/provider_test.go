package managedidentity_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/provider/providertest"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/rp/managedidentity"
)

func open(t *testing.T, h *providertest.House) (*directory.Directory, provider.Provider) {
	t.Helper()
	d, err := directory.Open(t.Context(), directory.Config{Store: h.Store})
	if err != nil {
		t.Fatal(err)
	}
	roles := authz.New(authz.Config{Store: h.Store, Log: slog.New(slog.DiscardHandler)})
	return d, managedidentity.New(managedidentity.Config{Store: h.Store, Identities: d, Assignments: roles})
}

func TestSuite(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Suite{
		New: func(t *testing.T, h *providertest.House) provider.Provider {
			_, p := open(t, h)
			return p
		},
		Type: "userAssignedIdentities", APIVersion: "2023-01-31", Body: json.RawMessage(`{"location":"westeurope"}`),
	})
}

type identity struct {
	ID         string
	Properties struct{ TenantID, PrincipalID, ClientID string }
}

func do(t *testing.T, h *providertest.House, method, name, body string) (int, identity, *azerr.Error) {
	t.Helper()
	id := ids.ID{Subscription: providertest.SubscriptionID, ResourceGroup: providertest.Group, Namespace: "Microsoft.ManagedIdentity", Segments: []ids.Segment{{Type: "userAssignedIdentities", Name: name}}}
	resp, err := h.Front.Dispatch(t.Context(), &provider.Request{Method: method, ID: id, APIVersion: "2023-01-31", Body: json.RawMessage(body), Principal: providertest.Owner()})
	if err != nil {
		e := azerr.From(err)
		return e.Status, identity{}, e
	}
	data, err := resp.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got identity
	if len(data) > 0 {
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
	}
	return resp.Status, got, nil
}

// The service principal lives and dies with the resource, and a second
// creation of a deleted name is somebody else.
func TestPrincipalFollowsResource(t *testing.T) {
	t.Parallel()
	var d *directory.Directory
	h := providertest.NewHouse(t, nil, func(t *testing.T, h *providertest.House) (p provider.Provider) {
		d, p = open(t, h)
		return p
	})
	const body = `{"location":"westeurope"}`
	status, first, _ := do(t, h, "PUT", "id1", body)
	if status != http.StatusCreated || !ids.IsGUID(first.Properties.PrincipalID) || !ids.IsGUID(first.Properties.ClientID) || first.Properties.TenantID != d.TenantID() {
		t.Fatalf("%d %+v", status, first)
	}
	if _, again, _ := do(t, h, "PUT", "ID1", body); again != first {
		t.Errorf("another PUT gave %+v, want %+v", again, first)
	}
	held, err := d.Identity(t.Context(), first.Properties.PrincipalID)
	if err != nil || held.ClientID != first.Properties.ClientID || held.ResourceID != first.ID || held.Secret == "" {
		t.Errorf("directory has %+v, %v", held, err)
	}
	if status, _, _ := do(t, h, "DELETE", "id1", ""); status != http.StatusOK {
		t.Errorf("DELETE: %d", status)
	}
	if _, err := d.Identity(t.Context(), first.Properties.PrincipalID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the principal is still there: %v", err)
	}
	if _, second, _ := do(t, h, "PUT", "id1", body); second.Properties.PrincipalID == first.Properties.PrincipalID {
		t.Error("the deleted principal came back")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	h := providertest.NewHouse(t, nil, func(t *testing.T, h *providertest.House) provider.Provider {
		_, p := open(t, h)
		return p
	})
	for name, good := range map[string]bool{"abc": true, "a-_": true, "9zz": true, strings.Repeat("a", 128): true, "ab": false, "-abc": false, "a.b": false, "a b": false, strings.Repeat("a", 129): false} {
		status, _, err := do(t, h, "PUT", name, `{"location":"westeurope"}`)
		if good != (status == http.StatusCreated) {
			t.Errorf("%q: %d %v", name, status, err)
		}
	}
	if status, _, err := do(t, h, "GET", "none", ""); status != http.StatusNotFound || err.Code != "ResourceNotFound" || !strings.Contains(err.Message, "'Microsoft.ManagedIdentity/userAssignedIdentities/none' under resource group 'Suite-Rg'") {
		t.Errorf("%d %v", status, err)
	}
}
