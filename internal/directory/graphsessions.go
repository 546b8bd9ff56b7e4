package directory

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// revokeSessions ends every refresh token of a user.
func (d *Directory) revokeSessions(c graphCall) (graphAnswer, error) {
	if err := d.permitSelf(c, "users/invalidateAllRefreshTokens"); err != nil {
		return graphAnswer{}, err
	}
	_, err := d.changeUser(c.Context(), c, func(_ store.Tx, u *user) error {
		u.ValidFrom = d.now().UTC()
		return nil
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("revoke sessions: %w", err)
	}
	return graphAnswer{http.StatusOK, struct {
		Context string `json:"@odata.context"`
		Value   bool   `json:"value"`
	}{graphContext + "Edm.Boolean", true}}, nil
}

// changeOwnPassword serves /me/changePassword.
func (d *Directory) changeOwnPassword(c graphCall) (graphAnswer, error) {
	body, err := c.body()
	if err != nil {
		return graphAnswer{}, err
	}
	var current, next string
	if err := errors.Join(body.take("currentPassword", &current), body.take("newPassword", &next), body.finishPassword()); err != nil {
		return graphAnswer{}, err
	}
	if _, err := d.checkPassword(c.Context(), c.caller.UPN, Secret(current)); err != nil {
		var refused *signInError
		if errors.As(err, &refused) {
			return graphAnswer{}, azerr.GraphBadRequest("The specified password does not match the current password, or the account is locked.")
		}
		return graphAnswer{}, err
	}
	if err := checkPasswordRules(Secret(next)); err != nil {
		return graphAnswer{}, azerr.GraphBadRequest(err.Error())
	}
	hash, err := d.hasher.newHash(c.Context(), Secret(next))
	if err != nil {
		return graphAnswer{}, err
	}
	_, err = d.changeUser(c.Context(), c, func(_ store.Tx, u *user) error {
		u.Password, u.ValidFrom = hash, d.now().UTC()
		return nil
	})
	if err != nil {
		return graphAnswer{}, fmt.Errorf("change password: %w", err)
	}
	d.log.InfoContext(c.Context(), "password changed", "principal", c.caller.ObjectID)
	return graphAnswer{status: http.StatusNoContent}, nil
}
