package directory

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

func TestRefreshTokens(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	u := f.person(t, "ann")
	signIn := func() string {
		t.Helper()
		status, body, text := f.askPassword(t, u.UPN, annsPassword)
		if status != 200 {
			t.Fatal(text)
		}
		return body["refresh_token"].(string)
	}
	refresh := func(token string, pairs ...string) (string, float64) {
		t.Helper()
		_, body, _ := f.ask(t, append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
		next, _ := body["refresh_token"].(string)
		return next, errorCode(body)
	}
	expect := func(name string, got, want float64) {
		t.Helper()
		if got != want {
			t.Errorf("%s: code %v, want %v", name, got, want)
		}
	}

	first := signIn()
	second, code := refresh(first)
	expect("first use", code, 0)
	if second == "" || second == first {
		t.Fatal("the token did not change")
	}
	_, code = refresh(first)
	expect("at the same time by another process", code, 0)
	_, code = refresh(second, "client_id", "1950a258-227b-4e31-a9cf-717495945fc2", "scope", "https://vault.azure.net/.default")
	expect("by another client of the family, for another resource", code, 0)
	f.clock.advance(2 * refreshGrace)
	_, code = refresh(first)
	expect("a used token again, later", code, 50173)
	_, code = refresh(second)
	expect("its successor: the session is over", code, 70000)

	live := signIn()
	_, code = refresh(live, "client_id", "db662dc1-0cfe-4e1c-a843-19a68e65be58")
	expect("by a client outside of the family", code, 700007)
	f.clock.advance(refreshLifetime - time.Second)
	live, code = refresh(live)
	expect("shortly before its end", code, 0)
	f.clock.advance(refreshLifetime)
	_, code = refresh(live)
	expect("at its end", code, 700082)

	change := func(body string) {
		t.Helper()
		if status, _, text := f.graphCall(t, "PATCH", "/v1.0/users/"+u.ObjectID, body); status != 204 {
			t.Fatal(text)
		}
	}
	live = signIn()
	f.clock.advance(time.Second)
	change(`{"displayName":"Ann B","givenName":"Ann"}`)
	live, code = refresh(live)
	expect("after another change of the user", code, 0)
	change(`{"passwordProfile":{"password":"Another8horse","forceChangePasswordNextSignIn":false}}`)
	_, code = refresh(live)
	expect("after a change of the password", code, 50173)
	change(`{"passwordProfile":{"password":"` + annsPassword + `"}}`)
	live = signIn()
	f.clock.advance(time.Second)
	change(`{"accountEnabled":false}`)
	_, code = refresh(live)
	expect("when the account is disabled", code, 50057)
	if _, body, text := f.askPassword(t, u.UPN, annsPassword); errorCode(body) != 50057 {
		t.Errorf("password of a disabled account: %s", text)
	}
	if _, body, text := f.askPassword(t, u.UPN, "wrong"); errorCode(body) != 50126 {
		t.Errorf("wrong password of a disabled account: %s", text)
	}
	change(`{"accountEnabled":true}`)
	live = signIn()
	f.clock.advance(time.Second)
	if status, _, text := f.graphCall(t, "POST", "/v1.0/users/"+u.UPN+"/revokeSignInSessions", ""); status != 200 {
		t.Error(text)
	}
	_, code = refresh(live)
	expect("after the sessions were revoked", code, 50173)
	live = signIn()
	if status, _, text := f.graphCall(t, "DELETE", "/v1.0/users/"+u.UPN, ""); status != 204 {
		t.Error(text)
	}
	_, code = refresh(live)
	expect("when the user is gone", code, 50173)

	// Neither the store nor the log has a token in clear, and nothing stays for ever.
	count := func() (n int) {
		err := f.store.View(t.Context(), func(tx store.Tx) error {
			for e, err := range tx.Scan(bucketSessions, "", "") {
				if err != nil {
					return err
				}
				n++
				for _, token := range []string{first, second, live} {
					if strings.Contains(e.Key+string(e.Value), token) {
						t.Error("the store holds a refresh token")
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if count() == 0 || strings.Contains(f.log.String(), live) {
		t.Error("nothing stored, or a token in the log")
	}
	f.clock.advance(refreshLifetime)
	if err := f.Upkeep(t.Context()); err != nil || count() != 0 {
		t.Errorf("%d sessions stay, %v", count(), err)
	}
}

// TestApplicationsOfTheTenant sign people in: a public one without a proof, a
// web application with its secret.
func TestApplicationsOfTheTenant(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	u := f.person(t, "ann")
	_, app, _ := f.graphCall(t, "POST", "/v1.0/applications", `{"displayName":"site","web":{"redirectUris":["https://site.example/back"]},"publicClient":{"redirectUris":["http://localhost/cb"]}}`)
	appID := app["appId"].(string)
	if status, _, text := f.graphCall(t, "POST", "/v1.0/servicePrincipals", `{"appId":"`+appID+`"}`); status != 201 {
		t.Fatal(text)
	}
	_, pw, _ := f.graphCall(t, "POST", "/v1.0/applications/"+app["id"].(string)+"/addPassword", `{}`)
	secret := pw["secretText"].(string)
	code := func(redirect string, changes ...string) string {
		t.Helper()
		b := &browser{f: f}
		_, html := b.get(t, authorizeQuery(append([]string{"client_id", appID, "redirect_uri", redirect, "response_mode", "query"}, changes...)...))
		r, _ := b.submit(t, signInPath, html, "username", u.UPN, "password", annsPassword, "decision", "accept")
		target, err := url.Parse(r.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return target.Query().Get("code")
	}
	redeem := func(code, redirect string, pairs ...string) (map[string]any, float64) {
		_, body, _ := f.ask(t, append([]string{"grant_type", "authorization_code", "client_id", appID, "code", code, "redirect_uri", redirect, "code_verifier", verifier}, pairs...)...)
		return body, errorCode(body)
	}
	const site, loopback = "https://site.example/back", "http://localhost:7/cb"
	if _, got := redeem(code(site), site); got != 7000218 {
		t.Errorf("web application without its secret: %v", got)
	}
	web, got := redeem(code(site, "code_challenge", "", "code_challenge_method", ""), site, "client_secret", secret)
	if got != 0 {
		t.Fatalf("web application: %v", web)
	}
	if p, err := f.Verify(t.Context(), web["access_token"].(string), armAud); err != nil || p.AppID != "" || p.ClientAppID != appID {
		t.Errorf("%+v, %v", p, err)
	}
	refresh := []string{"grant_type", "refresh_token", "client_id", appID, "refresh_token", web["refresh_token"].(string)}
	if _, body, _ := f.ask(t, refresh...); errorCode(body) != 7000218 {
		t.Errorf("its refresh token without the secret: %v", body)
	}
	if status, _, text := f.ask(t, append(refresh, "client_secret", secret)...); status != 200 {
		t.Error(text)
	}
	if body, got := redeem(code(loopback), loopback); got != 0 {
		t.Errorf("public redirect: %v", body)
	}
	if _, body, _ := f.ask(t, "grant_type", "password", "client_id", appID, "username", u.UPN, "password", annsPassword); errorCode(body) != 7000218 {
		t.Errorf("password grant without proof: %v", body)
	}
	if status, _, text := f.graphCall(t, "PATCH", "/v1.0/applications/"+app["id"].(string), `{"isFallbackPublicClient":true}`); status != 204 {
		t.Fatal(text)
	}
	if status, _, text := f.ask(t, "grant_type", "password", "client_id", appID, "username", u.UPN, "password", annsPassword); status != 200 {
		t.Errorf("password grant of a public client: %s", text)
	}
}
