package directory

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/store"
)

const (
	cliID        = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
	armScope     = "https://management.core.windows.net//.default offline_access openid profile"
	armAud       = "https://management.core.windows.net/"
	annsPassword = "Correct7horse"
)

// person makes a user whose password is password.
func (f *fixture) person(t testing.TB, name string) User {
	t.Helper()
	u, err := f.CreateUser(t.Context(), NewUser{UPN: name, Password: annsPassword})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// ask sends a form to the token endpoint for any tenant.
func (f *fixture) ask(t *testing.T, pairs ...string) (int, map[string]any, string) {
	t.Helper()
	form := url.Values{"client_id": {cliID}, "client_info": {"1"}, "scope": {armScope}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return f.do(t, f.LoginHandler(), post("/organizations/oauth2/v2.0/token", form))
}

func (f *fixture) askPassword(t *testing.T, upn, text string) (int, map[string]any, string) {
	t.Helper()
	return f.ask(t, "grant_type", "password", "username", upn, "password", text)
}

func errorCode(body map[string]any) float64 {
	codes, _ := body["error_codes"].([]any)
	if len(codes) != 1 {
		return 0
	}
	code, _ := codes[0].(float64)
	return code
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "Ann")
	if want := (User{ObjectID: u.ObjectID, UPN: "Ann@kustos.onmicrosoft.com", DisplayName: "Ann"}); u != want {
		t.Errorf("%+v", u)
	}
	for _, id := range []string{u.ObjectID, "ann@KUSTOS.onmicrosoft.com"} {
		e, err := f.Lookup(t.Context(), id)
		if want := (Entry{Type: TypeUser, ObjectID: u.ObjectID, UPN: u.UPN, Name: "Ann"}); err != nil || e != want {
			t.Errorf("%s: %+v, %v", id, e, err)
		}
	}
	if _, err := f.CreateUser(t.Context(), NewUser{UPN: "ANN", Password: annsPassword}); !errors.Is(err, ErrUserExists) {
		t.Errorf("the same again: %v", err)
	}
	for name, n := range map[string]NewUser{
		"other domain":   {UPN: "bob@example.com", Password: annsPassword},
		"no name":        {UPN: "@kustos.onmicrosoft.com", Password: annsPassword},
		"odd name":       {UPN: "a/b", Password: annsPassword},
		"short password": {UPN: "bob", Password: "Abc123!"},
		"two kinds":      {UPN: "bob", Password: "abcdefg1"},
		"control":        {UPN: "bob", Password: "Correct7\x00horse"},
		"long password":  {UPN: "bob", Password: Secret(strings.Repeat("aB3", 100))},
	} {
		var wrong *UserError
		if _, err := f.CreateUser(t.Context(), n); !errors.As(err, &wrong) || strings.Contains(err.Error(), n.Password.Reveal()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Nothing that is stored or logged is the password.
	err := f.store.View(t.Context(), func(tx store.Tx) error {
		for e, err := range tx.Scan(bucketUsers, "", "") {
			if err != nil {
				return err
			}
			if strings.Contains(string(e.Value), annsPassword) {
				t.Error("the store holds a password")
			}
		}
		return nil
	})
	if err != nil || strings.Contains(f.log.String(), annsPassword) {
		t.Errorf("%v, or the log holds a password", err)
	}
}

func TestPasswordGrant(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	status, body, text := f.askPassword(t, "ANN@kustos.onmicrosoft.com", annsPassword)
	if status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	access := body["access_token"].(string)
	p, err := f.Verify(t.Context(), access, armAud)
	if err != nil || p.ObjectID != u.ObjectID || p.AppID != "" || p.ClientAppID != cliID || p.UPN != u.UPN || !p.IsUser() {
		t.Errorf("%+v, %v", p, err)
	}
	now := float64(f.clock.at.Unix())
	_, got, _ := split(t, access)
	iss := "https://sts.windows.net/" + f.TenantID() + "/"
	want := map[string]any{"aud": armAud, "iss": iss, "idp": iss, "iat": now - 300, "nbf": now - 300, "exp": now + 3600, "app_displayname": "Microsoft Azure CLI", "appid": cliID, "appidacr": "0",
		"idtyp": "user", "oid": u.ObjectID, "sub": got["sub"], "tid": f.TenantID(), "uti": got["uti"], "ver": "1.0", "scp": "user_impersonation",
		"upn": u.UPN, "unique_name": u.UPN, "name": "ann", "amr": []any{"pwd"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("access token (-want +got)\n%s", diff)
	}
	_, id, _ := split(t, body["id_token"].(string))
	wantID := map[string]any{"aud": cliID, "iss": "https://login.microsoftonline.com/" + f.TenantID() + "/v2.0", "iat": now - 300, "nbf": now - 300, "exp": now + 3600, "name": "ann",
		"oid": u.ObjectID, "preferred_username": u.UPN, "sub": id["sub"], "tid": f.TenantID(), "uti": id["uti"], "ver": "2.0"}
	if diff := cmp.Diff(wantID, id); diff != "" {
		t.Errorf("id token (-want +got)\n%s", diff)
	}
	if _, err := f.Verify(t.Context(), body["id_token"].(string), cliID); err == nil {
		t.Error("an id token passes as an access token")
	}
	info, err := base64.RawURLEncoding.DecodeString(body["client_info"].(string))
	if err != nil || string(info) != `{"uid":"`+u.ObjectID+`","utid":"`+f.TenantID()+`"}` {
		t.Errorf("client_info %s, %v", info, err)
	}
	for _, name := range []string{"access_token", "id_token", "refresh_token", "client_info"} {
		if body[name] == "" {
			t.Errorf("no %s", name)
		}
		if s := body[name].(string); name != "client_info" && strings.Contains(f.log.String(), s) {
			t.Errorf("the log holds the %s", name)
		}
		delete(body, name)
	}
	wantBody := map[string]any{"token_type": "Bearer", "expires_in": 3599.0, "ext_expires_in": 3599.0, "foci": "1",
		"scope": armAud + "/user_impersonation " + armAud + "/.default"}
	if diff := cmp.Diff(wantBody, body); diff != "" {
		t.Errorf("answer (-want +got)\n%s", diff)
	}
	// Without openid and offline_access there is nothing but the access token.
	if _, body, _ := f.ask(t, "grant_type", "password", "username", u.UPN, "password", annsPassword, "scope", "https://vault.azure.net/.default", "client_info", "0"); body["refresh_token"] != nil || body["id_token"] != nil || body["foci"] != nil || body["client_info"] != nil {
		t.Errorf("%v", body)
	}
}

func TestPasswordLockout(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	for i := range maxFailures {
		if _, body, text := f.askPassword(t, u.UPN, "wrong"); errorCode(body) != 50126 {
			t.Fatalf("try %d: %s", i, text)
		}
	}
	if _, body, text := f.askPassword(t, u.UPN, annsPassword); errorCode(body) != 50053 {
		t.Errorf("locked: %s", text)
	}
	f.clock.advance(lockout)
	if status, _, text := f.askPassword(t, u.UPN, annsPassword); status != 200 {
		t.Errorf("after the lockout: %s", text)
	}
}

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

// browser is a person's: it keeps the cookie and submits the forms it is shown.
type browser struct {
	f      *fixture
	cookie string
}

func (b *browser) send(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	if b.cookie != "" {
		r.Header.Set("Cookie", b.cookie)
	}
	w := httptest.NewRecorder()
	b.f.LoginHandler().ServeHTTP(w, r)
	if c := w.Header().Get("Set-Cookie"); c != "" {
		for _, attribute := range []string{"__Host-", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"} {
			if !strings.Contains(c, attribute) {
				t.Errorf("the cookie lacks %s: %s", attribute, c)
			}
		}
		b.cookie, _, _ = strings.Cut(c, ";")
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		policy := w.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("policy %q lacks %s", policy, part)
			}
		}
		if strings.Contains(strings.ToLower(w.Body.String()), "<script") || w.Header().Get("X-Frame-Options") != "DENY" || !strings.Contains(w.Header().Get("Cache-Control"), "no-store") {
			t.Errorf("a page with script, or headers %v", w.Header())
		}
	}
	return w.Result(), w.Body.String()
}

func (b *browser) get(t *testing.T, path string) (*http.Response, string) {
	t.Helper()
	return b.send(t, httptest.NewRequest("GET", "https://login.microsoftonline.com"+path, nil))
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// hidden are the fields of a form that a person does not fill in.
func hidden(html string) url.Values {
	out := url.Values{}
	for _, m := range hiddenField.FindAllStringSubmatch(html, -1) {
		out.Set(m[1], m[2])
	}
	return out
}

// submit sends the form of a page with what a person has typed.
func (b *browser) submit(t *testing.T, path, html string, pairs ...string) (*http.Response, string) {
	t.Helper()
	form := hidden(html)
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	r := post(path, form)
	r.Header.Set("Origin", "https://login.microsoftonline.com")
	return b.send(t, r)
}

func TestDeviceCode(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	begin := func() (userCode, deviceCode string) {
		t.Helper()
		status, body, text := f.do(t, f.LoginHandler(), post("/organizations/oauth2/v2.0/devicecode", url.Values{"client_id": {cliID}, "scope": {armScope}}))
		if status != 200 || body["expires_in"] != 900.0 || body["interval"] != 5.0 || body["verification_uri"] != "https://login.microsoftonline.com/common/oauth2/deviceauth" ||
			!strings.Contains(fmt.Sprint(body["message"]), fmt.Sprint(body["user_code"])) {
			t.Fatalf("%d %s", status, text)
		}
		return body["user_code"].(string), body["device_code"].(string)
	}
	poll := func(code string, pairs ...string) (string, map[string]any) {
		t.Helper()
		_, body, _ := f.ask(t, append([]string{"grant_type", grantDevice, "device_code", code}, pairs...)...)
		text, _ := body["error"].(string)
		return text, body
	}

	userCode, code := begin()
	b := &browser{f: f}
	if got, _ := poll(code); got != "authorization_pending" {
		t.Errorf("first poll: %s", got)
	}
	f.clock.advance(deviceInterval)
	if got, _ := poll(code); got != "authorization_pending" {
		t.Errorf("second poll: %s", got)
	}
	f.clock.advance(time.Second)
	if got, _ := poll(code); got != "slow_down" {
		t.Errorf("fast poll: %s", got)
	}
	f.clock.advance(2 * deviceInterval)
	if got, _ := poll(code, "client_id", "1950a258-227b-4e31-a9cf-717495945fc2"); got != "bad_verification_code" {
		t.Errorf("poll of another client: %s", got)
	}

	_, html := b.get(t, "/common/oauth2/deviceauth")
	if _, page := b.submit(t, devicePath, html, "user_code", "WRONGCODE"); !strings.Contains(page, "does not wait for anybody") {
		t.Errorf("wrong code: %s", page)
	}
	_, signInPage := b.submit(t, devicePath, html, "user_code", strings.ToLower(userCode[:4]+"-"+userCode[4:]))
	if !strings.Contains(signInPage, "Microsoft Azure CLI") {
		t.Fatalf("no sign-in page: %s", signInPage)
	}
	_, again := b.submit(t, signInPath, signInPage, "username", u.UPN, "password", "wrong", "decision", "accept")
	if !strings.Contains(again, "invalid username or password") || strings.Contains(again, "wrong") {
		t.Errorf("wrong password: %s", again)
	}
	_, done := b.submit(t, signInPath, again, "username", u.UPN, "password", annsPassword, "decision", "accept")
	if !strings.Contains(done, "You have signed in") {
		t.Fatalf("not signed in: %s", done)
	}
	if r, _ := b.submit(t, signInPath, again, "username", u.UPN, "password", annsPassword, "decision", "accept"); r.StatusCode != 400 {
		t.Errorf("the same page again: %d", r.StatusCode)
	}
	f.clock.advance(2 * deviceInterval)
	problem, body := poll(code)
	if problem != "" {
		t.Fatalf("%v", body)
	}
	if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || p.ObjectID != u.ObjectID || body["refresh_token"] == nil || body["id_token"] == nil {
		t.Errorf("%+v, %v", p, err)
	}
	if got, _ := poll(code); got != "bad_verification_code" {
		t.Errorf("poll after the end: %s", got)
	}

	userCode, code = begin()
	_, html = b.get(t, devicePath)
	_, signInPage = b.submit(t, devicePath, html, "user_code", userCode)
	if _, done := b.submit(t, signInPath, signInPage, "decision", "decline"); !strings.Contains(done, "You did not sign in") {
		t.Errorf("declined: %s", done)
	}
	if got, _ := poll(code); got != "authorization_declined" {
		t.Errorf("declined: %s", got)
	}

	userCode, code = begin()
	f.clock.advance(deviceLifetime)
	if got, _ := poll(code); got != "expired_token" {
		t.Errorf("expired: %s", got)
	}
	_, html = b.get(t, devicePath)
	if _, page := b.submit(t, devicePath, html, "user_code", userCode); !strings.Contains(page, "does not wait for anybody") {
		t.Error("an expired code still leads to a sign-in")
	}
	for _, secret := range []string{annsPassword, code, userCode} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

const verifier = "0123456789abcdefghijklmnopqrstuvwxyz-._~ABCDEF"

func authorizeQuery(changes ...string) string {
	v := url.Values{"client_id": {cliID}, "response_type": {"code"}, "redirect_uri": {"http://localhost:51234"}, "scope": {armScope}, "state": {"st&te"},
		"code_challenge": {challengeOf(verifier)}, "code_challenge_method": {"S256"}, "response_mode": {"form_post"}, "nonce": {"n-1"}, "prompt": {"select_account"}}
	for i := 0; i < len(changes); i += 2 {
		if v.Set(changes[i], changes[i+1]); changes[i+1] == "" {
			v.Del(changes[i])
		}
	}
	return "/organizations/oauth2/v2.0/authorize?" + v.Encode()
}

func TestAuthorizationCode(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	codeBy := func(mode string) string {
		t.Helper()
		b := &browser{f: f}
		_, html := b.get(t, authorizeQuery("response_mode", mode, "login_hint", u.UPN))
		if !strings.Contains(html, `value="`+u.UPN+`"`) {
			t.Fatalf("no page with the hint: %s", html)
		}
		r, html := b.submit(t, signInPath, html, "username", u.UPN, "password", annsPassword, "decision", "accept")
		var values url.Values
		switch mode {
		case "form_post":
			if !strings.Contains(html, `action="http://localhost:51234"`) || !strings.Contains(r.Header.Get("Content-Security-Policy"), "form-action 'self' http://localhost:51234;") {
				t.Errorf("%s %v", html, r.Header)
			}
			values = hidden(strings.ReplaceAll(html, "&amp;", "&"))
		default:
			target, err := url.Parse(r.Header.Get("Location"))
			if err != nil || r.StatusCode != http.StatusSeeOther {
				t.Fatalf("%d %v", r.StatusCode, err)
			}
			if values = target.Query(); mode == "fragment" {
				if values, err = url.ParseQuery(target.EscapedFragment()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if values.Get("state") != "st&te" || values.Get("code") == "" {
			t.Fatalf("%s: %v", mode, values)
		}
		return values.Get("code")
	}
	redeem := func(code string, pairs ...string) (float64, map[string]any) {
		_, body, _ := f.ask(t, append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", "http://localhost:51234", "code_verifier", verifier}, pairs...)...)
		return errorCode(body), body
	}
	for _, mode := range []string{"query", "fragment", "form_post"} {
		code := codeBy(mode)
		problem, body := redeem(code)
		if problem != 0 {
			t.Fatalf("%s: %v", mode, body)
		}
		if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || p.ObjectID != u.ObjectID {
			t.Errorf("%s: %+v, %v", mode, p, err)
		}
		if _, id, _ := split(t, body["id_token"].(string)); id["nonce"] != "n-1" {
			t.Errorf("%s: nonce %v", mode, id["nonce"])
		}
		if problem, _ := redeem(code); problem != 54005 {
			t.Errorf("%s: redeemed again: %v", mode, problem)
		}
		if _, body, _ := f.ask(t, "grant_type", "refresh_token", "refresh_token", body["refresh_token"].(string)); errorCode(body) != 70000 {
			t.Errorf("%s: the session of a code that two have goes on: %v", mode, body)
		}
	}
	for name, tc := range map[string]struct {
		pairs []string
		want  float64
	}{
		"wrong verifier":   {[]string{"code_verifier", verifier + "x"}, 501481},
		"no verifier":      {[]string{"code_verifier", ""}, 501481},
		"other redirect":   {[]string{"redirect_uri", "http://localhost:51235"}, 500112},
		"other client":     {[]string{"client_id", "1950a258-227b-4e31-a9cf-717495945fc2"}, 70008},
		"none of it wrong": {nil, 0},
	} {
		if got, body := redeem(codeBy("query"), tc.pairs...); got != tc.want {
			t.Errorf("%s: %v", name, body)
		}
	}
	code := codeBy("query")
	f.clock.advance(codeLifetime)
	if got, _ := redeem(code); got != 70008 {
		t.Errorf("expired: %v", got)
	}
	if strings.Contains(f.log.String(), code) || strings.Contains(f.log.String(), annsPassword) {
		t.Error("the log holds a code or a password")
	}
}

func TestAuthorizeRefusals(t *testing.T) {
	t.Parallel()
	f := open(t)
	// Shown, and never sent to an address that is not the client's.
	for name, tc := range map[string]struct{ path, want string }{
		"unknown client":     {authorizeQuery("client_id", "00000000-0000-0000-0000-0000000000ff"), "AADSTS700016"},
		"no client":          {authorizeQuery("client_id", ""), "AADSTS900144"},
		"foreign redirect":   {authorizeQuery("redirect_uri", "https://evil.example/"), "AADSTS50011"},
		"redirect path":      {authorizeQuery("redirect_uri", "http://localhost:1/x"), "AADSTS50011"},
		"redirect user":      {authorizeQuery("redirect_uri", "http://localhost:1@evil.example"), "AADSTS50011"},
		"redirect query":     {authorizeQuery("redirect_uri", "http://localhost:1?x=y"), "AADSTS50011"},
		"redirect suffix":    {authorizeQuery("redirect_uri", "http://localhost.evil.example"), "AADSTS50011"},
		"redirect to script": {authorizeQuery("redirect_uri", "javascript:alert(1)"), "AADSTS50011"},
		"no redirect":        {authorizeQuery("redirect_uri", ""), "AADSTS50011"},
		"unknown mode":       {authorizeQuery("response_mode", "web_message"), "AADSTS90013"},
		"twice":              {authorizeQuery() + "&redirect_uri=https://evil.example", "AADSTS9002313"},
		"markup in an error": {authorizeQuery("client_id", "<b>x</b>"), "&lt;b&gt;x"},
		"v1":                 {strings.Replace(authorizeQuery(), "/v2.0", "", 1), "AADSTS900432"},
		"unknown tenant":     {strings.Replace(authorizeQuery(), "organizations", "example.com", 1), "AADSTS90002"},
	} {
		r, html := (&browser{f: f}).get(t, tc.path)
		if r.StatusCode != 400 || !strings.Contains(html, tc.want) || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d %s", name, r.StatusCode, html)
		}
	}
	// Told to the client.
	for name, tc := range map[string]struct{ path, want string }{
		"token response":   {authorizeQuery("response_mode", "query", "response_type", "token"), "unsupported_response_type"},
		"silent":           {authorizeQuery("response_mode", "query", "prompt", "none"), "login_required"},
		"no challenge":     {authorizeQuery("response_mode", "query", "code_challenge", ""), "invalid_request"},
		"plain challenge":  {authorizeQuery("response_mode", "query", "code_challenge_method", "plain"), "invalid_request"},
		"bad challenge":    {authorizeQuery("response_mode", "query", "code_challenge", "x"), "invalid_request"},
		"narrow scope":     {authorizeQuery("response_mode", "query", "scope", "User.Read"), "invalid_scope"},
		"unknown resource": {authorizeQuery("response_mode", "query", "scope", "https://example.com/.default"), "invalid_resource"},
	} {
		r, _ := (&browser{f: f}).get(t, tc.path)
		target, err := url.Parse(r.Header.Get("Location"))
		if err != nil || target.Host != "localhost:51234" || target.Query().Get("error") != tc.want || target.Query().Get("state") != "st&te" {
			t.Errorf("%s: %d %v", name, r.StatusCode, target)
		}
	}
}

// TestSignInPagesAreOurs submits what another site, or another browser, could.
func TestSignInPagesAreOurs(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	victim, attacker := &browser{f: f}, &browser{f: f}
	_, page := victim.get(t, authorizeQuery())
	_, foreign := attacker.get(t, authorizeQuery())
	good := []string{"username", u.UPN, "password", annsPassword, "decision", "accept"}
	send := func(form url.Values, cookie string, headers ...string) int {
		r := post(signInPath, form)
		r.Header.Set("Cookie", cookie)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		f.LoginHandler().ServeHTTP(w, r)
		return w.Code
	}
	filled := func(html string, pairs ...string) url.Values {
		form := hidden(html)
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		return form
	}
	for name, status := range map[string]int{
		"another origin":                 send(filled(page, good...), victim.cookie, "Origin", "https://evil.example"),
		"null origin":                    send(filled(page, good...), victim.cookie, "Origin", "null"),
		"cross-site by fetch metadata":   send(filled(page, good...), victim.cookie, "Sec-Fetch-Site", "cross-site"),
		"no cookie":                      send(filled(page, good...), ""),
		"no csrf value":                  send(filled(page, append(good, "csrf", "")...), victim.cookie),
		"csrf value of another browser":  send(filled(foreign, good...), victim.cookie),
		"flow of another browser":        send(filled(page, append(good, "flow", hidden(foreign).Get("flow"))...), victim.cookie),
		"page in another browser":        send(filled(page, good...), attacker.cookie),
		"csrf value of the code page":    send(filled(page, append(good, "csrf", f.pages.csrf(strings.TrimPrefix(victim.cookie, pageCookie+"="), ""))...), victim.cookie),
		"a page that was never given":    send(filled(page, append(good, "flow", "x", "csrf", f.pages.csrf(strings.TrimPrefix(victim.cookie, pageCookie+"="), "x"))...), victim.cookie),
		"another host that leads to us?": send(filled(page, good...), victim.cookie, "Origin", "https://login.windows.net"),
	} {
		if status != 400 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if r, _ := victim.submit(t, signInPath, page, good...); r.StatusCode != 200 {
		t.Errorf("the page itself: %d", r.StatusCode)
	}
	// A page takes a few passwords and no more.
	_, page = victim.get(t, authorizeQuery())
	for range maxTries {
		_, _ = victim.submit(t, signInPath, page, "username", u.UPN, "password", "wrong", "decision", "accept")
	}
	if r, _ := victim.submit(t, signInPath, page, good...); r.StatusCode != 400 {
		t.Errorf("after %d tries: %d", maxTries, r.StatusCode)
	}
	_, page = victim.get(t, authorizeQuery())
	f.clock.advance(pageLifetime)
	if r, _ := victim.submit(t, signInPath, page, good...); r.StatusCode != 400 {
		t.Errorf("an old page: %d", r.StatusCode)
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

func TestGraphUsers(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	body := `{"userPrincipalName":"ann@kustos.onmicrosoft.com","displayName":"Ann","passwordProfile":{"password":"` + annsPassword + `","forceChangePasswordNextSignIn":false},"mailNickname":"ann","accountEnabled":true}`
	status, ann, text := f.graphCall(t, "POST", "/v1.0/users", body)
	if status != 201 {
		t.Fatal(text)
	}
	id := ann["id"].(string)
	want := map[string]any{"@odata.context": graphContext + "users/$entity", "businessPhones": []any{}, "displayName": "Ann", "givenName": nil, "jobTitle": nil, "mail": nil,
		"mobilePhone": nil, "officeLocation": nil, "preferredLanguage": nil, "surname": nil, "userPrincipalName": "ann@kustos.onmicrosoft.com", "id": id}
	if diff := cmp.Diff(want, ann); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if status, _, text := f.graphCall(t, "POST", "/v1.0/users", body); status != 400 || !strings.Contains(text, "already exists") {
		t.Errorf("again: %d %s", status, text)
	}
	for _, path := range []string{"/v1.0/users/" + id, "/v1.0/users/ANN@kustos.onmicrosoft.com", "/v1.0/users('ann@kustos.onmicrosoft.com')"} {
		if status, got, text := f.graphCall(t, "GET", path, ""); status != 200 || got["id"] != id {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, filter := range []string{"userPrincipalName eq 'ann@kustos.onmicrosoft.com'", "startswith(displayName,'An')", "accountEnabled eq true and displayName eq 'Ann'", "mailNickname eq 'ann' or givenName eq 'x'"} {
		if status, got, text := f.graphCall(t, "GET", query("/v1.0/users", filter), ""); status != 200 || len(values(t, got)) != 1 {
			t.Errorf("%s: %d %s", filter, status, text)
		}
	}
	if _, got, text := f.graphCall(t, "GET", "/v1.0/users/"+id+"?$select=accountEnabled,userType,mailNickname", ""); got["accountEnabled"] != true || got["userType"] != "Member" || got["displayName"] != nil {
		t.Error(text)
	}

	token := func() string {
		_, body, _ := f.ask(t, "grant_type", "password", "username", "ann@kustos.onmicrosoft.com", "password", annsPassword, "scope", "https://graph.microsoft.com//.default")
		text, _ := body["access_token"].(string)
		return text
	}
	me := token()
	if status, got, text := f.graphAs(t, me, "GET", "/v1.0/me", ""); status != 200 || got["id"] != id {
		t.Errorf("me: %d %s", status, text)
	}
	for _, path := range []string{"/v1.0/users/" + id, "/v1.0/me/memberOf", "/v1.0/me/ownedObjects", "/v1.0/users/ann@kustos.onmicrosoft.com/memberOf"} {
		if status, _, text := f.graphAs(t, me, "GET", path, ""); status != 200 {
			t.Errorf("%s of herself: %d %s", path, status, text)
		}
	}
	for _, c := range [][3]string{{"GET", "/v1.0/users", ""}, {"GET", "/v1.0/users/" + f.boot.ObjectID, ""}, {"PATCH", "/v1.0/me", `{"accountEnabled":true}`}, {"DELETE", "/v1.0/me", ""}, {"GET", "/v1.0/groups", ""}, {"GET", "/v1.0/applications", ""}} {
		if status, _, text := f.graphAs(t, me, c[0], c[1], c[2]); status != 403 {
			t.Errorf("%v by a person without rights: %d %s", c, status, text)
		}
	}
	if status, _, text := f.graphAs(t, me, "POST", "/v1.0/me/changePassword", `{"currentPassword":"wrong","newPassword":"Another8horse"}`); status != 400 {
		t.Errorf("%d %s", status, text)
	}
	if status, _, text := f.graphAs(t, me, "POST", "/v1.0/me/changePassword", `{"currentPassword":"`+annsPassword+`","newPassword":"Another8horse"}`); status != 204 {
		t.Errorf("%d %s", status, text)
	}
	if token() != "" {
		t.Error("the old password still works")
	}
	if status, _, _ := f.graphCall(t, "DELETE", "/v1.0/users/"+id, ""); status != 204 {
		t.Error(status)
	}
	if _, err := f.Lookup(t.Context(), "ann@kustos.onmicrosoft.com"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	for _, s := range []string{annsPassword, "Another8horse"} {
		if strings.Contains(f.log.String(), s) {
			t.Error("the log holds a password")
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	f := openGraph(t)
	ann, bob := f.person(t, "ann"), f.person(t, "bob")
	identity := f.identity(t, "id1", identityID)
	makeGroup := func(name, more string) string {
		t.Helper()
		status, g, text := f.graphCall(t, "POST", "/v1.0/groups", `{"displayName":"`+name+`","mailNickname":"`+name+`","mailEnabled":false,"securityEnabled":true`+more+`}`)
		if status != 201 {
			t.Fatal(text)
		}
		return g["id"].(string)
	}
	ref := func(id string) string {
		return `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/` + id + `"}`
	}
	add := func(want int, group, id string) {
		t.Helper()
		if status, _, text := f.graphCall(t, "POST", "/v1.0/groups/"+group+"/members/$ref", ref(id)); status != want {
			t.Errorf("add: %d %s", status, text)
		}
	}
	outer, inner := makeGroup("outer", ""), makeGroup("inner", `,"members@odata.bind":["https://graph.microsoft.com/v1.0/users/`+ann.ObjectID+`"],"owners@odata.bind":["https://graph.microsoft.com/v1.0/users/`+bob.ObjectID+`"]`)
	add(204, outer, inner)
	add(204, inner, identity.ObjectID)
	add(204, inner, outer) // in each other
	add(400, inner, identity.ObjectID)
	add(400, inner, inner)
	both := []string{inner, outer}
	slices.Sort(both)
	for name, id := range map[string]string{"user": ann.ObjectID, "identity": identity.ObjectID, "group in a circle": inner} {
		if diff := cmp.Diff(both, f.GroupsOf(id)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	_, body, _ := f.askPassword(t, ann.UPN, annsPassword)
	p, err := f.Verify(t.Context(), body["access_token"].(string), armAud)
	if err != nil || !slices.Equal(p.Groups, both) {
		t.Errorf("%+v, %v", p, err)
	}
	if _, c, _ := split(t, body["access_token"].(string)); fmt.Sprint(c["groups"]) != fmt.Sprint(both) {
		t.Errorf("groups claim %v", c["groups"])
	}

	list := func(path string) (names []string) {
		t.Helper()
		status, body, text := f.graphCall(t, "GET", path, "")
		if status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
			return nil
		}
		for _, v := range values(t, body) {
			names = append(names, fmt.Sprint(v["@odata.type"], " ", v["displayName"]))
		}
		slices.Sort(names)
		return names
	}
	for path, want := range map[string][]string{
		"/v1.0/groups/" + inner + "/members":                         {"#microsoft.graph.group outer", "#microsoft.graph.servicePrincipal id1", "#microsoft.graph.user ann"},
		"/v1.0/groups/" + outer + "/transitiveMembers":               {"#microsoft.graph.group inner", "#microsoft.graph.group outer", "#microsoft.graph.servicePrincipal id1", "#microsoft.graph.user ann"},
		"/v1.0/groups/" + inner + "/owners":                          {"#microsoft.graph.user bob"},
		"/v1.0/users/" + ann.UPN + "/memberOf":                       {"#microsoft.graph.group inner"},
		"/v1.0/users/" + ann.UPN + "/transitiveMemberOf":             {"#microsoft.graph.group inner", "#microsoft.graph.group outer"},
		"/v1.0/servicePrincipals/" + identity.ObjectID + "/memberOf": {"#microsoft.graph.group inner"},
		"/v1.0/directoryObjects/" + bob.ObjectID + "/memberOf":       nil,
	} {
		if diff := cmp.Diff(want, list(path)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", path, diff)
		}
	}
	for path, request := range map[string]string{
		"/v1.0/users/" + ann.UPN + "/getMemberGroups":                   `{"securityEnabledOnly":false}`,
		"/v1.0/directoryObjects/" + ann.ObjectID + "/getMemberObjects":  `{"securityEnabledOnly":true}`,
		"/v1.0/directoryObjects/" + ann.ObjectID + "/checkMemberGroups": `{"groupIds":["` + both[0] + `","00000000-0000-0000-0000-0000000000ff","` + both[1] + `"]}`,
	} {
		status, body, text := f.graphCall(t, "POST", path, request)
		if status != 200 || fmt.Sprint(body["value"]) != fmt.Sprint(both) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	status, got, text := f.graphCall(t, "POST", "/v1.0/directoryObjects/getByIds", `{"ids":["`+ann.ObjectID+`","`+inner+`","`+identity.ObjectID+`"],"types":["user","group","directoryObjectPartnerReference"]}`)
	if status != 200 || len(values(t, got)) != 2 {
		t.Errorf("getByIds: %d %s", status, text)
	}

	// An owner changes the members; nobody else without a right does.
	tokenOf := func(u User) string {
		_, body, _ := f.ask(t, "grant_type", "password", "username", u.UPN, "password", annsPassword, "scope", "https://graph.microsoft.com/.default")
		return body["access_token"].(string)
	}
	for _, tc := range []struct {
		who  User
		want int
	}{{ann, 403}, {bob, 204}} {
		if status, _, text := f.graphAs(t, tokenOf(tc.who), "POST", "/v1.0/groups/"+inner+"/members/$ref", ref(bob.ObjectID)); status != tc.want {
			t.Errorf("%s adds: %d %s", tc.who.UPN, status, text)
		}
	}
	if status, _, text := f.graphAs(t, tokenOf(bob), "DELETE", "/v1.0/groups/"+inner+"/members/"+ann.ObjectID+"/$ref", ""); status != 204 {
		t.Errorf("an owner removes: %d %s", status, text)
	}
	// At once, also for the token from before.
	if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || len(p.Groups) != 0 {
		t.Errorf("%+v, %v", p.Groups, err)
	}
	if status, _, text := f.graphCall(t, "PATCH", "/v1.0/groups/"+inner, `{"description":"d","displayName":"Inner"}`); status != 204 {
		t.Error(text)
	}
	if _, g, text := f.graphCall(t, "GET", "/v1.0/groups/"+inner, ""); g["description"] != "d" || g["displayName"] != "Inner" || g["mailNickname"] != "inner" {
		t.Error(text)
	}

	// Who is deleted is in no group any more.
	if status, _, text := f.graphCall(t, "DELETE", "/v1.0/users/"+bob.ObjectID, ""); status != 204 {
		t.Error(text)
	}
	if got := list("/v1.0/groups/" + inner + "/members"); len(got) != 2 {
		t.Errorf("members %v", got)
	}
	if status, _, text := f.graphCall(t, "DELETE", "/v1.0/groups/"+inner, ""); status != 204 {
		t.Error(text)
	}
	if got := f.GroupsOf(identity.ObjectID); len(got) != 0 {
		t.Errorf("groups of the identity: %v", got)
	}
	again, err := Open(t.Context(), Config{Store: f.store, Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.groups.Load().parents, again.groups.Load().parents); diff != "" {
		t.Errorf("after a restart (-running +restarted)\n%s", diff)
	}
}

func TestGroupsClaimOverage(t *testing.T) {
	t.Parallel()
	f := open(t)
	u := f.person(t, "ann")
	var groups []group
	for i := range maxGroupClaims + 1 {
		groups = append(groups, group{ObjectID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Members: []string{u.ObjectID}})
	}
	f.groups.Store(newMembership(groups))
	_, body, _ := f.askPassword(t, u.UPN, annsPassword)
	_, c, _ := split(t, body["access_token"].(string))
	want := map[string]any{"groups": "src1"}
	if diff := cmp.Diff(want, c["_claim_names"]); diff != "" || c["groups"] != nil || !strings.Contains(fmt.Sprint(c["_claim_sources"]), u.ObjectID+"/getMemberObjects") {
		t.Errorf("%v\n%s", c, diff)
	}
	if p, err := f.Verify(t.Context(), body["access_token"].(string), armAud); err != nil || len(p.Groups) != maxGroupClaims+1 {
		t.Errorf("%d groups, %v", len(p.Groups), err)
	}
}

func FuzzParseUserScope(f *testing.F) {
	f.Add(armScope)
	f.Add("openid")
	f.Add("https://vault.azure.net/user_impersonation https://vault.azure.net/.default")
	f.Add("/.default")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseUserScope(text)
		if err != nil {
			return
		}
		if s.resource == "" || !strings.Contains(text, s.resource) {
			t.Errorf("%q: resource %q", text, s.resource)
		}
		for _, asked := range s.asked {
			if !slices.Contains(strings.Fields(s.granted()), asked) {
				t.Errorf("%q: %q is not granted", text, asked)
			}
		}
	})
}

func FuzzSameRedirect(f *testing.F) {
	f.Add("http://localhost:1@evil.example")
	f.Add("http://localhost:1/../x")
	f.Add("http://[::1]:2")
	f.Fuzz(func(t *testing.T, uri string) {
		if !sameRedirect("http://localhost", uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "http" || !strings.EqualFold(u.Hostname(), "localhost") || strings.Trim(u.Path, "/") != "" || u.User != nil {
			t.Errorf("accepted %q", uri)
		}
	})
}

func TestSecretsOfPeopleAreNotInErrors(t *testing.T) {
	t.Parallel()
	f := open(t)
	_, body, text := f.ask(t, "grant_type", "password", "username", "ann@kustos.onmicrosoft.com", "password", "hunter2hunter2")
	if data, err := json.Marshal(body); err != nil || strings.Contains(string(data)+text+f.log.String(), "hunter2") {
		t.Error("a password is in an answer or the log")
	}
}
