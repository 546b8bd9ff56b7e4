package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	// maxDisplayName is Graph's limit, in characters.
	maxDisplayName = 256
	// secretLifetime is how long a client secret is good when its maker does not say.
	secretLifetime = 2 * 365 * 24 * time.Hour
	// maxPasswords bounds the secrets of one application.
	maxPasswords = 50
)

func (d *Directory) graphApplications(c graphCall) (graphAnswer, error) {
	switch {
	case c.Method == http.MethodGet && c.rest == "" && !c.named():
		return d.listApplications(c)
	case c.Method == http.MethodGet && c.rest == "":
		return d.getApplication(c)
	case c.Method == http.MethodPost && c.rest == "" && !c.named():
		return d.createApplication(c)
	case c.Method == http.MethodPatch && c.rest == "" && c.named():
		return d.updateApplication(c)
	case c.Method == http.MethodPost && c.rest == "addpassword":
		return d.addPassword(c)
	case c.Method == http.MethodPost && c.rest == "removepassword":
		return d.removePassword(c)
	case c.Method == http.MethodDelete && c.rest == "" && c.named():
		return d.deleteApplication(c)
	case c.rest == "federatedidentitycredentials" || strings.HasPrefix(c.rest, "federatedidentitycredentials/"):
		return d.graphFederated(c)
	case c.rest != "":
		return graphAnswer{}, azerr.GraphNotSupported("'applications/{id}/" + quoted(c.rest) + "'")
	default:
		return graphAnswer{}, azerr.GraphMethodNotAllowed(c.Method)
	}
}

// findApplication reads the application a call names.
func findApplication(tx store.Tx, c graphCall) (application, error) {
	var (
		a   application
		err error
	)
	if c.appID != "" {
		a, err = applicationByAppID(tx, c.appID)
	} else {
		a, err = read[application](tx, bucketApplications, c.key)
	}
	if errors.Is(err, ErrNotFound) {
		err = azerr.GraphResourceNotFound(c.id())
	}
	return a, err
}

func (d *Directory) listApplications(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	var all []application
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		all, err = store.ListJSON[application](tx, bucketApplications, "")
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("list applications: %w", err)
	}
	return list(c.URL.Query(), "applications", "application", all, func(a application) any { return a.graph() })
}

// readApplication reads the application a call names, for who may see it.
func (d *Directory) readApplication(c graphCall) (a application, err error) {
	if err := d.permit(c.Context(), c.caller, "applications/standard/read"); err != nil {
		return application{}, err
	}
	err = d.store.View(c.Context(), func(tx store.Tx) (err error) {
		a, err = findApplication(tx, c)
		return err
	})
	if err != nil {
		return application{}, fmt.Errorf("read application: %w", err)
	}
	return a, nil
}

func (d *Directory) getApplication(c graphCall) (graphAnswer, error) {
	a, err := d.readApplication(c)
	if err != nil {
		return graphAnswer{}, err
	}
	return one(c.URL.Query(), "applications", "application", a.graph())
}

