package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/deploy"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/kusto"
	rpauthorization "github.com/kustos-io/kustos/internal/rp/authorization"
	rpkeyvault "github.com/kustos-io/kustos/internal/rp/keyvault"
	rpkusto "github.com/kustos-io/kustos/internal/rp/kusto"
	rpidentity "github.com/kustos-io/kustos/internal/rp/managedidentity"
	rpmanagement "github.com/kustos-io/kustos/internal/rp/management"
	rpresources "github.com/kustos-io/kustos/internal/rp/resources"
	rpsubscription "github.com/kustos-io/kustos/internal/rp/subscription"
	"github.com/kustos-io/kustos/internal/store"
)

// tenant is what each tenant has of its own: a directory, rights, a front door
// to its subscriptions, and its part of the store. All of it is made of the
// parts that tenants share; nothing in it reaches another tenant.
type tenant struct {
	tenantRecord
	bootstrap  directory.Bootstrap
	store      store.Store // its part of the sealed one
	part       store.Namespace
	directory  *directory.Directory
	access     *authz.Engine
	operations *operations.Manager
	front      *arm.Front
	clusters   *rpkusto.Provider
	// planes are those of the tenant alone; vaults are shared.
	planes Planes
}

// openTenant opens the directory and the rights of a tenant in s. What is not
// there yet it makes: keys, the first principal and what that owns.
func (p *parts) openTenant(ctx context.Context, r tenantRecord, s store.Store) (*tenant, error) {
	t := &tenant{tenantRecord: r, store: s, part: r.namespace()}
	t.access = authz.New(authz.Config{Store: s, Now: p.now, Log: p.log, Audit: p.audit})
	var err error
	t.directory, err = directory.Open(ctx, directory.Config{Store: s, TenantID: r.ID, Domain: r.Domain, Authorizer: t.access, Audit: p.audit, Now: p.tokens, Log: p.log,
		Neighbours: &p.tenants, PageKey: p.pageKey})
	if err != nil {
		return nil, err
	}
	t.ID, t.Domain = t.directory.TenantID(), t.directory.Domain()
	if t.bootstrap, err = t.directory.Bootstrap(ctx); err != nil {
		return nil, err
	}
	t.access.SetHierarchy(scope.Hierarchy{TenantID: t.ID})
	return t, errors.Join(
		t.access.GrantOwner(ctx, t.bootstrap.SubscriptionID, t.bootstrap.ObjectID),
		t.access.GrantTenantOwner(ctx, t.bootstrap.ObjectID), // the tenant: management groups, more subscriptions
		t.access.GrantDirectoryAdministrator(ctx, t.bootstrap.ObjectID),
		s.Update(ctx, func(tx store.Tx) error {
			return scope.EnsureSubscription(tx, t.bootstrap.SubscriptionID, r.Name, p.now().UTC())
		}),
	)
}

// compose builds the tenant's planes on the parts that tenants share.
func (t *tenant) compose(ctx context.Context, p *parts) error {
	dir, access, s, now, log := t.directory, t.access, t.store, p.now, p.log
	t.operations = operations.New(operations.Config{Store: s, Log: log, Now: now})
	front := arm.New(arm.Config{Store: s, Verifier: dir, Authorizer: access, Log: log, Now: now, SubscriptionID: dir.SubscriptionID(), TenantID: t.ID, Limits: arm.Limits(p.cfg.RequestLimits)})
	t.front = front
	reader := rpkusto.FirstPartyReader{Front: front, TenantID: t.ID}
	t.clusters = rpkusto.New(rpkusto.Config{
		Store: s, Operations: t.operations, Runtime: p.runtime, Identities: dir, Users: reader, Principals: dir, Vaults: p.tenants.vaultsFor(t),
		Keys: p.customer, Authorizer: access, Assignments: access, TenantID: t.ID, AllowedVaultHosts: p.cfg.AllowedVaultHosts, Rules2020: p.cfg.CMKRules == config.Rules2020, Now: now, Log: log,
	})
	front.Register(
		rpresources.New(rpresources.Config{Store: s, Authorizer: access, Assignments: access, Operations: t.operations, Registry: front, Dispatcher: front, Log: log, Now: now, TenantID: t.ID}),
		rpidentity.New(rpidentity.Config{Store: s, Identities: dir, Assignments: access, Front: front, Log: log, Now: now}),
		rpauthorization.New(rpauthorization.Config{Engine: access, Principals: dir, Store: s, Front: front, TenantID: t.ID, Changed: p.rolesChanged}),
		rpmanagement.New(rpmanagement.Config{Store: s, Authorizer: access, Assignments: access, TenantID: t.ID, Log: log, Now: now}),
		rpsubscription.New(rpsubscription.Config{Store: s, Authorizer: access, Owners: access, TenantID: t.ID, Log: log, Now: now}),
		rpkeyvault.New(rpkeyvault.Config{Vault: p.vault, Log: log}),
		t.clusters,
	)
	if err := registerInert(ctx, front, s, p.cfg.InertProviders, now, log); err != nil {
		return fmt.Errorf("tenant %s: %w", t.ID, err)
	}
	front.SetDeployments(deploy.New(deploy.Config{Store: s, Front: front, Operations: t.operations, Links: p.links, Secrets: deploymentSecrets{p.vault, access, t}, Log: log, Now: now, TenantID: t.ID, RoleDefinition: roleID}))
	t.planes = Planes{
		Login: dir.LoginHandler(), Graph: dir.GraphHandler(), Identity: dir.IMDSHandler(), IdentityEndpoint: dir.IdentityEndpointHandler(), ARM: front,
		Kusto: kusto.New(kusto.Config{Runtime: p.runtime, Verifier: dir, Streaming: t.clusters, TenantID: t.ID, Version: Product, Started: now(), Now: now, Log: log}),
	}
	return nil
}

// owns reports whether a subscription is one of the tenant's.
func (t *tenant) owns(ctx context.Context, subscription string) (bool, error) {
	found := false
	err := t.store.View(ctx, func(tx store.Tx) error {
		_, err := scope.FindSubscription(tx, subscription)
		found = err == nil
		if errors.Is(err, scope.ErrNoSubscription) {
			return nil
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("find subscription: %w", err)
	}
	return found, nil
}

// tenantRecord is a tenant as an operator knows it.
type tenantRecord struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Domain  string    `json:"domain"`
	Created time.Time `json:"created"`
	// first is the tenant that every data folder begins with. It has no record,
	// and its buckets are those of the time when a folder was one tenant.
	first bool
}

// firstTenant is the record of the first tenant, but for what its directory knows.
func firstTenant() tenantRecord { return tenantRecord{Name: "Kustos", first: true} }

// namespace is the tenant's part of the store.
func (r tenantRecord) namespace() store.Namespace {
	if r.first {
		return store.Namespace{}
	}
	return store.NewNamespace("tenants/"+r.ID, sharedBuckets()...)
}

// sharedBuckets are those of the services that all tenants share, which a
// tenant's parts write in the same transaction as their own. Vaults and clusters
// have names under one DNS suffix, so the names belong to all tenants.
func sharedBuckets() []string {
	return []string{"vault.", "cluster.", "catalog.", "envelope.", "kusto.names"}
}
