package directory

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// Neighbours are the tenants of the same server. A directory asks them for
// what Entra's tenants know of each other: the registration of an application
// that works in several tenants, and the keys that tokens are signed with.
type Neighbours interface {
	// Tenants lists the directories that are served now, in any order; the
	// asking one may be among them. It must not block on a directory's store.
	Tenants() []*Directory
}

// NeighboursFunc is a function as Neighbours.
type NeighboursFunc func() []*Directory

// Tenants calls f.
func (f NeighboursFunc) Tenants() []*Directory { return f() }

// others are the tenants of this server but this one.
func (d *Directory) others() []*Directory {
	if d.neighbours == nil {
		return nil
	}
	var out []*Directory
	for _, n := range d.neighbours.Tenants() {
		if n != nil && n.tenantID != d.tenantID {
			out = append(out, n)
		}
	}
	return out
}

// issuedHere returns the keys of the tenant of this server whose v2.0 issuer
// that is, as they are now; ok is false when there is none.
func (d *Directory) issuedHere(issuer string) (keys map[string]*rsa.PublicKey, ok bool) {
	if issuer == issuer2(d.tenantID) {
		return d.keys.Load().public, true
	}
	if !strings.HasPrefix(issuer, "https://"+loginHost+"/") {
		return nil, false
	}
	for _, n := range d.others() {
		if issuer == issuer2(n.tenantID) {
			return n.keys.Load().public, true
		}
	}
	return nil, false
}

// foreignApplication is a multi-tenant application that another tenant of this
// server registered.
type foreignApplication struct {
	application
	tenantID string
}

// foreignApplication finds such an application by its application id; nil when
// this tenant has it itself, when nobody has it, and when it is its own tenant's
// alone. It must not be called inside a transaction.
func (d *Directory) foreignApplication(ctx context.Context, appID string) (*foreignApplication, error) {
	others := d.others()
	if len(others) == 0 {
		return nil, nil
	}
	for _, n := range append([]*Directory{d}, others...) {
		var a application
		err := n.store.View(ctx, func(tx store.Tx) (err error) {
			a, err = applicationByAppID(tx, appID)
			return err
		})
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return nil, fmt.Errorf("application of tenant %s: %w", n.tenantID, err)
		case n == d || a.Audience != multiTenant:
			return nil, nil
		}
		return &foreignApplication{a, n.tenantID}, nil
	}
	return nil, nil
}
