package keyvault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
)

const tenant = "0b1f6471-1bf0-4dda-aec3-00000000000f"

// fakeVault is a vault's data plane behind TLS: the challenge, one RSA key in
// versions, wrapKey and unwrapKey.
type fakeVault struct {
	mu       sync.Mutex
	versions map[string]*rsa.PrivateKey
	newest   string
	disabled map[string]bool
	allow    map[string]bool // token → access
	// answer, when set, takes the place of everything after the challenge.
	answer   func(w http.ResponseWriter, r *http.Request) bool
	resource string
	tenant   string
	requests []string
	server   *httptest.Server
}

func newFakeVault(t *testing.T) *fakeVault {
	t.Helper()
	f := &fakeVault{versions: map[string]*rsa.PrivateKey{}, disabled: map[string]bool{}, allow: map[string]bool{"Bearer token-o1": true}, resource: "https://vault.azure.net", tenant: tenant}
	f.server = httptest.NewTLSServer(f)
	t.Cleanup(f.server.Close)
	f.version(t, "v1")
	return f
}

func (f *fakeVault) version(t *testing.T, name string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions[name], f.newest = k, name
}

func (f *fakeVault) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func fail(w http.ResponseWriter, status int, code, inner string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%q,"message":"no","innererror":{"code":%q}}}`, code, inner)
}

func (f *fakeVault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	token := r.Header.Get("Authorization")
	f.requests = append(f.requests, r.Method+" "+r.Host+" "+r.URL.Path+" "+token)
	if f.answer != nil && f.answer(w, r) {
		return
	}
	if token == "" {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer authorization="https://login.windows.net/%s", resource=%q`, f.tenant, f.resource))
		fail(w, http.StatusUnauthorized, "Unauthorized", "")
		return
	}
	if !f.allow[token] {
		fail(w, http.StatusForbidden, "Forbidden", "AccessDenied")
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // keys/key1[/version][/op]
	version, op := f.newest, ""
	if len(parts) > 2 {
		if last := parts[len(parts)-1]; r.Method == http.MethodPost {
			op = last
			parts = parts[:len(parts)-1]
		}
	}
	if len(parts) > 2 {
		version = parts[2]
	}
	key := f.versions[version]
	if parts[1] != "key1" || key == nil {
		fail(w, http.StatusNotFound, "KeyNotFound", "")
		return
	}
	kid := "https://" + r.Host + "/keys/key1/" + version
	b64 := base64.RawURLEncoding
	if op == "" {
		_ = json.NewEncoder(w).Encode(map[string]any{"key": map[string]any{"kid": kid, "kty": "RSA", "key_ops": []string{"wrapKey", "unwrapKey"}, "n": b64.EncodeToString(key.N.Bytes()), "e": b64.EncodeToString(big.NewInt(int64(key.E)).Bytes())},
			"attributes": map[string]any{"enabled": !f.disabled[version], "exp": 4102444800, "recoveryLevel": "Recoverable"}})
		return
	}
	if f.disabled[version] {
		fail(w, http.StatusForbidden, "Forbidden", "KeyDisabled")
		return
	}
	var body struct{ Alg, Value string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	value, err := b64.DecodeString(body.Value)
	if err != nil || body.Alg != "RSA-OAEP-256" {
		fail(w, http.StatusBadRequest, "BadParameter", "")
		return
	}
	var out []byte
	if op == "wrapkey" {
		out, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &key.PublicKey, value, nil)
	} else {
		out, err = rsa.DecryptOAEP(sha256.New(), nil, key, value, nil)
	}
	if err != nil {
		fail(w, http.StatusBadRequest, "BadParameter", "")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kid": kid, "value": b64.EncodeToString(out)})
}

// client dials the fake for every host.
func (f *fakeVault) client() *http.Client {
	c := f.server.Client()
	tr := c.Transport.(*http.Transport).Clone()
	tr.TLSClientConfig.InsecureSkipVerify = true // the fake's certificate has another name
	address := f.server.Listener.Addr().String()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, address)
	}
	return &http.Client{Transport: tr}
}

type tokens struct {
	mu   sync.Mutex
	gone bool
	n    int
}

