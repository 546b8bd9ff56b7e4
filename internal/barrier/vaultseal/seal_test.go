package vaultseal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/vaultseal"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/internal/vault"
)

const (
	tenant = "11111111-2222-4333-8444-555555555555"
	oid    = "aaaaaaaa-0000-4000-8000-000000000001"
	key    = "https://kv1.vault.azure.net/keys/root"
)

type anybody struct{}

func (anybody) Verify(context.Context, string, ...string) (authz.Principal, error) {
	return authz.Principal{TenantID: tenant, ObjectID: oid}, nil
}

func (anybody) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "t", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// elsewhere is a real vault behind TLS, reached by the stock client.
type elsewhere struct {
	*testing.T
	service *vault.Service
	client  *http.Client
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	s := vault.New(vault.Config{Store: memstore.New(), Verifier: anybody{}, Log: slog.New(slog.DiscardHandler), TenantID: tenant})
	id, err := ids.Parse("/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv1")
	if err != nil {
		t.Fatal(err)
	}
	tid := tenant
	policies := []vault.AccessPolicy{{TenantID: tenant, ObjectID: oid, Permissions: vault.Permissions{Keys: []string{"all"}}}}
	if _, _, err := s.Put(t.Context(), vault.Write{ID: id, APIVersion: "2022-07-01", Location: "westeurope",
		Input: vault.Input{TenantID: &tid, SKU: &vault.SKU{Family: "A", Name: "standard"}, AccessPolicies: &policies}}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(s.Handler())
	t.Cleanup(server.Close)
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // the name in the test certificate
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return &elsewhere{t, s, &http.Client{Transport: transport}}
}

func (e *elsewhere) do(method, path, body string) {
	e.Helper()
	req, err := http.NewRequestWithContext(e.Context(), method, "https://kv1.vault.azure.net"+path+"?api-version=7.4", strings.NewReader(body))
	if err != nil {
		e.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer t")
	res, err := e.client.Do(req)
	if err != nil {
		e.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		e.Fatalf("%s %s: %d", method, path, res.StatusCode)
	}
}

func (e *elsewhere) seal(address string) *vaultseal.Seal {
	e.Helper()
	s, err := vaultseal.New(vaultseal.Config{Key: address, Credential: anybody{}, Client: e.client})
	if err != nil {
		e.Fatal(err)
	}
	return s
}

func TestBarrierUnderAKeyElsewhere(t *testing.T) {
	t.Parallel()
	e := newElsewhere(t)
	e.do("POST", "/keys/root/create", `{"kty":"RSA"}`)
	dir := t.TempDir()
	b, err := barrier.Create(t.Context(), dir, e.seal(key))
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	e.do("POST", "/keys/root/rotate", ``) // an older version still unwraps
	if b, err = barrier.Open(t.Context(), dir, e.seal(key)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	e.do("PATCH", "/keys/root", `{"attributes":{"enabled":true}}`)
	e.do("DELETE", "/keys/root", ``)
	if _, err := barrier.Open(t.Context(), dir, e.seal(key)); err == nil || !strings.Contains(err.Error(), "404 KeyNotFound") {
		t.Errorf("without the key: %v", err)
	}
	e.do("POST", "/deletedkeys/root/recover", ``)
	if b, err = barrier.Open(t.Context(), dir, e.seal(key)); err != nil {
		t.Fatal(err)
	}
	b.Close()
}

func TestEveryBitOfTheBlobIsBound(t *testing.T) {
	t.Parallel()
	e := newElsewhere(t)
	e.do("POST", "/keys/root/create", `{"kty":"RSA"}`)
	s := e.seal(key)
	secret := bytes.Repeat([]byte{7}, 32)
	blob, err := s.Wrap(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(blob, secret) {
		t.Error("the root key is in the blob")
	}
	for i := 0; i < len(blob); i += 5 {
		bad := bytes.Clone(blob)
		bad[i] ^= 1
		if _, err := s.Unwrap(t.Context(), bad); err == nil {
			t.Errorf("byte %d changed and unwrapped", i)
		}
		if _, err := s.Unwrap(t.Context(), blob[:i]); err == nil {
			t.Errorf("cut at %d and unwrapped", i)
		}
	}
	if _, err := s.Unwrap(t.Context(), []byte{1, 0, 0, 0, 0}); !errors.Is(err, barrier.ErrWrongSeal) {
		t.Errorf("another seal's blob: %v", err)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "kv1", "http://kv1.vault.azure.net/keys/k", "https://kv1.vault.azure.net/secrets/k", "https://kv1.vault.azure.net/keys/",
		"https://u:p@kv1.vault.azure.net/keys/k", "https://kv1.vault.azure.net/keys/k/v/w", "https://kv1.vault.azure.net/keys/k?x=1"} {
		if _, _, _, err := vaultseal.Parse(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if v, n, ver, err := vaultseal.Parse("https://h:8443/keys/k/v1"); err != nil || v != "https://h:8443" || n != "k" || ver != "v1" {
		t.Errorf("%s %s %s %v", v, n, ver, err)
	}
}
