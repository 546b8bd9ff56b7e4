package directory

import (
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

func TestIdentityEndpoint(t *testing.T) {
	t.Parallel()
	f := open(t)
	system := f.identity(t, "c1", clusterID)
	user := f.identity(t, "id1", identityID)
	other := f.identity(t, "id2", identityID+"2")
	secret := user.Secret.Reveal()
	const app, old = "api-version=2019-08-01&resource=https://vault.azure.net", "api-version=2017-09-01&resource=https://vault.azure.net"
	header, oldHeader := "X-IDENTITY-HEADER", "secret"
	tests := []struct {
		name, method, path, query, body string
		headers                         []string
		want                            int
	}{
		{"App Service", "GET", "/msi/token", app, "", []string{header, secret}, 200},
		{"with a final slash", "GET", "/msi/token/", app, "", []string{header, secret}, 200},
		{"2017", "GET", "/msi/token", old, "", []string{oldHeader, secret}, 200},
		{"selected by client id", "GET", "/msi/token", app + "&client_id=" + user.ClientID, "", []string{header, secret}, 200},
		{"selected by client id of 2017", "GET", "/msi/token", old + "&clientid=" + user.ClientID, "", []string{oldHeader, secret}, 200},
		{"selected by object id", "GET", "/msi/token", app + "&object_id=" + user.ObjectID, "", []string{header, secret}, 200},
		{"selected by principal id", "GET", "/msi/token", app + "&principal_id=" + user.ObjectID, "", []string{header, secret}, 200},
		{"selected by resource id", "GET", "/msi/token", app + "&mi_res_id=" + url.QueryEscape(strings.ToUpper(identityID)), "", []string{header, secret}, 200},
		{"form with the secret in the path", "POST", IdentityEndpointPathOf(user.Secret), "", "resource=https://vault.azure.net", []string{"Metadata", "true"}, 200},
		{"form with a header", "POST", "/msi/token", "", "resource=https://vault.azure.net", []string{"Metadata", "true", oldHeader, secret}, 200},

		{"no secret", "GET", "/msi/token", app, "", nil, 401},
		{"wrong secret", "GET", "/msi/token", app, "", []string{header, secret + "x"}, 401},
		{"secret of an application", "GET", "/msi/token", app, "", []string{header, f.boot.ClientSecret.Reveal()}, 401},
		{"two secrets", "GET", "/msi/token", app, "", []string{header, secret, oldHeader, secret}, 401},
		{"selected another", "GET", "/msi/token", app + "&client_id=" + other.ClientID, "", []string{header, secret}, 400},
		{"selected a system identity", "GET", "/msi/token", app + "&client_id=" + system.ClientID, "", []string{header, secret}, 400},
		{"selected nobody", "GET", "/msi/token", app + "&client_id=", "", []string{header, secret}, 400},
		{"secret of another", "GET", "/msi/token", app + "&client_id=" + user.ClientID, "", []string{header, other.Secret.Reveal()}, 400},
		{"no version", "GET", "/msi/token", "resource=https://vault.azure.net", "", []string{header, secret}, 400},
		{"other version", "GET", "/msi/token", "api-version=2018-02-01&resource=x", "", []string{header, secret}, 400},
		{"no resource", "GET", "/msi/token", "api-version=2019-08-01", "", []string{header, secret}, 400},
		{"unknown resource", "GET", "/msi/token", "api-version=2019-08-01&resource=https://example.com", "", []string{header, secret}, 400},
		{"form without Metadata", "POST", IdentityEndpointPathOf(user.Secret), "", "resource=https://vault.azure.net", nil, 400},
		{"link with the secret in the path", "GET", IdentityEndpointPathOf(user.Secret), old, "", nil, 400},
		{"form that is none", "POST", "/msi/token", "", "%zz", []string{"Metadata", "true", header, secret}, 400},
		{"put", "PUT", "/msi/token", app, "", []string{header, secret}, 405},
		{"another path", "GET", "/metadata/identity/oauth2/token", app, "", []string{header, secret}, 404},
		{"path of three", "GET", "/msi/a/b/token", app, "", []string{header, secret}, 404},
	}
	for _, tc := range tests {
		r := httptest.NewRequest(tc.method, "http://127.0.0.1:8400"+tc.path+"?"+tc.query, strings.NewReader(tc.body))
		for i := 0; i < len(tc.headers); i += 2 {
			r.Header.Set(tc.headers[i], tc.headers[i+1])
		}
		status, body, text := f.do(t, f.IdentityEndpointHandler(), r)
		if status != tc.want {
			t.Errorf("%s: %d %s", tc.name, status, text)
			continue
		}
		if tc.want != 200 {
			if body["access_token"] != nil || body["statusCode"] != float64(tc.want) || body["message"] == "" {
				t.Errorf("%s: %s", tc.name, text)
			}
			continue
		}
		if p, err := f.Verify(t.Context(), body["access_token"].(string), vaultAudience); err != nil || p.ObjectID != user.ObjectID {
			t.Errorf("%s: %+v, %v", tc.name, p, err)
		}
		if body["client_id"] != user.ClientID || body["expires_on"] != fmt.Sprint(f.clock.at.Add(identityTokenLifetime).Unix()) {
			t.Errorf("%s: %s", tc.name, text)
		}
	}
	r := httptest.NewRequest("GET", "http://rebound.example/msi/token?"+app, nil)
	r.Header.Set(header, secret)
	if status, _, text := f.do(t, f.IdentityEndpointHandler(), r); status != 403 {
		t.Errorf("another host name: %d %s", status, text)
	}
	for _, s := range []string{secret, other.Secret.Reveal(), f.boot.ClientSecret.Reveal()} {
		if strings.Contains(f.log.String(), s) {
			t.Error("the log holds a secret")
		}
	}
}

// childVariable tells the test binary to be a client for one token, and of whom.
const childVariable = "KUSTOS_TEST_IDENTITY_CLIENT"

// TestAzureIdentityEndpoint is the Azure SDK's managed identity credential in
// the environment of App Service. Each form is tried by a process of its own: the
// SDK keeps the tokens of a process, whatever tenant they are of.
func TestAzureIdentityEndpoint(t *testing.T) {
	t.Parallel()
	f := open(t, func(cfg *Config) { cfg.Now = time.Now })
	user := f.identity(t, "id1", identityID)
	server := httptest.NewServer(f.IdentityEndpointHandler())
	defer server.Close()
	for name, env := range map[string][]string{
		"App Service": {"IDENTITY_ENDPOINT=" + server.URL + IdentityEndpointPath, "IDENTITY_HEADER=" + user.Secret.Reveal(), childVariable + "=" + user.ClientID},
		"MSI_SECRET":  {"MSI_ENDPOINT=" + server.URL + IdentityEndpointPath, "MSI_SECRET=" + user.Secret.Reveal(), childVariable + "=" + user.ClientID},
		"MSI":         {"MSI_ENDPOINT=" + server.URL + IdentityEndpointPathOf(user.Secret), childVariable + "=none"}, // that form cannot select
	} {
		t.Run(name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIdentityClient$", "-test.v")
			child.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
			out, err := child.CombinedOutput()
			_, rest, _ := strings.Cut(string(out), "token=")
			token, _, found := strings.Cut(rest, "\n")
			if err != nil || !found {
				t.Fatalf("%v\n%s", err, out)
			}
			if p, err := f.Verify(t.Context(), token, vaultAudience); err != nil || p.ObjectID != user.ObjectID {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestIdentityClient is the process that TestAzureIdentityEndpoint starts.
func TestIdentityClient(t *testing.T) {
	id := os.Getenv(childVariable)
	if id == "" {
		t.Skip("a part of TestAzureIdentityEndpoint")
	}
	options := &azidentity.ManagedIdentityCredentialOptions{}
	if id != "none" {
		options.ID = azidentity.ClientID(id)
	}
	credential, err := azidentity.NewManagedIdentityCredential(options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{vaultAudience + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("token=%s\n", token.Token)
}
