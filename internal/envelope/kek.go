package envelope

import (
	"context"
	"fmt"
	"strings"
)

// Kinds of KEK.
const (
	KindPlatform = "platform" // ours, sealed by the barrier
	KindCustomer = "customer" // an RSA key in a vault
)

// KEK names the key that wraps a cluster key, or opens one database. The zero values of all fields
// but Kind belong to the platform's.
type KEK struct {
	Kind     string `json:"kind"`
	VaultURI string `json:"vaultUri,omitempty"` // as the customer wrote it
	KeyName  string `json:"keyName,omitempty"`
	// KeyVersion is the pinned version; "" means the newest at each wrap.
	KeyVersion string   `json:"keyVersion,omitempty"`
	Identity   Identity `json:"identity,omitzero"`
}

// PlatformKEK is the KEK of a cluster without customer-managed key.
func PlatformKEK() KEK { return KEK{Kind: KindPlatform} }

// OtherWayTo reports that next is the same customer's key in the same vault,
// reached by another identity.
func (k KEK) OtherWayTo(next KEK) bool {
	vault := func(uri string) string { return strings.TrimSuffix(strings.ToLower(uri), "/") }
	return k.Kind == KindCustomer && next.Kind == KindCustomer && vault(k.VaultURI) == vault(next.VaultURI) &&
		strings.EqualFold(k.KeyName, next.KeyName) && k.Identity != next.Identity
}

// Identity is who asks the vault.
type Identity struct {
	ObjectID          string `json:"objectId,omitempty"`
	ClientID          string `json:"clientId,omitempty"`
	TenantID          string `json:"tenantId,omitempty"`
	ResourceID        string `json:"resourceId,omitempty"`        // ARM id of a user-assigned identity, "" for the system's
	FederatedClientID string `json:"federatedClientId,omitempty"` // multi-tenant application for a vault in another tenant
	VaultTenantID     string `json:"vaultTenantId,omitempty"`     // where that application signs in, "" without one
}

// Wrapped is a key wrapped by a KEK. It holds no secret.
type Wrapped struct {
	KEK        KEK    `json:"kek"`
	KeyVersion string `json:"keyVersion"` // the version that wrapped; never ""
	Algorithm  string `json:"algorithm"`  // "RSA-OAEP-256", "A256GCM"
	Ciphertext []byte `json:"ciphertext"`
}

// KeyWrapper wraps and unwraps with one KEK. Implementations must be safe for
// concurrent use, must not keep key, and must return errors that are
// ErrRevoked for a definitive refusal and ErrUnavailable when nobody can say.
type KeyWrapper interface {
	Wrap(ctx context.Context, key []byte) (Wrapped, error)
	// Unwrap uses w.KeyVersion, not the newest version.
	Unwrap(ctx context.Context, w Wrapped) ([]byte, error)
}

// KeyWrappers finds the wrapper of a KEK.
type KeyWrappers interface {
	For(ctx context.Context, kek KEK) (KeyWrapper, error)
}

// Wrappers is the KeyWrappers of a process: the platform's wrapper and, when
// it is there, the customer's.
type Wrappers struct {
	Platform *Platform
	Customer KeyWrappers // nil: customer-managed keys are refused
}

// For picks by kind.
func (w Wrappers) For(ctx context.Context, kek KEK) (KeyWrapper, error) {
	switch {
	case kek.Kind == KindPlatform && w.Platform != nil:
		return w.Platform, nil
	case kek.Kind == KindCustomer && w.Customer != nil:
		return w.Customer.For(ctx, kek)
	}
	return nil, fmt.Errorf("a KEK of kind %q is not supported here", kek.Kind)
}

// layerBound is a wrapper that wraps the layer key of one cluster.
type layerBound interface {
	ForLayer(clusterID string) KeyWrapper
}

// clusterBound is a wrapper that can bind what it wraps to one cluster.
type clusterBound interface {
	ForCluster(clusterID string) KeyWrapper
}
