package managedidentity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/kustos-io/kustos/internal/arm/armtest"
	"github.com/kustos-io/kustos/internal/ids"
)

const v = "?api-version=2023-01-31"

// issuer is a token service elsewhere.
type issuer struct {
	t   *testing.T
	key *rsa.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{t, key}
}

func (i issuer) keySet() string {
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		i.t.Fatal(err)
	}
	return string(data)
}

func (i issuer) token(subject string) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k1"}}, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	now := time.Now()
	text, err := jwt.Signed(signer).Claims(jwt.Claims{Issuer: "https://issuer.example/", Subject: subject, Audience: jwt.Audience{"api://AzureADTokenExchange"},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute))}).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// exchange shows an assertion for a client and returns the status and the body.
func exchange(h *armtest.House, client, assertion string) (int, string) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {"https://management.azure.com/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion}}
	r := httptest.NewRequest("POST", "https://login.microsoftonline.com/"+h.Boot.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.Directory.LoginHandler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// A credential admits exactly what it names, until it is deleted.
func TestFederatedCredential(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Group(t, "rg1")
	id := h.Identity(t, "rg1", "identity1")
	client, _ := h.Must(t, "GET", id+v, "", 200).Get("properties", "clientId").(string)
	at := func(name string) string { return id + "/federatedIdentityCredentials/" + name + v }
	home := newIssuer(t)
	body := func(issuer, subject, audiences, more string) string {
		return `{"properties":{"issuer":"` + issuer + `","subject":"` + subject + `","audiences":` + audiences + more + `}}`
	}
	const aud = `["api://AzureADTokenExchange"]`
	good := body("https://issuer.example/", "job:1", aud, `,"kustosKeySet":`+home.keySet())
	for _, tt := range []struct {
		name, body string
		status     int
		code       string
	}{
		{"ab", good, 400, "BadRequest"},
		{"cred1", body("http://issuer.example/", "s", aud, ""), 400, "BadRequest"},
		{"cred1", body("https://issuer.example/", "", aud, ""), 400, "BadRequest"},
		{"cred1", body("https://issuer.example/", "s", `["a","b"]`, ""), 400, "BadRequest"},
		{"cred1", body("https://issuer.example/", "s", aud, ""), 400, "BadRequest"},
		{"cred1", body("https://issuer.example/", "s", aud, `,"kustosKeySet":{"keys":[]}`), 400, "BadRequest"},
		{"cred1", `{}`, 400, "InvalidRequestContent"},
		{"cred1", good, 201, ""},
		{"CRED1", good, 200, ""},
		{"cred2", good, 400, "BadRequest"}, // the same issuer and subject
		{"own", body("https://login.microsoftonline.com/"+h.Boot.TenantID+"/v2.0", ids.NewGUID(), aud, ""), 201, ""},
	} {
		if a := h.Do(t, "PUT", at(tt.name), tt.body); a.Status != tt.status || a.Code() != tt.code {
			t.Errorf("%s %s: %d %s", tt.name, tt.body, a.Status, a.Body)
		}
	}
	if a := h.Must(t, "GET", id+"/federatedIdentityCredentials"+v, "", 200); a.Names() != "CRED1 own" {
		t.Errorf("list: %s", a.Body)
	}
	if a := h.Must(t, "GET", at("cred1"), "", 200); a.Get("properties", "subject") != "job:1" || a.Get("type") != "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials" {
		t.Errorf("get: %s", a.Body)
	}
	if a := h.Do(t, "PUT", id+"none/federatedIdentityCredentials/cred1"+v, good); a.Code() != "ParentResourceNotFound" {
		t.Errorf("no identity: %d %s", a.Status, a.Body)
	}
	if status, text := exchange(h, client, home.token("job:1")); status != http.StatusOK {
		t.Errorf("exchange: %d %s", status, text)
	}
	for name, assertion := range map[string]string{"another subject": home.token("job:2"), "another key": newIssuer(t).token("job:1")} {
		if status, _ := exchange(h, client, assertion); status != http.StatusUnauthorized && status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	h.Must(t, "DELETE", at("cred1"), "", 200)
	h.Must(t, "DELETE", at("cred1"), "", 204)
	h.Must(t, "GET", at("cred1"), "", 404)
	if status, _ := exchange(h, client, home.token("job:1")); status == http.StatusOK {
		t.Error("the deleted credential still admits")
	}
	// they go with the identity
	h.Must(t, "DELETE", id+v, "", 200)
	h.Identity(t, "rg1", "identity1")
	if a := h.Must(t, "GET", id+"/federatedIdentityCredentials"+v, "", 200); a.Names() != "" {
		t.Errorf("the new identity has %s", a.Body)
	}
}

func TestNoSystemAssignedIdentity(t *testing.T) {
	t.Parallel()
	h := armtest.New(t, armtest.Options{})
	h.Group(t, "rg1")
	id := h.Identity(t, "rg1", "identity1")
	if a := h.Do(t, "GET", id+"/providers/Microsoft.ManagedIdentity/identities/default"+v, ""); a.Code() != "ResourceNotFound" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := h.Must(t, "GET", id+"/providers/Microsoft.ManagedIdentity/identities"+v, "", 200); a.Names() != "" {
		t.Errorf("list: %s", a.Body)
	}
}
