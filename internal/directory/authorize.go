package directory

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// codeLifetime is how long an authorization code can be redeemed.
const codeLifetime = 5 * time.Minute

// authorization is an authorization request that was admitted.
type authorization struct {
	client    signInClient
	scope     userScope
	redirect  string
	web       bool // the redirect is a web application's
	state     string
	mode      string // query, fragment or form_post
	challenge string // S256, "" for a web application that sent none
	nonce     string
}

// codeGrant is an authorization code that waits to be redeemed.
type codeGrant struct {
	authorization
	user    user
	began   time.Time
	expires time.Time
	// chain is that of the session; redeeming the code again ends it.
	chain string
	used  bool
}

// authorize begins a sign-in in a browser. Until client and redirect URI are
// known to belong together, a refusal is shown and never sent anywhere.
func (d *Directory) authorize(w http.ResponseWriter, r *http.Request, tenant string) error {
	if err := d.checkTenant(tenant, true); err != nil {
		return err
	}
	var values url.Values
	switch r.Method {
	case http.MethodGet:
		var err error
		if values, err = url.ParseQuery(r.URL.RawQuery); err != nil {
			return errBodyMalformed()
		}
	case http.MethodPost:
		body, err := wire.ReadBody(r, maxFormBytes)
		if err != nil {
			return errBodyMalformed()
		}
		if values, err = url.ParseQuery(string(body)); err != nil {
			return errBodyMalformed()
		}
	default:
		return errMethod(r.Method)
	}
	for _, v := range values {
		if len(v) != 1 {
			return errBodyMalformed()
		}
	}
	a := &authorization{redirect: values.Get("redirect_uri"), state: values.Get("state"), mode: values.Get("response_mode"), challenge: values.Get("code_challenge"), nonce: values.Get("nonce")}
	clientID := values.Get("client_id")
	if clientID == "" {
		return errParameterMissing("client_id")
	}
	if a.mode == "" {
		a.mode = "query"
	}
	if !slices.Contains([]string{"query", "fragment", "form_post"}, a.mode) {
		return errResponseMode(quoted(a.mode))
	}
	err := d.store.View(r.Context(), func(tx store.Tx) (err error) {
		a.client, err = d.findClient(tx, clientID)
		return err
	})
	if err != nil {
		return err
	}
	var known bool
	if a.web, known = a.client.admitsRedirect(a.redirect); !known {
		return errRedirectUnknown(quoted(a.redirect), a.client.appID)
	}
	if err := d.checkAuthorization(r, a, values); err != nil {
		return d.sendRefusal(w, a, err)
	}
	return d.showSignIn(w, r, &page{authcode: a}, values.Get("login_hint"))
}

// checkAuthorization checks what the client is told about.
func (d *Directory) checkAuthorization(r *http.Request, a *authorization, values url.Values) (err error) {
	switch {
	case values.Get("response_type") != "code":
		return errResponseType(quoted(values.Get("response_type")))
	case values.Get("prompt") == "none":
		return errLoginRequired()
	case a.challenge == "" && !a.web, a.challenge != "" && (values.Get("code_challenge_method") != "S256" || !isChallenge(a.challenge)):
		return errPKCEMissing()
	case len(a.state) > 8<<10 || len(a.nonce) > 2<<10:
		return errBodyMalformed()
	}
	if a.scope, err = parseUserScope(values.Get("scope")); err != nil {
		return err
	}
	return d.store.View(r.Context(), func(tx store.Tx) error { return d.admitAudience(tx, a.scope.resource) })
}

// isChallenge accepts the base64url of a SHA-256.
func isChallenge(text string) bool {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(sum) == sha256.Size
}

