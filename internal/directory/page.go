package directory

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/wire"
)

//go:embed pages/page.html
var pageFiles embed.FS

const (
	// pageStyle is the one style sheet; the policy below names its hash.
	pageStyle = `body{font:16px/1.5 system-ui,sans-serif;margin:0}main{max-width:26rem;margin:4rem auto;padding:0 1rem}` +
		`label,input,button{display:block;width:100%;box-sizing:border-box;font:inherit}input,button{padding:.5rem;margin:.25rem 0 1rem}` +
		`.where{color:#555;font-size:.9rem}.problem{border-left:.25rem solid #b00;padding-left:.75rem}`
	pageLifetime = 15 * time.Minute
	// signInPath takes the form of a sign-in page.
	signInPath = "/common/oauth2/signin"
	// pageCookie ties a page to the browser it was given to. The prefix makes
	// browsers refuse it from other hosts and without TLS.
	pageCookie = "__Host-kustos-signin"
	// maxTries bounds the passwords that one page takes.
	maxTries = 5
)

// page is a sign-in page that was given to a browser: of a device flow, or of
// an authorization request.
type page struct {
	expires  time.Time
	cookie   string // hash of the browser's cookie
	device   *deviceFlow
	authcode *authorization
	tries    int
}

// client is the application that waits for the person.
func (p *page) client() signInClient {
	if p.authcode != nil {
		return p.authcode.client
	}
	return p.device.client
}

// pageData is what the templates show.
type pageData struct {
	Style    template.CSS
	Problem  string
	Action   string
	CSRF     string
	Flow     string
	Client   string
	Resource string
	Username string
	Device   bool
	Declined bool
	Redirect string
	Fields   []pageField
}

type pageField struct{ Name, Value string }

// pages renders the pages and guards them against other sites.
type pages struct {
	templates *template.Template
	style     string // the style's hash for the policy
	key       []byte // of the forms' CSRF values
}

func newPages(key []byte) (pages, error) {
	t, err := template.ParseFS(pageFiles, "pages/page.html")
	if err != nil {
		return pages{}, fmt.Errorf("sign-in pages: %w", err)
	}
	sum := sha256.Sum256([]byte(pageStyle))
	p := pages{templates: t, style: "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", key: key}
	if len(key) == 0 {
		p.key = NewPageKey()
	}
	return p, nil
}

// NewPageKey makes a key for Config.PageKey.
func NewPageKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}

// write renders a page. formTo are the origins besides our own that its form,
// or a redirect after it, may lead to.
func (p pages) write(w http.ResponseWriter, status int, name string, data pageData, formTo ...string) error {
	data.Style = pageStyle
	var buf bytes.Buffer
	if err := p.templates.ExecuteTemplate(&buf, name, data); err != nil {
		return fmt.Errorf("sign-in page %s: %w", name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+p.style+"; form-action "+strings.Join(append([]string{"'self'"}, formTo...), " ")+"; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Frame-Options", "DENY")
	// Not "no-referrer": with that a browser sends "Origin: null" with our own forms.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = buf.WriteTo(w)
	return nil
}

// browser is the browser's cookie, which is set when there is none.
func (p pages) browser(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(pageCookie); err == nil && len(c.Value) == 43 {
		return c.Value
	}
	var b [32]byte
	_, _ = rand.Read(b[:])
	value := base64.RawURLEncoding.EncodeToString(b[:])
	http.SetCookie(w, &http.Cookie{Name: pageCookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return value
}

// csrf is the value that a form of a page must bring back, good for one
// browser and one flow.
func (p pages) csrf(cookie, flow string) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(cookie + "\x00" + flow))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// submitted reads the form of one of our own pages. Anything that can come
// from another site is refused.
func (p pages) submitted(r *http.Request) (values url.Values, cookie string, err error) {
	if r.Method != http.MethodPost {
		return nil, "", errMethod(r.Method)
	}
	origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site")
	c, err := r.Cookie(pageCookie)
	if err != nil || origin != "" && !strings.EqualFold(origin, "https://"+r.Host) || site != "" && site != "same-origin" {
		return nil, "", errPageOver()
	}
	body, err := wire.ReadBody(r, maxFormBytes)
	if err != nil {
		return nil, "", errBodyMalformed()
	}
	if values, err = url.ParseQuery(string(body)); err != nil {
		return nil, "", errBodyMalformed()
	}
	if !hmac.Equal([]byte(values.Get("csrf")), []byte(p.csrf(c.Value, values.Get("flow")))) {
		return nil, "", errPageOver()
	}
	return values, c.Value, nil
}

// pageError shows a refusal to a person.
func (d *Directory) pageError(w http.ResponseWriter, err error) error {
	var refused *signInError
	if !errors.As(err, &refused) {
		return err
	}
	return d.pages.write(w, refused.status, "error", pageData{Problem: refused.Error()})
}

// showSignIn gives a browser the sign-in page of a flow.
func (d *Directory) showSignIn(w http.ResponseWriter, r *http.Request, p *page, username string) error {
	cookie := d.pages.browser(w, r)
	p.cookie, p.expires = refreshKey(cookie), d.now().Add(pageLifetime)
	id := newUniqueID()
	if !d.signIns.addPage(id, p, d.now()) {
		return errBusy()
	}
	return d.writeSignIn(w, p, id, cookie, username, "")
}

func (d *Directory) writeSignIn(w http.ResponseWriter, p *page, id, cookie, username, problem string) error {
	data := pageData{Action: signInPath, Flow: id, CSRF: d.pages.csrf(cookie, id), Username: username, Problem: problem}
	var to []string
	if p.device != nil {
		data.Client, data.Resource, data.Device = p.device.client.name, p.device.scope.resource, true
	} else {
		data.Client, data.Resource = p.authcode.client.name, p.authcode.scope.resource
		to = []string{originOf(p.authcode.redirect)}
	}
	return d.pages.write(w, http.StatusOK, "signin", data, to...)
}

func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func (s *signIns) addPage(id string, p *page, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pages) >= maxFlows {
		s.sweepLocked(now)
	}
	if len(s.pages) >= maxFlows {
		return false
	}
	s.pages[id] = p
	return true
}

// openPage finds the page of a form, for the browser it was given to, and
// counts the try.
func (s *signIns) openPage(id, cookie string, now time.Time) *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[id]
	if p == nil || p.cookie != refreshKey(cookie) || !now.Before(p.expires) || p.tries >= maxTries {
		return nil
	}
	p.tries++
	return p
}