func (k *tokens) IdentityToken(_ context.Context, objectID, resource string) (string, time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.n++
	if k.gone {
		return "", time.Time{}, fmt.Errorf("token: %w", directory.ErrNotFound)
	}
	if resource != "https://vault.azure.net" {
		return "", time.Time{}, errors.New("a token for " + resource)
	}
	return "token-" + objectID, time.Now().Add(time.Hour), nil
}

func kek(version string) envelope.KEK {
	return envelope.KEK{Kind: envelope.KindCustomer, VaultURI: "https://vault1.vault.azure.net/", KeyName: "key1", KeyVersion: version, Identity: envelope.Identity{ObjectID: "o1", TenantID: tenant}}
}

func newVaults(f *fakeVault, k *tokens) *keyvault.Vaults {
	return keyvault.New(keyvault.Config{Tokens: k, Client: f.client(), Timeout: 5 * time.Second})
}

func wrapper(t *testing.T, v *keyvault.Vaults, k envelope.KEK) envelope.KeyWrapper {
	t.Helper()
	w, err := v.For(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWrapAndUnwrap(t *testing.T) {
	t.Parallel()
	f := newFakeVault(t)
	v := newVaults(f, &tokens{})
	secret := []byte("0123456789abcdef0123456789abcdef")
	newest := wrapper(t, v, kek(""))
	one, err := newest.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if one.KeyVersion != "v1" || one.Algorithm != "RSA-OAEP-256" || one.KEK != kek("") || bytes.Contains(one.Ciphertext, secret) {
		t.Errorf("wrapped %+v", one)
	}
	f.version(t, "v2")
	two, err := newest.Wrap(t.Context(), secret)
	if err != nil || two.KeyVersion != "v2" {
		t.Fatalf("newest: %+v %v", two, err)
	}
	pinned, err := wrapper(t, v, kek("v1")).Wrap(t.Context(), secret)
	if err != nil || pinned.KeyVersion != "v1" {
		t.Fatalf("pinned: %+v %v", pinned, err)
	}
	for _, w := range []envelope.Wrapped{one, two, pinned} {
		back, err := newest.Unwrap(t.Context(), w)
		if err != nil || !bytes.Equal(back, secret) {
			t.Errorf("unwrap with %s: %v", w.KeyVersion, err)
		}
	}
	for _, r := range f.requests {
		if !strings.Contains(r, " vault1.vault.azure.net ") {
			t.Errorf("request %q", r)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	status := func(code int, name, inner string) func(f *fakeVault, k *tokens) {
		return func(f *fakeVault, _ *tokens) {
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") == "" {
					return false
				}
				if code == http.StatusUnauthorized {
					w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.windows.net/`+f.tenant+`", resource="https://vault.azure.net"`)
				}
				fail(w, code, name, inner)
				return true
			}
		}
	}
	tests := map[string]struct {
		world func(f *fakeVault, k *tokens)
		code  string // "" for no verdict, "plain" for neither
		check string // of Key and Probe, when it differs
		in    string
	}{
		"policy removed":     {func(f *fakeVault, _ *tokens) { f.allow = nil }, "IdentityDoesNotHaveAccessToKeyVault", "", "may not unwrapKey"},
		"role removed":       {status(403, "Forbidden", "ForbiddenByRbac"), "IdentityDoesNotHaveAccessToKeyVault", "", "may not"},
		"firewall":           {status(403, "Forbidden", "ForbiddenByFirewall"), "IdentityDoesNotHaveAccessToKeyVault", "", "firewall"},
		"disabled":           {func(f *fakeVault, _ *tokens) { f.disabled["v1"] = true }, "IdentityDoesNotHaveAccessToKeyVault", "", "is disabled"},
		"not permitted":      {status(403, "Forbidden", "KeyOperationForbidden"), "InvalidKeyVaultProperties", "", "does not permit unwrapKey"},
		"expired":            {status(403, "Forbidden", "KeyExpired"), "InvalidKeyVaultProperties", "", "has expired"},
		"not valid yet":      {status(403, "Forbidden", "KeyNotYetValid"), "InvalidKeyVaultProperties", "", "is not valid yet"},
		"key deleted":        {func(f *fakeVault, _ *tokens) { f.versions = nil }, "KeyNotFound", "", "does not exist"},
		"vault gone":         {status(404, "VaultNotFound", ""), "KeyVaultNotFound", "", "vault https://vault1.vault.azure.net/ does not exist"},
		"host not served":    {status(421, "HostNotServed", ""), "KeyVaultNotFound", "", ""},
		"identity deleted":   {func(_ *fakeVault, k *tokens) { k.gone = true }, "IdentityDoesNotHaveAccessToKeyVault", "", "does not exist any more"},
		"token not accepted": {status(401, "Unauthorized", ""), "IdentityDoesNotHaveAccessToKeyVault", "", ""},
		"clock is off": {func(f *fakeVault, _ *tokens) {
			f.answer = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") == "" {
					return false
				}
				w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.windows.net/`+f.tenant+`", resource="https://vault.azure.net"`)
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":{"code":"Unauthorized","message":"AKV10021: The token is expired or not yet valid."}}`)
				return true
			}
		}, "", "", ""},
		"other tenant": {func(f *fakeVault, _ *tokens) { f.tenant = "11111111-1bf0-4dda-aec3-00000000000f" }, "IdentityDoesNotHaveAccessToKeyVault", "", "tenant"},
		"throttled":    {status(429, "Throttled", ""), "", "", ""},
		"server error": {status(500, "InternalServerError", ""), "", "", ""},
		"unavailable":  {status(503, "", ""), "", "", ""},
		"redirect":     {status(307, "", ""), "", "InvalidKeyVaultProperties", ""},
		"bad request":  {status(400, "BadParameter", ""), "plain", "InvalidKeyVaultProperties", ""},
		"network": {func(f *fakeVault, _ *tokens) {
			f.answer = func(w http.ResponseWriter, r *http.Request) bool { panic(http.ErrAbortHandler) }
		}, "", "", ""},
		"greedy challenge":  {func(f *fakeVault, _ *tokens) { f.resource = "https://net" }, "IdentityDoesNotHaveAccessToKeyVault", "", "asks for a token"},
		"foreign challenge": {func(f *fakeVault, _ *tokens) { f.resource = "https://management.azure.com" }, "", "InvalidKeyVaultProperties", ""},
		"no challenge": {func(f *fakeVault, _ *tokens) {
			f.answer = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(401); return true }
		}, "", "InvalidKeyVaultProperties", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, k := newFakeVault(t), &tokens{}
			v := newVaults(f, k)
			wrapped, err := wrapper(t, v, kek("v1")).Wrap(t.Context(), []byte("0123456789abcdef"))
			if err != nil {
				t.Fatal(err)
			}
			f.set(func() { tt.world(f, k) })
			v = newVaults(f, k) // without the challenge remembered
			_, err = wrapper(t, v, kek("v1")).Unwrap(t.Context(), wrapped)
			verdict(t, err, tt.code, tt.in)
			if tt.check == "" {
				tt.check = tt.code
			}
			verdict(t, v.Probe(t.Context(), kek("v1")), tt.check, "")
			if name != "disabled" { // get works on a disabled key
				_, err = v.Key(t.Context(), kek("v1"))
				verdict(t, err, tt.check, "")
			}
			for _, r := range f.requests {
				if strings.Contains(r, "token") && strings.Contains(r, "https://net") {
					t.Errorf("a token went out: %s", r)
				}
			}
		})
	}
}

