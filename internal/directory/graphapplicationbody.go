package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// maxURIs bounds each list of URIs of an application.
const maxURIs = 256

// apply takes the properties of a create or update request into a. What the
// directory does not act upon is refused.
func (a *application) apply(body graphBody) error {
	var (
		name                      *string
		audience                  string
		public                    *bool
		keys                      []graphBody
		uris, fromPublic, fromWeb []string
		web, publicClient, api    graphBody
		hasKeys                   = present(body, "keyCredentials")
		hasURIs                   = present(body, "identifierUris")
	)
	err := errors.Join(body.take("displayName", &name), body.take("signInAudience", &audience), body.take("isFallbackPublicClient", &public),
		body.take("keyCredentials", &keys), body.take("identifierUris", &uris), body.take("web", &web), body.take("publicClient", &publicClient), body.take("api", &api))
	if err != nil {
		return err
	}
	hasWeb, hasPublic := present(web, "redirectUris"), present(publicClient, "redirectUris")
	var version *int
	err = errors.Join(web.take("redirectUris", &fromWeb), publicClient.take("redirectUris", &fromPublic), api.take("requestedAccessTokenVersion", &version),
		web.finish("web"), publicClient.finish("publicClient"), api.finish("api"), body.finish("Application"))
	if err != nil {
		return err
	}
	if name != nil {
		if err := checkDisplayName(*name, "Application"); err != nil {
			return err
		}
		a.DisplayName = *name
	}
	switch {
	case audience != "" && audience != singleTenant && audience != multiTenant:
		return azerr.GraphNotSupported(fmt.Sprintf("The signInAudience '%s'", quoted(audience)))
	case version != nil && *version != 1:
		return azerr.GraphNotSupported(fmt.Sprintf("The requestedAccessTokenVersion %d", *version))
	}
	switch audience {
	case singleTenant:
		a.Audience = ""
	case multiTenant:
		a.Audience = multiTenant
	}
	if hasKeys {
		if a.Certificates, err = certificatesFrom(keys, a.Certificates); err != nil {
			return err
		}
	}
	if hasURIs {
		if a.IdentifierURIs, err = identifierURIs(uris, a.AppID); err != nil {
			return err
		}
	}
	if hasPublic {
		if a.PublicRedirects, err = redirectURIs(fromPublic); err != nil {
			return err
		}
	}
	if hasWeb {
		if a.WebRedirects, err = redirectURIs(fromWeb); err != nil {
			return err
		}
	}
	if public != nil {
		a.PublicClient = *public
	}
	return nil
}

// present reports whether a property is in the body, and not null.
func present(body graphBody, name string) bool { return !isNull(json.RawMessage(body[name])) }

func checkDisplayName(name, resource string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return azerr.GraphBadRequest(fmt.Sprintf("A value is required for property 'displayName' of resource '%s'.", resource))
	case utf8.RuneCountInString(name) > maxDisplayName:
		return azerr.GraphBadRequest(fmt.Sprintf("The property 'displayName' of resource '%s' is longer than 256 characters.", resource))
	}
	return nil
}

// identifierURIs accepts api://{appId}, with a path or without: the one form
// that no other application, and no service of Azure, can have.
func identifierURIs(uris []string, appID string) ([]string, error) {
	if len(uris) > maxURIs {
		return nil, azerr.GraphBadRequest("The application would have more identifierUris than it may have.")
	}
	for _, uri := range uris {
		rest, ok := strings.CutPrefix(strings.ToLower(uri), "api://")
		id, _, _ := strings.Cut(rest, "/")
		if !ok || !ids.IsGUID(id) || len(uri) > 255 || strings.ContainsAny(uri, " '\"<>\\") {
			return nil, azerr.GraphNotSupported(fmt.Sprintf("The identifierUri '%s', which is not of the form api://{appId},", quoted(uri)))
		}
		if !strings.EqualFold(id, appID) {
			return nil, azerr.GraphNotSupported(fmt.Sprintf("The identifierUri '%s', which names another application,", quoted(uri)))
		}
	}
	return slices.Clone(uris), nil
}

// checkIdentifierURIs refuses a URI that another application has.
func checkIdentifierURIs(tx store.Tx, a application) error {
	if len(a.IdentifierURIs) == 0 {
		return nil
	}
	all, err := store.ListJSON[application](tx, bucketApplications, "")
	if err != nil {
		return err
	}
	for _, other := range all {
		for _, uri := range a.IdentifierURIs {
			same := func(u string) bool { return strings.EqualFold(u, uri) }
			if other.ID != a.ID && slices.ContainsFunc(other.IdentifierURIs, same) {
				return azerr.GraphBadRequest("Another object with the same value for property identifierUris already exists.")
			}
		}
	}
	return nil
}

// redirectURIs accepts https URIs and http on loopback, absolute, without a
// fragment, user info or wildcard.
func redirectURIs(uris []string) ([]string, error) {
	if len(uris) > maxURIs {
		return nil, azerr.GraphBadRequest("The application would have more redirectUris than it may have.")
	}
	for _, uri := range uris {
		u, err := url.Parse(uri)
		if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || strings.Trim(strings.ToLower(u.Host), "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") != "" || len(uri) > 2048 ||
			u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			return nil, azerr.GraphBadRequest(fmt.Sprintf("The redirectUri '%s' must be an absolute https URI, or http on localhost.", quoted(uri)))
		}
	}
	return slices.Clone(uris), nil
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || host == "127.0.0.1" || host == "::1"
}

// updateApplication serves PATCH: what is named changes, the rest stays.
func (d *Directory) updateApplication(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/basic/update"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	if present(body, "keyCredentials") {
		if err := d.permit(c.Context(), c.caller, "applications/credentials/update"); err != nil {
			return graphAnswer{}, err
		}
	}
	a, err := d.changeApplication(c.Context(), c, func(tx store.Tx, a *application) error {
		if err := a.apply(body); err != nil {
			return err
		}
		if err := checkIdentifierURIs(tx, *a); err != nil {
			return err
		}
		return followApplication(tx, *a)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("update application: %w", err)
	}
	d.log.InfoContext(c.Context(), "application updated", "application", a.ID, "principal", c.caller.ObjectID)
	return graphAnswer{status: 204}, nil
}

// followApplication gives the tenant's service principal its application's name
// and audience. Those of other tenants keep what they were made with.
func followApplication(tx store.Tx, a application) error {
	p, err := principalByAppID(tx, a.AppID)
	if errors.Is(err, ErrNotFound) || err == nil && p.DisplayName == a.DisplayName && p.Audience == a.Audience {
		return nil
	}
	if err != nil {
		return err
	}
	p.DisplayName, p.Audience = a.DisplayName, a.Audience
	return putPrincipal(tx, p)
}
