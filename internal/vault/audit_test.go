package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/authz"
)

// notebook keeps events, or refuses to.
type notebook struct {
	mu     sync.Mutex
	events []audit.Event
	broken bool
}

func (n *notebook) Record(_ context.Context, e audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return errors.New("the disk is full")
	}
	n.events = append(n.events, e)
	return nil
}

// take prints and forgets what was recorded.
func (n *notebook) take() (out []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.events {
		scope := e.Scope[strings.LastIndex(e.Scope, "/vaults/")+1:]
		line := fmt.Sprintf("%s %s %s by %s", e.Operation, e.Result, scope, e.Actor.ObjectID+e.Actor.FirstParty)
		for _, more := range []string{e.Rule, e.Algorithm, e.Code} {
			if more != "" {
				line += " | " + more
			}
		}
		out = append(out, line)
	}
	n.events = nil
	return out
}

func TestEveryOperationIsRecorded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	book := &notebook{}
	f.Audit = book
	f.vault("kv1", nil)
	f.vault("kvr", func(in *Input) { in.RBAC = ptr(true) })
	f.must("POST", "kv1", "/keys/k/create", `{"kty":"RSA"}`)
	value := f.must("POST", "kv1", "/keys/k/encrypt", `{"alg":"RSA-OAEP-256","value":"c2VjcmV0"}`).str("value")
	f.must("POST", "kv1", "/keys/k/decrypt", `{"alg":"RSA-OAEP-256","value":"`+value+`"}`)
	f.do("POST", "kv1", "/keys/k/decrypt", `{"alg":"RSA1_5","value":"`+value+`"}`)
	f.must("PUT", "kv1", "/secrets/s", `{"value":"hunter2"}`)
	if _, err := f.DeploymentSecret(t.Context(), vaultID("kv1"), "s", "", authz.Principal{ObjectID: owner}); err == nil {
		t.Error("a vault that is not enabled for deployments gave a secret")
	}
	f.must("PATCH", "kv1", "/keys/k", `{"attributes":{"enabled":false}}`)
	f.do("POST", "kv1", "/keys/k/sign", `{"alg":"RS256","value":"AAAA"}`)
	f.do("GET", "kvr", "/keys/k", nil)
	f.do("GET", "kv1", "/keys/none", nil)
	f.do("GET", "kv1", "/certificates", nil)
	if _, err := f.ChangePolicies(t.Context(), vaultID("kv1"), "remove", nil, authz.Principal{ObjectID: owner}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Delete(t.Context(), vaultID("kv1"), authz.Principal{ObjectID: owner}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Purge(t.Context(), testSub, "westeurope", "kv1", authz.Principal{ObjectID: owner}); err != nil {
		t.Fatal(err)
	}
	for _, e := range book.events {
		text := fmt.Sprintf("%+v", e)
		if strings.Contains(text, "hunter2") || strings.Contains(text, "c2VjcmV0") || strings.Contains(text, value) {
			t.Errorf("a secret is in the log: %s", text)
		}
		if e.Operation == "keys/decrypt" && e.Result == audit.Allowed && (len(e.Version) != 32 || e.RequestID == "" || e.Actor.TenantID == "") {
			t.Errorf("not complete: %s", text)
		}
	}
	policy := " | access policy of " + owner
	want := []string{
		"vaults/write allowed vaults/kv1 by  | management plane",
		"vaults/write allowed vaults/kvr by  | management plane",
		"keys/create allowed vaults/kv1/keys/k by " + owner + policy,
		"keys/encrypt allowed vaults/kv1/keys/k by " + owner + policy + " | RSA-OAEP-256",
		"keys/decrypt allowed vaults/kv1/keys/k by " + owner + policy + " | RSA-OAEP-256",
		"keys/decrypt failed vaults/kv1/keys/k by " + owner + policy + " | RSA1_5 | BadParameter",
		"secrets/set allowed vaults/kv1/secrets/s by " + owner + policy,
		"secrets/get refused vaults/kv1/secrets/s by " + owner + " | Microsoft.KeyVault/vaults/deploy/action | KeyVaultParameterReferenceSecretRetrieveFailed",
		"keys/update allowed vaults/kv1/keys/k by " + owner + policy,
		"keys/sign refused vaults/kv1/keys/k by " + owner + policy + " | RS256 | Forbidden/KeyDisabled",
		"keys/get refused vaults/kvr/keys/k by " + owner + " | Forbidden/ForbiddenByRbac",
		"keys/get failed vaults/kv1/keys/none by " + owner + policy + " | KeyNotFound",
		"unknown failed vaults/kv1 by " + owner + " | NotSupported",
		"vaults/accessPolicies/remove allowed vaults/kv1 by " + owner + " | management plane",
		"vaults/delete allowed vaults/kv1 by " + owner + " | management plane",
		"vaults/purge allowed //providers/Microsoft.KeyVault/locations/westeurope/deletedVaults/kv1 by " + owner + " | management plane",
	}
	got := book.take()
	for i := range got {
		got[i] = strings.Replace(got[i], "subscriptions/"+testSub, "", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
}

func TestRefusalsBeforeAnOperationAreRecorded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	book := &notebook{}
	f.vault("kv1", nil)
	f.vault("kvx", func(in *Input) { in.NetworkACLs = &NetworkACLs{DefaultAction: "Deny"} })
	f.Audit = book
	for _, c := range []struct{ token, vault string }{{"", "kv1"}, {"expired", "kv1"}, {stranger, "kv1"}, {owner, "kvx"}} {
		f.as(c.token, "POST", c.vault, "/keys/k/unwrapkey", `{"alg":"RSA-OAEP","value":"AAAA"}`)
	}
	want := []string{
		"keys/unwrapKey refused vaults/kv1/keys/k by  | token | Unauthorized",
		"keys/unwrapKey refused vaults/kv1/keys/k by  | token | Unauthorized",
		"keys/unwrapKey refused vaults/kv1/keys/k by " + stranger + " | no access policy grants it | Forbidden/AccessDenied",
		"keys/unwrapKey refused vaults/kvx/keys/k by " + owner + " | firewall | Forbidden/ForbiddenByFirewall",
	}
	if diff := cmp.Diff(want, book.take()); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
}

// TestNothingIsAnsweredUnrecorded: an operation whose event cannot be written
// gives no result.
func TestNothingIsAnsweredUnrecorded(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	f.must("POST", "kv1", "/keys/k/create", `{"kty":"RSA"}`)
	value := f.must("POST", "kv1", "/keys/k/encrypt", `{"alg":"RSA-OAEP","value":"c2VjcmV0"}`).str("value")
	f.Audit = &notebook{broken: true}
	a := f.do("POST", "kv1", "/keys/k/decrypt", `{"alg":"RSA-OAEP","value":"`+value+`"}`)
	if a.status != 500 || strings.Contains(a.text, "c2VjcmV0") {
		t.Errorf("%d %s", a.status, a.text)
	}
}
