package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// keySetProperty is an addition to Graph's resource: the issuer's JWKS, which
// Entra would fetch and this directory, which calls nobody, must be given.
const keySetProperty = "kustosKeySet"

// graphCredential is a federated identity credential as Graph answers it.
type graphCredential struct {
	ID          string          `json:"id"`
	Name        string          `json:"name"`
	Issuer      string          `json:"issuer"`
	Subject     string          `json:"subject"`
	Description *string         `json:"description"`
	Audiences   []string        `json:"audiences"`
	KeySet      json.RawMessage `json:"kustosKeySet,omitempty"`
}

func (f federated) graph() graphCredential {
	g := graphCredential{ID: f.ID, Name: f.Name, Issuer: f.Issuer, Subject: f.Subject, Audiences: f.Audiences, KeySet: f.KeySet}
	if f.Description != "" {
		g.Description = &f.Description
	}
	return g
}

func (f federated) objectID() string { return f.ID }

func (f federated) property(name string) (values []string, collection, known bool) {
	switch name {
	case "id":
		return []string{f.ID}, false, true
	case "name":
		return []string{f.Name}, false, true
	case "issuer":
		return []string{f.Issuer}, false, true
	case "subject":
		return []string{f.Subject}, false, true
	}
	return nil, false, false
}

// graphFederated serves applications/{id}/federatedIdentityCredentials[/{id or name}].
func (d *Directory) graphFederated(c graphCall) (graphAnswer, error) {
	_, name, one := strings.Cut(c.rest, "/")
	switch {
	case strings.Contains(name, "/"):
		return graphAnswer{}, azerr.GraphNotSupported("'applications/{id}/" + quoted(c.rest) + "'")
	case c.Method == http.MethodGet:
		return d.readFederated(c, name, one)
	case c.Method == http.MethodPost && !one:
		return d.createFederated(c)
	case c.Method == http.MethodPatch && one:
		return d.updateFederated(c, name)
	case c.Method == http.MethodDelete && one:
		return d.deleteFederated(c, name)
	default:
		return graphAnswer{}, azerr.GraphMethodNotAllowed(c.Method)
	}
}

func (a application) federatedIndex(name string) (int, error) {
	i := slices.IndexFunc(a.Federated, func(f federated) bool { return strings.EqualFold(f.ID, name) || strings.EqualFold(f.Name, name) })
	if i < 0 {
		return 0, azerr.GraphResourceNotFound(quoted(name))
	}
	return i, nil
}

func (d *Directory) readFederated(c graphCall, name string, single bool) (graphAnswer, error) {
	a, err := d.readApplication(c)
	if err != nil {
		return graphAnswer{}, err
	}
	set := fmt.Sprintf("applications('%s')/federatedIdentityCredentials", a.ID)
	if single {
		i, err := a.federatedIndex(name)
		if err != nil {
			return graphAnswer{}, err
		}
		return one(c.URL.Query(), set, "federatedIdentityCredential", a.Federated[i].graph())
	}
	all := slices.SortedFunc(slices.Values(a.Federated), func(x, y federated) int { return strings.Compare(x.ID, y.ID) })
	return list(c.URL.Query(), set, "federatedIdentityCredential", all, func(f federated) any { return f.graph() })
}

