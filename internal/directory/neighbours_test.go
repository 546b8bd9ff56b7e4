package directory

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/kustos-io/kustos/internal/authz"
)

// street is two tenants of one server, each with its own store. The
// applications are registered in a; b is the customer's.
type street struct{ a, b *fixture }

func openStreet(t testing.TB, options ...func(*Config)) street {
	t.Helper()
	var all []*Directory
	tenant := func() *fixture {
		var engine *authz.Engine
		f := open(t, func(cfg *Config) {
			engine = authz.New(authz.Config{Store: cfg.Store, Now: cfg.Now})
			cfg.Authorizer = engine
			cfg.Neighbours = NeighboursFunc(func() []*Directory { return all })
			for _, option := range options {
				option(cfg)
			}
		})
		if err := engine.GrantDirectoryAdministrator(t.Context(), f.boot.ObjectID); err != nil {
			t.Fatal(err)
		}
		all = append(all, f.Directory)
		return f
	}
	return street{tenant(), tenant()}
}

const multiOrgs = `{"signInAudience":"AzureADMultipleOrgs"}`

// must sends a Graph request that has to be answered with status.
func (f *fixture) must(t testing.TB, status int, method, path, body string) map[string]any {
	t.Helper()
	got, answer, text := f.graphCall(t, method, path, body)
	if got != status {
		t.Fatalf("%s %s: %d %s", method, path, got, text)
	}
	return answer
}

// assert sends a client assertion to the token endpoint of the tenant.
func (f *fixture) assert(t *testing.T, appID, assertion string) (int, map[string]any) {
	t.Helper()
	status, body, _ := f.tokenByAssertion(t, appID, assertion)
	return status, body
}

