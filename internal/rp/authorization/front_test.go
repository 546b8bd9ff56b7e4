package authorization_test

import (
	"encoding/json"
	"testing"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/rp/authorization"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// TestThroughTheFrontDoor gives rights with the very requests that the rights
// decide over.
func TestThroughTheFrontDoor(t *testing.T) {
	t.Parallel()
	const subscription = "6f0c2b8e-0000-4000-8000-000000000001"
	st := memstore.New()
	engine := authz.New(authz.Config{Store: st})
	front := arm.New(arm.Config{Store: st, Authorizer: engine, SubscriptionID: subscription, TenantID: tenant})
	front.Register(authorization.New(authorization.Config{Engine: engine, Principals: principals{}, TenantID: tenant}))
	err := st.Update(t.Context(), func(tx store.Tx) error {
		return scope.PutGroup(tx, scope.Group{Subscription: subscription, Name: "rg1", Location: "westeurope"})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.GrantOwner(t.Context(), subscription, alice); err != nil {
		t.Fatal(err)
	}
	step := func(by, method, path, body string, want int, code string) {
		t.Helper()
		id, err := ids.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		req := &provider.Request{Method: method, ID: id, APIVersion: "2022-04-01", Principal: authz.Principal{ObjectID: by}}
		if body != "" {
			req.Body = json.RawMessage(body)
		}
		resp, err := front.Dispatch(t.Context(), req)
		switch e := azerr.From(err); {
		case e != nil && (e.Status != want || e.Code != code):
			t.Errorf("%s %s: %v, want %d %s", method, path, e, want, code)
		case e == nil && resp.Status != want:
			t.Errorf("%s %s: %d, want %d", method, path, resp.Status, want)
		}
	}
	const uaa = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	forBob := assignment(reader, bob)
	step(bob, "PUT", at(vault, name1), forBob, 403, "AuthorizationFailed")
	step(bob, "GET", at(vault, ""), "", 403, "AuthorizationFailed")
	step(alice, "PUT", at(vault, name1), forBob, 201, "")
	step(bob, "GET", at(vault, name1), "", 200, "")
	step(bob, "GET", at(vault, ""), "", 200, "")
	step(bob, "GET", at(group, ""), "", 403, "AuthorizationFailed")
	step(bob, "DELETE", at(vault, name1), "", 403, "AuthorizationFailed")
	step(alice, "PUT", at(group, name2), assignment(uaa, bob), 201, "")
	step(bob, "DELETE", at(vault, name1), "", 200, "")
	step(bob, "PUT", at(sub, name1), forBob, 403, "AuthorizationFailed")
	step(alice, "DELETE", at(group, name2), "", 200, "")
	step(bob, "GET", at(vault, ""), "", 403, "AuthorizationFailed")
	step(bob, "GET", "/providers/Microsoft.Authorization/roleDefinitions/"+reader, "", 200, "")
	step(bob, "GET", "/providers/Microsoft.Authorization/roleDefinitions", "", 200, "")
	step(alice, "PUT", at(sub+"/resourceGroups/none", name1), forBob, 404, "ResourceGroupNotFound")
}
