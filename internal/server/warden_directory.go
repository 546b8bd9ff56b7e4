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
		ResourceID: id.ResourceID, TenantID: id.TenantID, ClientID: id.ClientID, ObjectID: id.ObjectID, Secret: secret.Reveal(), Proxy: proxy.String(),
		Endpoint: "http://" + p.server.ProxyAddr() + directory.IdentityEndpointPath, Header: secret.Reveal(),
	}, p.audit.Flush(ctx)
}

// CreateUser makes a person in a tenant; with owner they own its first subscription.
func (w *warden) CreateUser(ctx context.Context, u operator.NewUser) (operator.User, error) {
	p := w.unsealed.Load()
	if p == nil {
		return operator.User{}, operator.ErrSealed
	}
	t, err := p.tenants.named(u.Tenant)
	if err != nil {
		return operator.User{}, err
	}
	user, err := t.directory.CreateUser(ctx, directory.NewUser{UPN: u.Name, DisplayName: u.DisplayName, Password: directory.Secret(u.Password)})
	if err != nil {
		return operator.User{}, err
	}
	if u.Owner {
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

// RotateSigningKey makes a new token signing key of a tenant; tokens of the old one stay
// good until they expire.
func (w *warden) RotateSigningKey(ctx context.Context, tenant string) (string, error) {
	p := w.unsealed.Load()
	if p == nil {
		return "", operator.ErrSealed
	}
	t, err := p.tenants.named(tenant)
	if err != nil {
		return "", err
	}
	id, err := t.directory.RotateSigningKey(ctx)
	if err != nil {
		return "", err
	}
	w.record(p, "operator/signing-key", id)
	return id, p.audit.Flush(ctx)
}
