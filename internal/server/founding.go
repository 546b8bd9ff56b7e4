package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/kustos-io/kustos/internal/store"
)

// tenantBucket holds the records of the tenants but the first, by GUID.
const tenantBucket = "server.tenants"

// openTenants opens every tenant of the data folder, and makes the first one at
// the first start.
func (p *parts) openTenants(ctx context.Context) error {
	var records []tenantRecord
	err := p.store.View(ctx, func(tx store.Tx) (err error) {
		records, err = store.ListJSON[tenantRecord](tx, tenantBucket, "")
		return err
	})
	if err != nil {
		return fmt.Errorf("read tenants: %w", err)
	}
	slices.SortStableFunc(records, func(a, b tenantRecord) int { return a.Created.Compare(b.Created) })
	for _, r := range append([]tenantRecord{firstTenant()}, records...) {
		t, err := p.openTenant(ctx, r, r.namespace().Store(p.store))
		if err != nil {
			return fmt.Errorf("open tenant %s: %w", r.ID, err)
		}
		p.tenants.add(t)
	}
	return nil
}
