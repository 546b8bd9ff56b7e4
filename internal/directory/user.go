package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const defaultDomain = "kustos.onmicrosoft.com"

// ErrUserExists means that a user of that user principal name is there already.
var ErrUserExists = errors.New("a user of that name is there already")

// UserError says which value of a new user is wrong, and why.
type UserError struct{ Reason string }

// Error is the reason. It never holds a password.
func (e *UserError) Error() string { return e.Reason }

// user is a person of the tenant.
type user struct {
	ObjectID     string       `json:"objectId"`
	UPN          string       `json:"userPrincipalName"`
	DisplayName  string       `json:"displayName"`
	GivenName    string       `json:"givenName,omitempty"`
	Surname      string       `json:"surname,omitempty"`
	MailNickname string       `json:"mailNickname"`
	Disabled     bool         `json:"disabled,omitempty"`
	Created      time.Time    `json:"created"`
	Password     passwordHash `json:"password"`
	// ValidFrom ends every session that began before: set when the password
	// changes, the account is disabled or sessions are revoked.
	ValidFrom time.Time `json:"validFrom"`
}

// NewUser is what CreateUser needs.
type NewUser struct {
	// UPN is name@domain in the tenant's domain, or the name alone.
	UPN         string
	DisplayName string // "" means the name
	Password    Secret
}

// User is a person as others need to know it.
type User struct {
	ObjectID    string
	UPN         string
	DisplayName string
}

// Domain is the domain of user principal names.
func (d *Directory) Domain() string { return d.domain }

// CreateUser makes a user who can sign in with a password. The user has no
// right to anything until it is given one. Errors: *UserError, ErrUserExists.
func (d *Directory) CreateUser(ctx context.Context, n NewUser) (User, error) {
	if !strings.Contains(n.UPN, "@") {
		n.UPN += "@" + d.domain
	}
	name, _, _ := strings.Cut(n.UPN, "@")
	if n.DisplayName == "" {
		n.DisplayName = name
	}
	u := user{ObjectID: ids.NewGUID(), UPN: n.UPN, DisplayName: n.DisplayName, MailNickname: name, Created: d.now().UTC(), ValidFrom: d.now().UTC()}
	if err := d.createUser(ctx, &u, n.Password); err != nil {
		return User{}, fmt.Errorf("create user: %w", err)
	}
	return User{ObjectID: u.ObjectID, UPN: u.UPN, DisplayName: u.DisplayName}, nil
}

// createUser checks, hashes and stores u.
func (d *Directory) createUser(ctx context.Context, u *user, password Secret) error {
	if err := d.checkUser(*u); err != nil {
		return err
	}
	if err := checkPasswordRules(password); err != nil {
		return err
	}
	var err error
	if u.Password, err = d.hasher.newHash(ctx, password); err != nil {
		return err
	}
	err = d.store.Update(ctx, func(tx store.Tx) error {
		if _, err := readIndex(tx, bucketUPNs, u.UPN); err == nil {
			return ErrUserExists
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		return putUser(tx, *u)
	})
	if err == nil {
		d.log.InfoContext(ctx, "user created", "created", u.ObjectID)
	}
	return err
}

// checkUser checks the texts of a user.
func (d *Directory) checkUser(u user) error {
	name, domain, ok := strings.Cut(u.UPN, "@")
	isName := func(s string) bool {
		return s != "" && len(s) <= 64 && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".") &&
			strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789'.-_!#^~") == ""
	}
	switch {
	case !ok || !isName(name):
		return &UserError{"Property userPrincipalName is invalid."}
	case !strings.EqualFold(domain, d.domain):
		return &UserError{"The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization."}
	case !isName(u.MailNickname):
		return &UserError{"Property mailNickname is invalid."}
	case strings.TrimSpace(u.DisplayName) == "" || utf8.RuneCountInString(u.DisplayName) > maxDisplayName:
		return &UserError{"A value of at most 256 characters is required for property 'displayName' of resource 'User'."}
	case utf8.RuneCountInString(u.GivenName) > 64 || utf8.RuneCountInString(u.Surname) > 64:
		return &UserError{"The properties 'givenName' and 'surname' of resource 'User' have at most 64 characters."}
	}
	return nil
}

// IsDomain reports whether text, in lower case, can be the domain of a tenant.
func IsDomain(text string) bool {
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(labels) > 1 && len(text) <= 253
}

func userByUPN(tx store.Tx, upn string) (user, error) {
	id, err := readIndex(tx, bucketUPNs, upn)
	if err != nil {
		return user{}, err
	}
	return read[user](tx, bucketUsers, id)
}

func putUser(tx store.Tx, u user) error {
	if err := store.PutJSON(tx, bucketUsers, key(u.ObjectID), u); err != nil {
		return err
	}
	return store.PutJSON(tx, bucketUPNs, key(u.UPN), u.ObjectID)
}

func deleteUser(tx store.Tx, u user) error {
	if err := errors.Join(tx.Delete(bucketUPNs, key(u.UPN)), tx.Delete(bucketUsers, key(u.ObjectID)), leaveGroups(tx, u.ObjectID)); err != nil {
		return fmt.Errorf("delete user %s: %w", u.ObjectID, err)
	}
	return nil
}
