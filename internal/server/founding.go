package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
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

// createTenant makes a tenant with its first subscription and its first
// principal, in one transaction, and serves it from then on. When it fails
// after that, which err says, the next start serves it.
func (p *parts) createTenant(ctx context.Context, name, domain string) (t *tenant, err error) {
	r := tenantRecord{ID: ids.NewGUID(), Name: strings.TrimSpace(name), Domain: strings.ToLower(domain), Created: p.now().UTC()}
	if err := r.check(); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // whoever asked may go away; half a tenant is none
	err = p.upkeep.while(func(run func(func(context.Context))) error {
		// New keys are made while the store takes no other write: that costs a
		// fraction of a second, and every step is in the one transaction.
		err := p.store.Update(ctx, func(tx store.Tx) error {
			if err := p.admitTenant(tx, r); err != nil {
				return err
			}
			if err := store.PutJSON(tx, tenantBucket, r.ID, r); err != nil {
				return err
			}
			_, err := p.openTenant(ctx, r, r.namespace().Store(store.Within(tx)))
			return err
		})
		if err != nil {
			return fmt.Errorf("create tenant: %w", err)
		}
		if t, err = p.openTenant(ctx, r, r.namespace().Store(p.store)); err == nil {
			err = t.compose(ctx, p)
		}
		if err != nil {
			return fmt.Errorf("the tenant %s is made, and is served from the next start on: %w", r.ID, err)
		}
		p.tenants.add(t)
		run(t.directory.Run)
		if err := p.writeConnection(); err != nil {
			return fmt.Errorf("the tenant %s is made and served, but not in connection.json before the next start: %w", r.ID, err)
		}
		return nil
	})
	return t, err
}

// nameError says what is wrong with the name or the domain of a new tenant.
type nameError string

func (e nameError) Error() string { return string(e) }

// maxTenantName bounds the display name of a tenant, in characters.
const maxTenantName = 64

// check completes a record with the default domain, and checks name and domain.
func (r *tenantRecord) check() error {
	if r.Domain == "" {
		if label := domainLabel(r.Name); label != "" {
			r.Domain = label + ".onmicrosoft.com"
		}
	}
	switch {
	case r.Name == "" || utf8.RuneCountInString(r.Name) > maxTenantName || strings.ContainsFunc(r.Name, unicode.IsControl) || !utf8.ValidString(r.Name):
		return nameError(fmt.Sprintf("the name of a tenant has 1 to %d characters, none of which is a control character", maxTenantName))
	case ids.IsGUID(r.Name):
		return nameError("the name of a tenant cannot be a GUID: it would be taken for the tenant's id")
	case r.Domain == "":
		return nameError(fmt.Sprintf("no domain can be made of the name %q; give one with --domain", r.Name))
	case !directory.IsDomain(r.Domain):
		return nameError(fmt.Sprintf("%q is not a domain name", r.Domain))
	}
	return nil
}

// domainLabel makes the first label of a domain of a name: its letters and
// digits, "" when it has none.
func domainLabel(name string) string {
	label := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	return label[:min(len(label), 63)]
}

// admitTenant refuses names and domains that a tenant has already, in any
// place where an operator could mean either of two.
func (p *parts) admitTenant(tx store.Tx, r tenantRecord) error {
	others, err := store.ListJSON[tenantRecord](tx, tenantBucket, "")
	if err != nil {
		return err
	}
	for _, o := range append(others, p.tenants.first().tenantRecord) {
		switch {
		case strings.EqualFold(o.Domain, r.Domain):
			return nameError(fmt.Sprintf("the domain %s is that of the tenant %q; give another one with --domain", r.Domain, o.Name))
		case strings.EqualFold(o.Name, r.Name), strings.EqualFold(o.Domain, r.Name):
			return nameError(fmt.Sprintf("there is a tenant %q already", r.Name))
		case strings.EqualFold(o.Name, r.Domain):
			return nameError(fmt.Sprintf("the domain %s is the name of a tenant", r.Domain))
		}
	}
	return nil
}
