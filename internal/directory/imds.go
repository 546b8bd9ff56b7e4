package directory

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

type proxyUserKey struct{}

type proxyUser struct {
	name   string
	secret Secret
}

// WithProxyUser puts the user and secret of a Proxy-Authorization header into
// the context of a request to the metadata endpoint. It is the server's part of
// IMDSHandler: a request names the identity it speaks for in its proxy URL.
func WithProxyUser(ctx context.Context, user, secret string) context.Context {
	return context.WithValue(ctx, proxyUserKey{}, proxyUser{user, Secret(secret)})
}

// imdsError is a refusal in the metadata endpoint's own shape.
type imdsError struct {
	status      int
	code        string
	description string
}

func (e *imdsError) Error() string { return e.code + ": " + e.description }

func errIMDSMetadataHeader() *imdsError {
	return &imdsError{http.StatusBadRequest, "invalid_request", "Required metadata header not specified"}
}

// errIMDSIdentity is the one answer to every caller who does not prove to
// speak for a user-assigned identity, so that it tells nothing about others.
func errIMDSIdentity() *imdsError {
	return &imdsError{http.StatusBadRequest, "invalid_request", "Identity not found"}
}

func errIMDSParameter(name string) *imdsError {
	return &imdsError{http.StatusBadRequest, "invalid_request", "Required query variable '" + name + "' is missing"}
}

func errIMDSVersion(version string) *imdsError {
	return &imdsError{http.StatusBadRequest, "invalid_request", "The api-version '" + version + "' is not supported; use 2018-02-01"}
}

func errIMDSResource(resource, tenant string) *imdsError {
	return &imdsError{http.StatusBadRequest, "invalid_resource", errResourceNotFound(resource, tenant).Error()}
}

func errIMDSMethod() *imdsError {
	return &imdsError{http.StatusMethodNotAllowed, "method_not_allowed", "The metadata endpoint only answers GET"}
}

func errIMDSPath() *imdsError {
	return &imdsError{http.StatusNotFound, "not_found", "The metadata endpoint only has identity/oauth2/token"}
}

// imdsToken is the answer; every number is text.
type imdsToken struct {
	AccessToken  string `json:"access_token"`
	ClientID     string `json:"client_id"`
	ExpiresIn    string `json:"expires_in"`
	ExpiresOn    string `json:"expires_on"`
	ExtExpiresIn string `json:"ext_expires_in"`
	NotBefore    string `json:"not_before"`
	Resource     string `json:"resource"`
	TokenType    string `json:"token_type"`
}

// IMDSHandler serves the instance metadata endpoint. It answers only when the
// request's context carries (WithProxyUser) the client id, object id or
// resource id of a user-assigned identity, and that identity's secret.
func (d *Directory) IMDSHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, info := wire.WithRequest(r)
		wire.SetCommonHeaders(w.Header(), info)
		w.Header().Set("Cache-Control", "no-store, no-cache")
		token, err := d.imds(r)
		if err == nil {
			wire.WriteJSON(w, http.StatusOK, token)
			return
		}
		var refusal *imdsError
		if errors.As(err, &refusal) {
			d.log.WarnContext(r.Context(), "metadata request refused", "request_id", info.ID, "code", refusal.code, "reason", refusal.description)
			if *refusal == *errIMDSIdentity() {
				d.recordRefusal(r, "identity/token", "", refusal.code, refusal.status)
			}
		} else {
			d.log.ErrorContext(r.Context(), "metadata request failed", "request_id", info.ID, "error", err)
			refusal = &imdsError{http.StatusInternalServerError, "unknown", "Failed to retrieve the token"}
		}
		wire.WriteJSON(w, refusal.status, struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}{refusal.code, refusal.description})
	})
}

