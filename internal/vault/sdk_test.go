package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/google/go-cmp/cmp"
)

// credential gives the owner's token for the scope the challenge names.
type credential struct{ t *testing.T }

func (c credential) GetToken(_ context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if diff := cmp.Diff([]string{"https://vault.azure.net/.default"}, opts.Scopes); diff != "" || opts.TenantID != testTenant {
		c.t.Errorf("tenant %s, scopes (-want +got)\n%s", opts.TenantID, diff)
	}
	return azcore.AccessToken{Token: owner, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// TestGoSDK runs the stock client with challenge verification on.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	server := httptest.NewTLSServer(f.handler)
	defer server.Close()
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.ServerName = "example.com" // the name in the test certificate
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	client, err := azkeys.NewClient("https://kv1.vault.azure.net", credential{t}, &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: &http.Client{Transport: transport}, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	created, err := client.CreateKey(ctx, "k", azkeys.CreateKeyParameters{Kty: ptr(azkeys.KeyTypeRSA), KeySize: ptr(int32(2048))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	version := created.Key.KID.Version()
	for _, v := range []string{"", version} {
		got, err := client.GetKey(ctx, "k", v, nil)
		if err != nil || *got.Key.KID != *created.Key.KID || !bytes.Equal(got.Key.N, created.Key.N) {
			t.Errorf("get %q: %v", v, err)
		}
		params := azkeys.KeyOperationParameters{Algorithm: ptr(azkeys.EncryptionAlgorithmRSAOAEP256), Value: []byte("a key")}
		wrapped, err := client.WrapKey(ctx, "k", v, params, nil)
		if err != nil {
			t.Fatal(err)
		}
		params.Value = wrapped.Result
		if un, err := client.UnwrapKey(ctx, "k", v, params, nil); err != nil || string(un.Result) != "a key" || un.KID.Version() != version {
			t.Errorf("unwrap %q: %v", v, err)
		}
		if de, err := client.Decrypt(ctx, "k", v, params, nil); err != nil || string(de.Result) != "a key" {
			t.Errorf("decrypt %q: %v", v, err)
		}
	}
	digest := sha256.Sum256([]byte("m"))
	signed, err := client.Sign(ctx, "k", "", azkeys.SignParameters{Algorithm: ptr(azkeys.SignatureAlgorithmPS256), Value: digest[:]}, nil)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := client.Verify(ctx, "k", "", azkeys.VerifyParameters{Algorithm: ptr(azkeys.SignatureAlgorithmPS256), Digest: digest[:], Signature: signed.Result}, nil)
	if err != nil || !*verified.Value {
		t.Errorf("verify: %v", err)
	}
	if _, err := client.UpdateKey(ctx, "k", "", azkeys.UpdateKeyParameters{Tags: map[string]*string{"a": ptr("1")}}, nil); err != nil {
		t.Error(err)
	}
	rotated, err := client.RotateKey(ctx, "k", nil)
	if err != nil || rotated.Key.KID.Version() == version {
		t.Errorf("rotate: %v", err)
	}
	n := 0
	for pager := client.NewListKeyPropertiesVersionsPager("k", nil); pager.More(); {
		p, err := pager.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		n += len(p.Value)
	}
	if n != 2 {
		t.Errorf("%d versions", n)
	}
	p, err := client.UpdateKeyRotationPolicy(ctx, "k", azkeys.KeyRotationPolicy{LifetimeActions: []*azkeys.LifetimeAction{{
		Action: &azkeys.LifetimeActionType{Type: ptr(azkeys.KeyRotationPolicyActionRotate)}, Trigger: &azkeys.LifetimeActionTrigger{TimeAfterCreate: ptr("P90D")}}}}, nil)
	if err != nil || *p.LifetimeActions[0].Trigger.TimeAfterCreate != "P90D" {
		t.Errorf("rotation policy: %v", err)
	}
	blob, err := client.BackupKey(ctx, "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteKey(ctx, "k", nil); err != nil {
		t.Error(err)
	}
	if _, err := client.RecoverDeletedKey(ctx, "k", nil); err != nil {
		t.Error(err)
	}
	if _, err := client.DeleteKey(ctx, "k", nil); err != nil {
		t.Error(err)
	}
	if got, err := client.GetDeletedKey(ctx, "k", nil); err != nil || got.ScheduledPurgeDate == nil {
		t.Errorf("deleted: %v", err)
	}
	if _, err := client.PurgeDeletedKey(ctx, "k", nil); err != nil {
		t.Error(err)
	}
	if got, err := client.RestoreKey(ctx, azkeys.RestoreKeyParameters{KeyBackup: blob.Value}, nil); err != nil || *got.Key.KID != *rotated.Key.KID {
		t.Errorf("restore: %v", err)
	}
	if _, err := client.GetKey(ctx, "none", "", nil); err == nil {
		t.Error("an absent key was found")
	}
}
