package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// ManagedIdentity is a service principal without credentials that belongs to
// an ARM resource: the system-assigned identity of that resource, or a
// user-assigned identity, which is a resource itself.
type ManagedIdentity struct {
	ObjectID   string
	ClientID   string
	TenantID   string
	Name       string
	ResourceID string
	// Secret opens the instance metadata endpoint for a user-assigned
	// identity; empty for a system-assigned one, whose token nobody outside
	// the process can have.
	Secret Secret
}

// userAssignedType is the resource type whose identities are user-assigned;
// every other owner's identity is system-assigned.
const userAssignedType = "Microsoft.ManagedIdentity/userAssignedIdentities"

// CreateIdentity makes the identity of resourceID inside the caller's
// transaction. It returns ErrIdentityExists when the resource has one already.
func (d *Directory) CreateIdentity(ctx context.Context, tx store.Tx, name, resourceID string) (ManagedIdentity, error) {
	id, err := ids.Parse(resourceID)
	if err != nil || !id.IsResource() {
		return ManagedIdentity{}, fmt.Errorf("create identity: %q is not a resource id", resourceID)
	}
	if _, err := readIndex(tx, bucketIdentityOwners, id.Key()); err == nil {
		return ManagedIdentity{}, fmt.Errorf("create identity of %s: %w", resourceID, ErrIdentityExists)
	} else if !errors.Is(err, ErrNotFound) {
		return ManagedIdentity{}, fmt.Errorf("create identity: %w", err)
	}
	p := principal{ObjectID: ids.NewGUID(), AppID: ids.NewGUID(), DisplayName: name, Kind: kindSystemAssigned, Created: d.now().UTC(), ResourceID: id.String()}
	if strings.EqualFold(id.Type(), userAssignedType) {
		p.Kind, p.IMDSSecret = kindUserAssigned, newSecret().Reveal()
	}
	if err := putPrincipal(tx, p); err != nil {
		return ManagedIdentity{}, fmt.Errorf("create identity: %w", err)
	}
	if err := store.PutJSON(tx, bucketIdentityOwners, id.Key(), p.ObjectID); err != nil {
		return ManagedIdentity{}, fmt.Errorf("create identity: %w", err)
	}
	d.log.DebugContext(ctx, "managed identity made", "principal", p.ObjectID, "scope", p.ResourceID)
	return d.managedIdentity(p), nil
}

// DeleteIdentity removes the identity inside the caller's transaction;
// ErrNotFound when there is none of that object id.
func (d *Directory) DeleteIdentity(ctx context.Context, tx store.Tx, objectID string) error {
	p, err := readIdentity(tx, objectID)
	if err != nil {
		return fmt.Errorf("delete identity: %w", err)
	}
	if err := errors.Join(d.dropIdentityCredentials(tx, p.ObjectID), deletePrincipal(tx, p)); err != nil {
		return fmt.Errorf("delete identity: %w", err)
	}
	if err := tx.Delete(bucketIdentityOwners, key(p.ResourceID)); err != nil {
		return fmt.Errorf("delete identity owner %s: %w", p.ResourceID, err)
	}
	d.log.DebugContext(ctx, "managed identity deleted", "principal", p.ObjectID, "scope", p.ResourceID)
	return nil
}

// MoveIdentity makes resourceID the owner of an identity, inside the caller's
// transaction: its resource has moved to another group or subscription. Object
// id and application id stay, and so does everything that was granted to them;
// tokens name the new owner from now on. ErrNotFound when there is no identity
// of that object id, ErrIdentityExists when the new owner has one already.
func (d *Directory) MoveIdentity(ctx context.Context, tx store.Tx, objectID, resourceID string) error {
	id, err := ids.Parse(resourceID)
	if err != nil || !id.IsResource() {
		return fmt.Errorf("move identity: %q is not a resource id", resourceID)
	}
	p, err := readIdentity(tx, objectID)
	if err != nil {
		return fmt.Errorf("move identity: %w", err)
	}
	if owner, err := readIndex(tx, bucketIdentityOwners, id.Key()); err == nil && owner != p.ObjectID {
		return fmt.Errorf("move identity to %s: %w", resourceID, ErrIdentityExists)
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("move identity: %w", err)
	}
	if err := tx.Delete(bucketIdentityOwners, key(p.ResourceID)); err != nil {
		return fmt.Errorf("delete identity owner %s: %w", p.ResourceID, err)
	}
	p.ResourceID = id.String()
	if err := errors.Join(putPrincipal(tx, p), store.PutJSON(tx, bucketIdentityOwners, id.Key(), p.ObjectID)); err != nil {
		return fmt.Errorf("move identity: %w", err)
	}
	d.log.DebugContext(ctx, "managed identity moved", "principal", p.ObjectID, "scope", p.ResourceID)
	return nil
}