func verdict(t *testing.T, err error, code, in string) {
	t.Helper()
	var revoked *envelope.RevokedError
	switch {
	case err == nil:
		t.Error("no error")
	case code == "plain":
		if errors.Is(err, envelope.ErrRevoked) || errors.Is(err, envelope.ErrUnavailable) {
			t.Errorf("got %v, want an error that says neither", err)
		}
	case code == "":
		if !errors.Is(err, envelope.ErrUnavailable) || errors.Is(err, envelope.ErrRevoked) {
			t.Errorf("got %v, want no verdict", err)
		}
	case !errors.As(err, &revoked) || revoked.Code != code || !strings.Contains(revoked.Reason, in):
		t.Errorf("got %v, want %s with %q", err, code, in)
	case !strings.Contains(revoked.Reason, "key") && !strings.Contains(revoked.Reason, "vault"):
		t.Errorf("the reason %q names neither key nor vault", revoked.Reason)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	f := newFakeVault(t)
	f.version(t, "v2")
	f.set(func() { f.disabled["v2"] = true })
	v := newVaults(f, &tokens{})
	got, err := v.Key(t.Context(), kek(""))
	if err != nil {
		t.Fatal(err)
	}
	want := keyvault.Facts{Version: "v2", Type: "RSA", Bits: 2048, Expires: time.Unix(4102444800, 0), CanWrap: true, CanUnwrap: true, RecoveryLevel: "Recoverable"}
	if !got.Expires.Equal(want.Expires) {
		t.Errorf("expires %v", got.Expires)
	}
	got.Expires = want.Expires
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := v.Probe(t.Context(), kek("v1")); err != nil {
		t.Error(err)
	}
}

// An identity that is deleted is noticed by the next call, although the token
// it had would still be good for an hour.
func TestTokensAreNotKept(t *testing.T) {
	t.Parallel()
	f, k := newFakeVault(t), &tokens{}
	v := newVaults(f, k)
	w := wrapper(t, v, kek("v1"))
	if _, err := w.Wrap(t.Context(), []byte("0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	k.mu.Lock()
	k.gone = true
	k.mu.Unlock()
	_, err := w.Wrap(t.Context(), []byte("0123456789abcdef"))
	verdict(t, err, "IdentityDoesNotHaveAccessToKeyVault", "")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	hosts := keyvault.NewHosts([]string{"Other.example.test:8443", "real.vault.azure.net", "169.254.169.254"})
	good := map[string]keyvault.Address{
		"https://vault1.vault.azure.net":   {Host: "vault1.vault.azure.net", Name: "vault1"},
		"HTTPS://Vault1.Vault.Azure.Net/":  {Host: "vault1.vault.azure.net", Name: "vault1"},
		"https://a-1.vault.azure.net/":     {Host: "a-1.vault.azure.net", Name: "a-1"},
		"https://other.EXAMPLE.test:8443/": {Host: "other.example.test:8443"},
		"https://real.vault.azure.net":     {Host: "real.vault.azure.net"},
	}
	for text, want := range good {
		if got, err := hosts.Parse(text); err != nil || got != want {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "vault1.vault.azure.net", "http://vault1.vault.azure.net", "https://vault1.vault.azure.net:443", "https://u@vault1.vault.azure.net",
		"https://vault1.vault.azure.net/x", "https://vault1.vault.azure.net?", "https://vault1.vault.azure.net#", "https://a.b.vault.azure.net", "https://.vault.azure.net",
		"https://vault1.vault.azure.net.", "https://localhost", "https://127.0.0.1", "https://[::1]", "https://169.254.169.254", "https://169.254.169.254/", "https://other.example.test", "https:vault1.vault.azure.net",
		"https://vault1.vault.azure.net\\", "https://vault1.vault.azure.net ", "https://vаult1.vault.azure.net"} {
		if got, err := hosts.Parse(text); !errors.Is(err, keyvault.ErrAddress) {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"https://vault1.vault.azure.net/", "https://x@vault1.vault.azure.net", "https://vault1.vault.azure.net:1"} {
		f.Add(s)
	}
	hosts := keyvault.NewHosts(nil)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := hosts.Parse(text)
		if err != nil {
			return
		}
		if a.Name == "" || a.Host != a.Name+keyvault.Suffix || strings.ContainsAny(a.Name, ".:/@") {
			t.Errorf("%q became %+v", text, a)
		}
	})
}

func TestForRefuses(t *testing.T) {
	t.Parallel()
	v := keyvault.New(keyvault.Config{Tokens: &tokens{}})
	if _, err := v.For(t.Context(), envelope.PlatformKEK()); err == nil {
		t.Error("a platform KEK was taken")
	}
	k := kek("v1")
	k.VaultURI = "https://127.0.0.1/"
	if _, err := v.For(t.Context(), k); !errors.Is(err, keyvault.ErrAddress) {
		t.Errorf("got %v", err)
	}
	k = kek("v1")
	w := wrapper(t, v, k)
	if _, err := w.Unwrap(t.Context(), envelope.Wrapped{KEK: k, KeyVersion: "", Algorithm: "RSA-OAEP-256"}); err == nil {
		t.Error("a wrap without version was taken")
	}
	if _, err := w.Unwrap(t.Context(), envelope.Wrapped{KEK: k, KeyVersion: "v1", Algorithm: "RSA1_5"}); err == nil {
		t.Error("RSA1_5 was taken")
	}
}
