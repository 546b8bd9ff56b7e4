package kusto

import (
	"context"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Identities issues and withdraws the clusters' system-assigned identities.
type Identities interface {
	// CreateIdentity makes a managed identity inside the caller's transaction.
	CreateIdentity(ctx context.Context, tx store.Tx, name, resourceID string) (directory.ManagedIdentity, error)
	// MoveIdentity gives it another resource as its owner; its ids stay.
	MoveIdentity(ctx context.Context, tx store.Tx, objectID, resourceID string) error
	// DeleteIdentity removes it; its tokens are worth nothing from then on.
	DeleteIdentity(ctx context.Context, tx store.Tx, objectID string) error
}

// Assignments removes the role assignments at and below a scope in the
// caller's transaction: a cluster or database made anew under an old name must
// not inherit the old one's rights.
type Assignments interface {
	RemoveScope(tx store.Tx, scope string) error
}

// UserIdentityReader finds user-assigned identities of the ManagedIdentity provider.
type UserIdentityReader interface {
	// UserIdentity returns the identity resource with this id; ok is false when there is none.
	UserIdentity(ctx context.Context, id ids.ID) (identity ServicePrincipal, ok bool, err error)
}

// VaultReader reads the management record of our own vaults with first-party authority.
type VaultReader interface {
	// VaultByName finds a live vault anywhere in the tenant, or in several tenants
	// (names are unique in the cloud); ok is false when there is none, also when
	// it is soft-deleted.
	VaultByName(ctx context.Context, name string) (facts VaultFacts, ok bool, err error)
}

// VaultFacts is what a key's consumer must know about a vault and cannot read with the cluster's identity.
type VaultFacts struct {
	ResourceID      string
	TenantID        string
	Location        ids.Location
	SoftDelete      bool
	PurgeProtection bool
}

// Dispatcher is the part of the front door that readers of other namespaces need.
type Dispatcher interface {
	Dispatch(ctx context.Context, req *provider.Request) (*provider.Response, error)
}
