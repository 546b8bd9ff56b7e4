package vault

import (
	"context"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Move gives a live vault another resource group or subscription inside the
// caller's transaction. Its name, its address, its keys and its access policies
// stay; role assignments on it do not follow, as in Azure.
func (s *Service) Move(_ context.Context, tx store.Tx, from, to ids.ID) error {
	v, ok, err := s.live(tx, from.Name())
	if err != nil {
		return err
	}
	if !ok || !v.at(from) {
		return notFound(from)
	}
	if err := s.unassign(tx, v.ResourceID); err != nil {
		return err
	}
	moved := ids.ID{Subscription: to.Subscription, ResourceGroup: to.ResourceGroup, Namespace: "Microsoft.KeyVault", Segments: []ids.Segment{{Type: "vaults", Name: v.Name}}}
	v.ResourceID, v.Subscription, v.ResourceGroup, v.Updated = moved.String(), to.Subscription, to.ResourceGroup, s.now()
	return putVault(tx, v)
}
