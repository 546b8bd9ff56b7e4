package directory

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// planes is a transport that hands requests to the handlers of the directory,
// as the proxy does.
type planes struct{ f *fixture }

func (p planes) Do(r *http.Request) (*http.Response, error) {
	h := p.f.LoginHandler()
	if r.URL.Host == "169.254.169.254" {
		h = p.f.IMDSHandler()
		user := p.f.user
		r = r.WithContext(WithProxyUser(r.Context(), user.ClientID, user.Secret.Reveal()))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

// TestAzureIdentityModule signs in with the client library of the Azure SDK
// for Go, with its instance discovery on.
func TestAzureIdentityModule(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *Config) { cfg.Now = time.Now }) // the library looks at the real clock
	f.user = f.identity(t, "id1", identityID)
	options := azcore.ClientOptions{Transport: planes{f}}
	secret, err := azidentity.NewClientSecretCredential(f.TenantID(), f.boot.ClientID, f.boot.ClientSecret.Reveal(), &azidentity.ClientSecretCredentialOptions{ClientOptions: options})
	if err != nil {
		t.Fatal(err)
	}
	managed, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options, ID: azidentity.ClientID(f.user.ClientID)})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		credential      azcore.TokenCredential
		scope, audience string
		objectID        string
	}{
		{secret, "https://management.core.windows.net//.default", "https://management.core.windows.net/", f.boot.ObjectID},
		{secret, "https://vault.azure.net/.default", "https://vault.azure.net", f.boot.ObjectID},
		{managed, "https://vault.azure.net/.default", "https://vault.azure.net", f.user.ObjectID},
	} {
		token, err := tc.credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{tc.scope}})
		if err != nil {
			t.Errorf("%s: %v", tc.scope, err)
			continue
		}
		p, err := f.Verify(t.Context(), token.Token, tc.audience)
		if err != nil || p.ObjectID != tc.objectID {
			t.Errorf("%s: %+v, %v", tc.scope, p, err)
		}
	}
}

// TestAzureIdentityAcrossTenants goes the whole way with the library: the
// identity's token from the metadata endpoint, shown to the other tenant.
func TestAzureIdentityAcrossTenants(t *testing.T) {
	t.Parallel()
	s := openStreet(t, func(cfg *Config) { cfg.Now = time.Now })
	s.a.user = s.a.identity(t, "id1", identityID)
	app := s.a.must(t, 201, "POST", "/v1.0/applications", `{"displayName":"keys","signInAudience":"AzureADMultipleOrgs"}`)
	s.a.must(t, 201, "POST", "/v1.0/applications/"+app["id"].(string)+"/federatedIdentityCredentials",
		`{"name":"cluster","issuer":"`+issuer2(s.a.TenantID())+`","subject":"`+s.a.user.ObjectID+`","audiences":["`+exchangeAudience+`"]}`)
	appID := app["appId"].(string)
	sp := s.b.must(t, 201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`)
	managed, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: planes{s.a}}, ID: azidentity.ClientID(s.a.user.ClientID)})
	if err != nil {
		t.Fatal(err)
	}
	assertion := func(ctx context.Context) (string, error) {
		token, err := managed.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{exchangeAudience + "/.default"}})
		return token.Token, err
	}
	abroad, err := azidentity.NewClientAssertionCredential(s.b.TenantID(), appID, assertion, &azidentity.ClientAssertionCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: planes{s.b}}})
	if err != nil {
		t.Fatal(err)
	}
	token, err := abroad.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{"https://vault.azure.net/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.b.Verify(t.Context(), token.Token, "https://vault.azure.net"); err != nil || p.ObjectID != sp["id"] || p.TenantID != s.b.TenantID() {
		t.Errorf("%+v, %v", p, err)
	}
}