// sendCode sends the browser back with a code, or with the news that nobody
// signed in.
func (d *Directory) sendCode(w http.ResponseWriter, a *authorization, u *user) error {
	if u == nil {
		return d.sendRefusal(w, a, errSignInDeclined())
	}
	code := newSecret().Reveal()
	now := d.now()
	g := &codeGrant{authorization: *a, user: *u, began: now.UTC(), expires: now.Add(codeLifetime)}
	if !d.signIns.addCode(refreshKey(code), g, now) {
		return d.sendRefusal(w, a, errBusy())
	}
	return d.sendBack(w, a, []pageField{{"code", code}, {"session_state", newUniqueID()}}, false)
}

func (d *Directory) sendRefusal(w http.ResponseWriter, a *authorization, err error) error {
	var refused *signInError
	if !errors.As(err, &refused) {
		return err
	}
	d.log.Warn("sign-in refused", "code", refused.code)
	return d.sendBack(w, a, []pageField{{"error", refused.oauth}, {"error_description", refused.Error()}}, true)
}

// sendBack answers in the response mode that the client chose.
func (d *Directory) sendBack(w http.ResponseWriter, a *authorization, fields []pageField, declined bool) error {
	if a.state != "" {
		fields = append(fields, pageField{"state", a.state})
	}
	if a.mode == "form_post" {
		return d.pages.write(w, http.StatusOK, "post", pageData{Client: a.client.name, Redirect: a.redirect, Fields: fields, Declined: declined}, originOf(a.redirect))
	}
	values := url.Values{}
	for _, f := range fields {
		values.Set(f.Name, f.Value)
	}
	target := a.redirect
	switch {
	case a.mode == "fragment":
		target += "#" + values.Encode()
	case strings.Contains(target, "?"):
		target += "&" + values.Encode()
	default:
		target += "?" + values.Encode()
	}
	w.Header().Set("Location", target)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func (s *signIns) addCode(key string, g *codeGrant, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.codes) >= maxFlows {
		s.sweepLocked(now)
	}
	if len(s.codes) >= maxFlows {
		return false
	}
	s.codes[key] = g
	return true
}

// redeem takes a code, once. again is the chain of a code that was redeemed before.
func (s *signIns) redeem(key string, chain string, now time.Time) (g codeGrant, again string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[key]
	switch {
	case c == nil || !now.Before(c.expires):
		return codeGrant{}, "", errCodeUnknown()
	case c.used:
		return codeGrant{}, c.chain, errCodeRedeemed()
	}
	c.used, c.chain = true, chain
	return *c, "", nil
}

// codeToken serves grant_type=authorization_code.
func (d *Directory) codeToken(w http.ResponseWriter, r *http.Request, form tokenForm) error {
	code, err := form.need("code")
	if err != nil {
		return err
	}
	redirect, err := form.need("redirect_uri")
	if err != nil {
		return err
	}
	s := session{chain: newUniqueID()}
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		s.client, err = d.clientOf(tx, form)
		return err
	})
	if err == nil {
		err = d.remember(r.Context(), s.client.assertion)
		s.client.assertion = nil
	}
	if err != nil {
		return err
	}
	g, again, err := d.signIns.redeem(refreshKey(code), s.chain, d.now())
	if again != "" {
		// Two have the code, so one has stolen it: nobody keeps the session.
		if end := d.store.Update(r.Context(), func(tx store.Tx) error { return endChain(tx, again) }); end != nil {
			return end
		}
	}
	if err != nil {
		return err
	}
	switch {
	case g.client.appID != s.client.appID:
		return errCodeUnknown()
	case g.redirect != redirect:
		return errCodeRedirect()
	case g.web && s.client.method == provedByNothing:
		return errClientProofMissing()
	case g.challenge != "" && !verifies(g.challenge, form.get("code_verifier")):
		return errCodeVerifier()
	}
	s.scope, s.nonce, s.began = g.scope, g.nonce, g.began
	s.user = g.user
	if s.user, err = d.stillAdmitted(r, s); err != nil {
		return err
	}
	return d.begin(r.Context(), w, form, s)
}

// verifies compares the verifier with its S256 challenge (RFC 7636 §4.6).
func verifies(challenge, verifier string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
