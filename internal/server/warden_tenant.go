package server

import (
	"context"

	"github.com/kustos-io/kustos/internal/operator"
)

// CreateTenant makes a tenant and serves it. Its secret is in connection.json.
func (w *warden) CreateTenant(ctx context.Context, name, domain string) (operator.Tenant, error) {
	w.turn.Lock() // nothing seals meanwhile
	defer w.turn.Unlock()
	p := w.unsealed.Load()
	if p == nil {
		return operator.Tenant{}, operator.ErrSealed
	}
	t, err := p.createTenant(ctx, name, domain)
	if err != nil {
		return operator.Tenant{}, err
	}
	w.record(p, "operator/tenant", t.ID)
	p.log.InfoContext(ctx, "tenant made", "tenant", t.ID, "domain", t.Domain)
	return operator.Tenant{ID: t.ID, Name: t.Name, Domain: t.Domain, SubscriptionID: t.bootstrap.SubscriptionID, ClientID: t.bootstrap.ClientID, ObjectID: t.bootstrap.ObjectID}, p.audit.Flush(ctx)
}
