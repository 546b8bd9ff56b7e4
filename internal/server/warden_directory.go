package server

import (
	"context"
	"net/url"

	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/operator"
	"github.com/kustos-io/kustos/internal/store"
)

// Identity tells how a process speaks as a user-assigned identity. A system
// identity has no secret: nobody outside can have its token.
func (w *warden) Identity(ctx context.Context, resourceID string) (operator.Identity, error) {
	p := w.unsealed.Load()
	if p == nil {
		return operator.Identity{}, operator.ErrSealed
	}
	t, err := p.tenants.ofScope(ctx, resourceID)
	if err != nil {
		return operator.Identity{}, err
	}
	if t == nil {
		t = p.tenants.first()
	}
	id, err := t.directory.IdentityOf(ctx, resourceID)
	if err != nil {
		return operator.Identity{}, err
	}
	secret, err := t.directory.IdentitySecret(ctx, id.ObjectID)
	if err != nil {
		return operator.Identity{}, err
	}
	w.record(p, "operator/identity", resourceID)
	proxy := url.URL{Scheme: "http", User: url.UserPassword(id.ClientID, secret.Reveal()), Host: p.server.ProxyAddr()}
	return operator.Identity{
		ResourceID: id.ResourceID, ClientID: id.ClientID, ObjectID: id.ObjectID, Secret: secret.Reveal(), Proxy: proxy.String(),
		Endpoint: "http://" + p.server.ProxyAddr() + directory.IdentityEndpointPath, Header: secret.Reveal(),
	}, p.audit.Flush(ctx)
}

// CreateUser makes a person in the tenant; with owner they own the subscription.
func (w *warden) CreateUser(ctx context.Context, name, displayName string, owner bool, password operator.Secret) (operator.User, error) {
	p := w.unsealed.Load()
	if p == nil {
		return operator.User{}, operator.ErrSealed
	}
	t := p.tenants.first()
	user, err := t.directory.CreateUser(ctx, directory.NewUser{UPN: name, DisplayName: displayName, Password: directory.Secret(password)})
	if err != nil {
		return operator.User{}, err
	}
	if owner {
		err = t.store.Update(ctx, func(tx store.Tx) error {
			return t.access.AssignOwner(tx, "/subscriptions/"+t.bootstrap.SubscriptionID, user.ObjectID, "User")
		})
		if err != nil {
			return operator.User{}, err
		}
	}
	w.record(p, "operator/user", user.UPN)
	return operator.User{ObjectID: user.ObjectID, UPN: user.UPN}, p.audit.Flush(ctx)
}

// RotateSigningKey makes a new token signing key; tokens of the old one stay
// good until they expire.
func (w *warden) RotateSigningKey(ctx context.Context) (string, error) {
	p := w.unsealed.Load()
	if p == nil {
		return "", operator.ErrSealed
	}
	t := p.tenants.first()
	id, err := t.directory.RotateSigningKey(ctx)
	if err != nil {
		return "", err
	}
	w.record(p, "operator/signing-key", id)
	return id, p.audit.Flush(ctx)
}