func (d *Directory) createApplication(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/create"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	a := application{ID: ids.NewGUID(), AppID: ids.NewGUID(), Created: d.now().UTC()}
	if err := a.apply(body); err != nil {
		return graphAnswer{}, err
	}
	if a.DisplayName == "" {
		return graphAnswer{}, azerr.GraphBadRequest("A value is required for property 'displayName' of resource 'Application'.")
	}
	err = d.store.Update(c.Context(), func(tx store.Tx) error {
		if err := checkIdentifierURIs(tx, a); err != nil {
			return err
		}
		return putApplication(tx, a)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("create application: %w", err)
	}
	d.log.InfoContext(c.Context(), "application created", "application", a.ID, "principal", c.caller.ObjectID)
	return graphAnswer{http.StatusCreated, withContext("applications", a.graph())}, nil
}

// changeApplication runs change on the stored application in one transaction.
func (d *Directory) changeApplication(ctx context.Context, c graphCall, change func(store.Tx, *application) error) (application, error) {
	var a application
	err := d.store.Update(ctx, func(tx store.Tx) (err error) {
		if a, err = findApplication(tx, c); err != nil {
			return err
		}
		if err := change(tx, &a); err != nil {
			return err
		}
		return putApplication(tx, a)
	})
	return a, err
}

func (d *Directory) addPassword(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/credentials/update"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	var wanted graphBody
	if err := errors.Join(body.take("passwordCredential", &wanted), body.finish("addPassword")); err != nil {
		return graphAnswer{}, err
	}
	start := d.now().UTC()
	var (
		name string
		end  time.Time
	)
	err = errors.Join(wanted.take("displayName", &name), wanted.take("startDateTime", &start), wanted.take("endDateTime", &end), wanted.finish("passwordCredential"))
	if err != nil {
		return graphAnswer{}, err
	}
	if end.IsZero() {
		end = start.Add(secretLifetime)
	}
	switch {
	case !end.After(start):
		return graphAnswer{}, azerr.GraphBadRequest("The property 'endDateTime' of resource 'passwordCredential' must be after 'startDateTime'.")
	case utf8.RuneCountInString(name) > maxDisplayName:
		return graphAnswer{}, azerr.GraphBadRequest("The property 'displayName' of resource 'passwordCredential' is longer than 256 characters.")
	}
	pw, secret := newPassword(name, start, end)
	a, err := d.changeApplication(c.Context(), c, func(_ store.Tx, a *application) error {
		if len(a.Passwords) >= maxPasswords {
			return azerr.GraphBadRequest("The application has as many password credentials as it may have.")
		}
		a.Passwords = append(a.Passwords, pw)
		return nil
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("add password: %w", err)
	}
	d.log.InfoContext(c.Context(), "client secret added", "application", a.ID, "key_id", pw.KeyID, "principal", c.caller.ObjectID)
	g, text := pw.graph(), secret.Reveal()
	g.SecretText = &text
	return graphAnswer{http.StatusOK, struct {
		Context string `json:"@odata.context"`
		graphPassword
	}{graphContext + "microsoft.graph.passwordCredential", g}}, nil
}

func (d *Directory) removePassword(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/credentials/update"); err != nil {
		return graphAnswer{}, err
	}
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	var keyID string
	if err := errors.Join(body.take("keyId", &keyID), body.finish("removePassword")); err != nil {
		return graphAnswer{}, err
	}
	own, err := d.Bootstrap(c.Context())
	if err != nil {
		return graphAnswer{}, err
	}
	a, err := d.changeApplication(c.Context(), c, func(_ store.Tx, a *application) error {
		for i, pw := range a.Passwords {
			if !strings.EqualFold(pw.KeyID, keyID) {
				continue
			}
			if pw.Secret.matches(own.ClientSecret.Reveal()) {
				return azerr.GraphBadRequest("The secret of this instance's own application cannot be removed: it is the way in.")
			}
			a.Passwords = append(a.Passwords[:i:i], a.Passwords[i+1:]...)
			return nil
		}
		return azerr.GraphBadRequest(fmt.Sprintf("No password credential found with keyId '%s'.", quoted(keyID)))
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("remove password: %w", err)
	}
	d.log.InfoContext(c.Context(), "client secret removed", "application", a.ID, "key_id", keyID, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}

func (d *Directory) deleteApplication(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "applications/delete"); err != nil {
		return graphAnswer{}, err
	}
	own, err := d.Bootstrap(c.Context())
	if err != nil {
		return graphAnswer{}, err
	}
	var a application
	err = d.changeGroups(c.Context(), func(tx store.Tx) (err error) {
		if a, err = findApplication(tx, c); err != nil {
			return err
		}
		if a.AppID == own.ClientID {
			return azerr.GraphBadRequest("This instance's own application cannot be deleted: it is the way in.")
		}
		return deleteApplication(tx, a)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("delete application: %w", err)
	}
	d.log.InfoContext(c.Context(), "application deleted", "application", a.ID, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}
