package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What one tenant has, another neither sees nor reaches.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	p, a, b := two(t)
	for _, w := range []*way{a, b} {
		sub := forARM + "/subscriptions/" + w.SubscriptionID
		w.must(t, forARM, "PUT", sub+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
		w.must(t, forARM, "PUT", sub+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-"+w.TenantID[:8]+"?api-version=2022-07-01", w.vaultBody())
		w.must(t, forGraph, "POST", forGraph+"/v1.0/applications", `{"displayName":"app of `+w.TenantName+`"}`)
		if diff := cmp.Diff([]string{w.SubscriptionID}, values(t, w.must(t, forARM, "GET", forARM+"/subscriptions?api-version=2021-04-01", ""), "subscriptionId")); diff != "" {
			t.Errorf("subscriptions of %s (-want +got)\n%s", w.TenantName, diff)
		}
		if diff := cmp.Diff([]string{w.TenantID}, values(t, w.must(t, forARM, "GET", forARM+"/tenants?api-version=2021-04-01", ""), "tenantId")); diff != "" {
			t.Errorf("tenants of %s (-want +got)\n%s", w.TenantName, diff)
		}
		w.must(t, forARM, "PUT", forARM+"/providers/Microsoft.Management/managementGroups/same?api-version=2021-04-01", `{"properties":{"displayName":"of `+w.TenantName+`"}}`)
	}
	for _, c := range [][2]*way{{a, b}, {b, a}} {
		mine, theirs := c[0], c[1]
		sub := forARM + "/subscriptions/" + theirs.SubscriptionID
		for _, request := range [][3]string{
			{"GET", sub + "/resourceGroups?api-version=2021-04-01"}, {"GET", sub + "?api-version=2021-04-01"},
			{"PUT", sub + "/resourceGroups/new?api-version=2021-04-01", `{"location":"westeurope"}`}, {"DELETE", sub + "/resourceGroups/rg?api-version=2021-04-01"},
			{"GET", strings.ToUpper(sub[len(forARM):]) + "/resourceGroups?api-version=2021-04-01"},
		} {
			if !strings.HasPrefix(request[1], forARM) {
				request[1] = forARM + request[1]
			}
			status, header, body := mine.call(t, forARM, request[0], request[1], request[2])
			code, message := errorOf(t, body)
			if status != http.StatusUnauthorized || code != "InvalidAuthenticationTokenTenant" || !strings.Contains(message, "https://sts.windows.net/"+theirs.TenantID+"/") ||
				!strings.Contains(header.Get("WWW-Authenticate"), "https://login.microsoftonline.com/"+theirs.TenantID) {
				t.Errorf("%s %s of another tenant: %d %s %s, %v", request[0], request[1], status, code, message, header["Www-Authenticate"])
			}
		}
		if status, header, _ := mine.call(t, "", "GET", sub+"?api-version=2021-04-01", ""); status != http.StatusUnauthorized || !strings.Contains(header.Get("WWW-Authenticate"), theirs.TenantID) {
			t.Errorf("without a token: %d %v", status, header["Www-Authenticate"])
		}
		vault := "https://kv-" + theirs.TenantID[:8] + ".vault.azure.net/keys?api-version=7.4"
		status, header, body := mine.call(t, forVault, "GET", vault, "")
		want := fmt.Sprintf("AKV10032: Invalid issuer. Expected one of https://sts.windows.net/%s/, found https://sts.windows.net/%s/.", theirs.TenantID, mine.TenantID)
		if _, message := errorOf(t, body); status != http.StatusUnauthorized || message != want || !strings.Contains(header.Get("WWW-Authenticate"), theirs.TenantID) {
			t.Errorf("vault of another tenant: %d %q, want %q, %v", status, message, want, header["Www-Authenticate"])
		}
		names := values(t, mine.must(t, forGraph, "GET", forGraph+"/v1.0/applications", ""), "displayName")
		if strings.Contains(strings.Join(names, ","), "app of "+theirs.TenantName) {
			t.Errorf("%s sees applications %v", mine.TenantName, names)
		}
		if body := mine.must(t, forARM, "GET", forARM+"/providers/Microsoft.Management/managementGroups/same?api-version=2021-04-01", ""); !strings.Contains(body, "of "+mine.TenantName) {
			t.Errorf("management group of %s: %s", mine.TenantName, body)
		}
		if status, _, body := mine.call(t, forARM, "GET", forARM+"/providers/Microsoft.Management/managementGroups/"+theirs.TenantID+"?api-version=2021-04-01", ""); status < 400 {
			t.Errorf("root group of another tenant: %d %s", status, body)
		}
	}
	// A name of a vault is taken for all.
	status, _, body := b.call(t, forARM, "PUT", forARM+"/subscriptions/"+b.SubscriptionID+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-"+a.TenantID[:8]+"?api-version=2022-07-01", b.vaultBody())
	if code, _ := errorOf(t, body); status != http.StatusConflict || code != "VaultAlreadyExists" {
		t.Errorf("a vault's name twice: %d %s", status, body)
	}
	if _, err := p.tenants.named("contoso"); err != nil {
		t.Error(err)
	}
}

// A role at the root of a tenant reaches no vault in a subscription of another,
// also when that vault takes tokens of the first.
func TestRootRolesEndAtTheTenant(t *testing.T) {
	t.Parallel()
	p, a, b := two(t)
	sub := forARM + "/subscriptions/" + b.SubscriptionID
	b.must(t, forARM, "PUT", sub+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
	// The vault of tenant B's subscription trusts tenant A.
	b.must(t, forARM, "PUT", sub+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-odd?api-version=2022-07-01", strings.Replace(b.vaultBody(), b.TenantID, a.TenantID, 1))
	me := p.tenants.first().bootstrap.ObjectID
	const keyAdmin = "00482a5a-887f-4fb3-b363-3b7fe8e74483"
	a.must(t, forARM, "PUT", forARM+"/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555?api-version=2022-04-01",
		`{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/`+keyAdmin+`","principalId":"`+me+`","principalType":"ServicePrincipal"}}`)
	status, _, body := a.call(t, forVault, "GET", "https://kv-odd.vault.azure.net/keys?api-version=7.4", "")
	if status != http.StatusForbidden {
		t.Errorf("keys of another tenant's subscription: %d %s", status, body)
	}
	// In its own subscription the same role is enough.
	own := forARM + "/subscriptions/" + a.SubscriptionID
	a.must(t, forARM, "PUT", own+"/resourceGroups/rg?api-version=2021-04-01", `{"location":"westeurope"}`)
	a.must(t, forARM, "PUT", own+"/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-own?api-version=2022-07-01", a.vaultBody())
	a.must(t, forVault, "GET", "https://kv-own.vault.azure.net/keys?api-version=7.4", "")
}

// What is deleted takes the role assignments at it along, in its own tenant.
func TestDeletedVaultTakesItsRightsAlong(t *testing.T) {
	t.Parallel()
	_, _, b := two(t)
	at := forARM + "/subscriptions/" + b.SubscriptionID + "/resourceGroups/rg"
	b.must(t, forARM, "PUT", at+"?api-version=2021-04-01", `{"location":"westeurope"}`)
	vault := at + "/providers/Microsoft.KeyVault/vaults/kv-gone"
	b.must(t, forARM, "PUT", vault+"?api-version=2022-07-01", b.vaultBody())
	b.must(t, forARM, "PUT", vault+"/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555?api-version=2022-04-01",
		`{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/00482a5a-887f-4fb3-b363-3b7fe8e74483","principalId":"`+b.p.tenants.byID(b.TenantID).bootstrap.ObjectID+`","principalType":"ServicePrincipal"}}`)
	b.must(t, forVault, "GET", "https://kv-gone.vault.azure.net/keys?api-version=7.4", "")
	b.must(t, forARM, "DELETE", vault+"?api-version=2022-07-01", "")
	b.must(t, forARM, "PUT", vault+"?api-version=2022-07-01", strings.Replace(b.vaultBody(), `"properties":{`, `"properties":{"createMode":"recover",`, 1))
	if status, _, body := b.call(t, forVault, "GET", "https://kv-gone.vault.azure.net/keys?api-version=7.4", ""); status != http.StatusForbidden {
		t.Errorf("after the vault came back: %d %s", status, body)
	}
}