// closePage makes sure that a page is used once.
func (s *signIns) closePage(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, open := s.pages[id]
	delete(s.pages, id)
	return open
}

// deviceAuth is the page where a person types the code of a device.
func (d *Directory) deviceAuth(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return d.showCode(w, r, "")
	}
	values, _, err := d.pages.submitted(r)
	if err != nil {
		return err
	}
	f := d.signIns.deviceByUserCode(typedCode(values.Get("user_code")), d.now())
	if f == nil {
		return d.showCode(w, r, "That code does not wait for anybody. Check it, or begin again on the device.")
	}
	return d.showSignIn(w, r, &page{device: f}, "")
}

// typedCode is the code that a person typed as it was given out.
func typedCode(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToUpper(text))
}

func (d *Directory) showCode(w http.ResponseWriter, r *http.Request, problem string) error {
	cookie := d.pages.browser(w, r)
	return d.pages.write(w, http.StatusOK, "code", pageData{Action: devicePath, CSRF: d.pages.csrf(cookie, ""), Problem: problem})
}

// signIn takes the form of a sign-in page.
func (d *Directory) signIn(w http.ResponseWriter, r *http.Request) error {
	values, cookie, err := d.pages.submitted(r)
	if err != nil {
		return err
	}
	id := values.Get("flow")
	p := d.signIns.openPage(id, cookie, d.now())
	if p == nil {
		return errPageOver()
	}
	if values.Get("decision") != "accept" {
		if !d.signIns.closePage(id) {
			return errPageOver()
		}
		return d.finish(w, p, nil)
	}
	u, err := d.checkPassword(r.Context(), values.Get("username"), Secret(values.Get("password")))
	var refused *signInError
	if errors.As(err, &refused) {
		d.log.WarnContext(r.Context(), "sign-in refused", "code", refused.code)
		*attemptOf(r.Context()) = attempt{operation: "signin/page", clientID: p.client().appID}
		d.recordSignIn(r, refused)
		return d.writeSignIn(w, p, id, cookie, values.Get("username"), refused.text)
	}
	if err != nil {
		return err
	}
	if !d.signIns.closePage(id) {
		return errPageOver()
	}
	d.log.InfoContext(r.Context(), "signed in", "principal", u.ObjectID)
	return d.finish(w, p, &u)
}

// finish ends a page: u has signed in, or nobody has.
func (d *Directory) finish(w http.ResponseWriter, p *page, u *user) error {
	if p.authcode != nil {
		return d.sendCode(w, p.authcode, u)
	}
	if !d.signIns.decide(p.device, u, d.now()) {
		return errPageOver()
	}
	return d.pages.write(w, http.StatusOK, "done", pageData{Client: p.device.client.name, Declined: u == nil})
}

// isPage reports whether a path below the tenant shows pages to people.
func isPage(rest string) bool {
	return slices.Contains([]string{"oauth2/deviceauth", "oauth2/signin", "oauth2/v2.0/authorize", "oauth2/authorize"}, rest)
}
