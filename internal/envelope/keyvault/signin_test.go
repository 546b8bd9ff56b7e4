package keyvault_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
)

const (
	customersTenant = "0b1f6471-1bf0-4dda-aec3-0000000000b0"
	application     = "0b1f6471-1bf0-4dda-aec3-0000000000aa"
)

// signIns plays the token endpoint of the customer's tenant, on the listener
// of the vault.
type signIns struct {
	mu    sync.Mutex
	forms []url.Values
	raw   []byte
	paths []string
	// status and body are the answer, instead of a token.
	status int
	body   string
	abort  bool
}

func (s *signIns) answer(w http.ResponseWriter, r *http.Request) bool {
	if r.Host != "login.microsoftonline.com" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(data))
	s.forms, s.raw, s.paths = append(s.forms, form), append(s.raw, data...), append(s.paths, r.Method+" "+r.URL.Path)
	if s.abort {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	if s.status != 0 {
		w.WriteHeader(s.status)
		_, _ = io.WriteString(w, s.body)
		return true
	}
	_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3599,"access_token":"token-of-b"}`)
	return true
}

// exchangeTokens signs for the exchange alone.
type exchangeTokens struct {
	mu   sync.Mutex
	gone bool
}

func (e *exchangeTokens) IdentityToken(_ context.Context, objectID, resource string) (string, time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return "", time.Time{}, fmt.Errorf("token: %w", directory.ErrNotFound)
	}
	if resource != "api://AzureADTokenExchange" {
		return "", time.Time{}, fmt.Errorf("a token for %s", resource)
	}
	return "assertion-of-" + objectID, time.Now().Add(time.Hour), nil
}

func federatedKEK(version string) envelope.KEK {
	k := kek(version)
	k.Identity.FederatedClientID, k.Identity.VaultTenantID = application, customersTenant
	return k
}

// abroad is a vault of the customer's tenant, and how a cluster reaches it.
func abroad(t *testing.T) (*fakeVault, *signIns, *exchangeTokens, *keyvault.Vaults) {
	f, s, k := newFakeVault(t), &signIns{}, &exchangeTokens{}
	f.answer, f.tenant, f.allow = s.answer, customersTenant, map[string]bool{"Bearer token-of-b": true}
	return f, s, k, keyvault.New(keyvault.Config{Tokens: k, Client: f.client(), Timeout: 5 * time.Second})
}

func TestSignInToTheVaultsTenant(t *testing.T) {
	t.Parallel()
	f, s, _, v := abroad(t)
	secret := []byte("0123456789abcdef0123456789abcdef")
	wrapped, err := wrapper(t, v, federatedKEK("v1")).Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	back, err := wrapper(t, v, federatedKEK("v1")).Unwrap(t.Context(), wrapped)
	if err != nil || !bytes.Equal(back, secret) {
		t.Fatalf("%q %v", back, err)
	}
	if err := v.Probe(t.Context(), federatedKEK("v1")); err != nil {
		t.Error(err)
	}
	if _, err := v.Key(t.Context(), federatedKEK("")); err != nil {
		t.Error(err)
	}
	want := url.Values{"grant_type": {"client_credentials"}, "client_id": {application}, "scope": {"https://vault.azure.net/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {"assertion-of-o1"}}
	if len(s.forms) != 5 { // one for each request to the vault: nothing is kept
		t.Errorf("%d sign-ins", len(s.forms))
	}
	for _, form := range s.forms {
		if diff := cmp.Diff(want, form); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	if paths := slices.Compact(slices.Clone(s.paths)); !slices.Equal(paths, []string{"POST /" + customersTenant + "/oauth2/v2.0/token"}) {
		t.Errorf("asked at %v", paths)
	}
	// What goes to the vault never goes to the sign-in, nor the other way round.
	if bytes.Contains(s.raw, secret) || bytes.Contains(s.raw, []byte("value")) {
		t.Error("a key went to the sign-in")
	}
	for _, r := range f.requests {
		if strings.Contains(r, "assertion") {
			t.Errorf("an assertion went to the vault: %s", r)
		}
	}
}

func TestSignInRefusals(t *testing.T) {
	t.Parallel()
	refusal := func(status, code int, text string) func(*fakeVault, *signIns, *exchangeTokens) {
		return func(_ *fakeVault, s *signIns, _ *exchangeTokens) {
			s.status = status
			s.body = fmt.Sprintf(`{"error":"invalid_client","error_description":"AADSTS%d: %s. See more. Trace ID: x","error_codes":[%d]}`, code, text, code)
		}
	}
	answered := func(status int, body string) func(*fakeVault, *signIns, *exchangeTokens) {
		return func(_ *fakeVault, s *signIns, _ *exchangeTokens) { s.status, s.body = status, body }
	}
	const access = "IdentityDoesNotHaveAccessToKeyVault"
	tests := map[string]struct {
		world func(*fakeVault, *signIns, *exchangeTokens)
		code  string // "" for no verdict
		in    string
	}{
		"service principal deleted": {refusal(401, 7000229, "no principal"), access, "tenant " + customersTenant + " does not let application " + application + " sign in: AADSTS7000229: no principal"},
		"application deleted":       {refusal(400, 700016, "not found"), access, "AADSTS700016: not found"},
		"credential removed":        {refusal(401, 700211, "no issuer"), access, "AADSTS700211"},
		"credential changed":        {refusal(401, 700213, "no subject"), access, "AADSTS700213"},
		"tenant gone":               {refusal(400, 90002, "no tenant"), access, "AADSTS90002"},
		"identity deleted":          {func(_ *fakeVault, _ *signIns, k *exchangeTokens) { k.gone = true }, access, "does not exist any more"},
		"policy removed":            {func(f *fakeVault, _ *signIns, _ *exchangeTokens) { f.allow = nil }, access, "may not unwrapKey"},
		"vault of a third tenant":   {func(f *fakeVault, _ *signIns, _ *exchangeTokens) { f.tenant = tenant }, access, "belongs to the tenant"},
		"greedy challenge":          {func(f *fakeVault, _ *signIns, _ *exchangeTokens) { f.resource = "https://net" }, access, "asks for a token"},
		"clocks differ":             {refusal(401, 700024, "not in its time"), "", ""},
		"transient":                 {refusal(503, 90033, "again"), "", ""},
		"throttled":                 {answered(429, `{}`), "", ""},
		"not found":                 {answered(404, `{"error":{"code":"ResourceNotFound"}}`), "", ""},
		"a refusal without a code":  {answered(401, `{"error":"invalid_client"}`), "", ""},
		"no JSON":                   {answered(400, `<html>`), "", ""},
		"no token":                  {answered(200, `{}`), "", ""},
		"network":                   {func(_ *fakeVault, s *signIns, _ *exchangeTokens) { s.abort = true }, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s, k, v := abroad(t)
			wrapped, err := wrapper(t, v, federatedKEK("v1")).Wrap(t.Context(), []byte("0123456789abcdef"))
			if err != nil {
				t.Fatal(err)
			}
			f.set(func() { tt.world(f, s, k) })
			_, err = wrapper(t, v, federatedKEK("v1")).Unwrap(t.Context(), wrapped)
			if f.tenant != tenant && f.resource != "https://net" { // the SDK remembers the challenge
				verdict(t, err, tt.code, tt.in)
			}
			v = keyvault.New(keyvault.Config{Tokens: k, Client: f.client(), Timeout: 5 * time.Second})
			verdict(t, v.Probe(t.Context(), federatedKEK("v1")), tt.code, "")
			_, err = v.Key(t.Context(), federatedKEK("v1"))
			verdict(t, err, tt.code, "")
			if err != nil && strings.Contains(err.Error(), "assertion-of") {
				t.Errorf("the error holds the assertion: %v", err)
			}
		})
	}
}

func TestSignInNeedsTheVaultsTenant(t *testing.T) {
	t.Parallel()
	_, s, _, v := abroad(t)
	k := federatedKEK("v1")
	k.Identity.VaultTenantID = ""
	verdict(t, v.Probe(t.Context(), k), "", "")
	if len(s.forms) != 0 {
		t.Errorf("signed in at %v", s.paths)
	}
}
