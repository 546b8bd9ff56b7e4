package directory

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

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