// Identity returns a managed identity by object id, or ErrNotFound.
func (d *Directory) Identity(ctx context.Context, objectID string) (ManagedIdentity, error) {
	return d.viewIdentity(ctx, func(store.Tx) (string, error) { return objectID, nil })
}

// IdentityOf returns the identity a resource owns, or ErrNotFound.
func (d *Directory) IdentityOf(ctx context.Context, resourceID string) (ManagedIdentity, error) {
	return d.viewIdentity(ctx, func(tx store.Tx) (string, error) { return identityOwnedBy(tx, resourceID) })
}

func identityOwnedBy(tx store.Tx, resourceID string) (objectID string, err error) {
	id, err := ids.Parse(resourceID)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return readIndex(tx, bucketIdentityOwners, id.Key())
}

func (d *Directory) viewIdentity(ctx context.Context, find func(store.Tx) (string, error)) (ManagedIdentity, error) {
	var p principal
	err := d.store.View(ctx, func(tx store.Tx) error {
		objectID, err := find(tx)
		if err != nil {
			return err
		}
		p, err = readIdentity(tx, objectID)
		return err
	})
	if err != nil {
		return ManagedIdentity{}, fmt.Errorf("read identity: %w", err)
	}
	return d.managedIdentity(p), nil
}

// IdentitySecret returns the secret that opens the instance metadata endpoint
// for a user-assigned identity; ErrNotFound for anything else.
func (d *Directory) IdentitySecret(ctx context.Context, objectID string) (Secret, error) {
	identity, err := d.Identity(ctx, objectID)
	if err != nil {
		return "", err
	}
	if identity.Secret == "" {
		return "", fmt.Errorf("identity %s is system-assigned and has no secret: %w", objectID, ErrNotFound)
	}
	return identity.Secret, nil
}

// IdentityToken signs an access token of a managed identity for resource (an
// identifier URI, taken verbatim as the audience). It is for our own services
// only: nothing outside the process may reach it. Errors: ErrNotFound,
// ErrUnknownResource.
func (d *Directory) IdentityToken(ctx context.Context, objectID, resource string) (token string, expires time.Time, err error) {
	var p principal
	err = d.store.View(ctx, func(tx store.Tx) error {
		if p, err = readIdentity(tx, objectID); err != nil {
			return err
		}
		return checkAudience(tx, resource)
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token of identity: %w", err)
	}
	secret, expires, err := d.sign(p, resource, identityTokenLifetime)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("token of identity: %w", err)
	}
	d.log.DebugContext(ctx, "identity token issued", "principal", p.ObjectID, "audience", resource)
	return secret.Reveal(), expires, nil
}

func readIdentity(tx store.Tx, objectID string) (principal, error) {
	p, err := read[principal](tx, bucketPrincipals, objectID)
	if err == nil && !p.managed() {
		return principal{}, fmt.Errorf("%q is not a managed identity: %w", objectID, ErrNotFound)
	}
	return p, err
}

func (d *Directory) managedIdentity(p principal) ManagedIdentity {
	return ManagedIdentity{ObjectID: p.ObjectID, ClientID: p.AppID, TenantID: d.tenantID, Name: p.DisplayName, ResourceID: p.ResourceID, Secret: Secret(p.IMDSSecret)}
}
