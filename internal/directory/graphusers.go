package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// graphUser has the properties that Graph answers for a user unless others are selected.
type graphUser struct {
	ODataType         string   `json:"@odata.type,omitempty"`
	BusinessPhones    []string `json:"businessPhones"`
	DisplayName       string   `json:"displayName"`
	GivenName         *string  `json:"givenName"`
	JobTitle          *string  `json:"jobTitle"`
	Mail              *string  `json:"mail"`
	MobilePhone       *string  `json:"mobilePhone"`
	OfficeLocation    *string  `json:"officeLocation"`
	PreferredLanguage *string  `json:"preferredLanguage"`
	Surname           *string  `json:"surname"`
	UserPrincipalName string   `json:"userPrincipalName"`
	ID                string   `json:"id"`
}

// graphUserFull has those that can be selected.
type graphUserFull struct {
	graphUser
	AccountEnabled        bool     `json:"accountEnabled"`
	CreatedDateTime       string   `json:"createdDateTime"`
	DeletedDateTime       *string  `json:"deletedDateTime"`
	MailNickname          string   `json:"mailNickname"`
	OnPremisesImmutableID *string  `json:"onPremisesImmutableId"`
	OnPremisesSyncEnabled *bool    `json:"onPremisesSyncEnabled"`
	OtherMails            []string `json:"otherMails"`
	ProxyAddresses        []string `json:"proxyAddresses"`
	SignInValidFrom       string   `json:"signInSessionsValidFromDateTime"`
	UserType              string   `json:"userType"`
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (u user) graph() graphUser {
	return graphUser{BusinessPhones: []string{}, DisplayName: u.DisplayName, GivenName: orNull(u.GivenName), Surname: orNull(u.Surname), UserPrincipalName: u.UPN, ID: u.ObjectID}
}

func (u user) typed(string) any {
	g := u.graph()
	g.ODataType = "#microsoft.graph.user"
	return g
}

// shaped is the resource for a query: more properties when some are selected.
func (u user) shaped(query url.Values) any {
	if !query.Has("$select") {
		return u.graph()
	}
	return graphUserFull{graphUser: u.graph(), AccountEnabled: !u.Disabled, CreatedDateTime: graphTime(u.Created), MailNickname: u.MailNickname,
		OtherMails: []string{}, ProxyAddresses: []string{}, SignInValidFrom: graphTime(u.ValidFrom), UserType: "Member"}
}

// graphMe serves /me and what is below it: a person may always see himself.
func (d *Directory) graphMe(c graphCall) (graphAnswer, error) {
	if !c.caller.IsUser() {
		return graphAnswer{}, azerr.GraphMeNeedsUser()
	}
	// The segment after /me is an action, not a key.
	if c.key != "" {
		c.rest, c.key = joined(c.key, c.rest), ""
	}
	c.key = c.caller.ObjectID
	if c.rest == "ownedobjects" && c.Method == http.MethodGet {
		return d.ownedObjects(c)
	}
	if c.rest == "changepassword" && c.Method == http.MethodPost {
		return d.changeOwnPassword(c)
	}
	return d.graphUsers(c)
}

func (d *Directory) graphUsers(c graphCall) (graphAnswer, error) {
	if c.appID != "" {
		return graphAnswer{}, azerr.GraphBadRequest("The key of 'users' must be an id or a user principal name.")
	}
	switch {
	case c.rest == "" && c.Method == http.MethodGet && !c.named():
		return d.listUsers(c)
	case c.rest == "" && c.Method == http.MethodGet:
		return d.getUser(c)
	case c.rest == "" && c.Method == http.MethodPost && !c.named():
		return d.postUser(c)
	case c.rest == "" && c.Method == http.MethodPatch && c.named():
		return d.patchUser(c)
	case c.rest == "" && c.Method == http.MethodDelete && c.named():
		return d.deleteUser(c)
	case c.rest == "revokesigninsessions" && c.Method == http.MethodPost:
		return d.revokeSessions(c)
	case c.rest == "":
		return graphAnswer{}, azerr.GraphMethodNotAllowed(c.Method)
	}
	return d.graphMembership(c, "users")
}

// findUser reads the user a call names by id or user principal name.
func findUser(tx store.Tx, c graphCall) (user, error) {
	u, err := read[user](tx, bucketUsers, c.key)
	if errors.Is(err, ErrNotFound) {
		u, err = userByUPN(tx, c.key)
	}
	if errors.Is(err, ErrNotFound) {
		err = azerr.GraphResourceNotFound(c.id())
	}
	return u, err
}

// permitSelf lets a person do something with himself, and others by right.
func (d *Directory) permitSelf(c graphCall, action string) error {
	if c.caller.IsUser() && isSelf(c.key, c.caller.ObjectID, c.caller.UPN) {
		return nil
	}
	return d.permit(c.Context(), c.caller, action)
}

func (d *Directory) listUsers(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "users/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	var all []user
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		all, err = store.ListJSON[user](tx, bucketUsers, "")
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("list users: %w", err)
	}
	query := c.URL.Query()
	return list(query, "users", "user", all, func(u user) any { return u.shaped(query) })
}

