package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// maxFormBytes bounds a token request; a real one has some 500 bytes.
const maxFormBytes = 64 << 10

// notBuiltGrants are Entra's other grants: known by name, refused by name.
func notBuiltGrants() []string {
	return []string{
		"authorization_code", "password", "refresh_token", "device_code", "implicit",
		"urn:ietf:params:oauth:grant-type:device_code",
		"urn:ietf:params:oauth:grant-type:jwt-bearer",
		"urn:ietf:params:oauth:grant-type:saml2-bearer",
		"urn:ietf:params:oauth:grant-type:token-exchange",
	}
}

// tokenResponse is the v2.0 answer. expires_in must be a number: az adds to it.
type tokenResponse struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
}

// tokenResponse1 is the v1 answer, where every number is text.
type tokenResponse1 struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    string `json:"expires_in"`
	ExtExpiresIn string `json:"ext_expires_in"`
	ExpiresOn    string `json:"expires_on"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource"`
	AccessToken  string `json:"access_token"`
}

func (d *Directory) token2(w http.ResponseWriter, r *http.Request, tenant string) error {
	form, err := d.clientCredentials(r, tenant)
	if err != nil {
		return err
	}
	resource, err := resourceOfScope(form.values.Get("scope"))
	if err != nil {
		return err
	}
	token, expires, err := d.issue(r.Context(), form, resource)
	if err != nil {
		return err
	}
	left := int64(expires.Sub(d.now())/time.Second) - 1 // Entra's 3599: never more than what is left
	wire.WriteJSON(w, http.StatusOK, tokenResponse{TokenType: "Bearer", ExpiresIn: left, ExtExpiresIn: left, AccessToken: token.Reveal()})
	return nil
}

func (d *Directory) token1(w http.ResponseWriter, r *http.Request, tenant string) error {
	form, err := d.clientCredentials(r, tenant)
	if err != nil {
		return err
	}
	resource := form.values.Get("resource")
	if resource == "" {
		return errParameterMissing("resource")
	}
	token, expires, err := d.issue(r.Context(), form, resource)
	if err != nil {
		return err
	}
	left := strconv.FormatInt(int64(expires.Sub(d.now())/time.Second)-1, 10)
	wire.WriteJSON(w, http.StatusOK, tokenResponse1{TokenType: "Bearer", ExpiresIn: left, ExtExpiresIn: left,
		ExpiresOn: strconv.FormatInt(expires.Unix(), 10), NotBefore: strconv.FormatInt(d.now().Add(-clockSkew).Unix(), 10),
		Resource: resource, AccessToken: token.Reveal()})
	return nil
}

// clientForm is an admitted token request: the tenant is ours, the grant is
// client_credentials, and a client id and a secret are there.
type clientForm struct {
	clientID string
	secret   Secret
	values   url.Values
}

func (d *Directory) clientCredentials(r *http.Request, tenant string) (clientForm, error) {
	if r.Method != http.MethodPost {
		return clientForm{}, errMethod(r.Method)
	}
	// The tenant first: credentials of another tenant are not even read.
	if err := d.checkTenant(tenant, false); err != nil {
		return clientForm{}, err
	}
	body, err := wire.ReadBody(r, maxFormBytes)
	if err != nil {
		return clientForm{}, errBodyMalformed()
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return clientForm{}, errBodyMalformed()
	}
	grant := values.Get("grant_type")
	switch {
	case grant == "":
		return clientForm{}, errParameterMissing("grant_type")
	case grant != "client_credentials":
		for _, known := range notBuiltGrants() {
			if grant == known {
				return clientForm{}, errGrantNotSupported(grant)
			}
		}
		return clientForm{}, errGrantUnknown(quoted(grant))
	}
	form := clientForm{clientID: values.Get("client_id"), secret: Secret(values.Get("client_secret")), values: values}
	if id, secret, ok := r.BasicAuth(); ok {
		// RFC 6749 §2.3.1: both are form-encoded before Basic encodes them.
		id, secret = unescaped(id), unescaped(secret)
		if form.secret != "" || form.clientID != "" && !strings.EqualFold(form.clientID, id) {
			return clientForm{}, errBodyMalformed() // two methods at once
		}
		form.clientID, form.secret = id, Secret(secret)
	}
	switch {
	case form.clientID == "":
		return clientForm{}, errParameterMissing("client_id")
	case form.secret == "" && values.Has("client_assertion"):
		return clientForm{}, errAssertionNotSupported()
	case form.secret == "":
		return clientForm{}, errSecretMissing()
	}
	return form, nil
}

func unescaped(text string) string {
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

// resourceOfScope takes the audience out of a scope list: of the one item that
// ends in "/.default" everything before that suffix, verbatim, so that
// "https://host//.default" keeps its slash.
func resourceOfScope(scope string) (string, error) {
	resource, found := "", false
	for item := range strings.FieldsSeq(scope) {
		name, ok := strings.CutSuffix(item, "/.default")
		if !ok {
			continue
		}
		if found && name != resource {
			return "", errScopeTwoResources(quoted(scope))
		}
		resource, found = name, true
	}
	switch {
	case scope == "":
		return "", errParameterMissing("scope")
	case !found:
		return "", errScopeNotDefault(quoted(scope))
	}
	return resource, nil
}

// issue checks the secret and signs a token for resource.
func (d *Directory) issue(ctx context.Context, form clientForm, resource string) (Secret, time.Time, error) {
	var (
		app application
		sp  principal
	)
	err := d.store.View(ctx, func(tx store.Tx) error {
		var err error
		if app, err = applicationByAppID(tx, form.clientID); errors.Is(err, ErrNotFound) {
			return errClientNotFound(quoted(form.clientID), d.tenantID)
		} else if err != nil {
			return err
		}
		if err := checkSecret(app, form.secret, d.now()); err != nil {
			return err
		}
		if sp, err = principalByAppID(tx, app.AppID); errors.Is(err, ErrNotFound) {
			return errPrincipalMissing(app.AppID, d.tenantID)
		} else if err != nil {
			return err
		}
		err = checkAudience(tx, resource)
		if errors.Is(err, ErrUnknownResource) {
			return errResourceNotFound(quoted(resource), d.tenantID)
		}
		return err
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token request: %w", err)
	}
	token, expires, err := d.sign(sp, resource, clientTokenLifetime)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token request: %w", err)
	}
	d.log.InfoContext(ctx, "token issued", "principal", sp.ObjectID, "audience", resource)
	return token, expires, nil
}

// checkSecret accepts a secret of app that is valid now.
func checkSecret(app application, secret Secret, now time.Time) error {
	for _, pw := range app.Passwords {
		if !pw.Secret.matches(secret.Reveal()) {
			continue
		}
		switch {
		case !now.Before(pw.End):
			return errSecretExpired(app.AppID)
		case now.Before(pw.Start):
			break // as if it were not there
		default:
			return nil
		}
	}
	return errSecretWrong(app.AppID)
}
