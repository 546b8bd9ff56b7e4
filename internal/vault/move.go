package vault

import (
	"context"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Move gives a live vault another resource group or subscription inside the
// caller's transaction. Its name, its address, its keys and its access policies
// stay; role assignments on it do not follow, as in Azure. Moved must be called
// after the commit.
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
	s.records.empty()
	return putVault(tx, v)
}

// Moved follows a committed Move: from now on decisions are made at the vault's
// new scope.
func (s *Service) Moved(ctx context.Context, from, to ids.ID, by authz.Principal) {
	s.records.empty()
	s.hint(from.Name())
	event := managementEvent("vaults/move", from.String(), by)
	event.Detail = "to " + to.String()
	if err := s.record(ctx, event, nil); err != nil { // the move is done; an operator must know
		s.Log.ErrorContext(ctx, "a move is not in the audit log", "vault", from.Name(), "error", err)
	}
}
