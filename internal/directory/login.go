package directory

import (
	"errors"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/wire"
)

// loginHost is the sign-in host that every document names; the aliases lead to
// the same handler.
const loginHost = "login.microsoftonline.com"

func loginAliases() []string {
	return []string{loginHost, "login.windows.net", "login.microsoft.com", "sts.windows.net"}
}

// LoginHandler serves the sign-in hosts: token endpoints (client credentials
// by secret), instance discovery, OpenID configuration and signing keys. It
// never logs a body or a query.
func (d *Directory) LoginHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, info := wire.WithRequest(withAttempt(r))
		// MSAL names its correlation id in a header or, from Node, in the query.
		for _, id := range []string{r.Header.Get("client-request-id"), r.URL.Query().Get("client-request-id")} {
			if ids.IsGUID(id) {
				info.CorrelationID = id
				w.Header().Set("client-request-id", id)
				break
			}
		}
		wire.SetCommonHeaders(w.Header(), info)
		w.Header().Set("Cache-Control", "no-store, no-cache")
		if err := d.login(w, r); err != nil {
			d.writeSignInError(w, r, info, err)
		}
	})
}

func (d *Directory) writeSignInError(w http.ResponseWriter, r *http.Request, info wire.Request, err error) {
	var refusal *signInError
	if !errors.As(err, &refusal) {
		refusal = errServer()
		d.log.ErrorContext(r.Context(), "sign-in failed", "request_id", info.ID, "correlation_id", info.CorrelationID, "error", err)
	} else {
		// The code alone: the text quotes what the client sent.
		d.log.WarnContext(r.Context(), "sign-in refused", "request_id", info.ID, "correlation_id", info.CorrelationID, "code", refusal.code)
		d.recordSignIn(r, refusal)
	}
	if refusal.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	wire.WriteJSON(w, refusal.status, refusal.body(d.now(), info))
}

// login routes /{tenant}/…; an error becomes Entra's error document.
func (d *Directory) login(w http.ResponseWriter, r *http.Request) error {
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	tenant, rest := segments[0], strings.ToLower(strings.Join(segments[1:], "/"))
	switch {
	case rest == "oauth2/v2.0/token":
		return d.token2(w, r, tenant)
	case rest == "oauth2/token":
		return d.token1(w, r, tenant)
	case rest == "discovery/instance":
		return d.instanceDiscovery(w, r)
	case rest == "v2.0/.well-known/openid-configuration":
		return d.openIDConfiguration(w, tenant, true)
	case rest == ".well-known/openid-configuration":
		return d.openIDConfiguration(w, tenant, false)
	case rest == "discovery/v2.0/keys":
		return d.signingKeys(w, tenant, true)
	case rest == "discovery/keys":
		return d.signingKeys(w, tenant, false)
	case strings.HasPrefix(rest, "userrealm/"):
		return d.userRealm(w, strings.TrimPrefix(rest, "userrealm/"))
	case rest == "oauth2/v2.0/devicecode":
		return d.deviceCode(w, r, tenant)
	case rest == "oauth2/devicecode":
		return errEndpointV2Only("devicecode")
	case rest == "oauth2/authorize":
		return d.pageError(w, errEndpointV2Only("authorize"))
	case isPage(rest):
		return d.showPage(w, r, tenant, rest)
	default:
		return errNoSuchEndpoint()
	}
}

// showPage serves what people see in a browser; a refusal is a page as well.
func (d *Directory) showPage(w http.ResponseWriter, r *http.Request, tenant, rest string) error {
	var err error
	switch rest {
	case "oauth2/deviceauth":
		err = d.deviceAuth(w, r)
	case "oauth2/signin":
		err = d.signIn(w, r)
	default:
		err = d.authorize(w, r, tenant)
	}
	if err != nil {
		return d.pageError(w, err)
	}
	return nil
}

// isShared reports whether the tenant segment stands for any tenant.
func isShared(tenant string) bool {
	return strings.EqualFold(tenant, "common") || strings.EqualFold(tenant, "organizations")
}

// checkTenant accepts this tenant and, when shared is true, the segments that
// stand for any tenant.
func (d *Directory) checkTenant(tenant string, shared bool) error {
	switch {
	case strings.EqualFold(tenant, d.tenantID), strings.EqualFold(tenant, d.domain), shared && isShared(tenant):
		return nil
	case isShared(tenant):
		return errTenantNeeded()
	default:
		return errTenantNotFound(quoted(tenant))
	}
}

// checkDocumentTenant is checkTenant for the documents that anybody may read.
func (d *Directory) checkDocumentTenant(tenant string) error {
	if d.checkTenant(tenant, true) != nil {
		return errDocumentTenant(quoted(tenant))
	}
	return nil
}
