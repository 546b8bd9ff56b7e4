package directory

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/store"
)

// bucketIdentityCredentials holds the federated credentials of user-assigned
// identities: {object id}/{name}.
const bucketIdentityCredentials = "directory.identitycredentials"

// IdentityCredential is a federated identity credential of a user-assigned
// identity: whose tokens may be shown to get a token of the identity.
type IdentityCredential struct {
	Name      string
	Issuer    string
	Subject   string
	Audiences []string
	// KeySet is the issuer's JWKS, nil when the issuer is a tenant of this server:
	// nothing is ever fetched.
	KeySet json.RawMessage `json:",omitempty"`
}

// CredentialError says what is wrong with a federated credential.
type CredentialError struct {
	Property string
	Why      string
	// NoKeys: the issuer's keys would have to be fetched.
	NoKeys bool
}

// Error names the property.
func (e *CredentialError) Error() string { return "the property '" + e.Property + "' " + e.Why }

// PutIdentityCredential stores a credential of a user-assigned identity inside
// the caller's transaction; created is false when there was one of that name.
// Errors: *CredentialError, ErrNotFound, and ErrTooManyCredentials.
func (d *Directory) PutIdentityCredential(tx store.Tx, objectID string, c IdentityCredential) (created bool, err error) {
	if err := d.checkCredential(c); err != nil {
		return false, err
	}
	p, err := readIdentity(tx, objectID)
	if err != nil || p.Kind != kindUserAssigned {
		return false, fmt.Errorf("put credential of identity %s: %w", objectID, errors.Join(err, ErrNotFound))
	}
	have, err := d.IdentityCredentials(tx, objectID)
	if err != nil {
		return false, err
	}
	created = true
	for _, other := range have {
		switch same := strings.EqualFold(other.Name, c.Name); {
		case same:
			created = false
		case other.Issuer == c.Issuer && other.Subject == c.Subject:
			return false, &CredentialError{Property: "subject", Why: "and 'issuer' are those of the credential '" + other.Name + "' already"}
		}
	}
	if created && len(have) >= maxFederated {
		return false, ErrTooManyCredentials
	}
	return created, store.PutJSON(tx, bucketIdentityCredentials, key(objectID+"/"+c.Name), c)
}

// ErrTooManyCredentials means that an identity has as many as it can have.
var ErrTooManyCredentials = errors.New("too many federated credentials")

// IdentityCredentials lists the credentials of an identity by name.
func (d *Directory) IdentityCredentials(tx store.Tx, objectID string) ([]IdentityCredential, error) {
	return store.ListJSON[IdentityCredential](tx, bucketIdentityCredentials, key(objectID+"/"))
}

// DeleteIdentityCredential removes one, or returns ErrNotFound.
func (d *Directory) DeleteIdentityCredential(tx store.Tx, objectID, name string) error {
	err := tx.Delete(bucketIdentityCredentials, key(objectID+"/"+name))
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("credential %q: %w", name, ErrNotFound)
	}
	return err
}

func (d *Directory) checkCredential(c IdentityCredential) error {
	_, known := d.issuedHere(c.Issuer)
	u, err := url.Parse(c.Issuer)
	switch {
	case c.Issuer == "" || err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(c.Issuer) > 600:
		return &CredentialError{Property: "issuer", Why: "must be an https URL"}
	case c.Subject == "" || utf8.RuneCountInString(c.Subject) > 600:
		return &CredentialError{Property: "subject", Why: "must have 1 to 600 characters"}
	case len(c.Audiences) != 1 || c.Audiences[0] == "" || len(c.Audiences[0]) > 600:
		return &CredentialError{Property: "audiences", Why: "must hold one value"}
	case known && c.KeySet != nil:
		return &CredentialError{Property: keySetProperty, Why: "cannot be set for the issuer of a tenant of this server: its keys are known"}
	case known:
		return nil
	case c.KeySet == nil:
		return &CredentialError{Property: keySetProperty, Why: "must hold the key set (JWKS) of the issuer: this server never calls other hosts", NoKeys: true}
	}
	if _, err := parseKeySet(c.KeySet); err != nil {
		return &CredentialError{Property: keySetProperty, Why: "is not a key set: " + err.Error()}
	}
	return nil
}

// identityClient is a user-assigned identity that has federated credentials as
// the client that shows an assertion; ErrNotFound for anything else. It has no
// secrets and no certificates, so nothing but those credentials admits it.
func (d *Directory) identityClient(tx store.Tx, clientID string) (application, error) {
	p, err := principalByAppID(tx, clientID)
	if err != nil {
		return application{}, err
	}
	if p.Kind != kindUserAssigned {
		return application{}, fmt.Errorf("%q is no client: %w", clientID, ErrNotFound)
	}
	credentials, err := d.IdentityCredentials(tx, p.ObjectID)
	if err == nil && len(credentials) == 0 {
		err = fmt.Errorf("%q has no credentials: %w", clientID, ErrNotFound)
	}
	app := application{AppID: p.AppID, DisplayName: p.DisplayName}
	for _, c := range credentials {
		app.Federated = append(app.Federated, federated{ID: c.Name, Name: c.Name, Issuer: c.Issuer, Subject: c.Subject, Audiences: c.Audiences, KeySet: c.KeySet})
	}
	return app, err
}

// dropIdentityCredentials removes all of an identity that is deleted.
func (d *Directory) dropIdentityCredentials(tx store.Tx, objectID string) error {
	all, err := d.IdentityCredentials(tx, objectID)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := d.DeleteIdentityCredential(tx, objectID, c.Name); err != nil {
			return err
		}
	}
	return nil
}
