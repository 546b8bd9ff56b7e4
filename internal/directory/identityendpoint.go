package directory

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

// IdentityEndpointPath is where IDENTITY_ENDPOINT and MSI_ENDPOINT point to.
const IdentityEndpointPath = "/msi/token"

// IdentityEndpointPathOf is the path for MSI_ENDPOINT without MSI_SECRET: that
// form has no header for a secret, so the secret stands in the path. It is as
// secret as the secret.
func IdentityEndpointPathOf(secret Secret) string { return "/msi/" + secret.Reveal() + "/token" }

// endpointError is a refusal in the shape of App Service.
type endpointError struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
}

func (e *endpointError) Error() string { return e.Message }

func refuseEndpoint(status int, message string) *endpointError {
	return &endpointError{StatusCode: status, Message: message}
}

// IdentityEndpointHandler serves the two token endpoints that App Service puts
// into the environment of a program, for programs that do not go through the
// proxy. It must be reachable on loopback only. The secret that a request
// carries is that of one user-assigned identity, which it gets the tokens of:
//
//	GET  ?api-version=2019-08-01&resource=R   X-IDENTITY-HEADER: {secret}   (IDENTITY_ENDPOINT, IDENTITY_HEADER)
//	GET  ?api-version=2017-09-01&resource=R   secret: {secret}              (MSI_ENDPOINT, MSI_SECRET)
//	POST resource=R                           Metadata: true                (MSI_ENDPOINT with the secret in its path)
//
// It never logs a path, a header or a query.
func (d *Directory) IdentityEndpointHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, info := wire.WithRequest(r)
		wire.SetCommonHeaders(w.Header(), info)
		w.Header().Set("Cache-Control", "no-store, no-cache")
		token, err := d.identityEndpoint(r)
		if err == nil {
			wire.WriteJSON(w, http.StatusOK, token)
			return
		}
		var refusal *endpointError
		if errors.As(err, &refusal) {
			d.log.WarnContext(r.Context(), "identity endpoint request refused", "request_id", info.ID, "status", refusal.StatusCode, "reason", refusal.Message)
			if refusal.StatusCode == http.StatusUnauthorized || refusal.StatusCode == http.StatusForbidden {
				d.recordRefusal(r, "identity/token", "", "", refusal.StatusCode)
			}
		} else {
			d.log.ErrorContext(r.Context(), "identity endpoint request failed", "request_id", info.ID, "error", err)
			refusal = refuseEndpoint(http.StatusInternalServerError, "The token cannot be had now.")
		}
		wire.WriteJSON(w, refusal.StatusCode, refusal)
	})
}

// endpointRequest is a request in any of the three forms.
type endpointRequest struct {
	secret Secret
	values url.Values
}

// endpointSecrets are the secrets in a request, in its path and its headers; one
// that is right has one.
func endpointSecrets(r *http.Request) (secrets []Secret) {
	inPath, _ := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), "/msi/")
	inPath, _ = strings.CutSuffix(inPath, "token")
	for _, s := range []string{strings.TrimSuffix(inPath, "/"), r.Header.Get("X-IDENTITY-HEADER"), r.Header.Get("secret")} {
		if s != "" {
			secrets = append(secrets, Secret(s))
		}
	}
	return secrets
}

func readEndpointRequest(r *http.Request) (endpointRequest, error) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !isLoopback(strings.Trim(host, "[]")) { // another name that resolves to us is somebody's trick
		return endpointRequest{}, refuseEndpoint(http.StatusForbidden, "The identity endpoint answers on loopback only.")
	}
	inPath, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/"), "/msi/")
	if inPath, ok = cutSuffix(inPath, "token", ok); !ok || strings.Count(inPath, "/") > 1 || inPath != "" && !strings.HasSuffix(inPath, "/") {
		return endpointRequest{}, refuseEndpoint(http.StatusNotFound, "The identity endpoint is "+IdentityEndpointPath+".")
	}
	secrets := endpointSecrets(r)
	if len(secrets) != 1 {
		return endpointRequest{}, refuseEndpoint(http.StatusUnauthorized, "The header X-IDENTITY-HEADER or secret must hold the secret of a user-assigned identity.")
	}
	q := endpointRequest{secret: secrets[0], values: r.URL.Query()}
	switch r.Method {
	case http.MethodGet:
		// A page of another site can make a browser send a GET without headers.
		if inPath != "" && !strings.EqualFold(r.Header.Get("Metadata"), "true") {
			return endpointRequest{}, refuseEndpoint(http.StatusBadRequest, "The header Metadata must be true.")
		}
		version := q.values.Get("api-version")
		if inPath == "" && version != "2019-08-01" && version != "2017-09-01" {
			return endpointRequest{}, refuseEndpoint(http.StatusBadRequest, "The api-version must be 2019-08-01 or 2017-09-01.")
		}
	case http.MethodPost:
		if !strings.EqualFold(r.Header.Get("Metadata"), "true") {
			return endpointRequest{}, refuseEndpoint(http.StatusBadRequest, "The header Metadata must be true.")
		}
		body, err := wire.ReadBody(r, maxFormBytes)
		if err != nil {
			return endpointRequest{}, refuseEndpoint(http.StatusBadRequest, "The form cannot be read.")
		}
		if q.values, err = url.ParseQuery(string(body)); err != nil {
			return endpointRequest{}, refuseEndpoint(http.StatusBadRequest, "The form cannot be read.")
		}
	default:
		return endpointRequest{}, refuseEndpoint(http.StatusMethodNotAllowed, "The identity endpoint answers GET and POST.")
	}
	if q.values.Get("resource") == "" {
		return endpointRequest{}, refuseEndpoint(http.StatusBadRequest, "The parameter resource is missing.")
	}
	return q, nil
}

func (d *Directory) identityEndpoint(r *http.Request) (imdsToken, error) {
	q, err := readEndpointRequest(r)
	if err != nil {
		return imdsToken{}, err
	}
	resource := q.values.Get("resource")
	var p principal
	err = d.store.View(r.Context(), func(tx store.Tx) error {
		if p, err = identityBySecret(tx, q.secret); err != nil {
			return err
		}
		if err := selects(tx, q.values, p); err != nil {
			return err
		}
		err := checkAudience(tx, resource)
		if errors.Is(err, ErrUnknownResource) {
			return refuseEndpoint(http.StatusBadRequest, errResourceNotFound(quoted(resource), d.tenantID).Error())
		}
		return err
	})
	var unknown *imdsError
	if errors.As(err, &unknown) {
		return imdsToken{}, refuseEndpoint(http.StatusBadRequest, unknown.description)
	}
	if err != nil {
		return imdsToken{}, fmt.Errorf("identity endpoint: %w", err)
	}
	return d.identityAnswer(r.Context(), p, resource)
}

// identityBySecret finds the user-assigned identity of a secret. All are
// looked at, so that the time says nothing.
func identityBySecret(tx store.Tx, secret Secret) (principal, error) {
	all, err := store.ListJSON[principal](tx, bucketPrincipals, "")
	if err != nil {
		return principal{}, err
	}
	var found principal
	for _, p := range all {
		if p.Kind == kindUserAssigned && p.IMDSSecret != "" && hmac.Equal([]byte(p.IMDSSecret), []byte(secret.Reveal())) {
			found = p
		}
	}
	if found.ObjectID == "" {
		return principal{}, refuseEndpoint(http.StatusUnauthorized, "The secret is not that of a user-assigned identity.")
	}
	return found, nil
}