func (d *Directory) imds(r *http.Request) (imdsToken, error) {
	query := r.URL.Query()
	resource := query.Get("resource")
	switch {
	case strings.TrimSuffix(r.URL.Path, "/") != "/metadata/identity/oauth2/token":
		return imdsToken{}, errIMDSPath()
	case !strings.EqualFold(r.Header.Get("Metadata"), "true"):
		return imdsToken{}, errIMDSMetadataHeader()
	case r.Method != http.MethodGet:
		return imdsToken{}, errIMDSMethod()
	case query.Get("api-version") == "":
		return imdsToken{}, errIMDSParameter("api-version")
	case !validIMDSVersion(query.Get("api-version")):
		return imdsToken{}, errIMDSVersion(quoted(query.Get("api-version")))
	case resource == "":
		return imdsToken{}, errIMDSParameter("resource")
	}
	user, _ := r.Context().Value(proxyUserKey{}).(proxyUser)
	var p principal
	err := d.store.View(r.Context(), func(tx store.Tx) (err error) {
		if p, err = provenIdentity(tx, user, query); err != nil {
			return err
		}
		err = checkAudience(tx, resource)
		if errors.Is(err, ErrUnknownResource) {
			return errIMDSResource(quoted(resource), d.tenantID)
		}
		return err
	})
	if err != nil {
		return imdsToken{}, err
	}
	return d.identityAnswer(r.Context(), p, resource)
}

// identityAnswer signs a token of an identity.
func (d *Directory) identityAnswer(ctx context.Context, p principal, resource string) (imdsToken, error) {
	token, expires, err := d.sign(p, resource, identityTokenLifetime)
	if err != nil {
		return imdsToken{}, fmt.Errorf("metadata token: %w", err)
	}
	d.log.InfoContext(ctx, "token issued", "principal", p.ObjectID, "audience", resource)
	left := strconv.FormatInt(int64(expires.Sub(d.now())/time.Second), 10)
	return imdsToken{AccessToken: token.Reveal(), ClientID: p.AppID, ExpiresIn: left, ExtExpiresIn: left, ExpiresOn: strconv.FormatInt(expires.Unix(), 10),
		NotBefore: strconv.FormatInt(d.now().Add(-clockSkew).Unix(), 10), Resource: resource, TokenType: "Bearer"}, nil
}

// validIMDSVersion takes a date not older than the first version with tokens.
func validIMDSVersion(version string) bool {
	_, err := time.Parse(time.DateOnly, version)
	return err == nil && version >= "2018-02-01"
}

// provenIdentity is the user-assigned identity that the proxy user proves to
// speak for. A selector in the query must name the same one.
func provenIdentity(tx store.Tx, user proxyUser, query url.Values) (principal, error) {
	p, err := userAssigned(tx, user.name)
	if err != nil {
		return principal{}, err
	}
	if p.IMDSSecret == "" || !hmac.Equal([]byte(p.IMDSSecret), []byte(user.secret.Reveal())) {
		return principal{}, errIMDSIdentity()
	}
	return p, selects(tx, query, p)
}

// selects refuses a query that selects another identity than p.
func selects(tx store.Tx, query url.Values, p principal) error {
	for _, selector := range []string{"client_id", "clientid", "object_id", "principal_id", "msi_res_id", "mi_res_id"} {
		if !query.Has(selector) {
			continue
		}
		chosen, err := userAssigned(tx, query.Get(selector))
		if err != nil {
			return err
		}
		if chosen.ObjectID != p.ObjectID {
			return errIMDSIdentity()
		}
	}
	return nil
}

// userAssigned finds a user-assigned identity by client id, object id or
// resource id. A system-assigned one is not found.
func userAssigned(tx store.Tx, id string) (principal, error) {
	var (
		p   principal
		err error
	)
	if ids.IsGUID(id) {
		if p, err = read[principal](tx, bucketPrincipals, id); errors.Is(err, ErrNotFound) {
			p, err = principalByAppID(tx, id)
		}
	} else {
		var objectID string
		if objectID, err = identityOwnedBy(tx, id); err == nil {
			p, err = read[principal](tx, bucketPrincipals, objectID)
		}
	}
	if errors.Is(err, ErrNotFound) || err == nil && p.Kind != kindUserAssigned {
		return principal{}, errIMDSIdentity()
	}
	return p, err
}