// The way of a customer-managed key in another tenant, by hand: identity of a,
// application of a that trusts it, service principal in b, token of b.
func TestSignInToAnotherTenant(t *testing.T) {
	t.Parallel()
	s := openStreet(t)
	identity := s.a.identity(t, "id1", identityID)
	app := s.a.must(t, 201, "POST", "/v1.0/applications", `{"displayName":"keys","signInAudience":"AzureADMultipleOrgs"}`)
	if app["signInAudience"] != "AzureADMultipleOrgs" {
		t.Errorf("audience %v", app["signInAudience"])
	}
	appID, path := app["appId"].(string), "/v1.0/applications/"+app["id"].(string)
	credential := `{"name":"cluster","issuer":"` + issuer2(s.a.TenantID()) + `","subject":"` + identity.ObjectID + `","audiences":["` + exchangeAudience + `"]}`
	s.a.must(t, 201, "POST", path+"/federatedIdentityCredentials", credential)
	assertion := func() string {
		token, _, err := s.a.IdentityToken(t.Context(), identity.ObjectID, exchangeAudience)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	refused := func(when string, code float64, message string) {
		t.Helper()
		status, body := s.b.assert(t, appID, assertion())
		text, _ := body["error_description"].(string)
		if errorCode(body) != code || !strings.Contains(text, message) {
			t.Errorf("%s: %d %v, want %v", when, status, body, code)
		}
	}
	admitted := func(when string) string {
		t.Helper()
		status, body := s.b.assert(t, appID, assertion())
		token, _ := body["access_token"].(string)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %v", when, status, body)
		}
		return token
	}

	refused("no service principal", 7000229, "The client application "+appID+" is missing service principal in the tenant "+s.b.TenantID()+".")
	sp := s.b.must(t, 201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+strings.ToUpper(appID)+`"}`)
	if sp["appOwnerOrganizationId"] != s.a.TenantID() || sp["appId"] != appID || sp["displayName"] != "keys" || sp["signInAudience"] != "AzureADMultipleOrgs" {
		t.Errorf("service principal %v", sp)
	}
	spID := sp["id"].(string)
	if status, body, _ := s.b.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`); status != 409 {
		t.Errorf("a second service principal: %d %v", status, body)
	}
	if got := s.b.must(t, 200, "GET", "/v1.0/servicePrincipals(appId='"+appID+"')", ""); got["id"] != spID || got["appOwnerOrganizationId"] != s.a.TenantID() {
		t.Errorf("read %v", got)
	}
	if status, _, _ := s.b.graphCall(t, "GET", "/v1.0/applications(appId='"+appID+"')", ""); status != 404 {
		t.Errorf("the registration is read in the other tenant: %d", status)
	}
	home := s.a.must(t, 201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`)
	if home["id"] == spID || home["appOwnerOrganizationId"] != s.a.TenantID() {
		t.Errorf("service principal at home %v", home)
	}

	token := admitted("in order")
	p, err := s.b.Verify(t.Context(), token, vaultAudience)
	if err != nil || p.TenantID != s.b.TenantID() || p.ObjectID != spID || p.AppID != appID || p.Issuer != issuer(s.b.TenantID()) {
		t.Errorf("principal %+v %v", p, err)
	}
	if _, err := s.a.Verify(t.Context(), token, vaultAudience); err == nil {
		t.Error("a token of one tenant passes in the other")
	}
	if status, body := s.a.assert(t, appID, assertion()); status != 200 {
		t.Errorf("at home: %d %v", status, body)
	}
	if status, body := s.b.assert(t, s.b.boot.ClientID, assertion()); errorCode(body) != 700211 {
		t.Errorf("for an application that does not trust the identity: %d %v", status, body)
	}

	// Each link can be taken away, and counts from that moment.
	s.a.must(t, 204, "DELETE", path+"/federatedIdentityCredentials/cluster", "")
	refused("credential removed", 700211, issuer2(s.a.TenantID()))
	s.a.must(t, 201, "POST", path+"/federatedIdentityCredentials", strings.Replace(credential, identity.ObjectID, spID, 1))
	refused("another subject", 700213, identity.ObjectID)
	s.a.must(t, 204, "PATCH", path+"/federatedIdentityCredentials/cluster", `{"subject":"`+identity.ObjectID+`","audiences":["api://else"]}`)
	refused("another audience", 700212, "audience")
	s.a.must(t, 204, "PATCH", path+"/federatedIdentityCredentials/cluster", `{"audiences":["`+exchangeAudience+`"]}`)
	admitted("credential back")
	s.a.must(t, 204, "PATCH", path, `{"signInAudience":"AzureADMyOrg"}`)
	refused("one tenant alone", 700016, "Application with identifier '"+appID+"' was not found in the directory '"+s.b.TenantID()+"'.")
	s.a.must(t, 204, "PATCH", path, multiOrgs)
	admitted("several tenants again")
	s.b.must(t, 204, "DELETE", "/v1.0/servicePrincipals/"+spID, "")
	refused("service principal deleted", 7000229, "missing service principal")
	again := s.b.must(t, 201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`)
	if again["id"] == spID {
		t.Error("a service principal made anew has the id, and so the rights, of the old one")
	}
	admitted("service principal back")
	s.a.must(t, 204, "DELETE", path, "")
	refused("application deleted", 700016, appID)
	s.b.must(t, 200, "GET", "/v1.0/servicePrincipals/"+again["id"].(string), "")
	s.b.must(t, 204, "DELETE", "/v1.0/servicePrincipals/"+again["id"].(string), "")
	refused("nothing left", 700016, appID)
}

// A client that is no identity proves itself in the other tenant by what its
// own has registered.
func TestForeignClientProofs(t *testing.T) {
	t.Parallel()
	s := openStreet(t)
	c := s.a.client(t)
	s.a.must(t, 204, "PATCH", "/v1.0/applications/"+c.id, multiOrgs)
	if got := s.a.must(t, 200, "GET", "/v1.0/servicePrincipals/"+c.objectID, ""); got["signInAudience"] != "AzureADMultipleOrgs" {
		t.Errorf("the service principal at home: %v", got["signInAudience"])
	}
	secret := s.a.must(t, 200, "POST", "/v1.0/applications/"+c.id+"/addPassword", `{}`)["secretText"].(string)
	s.b.must(t, 201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+c.appID+`"}`)
	bySecret := func(f *fixture, secret string) (int, map[string]any) {
		status, body, _ := f.do(t, f.LoginHandler(), post("/"+f.TenantID()+"/oauth2/v2.0/token",
			url.Values{"grant_type": {"client_credentials"}, "client_id": {c.appID}, "client_secret": {secret}, "scope": {vaultAudience + "/.default"}}))
		return status, body
	}
	if status, body := bySecret(s.b, secret); status != 200 {
		t.Errorf("secret: %d %v", status, body)
	}
	if status, body := bySecret(s.b, "x"+secret[1:]); errorCode(body) != 7000215 {
		t.Errorf("wrong secret: %d %v", status, body)
	}
	header := map[string]any{"x5t#S256": c.sha256()}
	signed := func(f *fixture, jti string) string {
		return signJWT(t, c.key, jose.PS256, header, f.assertionClaims(c, map[string]any{"jti": jti}))
	}
	if status, body := s.b.assert(t, c.appID, signed(s.b, "1")); status != 200 {
		t.Errorf("certificate: %d %v", status, body)
	}
	if status, body := s.b.assert(t, c.appID, signed(s.a, "2")); errorCode(body) != 700023 {
		t.Errorf("an assertion for the other tenant: %d %v", status, body)
	}
	if _, body := bySecret(s.b, ""); errorCode(body) != 7000216 {
		t.Errorf("no proof: %v", body)
	}
	// People do not sign in through it here.
	person := s.b.person(t, "ada")
	status, body, _ := s.b.do(t, s.b.LoginHandler(), post("/"+s.b.TenantID()+"/oauth2/v2.0/token", url.Values{"grant_type": {"password"}, "client_id": {c.appID}, "client_secret": {secret},
		"username": {person.UPN}, "password": {"x"}, "scope": {vaultAudience + "/.default"}}))
	if errorCode(body) != 700016 {
		t.Errorf("a person through a foreign application: %d %v", status, body)
	}
	// A managed identity is its own tenant's alone.
	identity := s.a.identity(t, "id1", identityID)
	if status, body := s.b.assert(t, identity.ClientID, signed(s.b, "3")); errorCode(body) != 700016 {
		t.Errorf("an identity as a client elsewhere: %d %v", status, body)
	}
	if status, body, _ := s.b.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+identity.ClientID+`"}`); status != 400 {
		t.Errorf("a service principal of a foreign identity: %d %v", status, body)
	}
}

