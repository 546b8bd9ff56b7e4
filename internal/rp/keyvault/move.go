package keyvault

import (
	"context"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

var _ provider.Mover = (*rp)(nil)

// CheckMove lets vaults move.
func (p *rp) CheckMove(_ context.Context, from, _ ids.ID) error {
	if !strings.EqualFold(from.TypePath(), "vaults") {
		return azerr.ResourceMoveNotSupported(from.Type())
	}
	return nil
}

// Move moves a vault.
func (p *rp) Move(ctx context.Context, tx store.Tx, from, to ids.ID) error {
	return p.Vault.Move(ctx, tx, from, to)
}

// Moved makes the vault's service look at it anew.
func (p *rp) Moved(ctx context.Context, from, to ids.ID, by authz.Principal) {
	p.Vault.Moved(ctx, from, to, by)
}
