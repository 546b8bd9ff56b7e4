package directory

import "testing"

// What a cluster pays for each request to a vault of another tenant: the
// identity's token and its exchange, without the network.
func BenchmarkSignInToAnotherTenant(b *testing.B) {
	s := openStreet(b)
	identity := s.a.identity(b, "id1", identityID)
	app := s.a.must(b, 201, "POST", "/v1.0/applications", `{"displayName":"keys","signInAudience":"AzureADMultipleOrgs"}`)
	s.a.must(b, 201, "POST", "/v1.0/applications/"+app["id"].(string)+"/federatedIdentityCredentials",
		`{"name":"cluster","issuer":"`+issuer2(s.a.TenantID())+`","subject":"`+identity.ObjectID+`","audiences":["`+exchangeAudience+`"]}`)
	s.b.must(b, 201, "POST", "/v1.0/servicePrincipals", `{"appId":"`+app["appId"].(string)+`"}`)
	for b.Loop() {
		token, _, err := s.a.IdentityToken(b.Context(), identity.ObjectID, exchangeAudience)
		if err != nil {
			b.Fatal(err)
		}
		if status, body, _ := s.b.tokenByAssertion(b, app["appId"].(string), token); status != 200 {
			b.Fatal(status, body)
		}
	}
}
