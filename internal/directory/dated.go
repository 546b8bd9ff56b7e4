package directory

import (
	"context"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

// IdentityTokenAt is IdentityToken as a clock that shows at would have it: a
// token that has expired, or is not yet valid. It rehearses what a cluster does
// when its clock is off, and gives nobody more than IdentityToken would.
func (d *Directory) IdentityTokenAt(ctx context.Context, objectID, resource string, at time.Time) (string, error) {
	var p principal
	err := d.store.View(ctx, func(tx store.Tx) (err error) {
		if p, err = readIdentity(tx, objectID); err != nil {
			return err
		}
		return checkAudience(tx, resource)
	})
	if err != nil {
		return "", fmt.Errorf("token of identity: %w", err)
	}
	c := d.appClaims(p, resource, identityTokenLifetime)
	shift := at.Unix() - d.now().Unix()
	c.IssuedAt, c.NotBefore, c.Expires = c.IssuedAt+shift, c.NotBefore+shift, c.Expires+shift
	token, _, err := d.signToken(c)
	if err != nil {
		return "", fmt.Errorf("token of identity: %w", err)
	}
	return token.Reveal(), nil
}
