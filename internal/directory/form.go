package directory

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/wire"
)

// maxFormBytes bounds a token request; a real one has some 500 bytes, with a
// certificate chain in the assertion some 8 kB.
const maxFormBytes = 64 << 10

// The grants of the token endpoint.
const (
	grantClient   = "client_credentials"
	grantPassword = "password"
	grantCode     = "authorization_code"
	grantRefresh  = "refresh_token"
	grantDevice   = "urn:ietf:params:oauth:grant-type:device_code"
)

// notBuiltGrants are Entra's other grants: known by name, refused by name.
func notBuiltGrants() []string {
	return []string{
		"implicit",
		"urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:saml1_1-bearer",
		"urn:ietf:params:oauth:grant-type:saml2-bearer",
		"urn:ietf:params:oauth:grant-type:token-exchange",
	}
}

const assertionTypeJWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// tokenForm is a token request as read: a tenant that can be ours, one grant,
// and how the client says who it is.
type tokenForm struct {
	tenant    string
	grant     string
	clientID  string
	secret    Secret
	assertion Secret
	values    url.Values
}

// get returns a parameter, "" when it is absent.
func (f tokenForm) get(name string) string { return f.values.Get(name) }

// need returns a parameter that must be there.
func (f tokenForm) need(name string) (string, error) {
	if v := f.values.Get(name); v != "" {
		return v, nil
	}
	return "", errParameterMissing(name)
}

// readForm reads a POST to a token or device code endpoint. The tenant is
// checked first: credentials of another tenant are not even read.
func (d *Directory) readForm(r *http.Request, tenant string) (tokenForm, error) {
	if r.Method != http.MethodPost {
		return tokenForm{}, errMethod(r.Method)
	}
	a := attemptOf(r.Context())
	a.operation = operationOf("")
	if err := d.checkTenant(tenant, true); err != nil {
		return tokenForm{}, err
	}
	body, err := wire.ReadBody(r, maxFormBytes)
	if err != nil {
		return tokenForm{}, errBodyMalformed()
	}
	form, err := parseTokenForm(string(body))
	if err != nil {
		return tokenForm{}, err
	}
	form.tenant = tenant
	if id, secret, ok := r.BasicAuth(); ok {
		// RFC 6749 §2.3.1: both are form-encoded before Basic encodes them.
		id, secret = unescaped(id), unescaped(secret)
		if form.secret != "" || form.assertion != "" || form.clientID != "" && !strings.EqualFold(form.clientID, id) {
			return tokenForm{}, errBodyMalformed() // two methods at once
		}
		form.clientID, form.secret = id, Secret(secret)
	}
	a.operation, a.clientID = operationOf(form.grant), form.clientID
	return form, nil
}

// parseTokenForm reads a form-encoded body. A parameter that comes twice is
// refused: which one counts would be a guess.
func parseTokenForm(body string) (tokenForm, error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return tokenForm{}, errBodyMalformed()
	}
	for _, v := range values {
		if len(v) != 1 {
			return tokenForm{}, errBodyMalformed()
		}
	}
	form := tokenForm{grant: values.Get("grant_type"), clientID: values.Get("client_id"), secret: Secret(values.Get("client_secret")),
		assertion: Secret(values.Get("client_assertion")), values: values}
	if form.secret != "" && form.assertion != "" {
		return tokenForm{}, errBodyMalformed()
	}
	if form.assertion != "" && values.Get("client_assertion_type") != assertionTypeJWT {
		return tokenForm{}, errAssertionType(quoted(values.Get("client_assertion_type")))
	}
	return form, nil
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}