func (d *Directory) createFederated(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/credentials/update"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	f := federated{ID: ids.NewGUID()}
	if err := body.take("name", &f.Name); err != nil {
		return graphAnswer{}, err
	}
	if !credentialName().MatchString(f.Name) {
		return graphAnswer{}, azerr.GraphBadRequest("The property 'name' of resource 'FederatedIdentityCredential' must have 3 to 120 letters, digits, '-' or '_' and begin with a letter or digit.")
	}
	if err := d.applyFederated(body, &f); err != nil {
		return graphAnswer{}, err
	}
	a, err := d.changeApplication(c.Context(), c, func(_ store.Tx, a *application) error {
		if len(a.Federated) >= maxFederated {
			return azerr.GraphBadRequest("The application has as many federated identity credentials as it may have.")
		}
		return a.admitFederated(f)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("create federated credential: %w", err)
	}
	d.log.InfoContext(c.Context(), "federated credential added", "application", a.ID, "credential", f.ID, "principal", c.caller.ObjectID)
	return graphAnswer{http.StatusCreated, withContext(fmt.Sprintf("applications('%s')/federatedIdentityCredentials", a.ID), f.graph())}, nil
}

// admitFederated adds f, or puts it in the place of the one of its id.
func (a *application) admitFederated(f federated) error {
	at := len(a.Federated)
	for i, other := range a.Federated {
		switch {
		case other.ID == f.ID:
			at = i
		case strings.EqualFold(other.Name, f.Name):
			return azerr.GraphCredentialExists(fmt.Sprintf("FederatedIdentityCredential with name %s already exists.", f.Name))
		case other.Issuer == f.Issuer && other.Subject == f.Subject:
			return azerr.GraphCredentialExists("FederatedIdentityCredential with the same issuer and subject already exists.")
		}
	}
	a.Federated = append(slices.Clone(a.Federated[:at]), append([]federated{f}, a.Federated[min(at+1, len(a.Federated)):]...)...)
	return nil
}

func (d *Directory) updateFederated(c graphCall, name string) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/credentials/update"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	_, err = d.changeApplication(c.Context(), c, func(_ store.Tx, a *application) error {
		i, err := a.federatedIndex(name)
		if err != nil {
			return err
		}
		f := a.Federated[i]
		if err := d.applyFederated(body, &f); err != nil {
			return err
		}
		return a.admitFederated(f)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("update federated credential: %w", err)
	}
	return graphAnswer{status: http.StatusNoContent}, nil
}

func (d *Directory) deleteFederated(c graphCall, name string) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/credentials/update"); err != nil {
		return graphAnswer{}, err
	}
	_, err := d.changeApplication(c.Context(), c, func(_ store.Tx, a *application) error {
		i, err := a.federatedIndex(name)
		if err == nil {
			a.Federated = slices.Delete(a.Federated, i, i+1)
		}
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("delete federated credential: %w", err)
	}
	return graphAnswer{status: http.StatusNoContent}, nil
}

func credentialName() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`) }

// applyFederated takes the properties of a request into f and checks the whole.
func (d *Directory) applyFederated(body graphBody, f *federated) error {
	issuerBefore := f.Issuer
	var keys json.RawMessage
	err := errors.Join(body.take("issuer", &f.Issuer), body.take("subject", &f.Subject), body.take("audiences", &f.Audiences),
		body.take("description", &f.Description), body.take(keySetProperty, &keys), body.finish("FederatedIdentityCredential"))
	if err != nil {
		return err
	}
	if f.Issuer != issuerBefore {
		f.KeySet = nil // the keys are the old issuer's
	}
	if !isNull(keys) {
		f.KeySet = keys
	}
	_, known := d.issuedHere(f.Issuer)
	u, err := url.Parse(f.Issuer)
	switch {
	case f.Issuer == "" || err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(f.Issuer) > 600:
		return azerr.GraphBadRequest("The property 'issuer' of resource 'FederatedIdentityCredential' must be an https URL.")
	case f.Subject == "" || utf8.RuneCountInString(f.Subject) > 600:
		return azerr.GraphBadRequest("A value of at most 600 characters is required for property 'subject' of resource 'FederatedIdentityCredential'.")
	case len(f.Audiences) != 1 || f.Audiences[0] == "" || len(f.Audiences[0]) > 600:
		return azerr.GraphBadRequest("The property 'audiences' of resource 'FederatedIdentityCredential' must hold one value.")
	case utf8.RuneCountInString(f.Description) > 600:
		return azerr.GraphBadRequest("The property 'description' of resource 'FederatedIdentityCredential' is longer than 600 characters.")
	case known && f.KeySet != nil:
		return azerr.GraphBadRequest("The property 'kustosKeySet' cannot be set for the issuer of a tenant of this server: its keys are known.")
	case known:
		return nil
	case f.KeySet == nil:
		return azerr.GraphNotSupported(fmt.Sprintf("The issuer '%s' without its key set (JWKS) in the property '%s', as this server never calls other hosts,", quoted(f.Issuer), keySetProperty))
	}
	if _, err := parseKeySet(f.KeySet); err != nil {
		return azerr.GraphBadRequest("The property 'kustosKeySet' of resource 'FederatedIdentityCredential' is not a key set: " + err.Error() + ".")
	}
	return nil
}
