package resources_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/deploy"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/rp/managedidentity"
	"github.com/kustos-io/kustos/internal/rp/resources"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// compose is the control plane as the server makes it, without vaults and clusters.
func compose(t *testing.T) (h *house, boot directory.Bootstrap, token func(audience string) string) {
	t.Helper()
	s := memstore.New()
	d, err := directory.Open(t.Context(), directory.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	if boot, err = d.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	access := authz.New(authz.Config{Store: s})
	if err := access.GrantOwner(t.Context(), boot.SubscriptionID, boot.ObjectID); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), func(tx store.Tx) error {
		return scope.EnsureSubscription(tx, boot.SubscriptionID, "Kustos", time.Now())
	}); err != nil {
		t.Fatal(err)
	}
	h = &house{store: s, ops: operations.New(operations.Config{Store: s})}
	h.front = arm.New(arm.Config{Store: s, Verifier: d, Authorizer: access, SubscriptionID: boot.SubscriptionID, TenantID: boot.TenantID})
	engine := deploy.New(deploy.Config{Store: s, Operations: h.ops, Front: h.front, TenantID: boot.TenantID})
	h.front.SetDeployments(engine)
	h.front.Register(managedidentity.New(managedidentity.Config{Store: s, Identities: d, Assignments: access}),
		resources.New(resources.Config{Store: s, Authorizer: access, Operations: h.ops, Registry: h.front, Dispatcher: h.front, Assignments: access,
			TenantID: boot.TenantID}))
	t.Cleanup(h.ops.Close)
	if err := h.ops.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h, boot, func(audience string) string {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {boot.ClientID}, "client_secret": {boot.ClientSecret.Reveal()}, "scope": {audience + "/.default"}}
		r := httptest.NewRequest("POST", "https://login.microsoftonline.com/"+boot.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		d.LoginHandler().ServeHTTP(w, r)
		var body struct {
			Token string `json:"access_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Token == "" {
			t.Fatalf("no token: %d %s", w.Code, w.Body)
		}
		return body.Token
	}
}

// A group deployed into by a template goes with its resources and its history.
func TestGroupOfADeployment(t *testing.T) {
	t.Parallel()
	h, boot, token := compose(t)
	me, sub := token("https://management.azure.com"), "/subscriptions/"+boot.SubscriptionID
	if a := h.as(t, token("https://vault.azure.net"), "GET", sub+v, ""); a.code() != "InvalidAuthenticationTokenAudience" {
		t.Errorf("a vault token: %d %s", a.status, a.body)
	}
	if a := h.as(t, "rubbish", "GET", sub+v, ""); a.status != http.StatusUnauthorized || a.code() != "InvalidAuthenticationToken" {
		t.Errorf("rubbish: %d %s", a.status, a.body)
	}
	if a := h.as(t, me, "PUT", sub+"/resourcegroups/rg1"+v, `{"location":"westeurope"}`); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a := h.as(t, me, "PUT", sub+"/resourcegroups/rg1/providers/Microsoft.Resources/deployments/d1"+v, `{"properties":{"mode":"Incremental", template:{
		"$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", // as a person wrote it
		"contentVersion": "1.0.0.0",
		"resources": [{"type":"Microsoft.ManagedIdentity/userAssignedIdentities","apiVersion":"2023-01-31","name":"id1","location":"[resourceGroup().location]"},],
	}}}`)
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	// ended waits for the operation that a polling URL names, and asks the URL.
	ended := func(target string) answer {
		t.Helper()
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.ops.Wait(t.Context(), path.Base(u.Path)); err != nil {
			t.Fatal(err)
		}
		return h.as(t, me, "GET", target, "")
	}
	end := ended(a.header.Get("Azure-AsyncOperation"))
	if end.json["status"] != "Succeeded" {
		t.Fatalf("deployment: %d %s", end.status, end.body)
	}
	if got := h.as(t, me, "GET", sub+"/resources"+v+"&$filter=resourceGroup eq 'rg1'", "").names(); got != "id1" {
		t.Errorf("resources: %q", got)
	}
	a = h.as(t, me, "DELETE", sub+"/resourcegroups/rg1"+v, "")
	if end := ended(a.header.Get("Location")); end.status != 200 {
		t.Fatalf("deletion: %d %s", end.status, end.body)
	}
	h.as(t, me, "PUT", sub+"/resourcegroups/rg1"+v, `{"location":"westeurope"}`)
	for _, list := range []string{"/resourcegroups/rg1/providers/Microsoft.Resources/deployments/", "/resourcegroups/rg1/resources"} {
		if a := h.as(t, me, "GET", sub+list+v, ""); a.status != 200 || a.names() != "" {
			t.Errorf("the new group has %s: %d %s", list, a.status, a.body)
		}
	}
}
