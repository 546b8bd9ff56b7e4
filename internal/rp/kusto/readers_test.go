package kusto

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

type fakeFront func(req *provider.Request) (string, error)

func (f fakeFront) Dispatch(_ context.Context, req *provider.Request) (*provider.Response, error) {
	text, err := f(req)
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: 200, Body: json.RawMessage(text)}, nil
}

func TestFirstPartyReader(t *testing.T) {
	t.Parallel()
	identity := testGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/one"
	r := FirstPartyReader{TenantID: testTenant, Front: fakeFront(func(req *provider.Request) (string, error) {
		if req.Principal.FirstParty != "Microsoft.Kusto" || req.Method != "GET" {
			t.Errorf("request %s as %+v", req.Method, req.Principal)
		}
		switch {
		case req.ID.TypePath() == "subscriptions":
			return `{"value":[{"subscriptionId":"other"},{"subscriptionId":"s"}]}`, nil
		case req.ID.String() == "/subscriptions/other/providers/Microsoft.KeyVault/vaults":
			return `{"value":[]}`, nil
		case req.ID.String() == identity:
			return `{"properties":{"tenantId":"t","principalId":"p","clientId":"c"}}`, nil
		case req.ID.String() != "/subscriptions/s/providers/Microsoft.KeyVault/vaults":
			return "", azerr.ResourceNotFound("x", "")
		case req.Query.Get("$skiptoken") == "":
			return `{"value":[{"id":"/a","name":"A","location":"eastus","properties":{}}],"nextLink":"https://h/x?api-version=1&$skiptoken=2"}`, nil
		}
		return `{"value":[{"id":"/b","name":"Vault1","location":"West Europe","properties":{"tenantId":"t","enableSoftDelete":true,"enablePurgeProtection":true}}]}`, nil
	})}
	got, ok, err := r.VaultByName(t.Context(), "vault1")
	if diff := cmp.Diff(VaultFacts{ResourceID: "/b", TenantID: "t", Location: "westeurope", SoftDelete: true, PurgeProtection: true}, got); diff != "" || !ok || err != nil {
		t.Errorf("%v %v (-want +got)\n%s", ok, err, diff)
	}
	if _, ok, err := r.VaultByName(t.Context(), "vault2"); ok || err != nil {
		t.Errorf("absent vault: %v %v", ok, err)
	}
	id, err := ids.Parse(identity)
	if err != nil {
		t.Fatal(err)
	}
	who, ok, err := r.UserIdentity(t.Context(), id)
	if diff := cmp.Diff(ServicePrincipal{ObjectID: "p", ClientID: "c", TenantID: "t"}, who); diff != "" || !ok || err != nil {
		t.Errorf("%v %v (-want +got)\n%s", ok, err, diff)
	}
	id.Segments[0].Name = "none"
	if _, ok, err := r.UserIdentity(t.Context(), id); ok || err != nil {
		t.Errorf("absent identity: %v %v", ok, err)
	}
	r.Front = fakeFront(func(*provider.Request) (string, error) { return "", errors.New("disk") })
	if _, _, err := r.VaultByName(t.Context(), "vault1"); err == nil {
		t.Error("trouble was read as absence")
	}
}
