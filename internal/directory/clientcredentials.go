package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// tokenResponse is the v2.0 answer to a client that speaks for itself.
// expires_in must be a number: az adds to it.
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

// token2 is the v2.0 token endpoint.
func (d *Directory) token2(w http.ResponseWriter, r *http.Request, tenant string) error {
	form, err := d.readForm(r, tenant)
	if err != nil {
		return err
	}
	switch form.grant {
	case grantClient:
		return d.clientToken2(w, r, form)
	case grantPassword:
		return d.passwordToken(w, r, form)
	case grantCode:
		return d.codeToken(w, r, form)
	case grantRefresh:
		return d.refreshGrant(w, r, form)
	case grantDevice, "device_code":
		return d.deviceToken(w, r, form)
	default:
		return refuseGrant(form.grant)
	}
}

// refuseGrant words the refusal of a grant that is not served.
func refuseGrant(grant string) error {
	switch {
	case grant == "":
		return errParameterMissing("grant_type")
	case slices.Contains(notBuiltGrants(), grant):
		return errGrantNotSupported(grant)
	default:
		return errGrantUnknown(quoted(grant))
	}
}

func (d *Directory) clientToken2(w http.ResponseWriter, r *http.Request, form tokenForm) error {
	if err := d.checkClientForm(form); err != nil {
		return err
	}
	resource, err := resourceOfScope(form.get("scope"))
	if err != nil {
		return err
	}
	token, expires, err := d.issue(r.Context(), form, resource)
	if err != nil {
		return err
	}
	left := d.secondsLeft(expires)
	wire.WriteJSON(w, http.StatusOK, tokenResponse{TokenType: "Bearer", ExpiresIn: left, ExtExpiresIn: left, AccessToken: token.Reveal()})
	return nil
}

// token1 is the v1 token endpoint, which old clients use for themselves; the
// grants of people are served by v2.0 alone.
func (d *Directory) token1(w http.ResponseWriter, r *http.Request, tenant string) error {
	form, err := d.readForm(r, tenant)
	if err != nil {
		return err
	}
	switch form.grant {
	case grantClient:
	case grantPassword, grantCode, grantRefresh, grantDevice, "device_code":
		return errGrantV2Only(form.grant)
	default:
		return refuseGrant(form.grant)
	}
	if err := d.checkClientForm(form); err != nil {
		return err
	}
	resource, err := form.need("resource")
	if err != nil {
		return err
	}
	token, expires, err := d.issue(r.Context(), form, resource)
	if err != nil {
		return err
	}
	left := strconv.FormatInt(d.secondsLeft(expires), 10)
	wire.WriteJSON(w, http.StatusOK, tokenResponse1{TokenType: "Bearer", ExpiresIn: left, ExtExpiresIn: left,
		ExpiresOn: strconv.FormatInt(expires.Unix(), 10), NotBefore: strconv.FormatInt(d.now().Add(-clockSkew).Unix(), 10),
		Resource: resource, AccessToken: token.Reveal()})
	return nil
}

// secondsLeft is Entra's 3599 of an hour: never more than what is left.
func (d *Directory) secondsLeft(expires time.Time) int64 {
	return int64(expires.Sub(d.now())/time.Second) - 1
}

// checkClientForm admits a client_credentials request: the tenant is named,
// and a client id and a secret or an assertion are there.
func (d *Directory) checkClientForm(form tokenForm) error {
	if err := d.checkTenant(form.tenant, false); err != nil {
		return err
	}
	switch {
	case form.clientID == "":
		return errParameterMissing("client_id")
	case form.secret == "" && form.assertion == "":
		return errSecretMissing()
	}
	return nil
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

// issue checks who the client is and signs a token for resource.
func (d *Directory) issue(ctx context.Context, form tokenForm, resource string) (Secret, time.Time, error) {
	var (
		proof clientProof
		sp    principal
	)
	foreign, err := d.foreignApplication(ctx, form.clientID)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token request: %w", err)
	}
	err = d.store.View(ctx, func(tx store.Tx) error {
		var err error
		if proof, err = d.authenticateClient(tx, form, foreign); err != nil {
			return err
		}
		if sp, err = principalByAppID(tx, proof.app.AppID); errors.Is(err, ErrNotFound) {
			return errPrincipalMissing(proof.app.AppID, d.tenantID)
		} else if err != nil {
			return err
		}
		return d.admitAudience(tx, resource)
	})
	if err == nil {
		err = d.remember(ctx, proof.assertion)
	}
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token request: %w", err)
	}
	c := d.appClaims(sp, resource, clientTokenLifetime)
	c.AppIDAuth = proof.method
	token, expires, err := d.signToken(c)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token request: %w", err)
	}
	d.log.InfoContext(ctx, "token issued", "principal", sp.ObjectID, "audience", resource)
	return token, expires, nil
}

// admitAudience is checkAudience with the refusal of the sign-in endpoints.
func (d *Directory) admitAudience(tx store.Tx, resource string) error {
	err := checkAudience(tx, resource)
	if errors.Is(err, ErrUnknownResource) {
		return errResourceNotFound(quoted(resource), d.tenantID)
	}
	return err
}

// How a client proved itself, as the claim appidacr says it.
const (
	provedByNothing     = "0" // a public client
	provedBySecret      = "1"
	provedByCertificate = "2" // or by a federated credential
)

// clientProof is an application that has proved itself.
type clientProof struct {
	app    application
	method string
	// assertion is what must not come again in another form; nil when the proof was a secret.
	assertion *assertionUse
}

// authenticateClient checks the client's secret or assertion against its
// registration, which is foreign's when this tenant has none.
func (d *Directory) authenticateClient(tx store.Tx, form tokenForm, foreign *foreignApplication) (clientProof, error) {
	app, err := applicationByAppID(tx, form.clientID)
	if errors.Is(err, ErrNotFound) && foreign != nil {
		app, err = foreign.application, nil
	}
	if errors.Is(err, ErrNotFound) && form.assertion != "" {
		app, err = d.identityClient(tx, form.clientID)
	}
	if errors.Is(err, ErrNotFound) {
		return clientProof{}, errClientNotFound(quoted(form.clientID), d.tenantID)
	} else if err != nil {
		return clientProof{}, err
	}
	if form.assertion == "" {
		return clientProof{app: app, method: provedBySecret}, checkSecret(app, form.secret, d.now())
	}
	use, err := d.checkAssertion(app, form.assertion)
	return clientProof{app: app, method: provedByCertificate, assertion: use}, err
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
			// as if it were not there
		default:
			return nil
		}
	}
	return errSecretWrong(app.AppID)
}