func (d *Directory) getUser(c graphCall) (graphAnswer, error) {
	if err := d.permitSelf(c, "users/standard/read"); err != nil {
		return graphAnswer{}, err
	}
	var u user
	err := d.store.View(c.Context(), func(tx store.Tx) (err error) {
		u, err = findUser(tx, c)
		return err
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("read user: %w", err)
	}
	return one(c.URL.Query(), "users", "user", u.shaped(c.URL.Query()))
}

// userChange is the body of a create or update of a user.
type userChange struct {
	upn, displayName, nickname, givenName, surname *string
	enabled                                        *bool
	password                                       *Secret
}

func readUserChange(body graphBody) (userChange, error) {
	var (
		ch      userChange
		profile graphBody
	)
	err := errors.Join(body.take("userPrincipalName", &ch.upn), body.take("displayName", &ch.displayName), body.take("mailNickname", &ch.nickname),
		body.take("givenName", &ch.givenName), body.take("surname", &ch.surname), body.take("accountEnabled", &ch.enabled), body.take("passwordProfile", &profile), body.finish("User"))
	if err != nil {
		return ch, err
	}
	var (
		password       *string
		change, withMF bool
	)
	err = errors.Join(profile.take("password", &password), profile.take("forceChangePasswordNextSignIn", &change),
		profile.take("forceChangePasswordNextSignInWithMfa", &withMF), profile.finishPassword())
	if err != nil {
		return ch, err
	}
	if change || withMF {
		return ch, azerr.GraphNotSupported("A password that must be changed at the next sign-in ('forceChangePasswordNextSignIn': true)")
	}
	if password != nil {
		secret := Secret(*password)
		ch.password = &secret
	}
	return ch, nil
}

// permittedUserChange reads the body of a call by who has the right.
func (d *Directory) permittedUserChange(c graphCall, action string) (userChange, error) {
	if err := d.permit(c.Context(), c.caller, action); err != nil {
		return userChange{}, err
	}
	body, err := c.body()
	if err != nil {
		return userChange{}, err
	}
	return readUserChange(body)
}

// finishPassword is finish for a part whose values must not be looked at.
func (b graphBody) finishPassword() error {
	for name := range b {
		return azerr.GraphNotSupported(fmt.Sprintf("The property '%s' of resource 'passwordProfile'", quoted(name)))
	}
	return nil
}

// apply takes over everything but the password.
func (ch userChange) apply(u *user) {
	for _, c := range []struct{ value, field *string }{{ch.upn, &u.UPN}, {ch.displayName, &u.DisplayName}, {ch.nickname, &u.MailNickname}, {ch.givenName, &u.GivenName}, {ch.surname, &u.Surname}} {
		if c.value != nil {
			*c.field = *c.value
		}
	}
	if ch.enabled != nil {
		u.Disabled = !*ch.enabled
	}
}

func (d *Directory) postUser(c graphCall) (graphAnswer, error) {
	ch, err := d.permittedUserChange(c, "users/create")
	if err != nil {
		return graphAnswer{}, err
	}
	for _, needed := range []struct {
		name    string
		missing bool
	}{{"userPrincipalName", ch.upn == nil}, {"displayName", ch.displayName == nil}, {"mailNickname", ch.nickname == nil}, {"accountEnabled", ch.enabled == nil}, {"passwordProfile", ch.password == nil}} {
		if needed.missing {
			return graphAnswer{}, azerr.GraphBadRequest(fmt.Sprintf("A value is required for property '%s' of resource 'User'.", needed.name))
		}
	}
	now := d.now().UTC()
	u := user{ObjectID: ids.NewGUID(), Created: now, ValidFrom: now}
	ch.apply(&u)
	if err := d.createUser(c.Context(), &u, *ch.password); err != nil {
		return graphAnswer{}, graphUserError(err)
	}
	return graphAnswer{http.StatusCreated, withContext("users", u.graph())}, nil
}

func graphUserError(err error) error {
	var wrong *UserError
	switch {
	case errors.Is(err, ErrUserExists):
		return azerr.GraphBadRequest("Another object with the same value for property userPrincipalName already exists.")
	case errors.As(err, &wrong):
		return azerr.GraphBadRequest(wrong.Reason)
	}
	return fmt.Errorf("write user: %w", err)
}

func (d *Directory) patchUser(c graphCall) (graphAnswer, error) {
	ch, err := d.permittedUserChange(c, "users/basic/update")
	if err != nil {
		return graphAnswer{}, err
	}
	if err := d.updateUser(c, ch); err != nil {
		return graphAnswer{}, graphUserError(err)
	}
	return graphAnswer{status: http.StatusNoContent}, nil
}

// updateUser changes the user a call names. A new password and a closed
// account end every session.
func (d *Directory) updateUser(c graphCall, ch userChange) error {
	var hash passwordHash
	if ch.password != nil {
		if err := d.permit(c.Context(), c.caller, "users/password/update"); err != nil {
			return err
		}
		if err := checkPasswordRules(*ch.password); err != nil {
			return err
		}
		var err error
		if hash, err = d.hasher.newHash(c.Context(), *ch.password); err != nil {
			return err
		}
	}
	u, err := d.changeUser(c.Context(), c, func(tx store.Tx, u *user) error {
		old := *u
		ch.apply(u)
		if err := d.checkUser(*u); err != nil {
			return err
		}
		if ch.password != nil {
			u.Password = hash
		}
		if ch.password != nil || u.Disabled && !old.Disabled {
			u.ValidFrom = d.now().UTC()
		}
		if key(u.UPN) == key(old.UPN) {
			return nil
		}
		if _, err := readIndex(tx, bucketUPNs, u.UPN); err == nil {
			return ErrUserExists
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		return tx.Delete(bucketUPNs, key(old.UPN))
	})
	if err == nil {
		d.signIns.forgive(u.ObjectID)
		d.log.InfoContext(c.Context(), "user updated", "updated", u.ObjectID, "password", ch.password != nil, "principal", c.caller.ObjectID)
	}
	return err
}

func (d *Directory) changeUser(ctx context.Context, c graphCall, change func(store.Tx, *user) error) (user, error) {
	var u user
	err := d.store.Update(ctx, func(tx store.Tx) (err error) {
		if u, err = findUser(tx, c); err != nil {
			return err
		}
		if err := change(tx, &u); err != nil {
			return err
		}
		return putUser(tx, u)
	})
	return u, err
}

func (d *Directory) deleteUser(c graphCall) (graphAnswer, error) {
	if err := d.permit(c.Context(), c.caller, "users/delete"); err != nil {
		return graphAnswer{}, err
	}
	var u user
	err := d.changeGroups(c.Context(), func(tx store.Tx) (err error) {
		if u, err = findUser(tx, c); err != nil {
			return err
		}
		return deleteUser(tx, u)
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("delete user: %w", err)
	}
	d.log.InfoContext(c.Context(), "user deleted", "deleted", u.ObjectID, "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}
