package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/kustos-io/kustos/internal/directory"
	rpkusto "github.com/kustos-io/kustos/internal/rp/kusto"
)

// tenants are the tenants of a server, the first one first. Readers see one
// list as it was at one moment; a tenant that is in it answers on every plane.
type tenants struct {
	list atomic.Pointer[[]*tenant]
	// owners and clusters remember whose a subscription, or a cluster by the
	// runtime's id, is. Neither ever changes hands.
	owners, clusters sync.Map
}

func (ts *tenants) all() []*tenant {
	if list := ts.list.Load(); list != nil {
		return *list
	}
	return nil
}

// add makes a tenant known. It must not be called twice at the same time.
func (ts *tenants) add(t *tenant) {
	all := ts.all()
	list := append(all[:len(all):len(all)], t)
	ts.list.Store(&list)
}

// first is the tenant that a folder begins with.
func (ts *tenants) first() *tenant { return ts.all()[0] }

// Tenants makes them the directory's neighbours.
func (ts *tenants) Tenants() []*directory.Directory {
	var out []*directory.Directory
	for _, t := range ts.all() {
		out = append(out, t.directory)
	}
	return out
}

// byID finds a tenant by its GUID, nil when there is none.
func (ts *tenants) byID(id string) *tenant {
	for _, t := range ts.all() {
		if strings.EqualFold(t.ID, id) {
			return t
		}
	}
	return nil
}

// byDomain finds a tenant by its domain, nil when there is none.
func (ts *tenants) byDomain(domain string) *tenant {
	for _, t := range ts.all() {
		if strings.EqualFold(t.Domain, domain) {
			return t
		}
	}
	return nil
}

// named finds the tenant that an operator means: by GUID, domain or name; ""
// is the first one.
func (ts *tenants) named(name string) (*tenant, error) {
	if name == "" {
		return ts.first(), nil
	}
	if t := ts.byID(name); t != nil {
		return t, nil
	}
	if t := ts.byDomain(name); t != nil {
		return t, nil
	}
	for _, t := range ts.all() {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
	}
	return nil, fmt.Errorf("there is no tenant %q", name)
}

// owner finds the tenant of a subscription, nil when no tenant has it.
func (ts *tenants) owner(ctx context.Context, subscription string) (*tenant, error) {
	key := strings.ToLower(subscription)
	if t, ok := ts.owners.Load(key); ok {
		return t.(*tenant), nil
	}
	for _, t := range ts.all() {
		mine, err := t.owns(ctx, key)
		if err != nil {
			return nil, err
		}
		if mine {
			ts.owners.Store(key, t)
			return t, nil
		}
	}
	return nil, nil
}

// ofCluster finds the tenant of a cluster by the runtime's id, nil when none has
// it and none was ever seen to have it.
func (ts *tenants) ofCluster(ctx context.Context, id string) (*tenant, error) {
	if t, ok := ts.clusters.Load(id); ok {
		return t.(*tenant), nil
	}
	t, _, err := ts.resourceOfCluster(ctx, id)
	return t, err
}

// resourceOfCluster is ofCluster with the ARM id that the cluster has now; nil
// and "" when none has it any more.
func (ts *tenants) resourceOfCluster(ctx context.Context, id string) (*tenant, string, error) {
	all := ts.all()
	if t, ok := ts.clusters.Load(id); ok {
		all = []*tenant{t.(*tenant)}
	}
	for _, t := range all {
		resource, err := t.clusters.ResourceID(ctx, id)
		if err != nil {
			return nil, "", fmt.Errorf("find tenant of cluster: %w", err)
		}
		if resource != "" {
			ts.clusters.Store(id, t)
			return t, resource, nil
		}
	}
	return nil, "", nil
}

// vaultsFor reads the facts of vaults for a tenant's clusters, with first-party
// authority: of its own first, then of the others, whose keys a cluster can use
// as an application that is known there.
func (ts *tenants) vaultsFor(own *tenant) rpkusto.VaultReaders {
	return func() []rpkusto.VaultReader {
		readers := []rpkusto.VaultReader{rpkusto.FirstPartyReader{Front: own.front, TenantID: own.ID}}
		for _, t := range ts.all() {
			if t != own {
				readers = append(readers, rpkusto.FirstPartyReader{Front: t.front, TenantID: t.ID})
			}
		}
		return readers
	}
}

// resume finishes what a restart interrupted.
func (ts *tenants) resume(ctx context.Context) error {
	var errs []error
	for _, t := range ts.all() {
		errs = append(errs, t.operations.Resume(ctx))
	}
	return errors.Join(errs...)
}

// closeOperations ends what runs in the background.
func (ts *tenants) closeOperations() {
	for _, t := range ts.all() {
		t.operations.Close()
	}
}
