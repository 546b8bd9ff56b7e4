package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/audit"
)

// book keeps events, or refuses to.
type book struct {
	events []audit.Event
	broken bool
}

func (b *book) Record(_ context.Context, e audit.Event) error {
	if b.broken {
		return errors.New("the disk is full")
	}
	b.events = append(b.events, e)
	return nil
}

func (b *book) take() (out []string) {
	for _, e := range b.events {
		out = append(out, fmt.Sprintf("%s %s %d %s client=%s at %s", e.Operation, e.Result, e.Status, e.Code, e.Actor.AppID, e.Actor.Address))
	}
	b.events = nil
	return out
}

// TestRefusedSignInsAreRecorded: with the client and the code, never with a
// secret, a user name or another text of the caller.
func TestRefusedSignInsAreRecorded(t *testing.T) {
	t.Parallel()
	b := &book{}
	f := open(t, func(c *Config) { c.Audit = b })
	const stranger, az = "aaaaaaaa-0000-4000-8000-000000000002", "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	post := func(path string, form url.Values) int {
		t.Helper()
		r := httptest.NewRequest("POST", "https://login.microsoftonline.com"+path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = "127.0.0.1:5"
		w := httptest.NewRecorder()
		f.LoginHandler().ServeHTTP(w, r)
		return w.Code
	}
	token, scope := "/"+f.TenantID()+"/oauth2/v2.0/token", "https://vault.azure.net/.default"
	for _, c := range []struct {
		name, path string
		form       url.Values
		want       string // "" for no record
	}{
		{"good", token, url.Values{"grant_type": {"client_credentials"}, "client_id": {f.boot.ClientID}, "client_secret": {f.boot.ClientSecret.Reveal()}, "scope": {scope}}, ""},
		{"wrong secret", token, url.Values{"grant_type": {"client_credentials"}, "client_id": {f.boot.ClientID}, "client_secret": {"hush-hush"}, "scope": {scope}},
			"signin/client_credentials refused 401 AADSTS7000215 client=" + f.boot.ClientID + " at 127.0.0.1"},
		{"wrong secret, v1", "/" + f.TenantID() + "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {f.boot.ClientID}, "client_secret": {"hush-hush"}, "resource": {"https://vault.azure.net"}},
			"signin/client_credentials refused 401 AADSTS7000215 client=" + f.boot.ClientID + " at 127.0.0.1"},
		{"unknown client", token, url.Values{"grant_type": {"client_credentials"}, "client_id": {stranger}, "client_secret": {"hush-hush"}, "scope": {scope}},
			"signin/client_credentials refused 400 AADSTS700016 client=" + stranger + " at 127.0.0.1"},
		{"a client id that is none", token, url.Values{"grant_type": {"client_credentials"}, "client_id": {"hush-hush"}, "client_secret": {"x"}, "scope": {scope}},
			"signin/client_credentials refused 400 AADSTS700016 client= at 127.0.0.1"},
		{"another tenant", "/" + stranger + "/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"}}, "signin/token refused 400 AADSTS90002 client= at 127.0.0.1"},
		{"a grant that is none", token, url.Values{"grant_type": {"hush-hush"}}, "signin/token refused 400 AADSTS70003 client= at 127.0.0.1"},
		{"wrong password", token, url.Values{"grant_type": {"password"}, "client_id": {az}, "username": {"hush-hush"}, "password": {"hush-hush"}, "scope": {scope}},
			"signin/password refused 400 AADSTS50126 client=" + az + " at 127.0.0.1"},
		{"a refresh token that is none", token, url.Values{"grant_type": {"refresh_token"}, "client_id": {az}, "refresh_token": {"hush-hush"}, "scope": {scope}},
			"signin/refresh_token refused 400 AADSTS70000 client=" + az + " at 127.0.0.1"},
		{"a device code that is none", token, url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {az}, "device_code": {"hush-hush"}},
			"signin/device_code refused 400 AADSTS70019 client=" + az + " at 127.0.0.1"},
	} {
		post(c.path, c.form)
		for _, e := range b.events {
			if text := fmt.Sprintf("%+v", e); strings.Contains(text, "hush-hush") {
				t.Errorf("%s: the record quotes the caller: %s", c.name, text)
			}
		}
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		if diff := cmp.Diff(want, b.take()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, diff)
		}
	}
	b.broken = true
	if got := post(token, url.Values{"grant_type": {"client_credentials"}, "client_id": {f.boot.ClientID}, "client_secret": {"hush-hush"}, "scope": {scope}}); got != 401 {
		t.Errorf("a refusal that cannot be recorded: %d", got)
	}
}

// TestRefusedIdentitiesAreRecorded: who does not prove to speak for an identity,
// not who forgot a header.
func TestRefusedIdentitiesAreRecorded(t *testing.T) {
	t.Parallel()
	b := &book{}
	f := open(t, func(c *Config) { c.Audit = b })
	user := f.identity(t, "id1", identityID)
	imds := func(secret string, metadata bool) {
		r := httptest.NewRequest("GET", "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net", nil)
		r.RemoteAddr = "127.0.0.1:5"
		if metadata {
			r.Header.Set("Metadata", "true")
		}
		f.IMDSHandler().ServeHTTP(httptest.NewRecorder(), r.WithContext(WithProxyUser(r.Context(), user.ClientID, secret)))
	}
	endpoint := func(secret string) {
		r := httptest.NewRequest("GET", "http://127.0.0.1:5/msi/token?api-version=2019-08-01&resource=https://vault.azure.net", nil)
		r.RemoteAddr = "127.0.0.1:5"
		r.Header.Set("X-IDENTITY-HEADER", secret)
		f.IdentityEndpointHandler().ServeHTTP(httptest.NewRecorder(), r)
	}
	imds(user.Secret.Reveal(), true)
	imds("wrong", false)
	endpoint(user.Secret.Reveal())
	if got := b.take(); got != nil {
		t.Errorf("recorded: %q", got)
	}
	imds("wrong", true)
	endpoint("wrong")
	want := []string{"identity/token refused 400 invalid_request client= at 127.0.0.1", "identity/token refused 401  client= at 127.0.0.1"}
	if diff := cmp.Diff(want, b.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