func TestSingleTenantApplicationStaysAtHome(t *testing.T) {
	t.Parallel()
	s := openStreet(t)
	c := s.a.client(t)
	status, body, text := s.b.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+c.appID+`"}`)
	if status != 400 || code(body) != "Request_BadRequest" || !strings.Contains(text, "does not reference a valid application object") {
		t.Errorf("%d %s", status, text)
	}
	if status, body := s.b.assert(t, c.appID, signJWT(t, c.key, jose.RS256, map[string]any{"x5t": c.sha1()}, s.b.assertionClaims(c, nil))); errorCode(body) != 700016 {
		t.Errorf("%d %v", status, body)
	}
}

// The keys of a tenant of this server are the ones it signs with now.
func TestNeighboursKeysAreLive(t *testing.T) {
	t.Parallel()
	s := openStreet(t)
	identity := s.a.identity(t, "id1", identityID)
	c := s.b.client(t)
	path := "/v1.0/applications/" + c.id + "/federatedIdentityCredentials"
	body := fmt.Sprintf(`{"name":"theirs","issuer":%q,"subject":%q,"audiences":[%q]}`, issuer2(s.a.TenantID()), identity.ObjectID, exchangeAudience)
	if status, _, text := s.b.graphCall(t, "POST", path, strings.TrimSuffix(body, "}")+`,"kustosKeySet":{"keys":[]}}`); status != 400 || !strings.Contains(text, "its keys are known") {
		t.Errorf("with a key set: %d %s", status, text)
	}
	s.b.must(t, 201, "POST", path, body)
	for range 2 {
		token, _, err := s.a.IdentityToken(t.Context(), identity.ObjectID, exchangeAudience)
		if err != nil {
			t.Fatal(err)
		}
		if status, body := s.b.assert(t, c.appID, token); status != 200 {
			t.Fatalf("%d %v", status, body)
		}
		if _, err := s.a.RotateSigningKey(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// A stranger's issuer still needs its keys.
	stranger := strings.Replace(body, s.a.TenantID(), "00000000-0000-4000-8000-0000000000ff", 1)
	if status, _, text := s.b.graphCall(t, "POST", path, stranger); status != 400 || !strings.Contains(text, "never calls other hosts") {
		t.Errorf("a stranger's issuer: %d %s", status, text)
	}
	// A tenant that is gone vouches for nobody.
	token, _, err := s.a.IdentityToken(t.Context(), identity.ObjectID, exchangeAudience)
	if err != nil {
		t.Fatal(err)
	}
	s.b.neighbours = nil
	if status, body := s.b.assert(t, c.appID, token); errorCode(body) != 50013 {
		t.Errorf("after the tenant is gone: %d %v", status, body)
	}
}
