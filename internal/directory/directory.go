package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// Config is what a Directory is made of.
type Config struct {
	// Store must be sealed: it holds the signing keys.
	Store store.Store
	// Authorizer decides who may read and manage the directory through Graph;
	// nil means nobody.
	Authorizer authz.Authorizer
	// Audit gets the refused sign-ins; nil keeps no record. What Graph refuses is
	// the Authorizer's to record.
	Audit Auditor
	// SigningKeyAge is how long one key signs tokens; 0 means 30 days.
	SigningKeyAge time.Duration
	// TenantID is the GUID of a tenant that is made; "" means a fresh one. A
	// tenant that is there has its own.
	TenantID string
	// PageKey guards the forms of sign-in pages; nil means one of its own. The
	// tenants of one server share it, as they share the pages' addresses.
	PageKey []byte
	// Domain is the domain of user principal names; "" means "kustos.onmicrosoft.com".
	Domain string
	// Neighbours are the tenants of the same server; nil means that this is the
	// only one.
	Neighbours Neighbours
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Directory is one tenant. It is safe for concurrent use.
type Directory struct {
	store          store.Store
	authorizer     authz.Authorizer
	audit          Auditor
	neighbours     Neighbours
	now            func() time.Time
	log            *slog.Logger
	tenantID       string
	subscriptionID string
	keys           atomic.Pointer[keyring]
	domain         string
	hasher         hasher
	signIns        *signIns
	pages          pages
	groups         atomic.Pointer[membership]
	grouping       sync.Mutex // held while groups change
	keyAge         time.Duration
	rotation       sync.Mutex  // held while keys change
	scrubDue       atomic.Bool // deleted keys may still be readable in the store's files
}

// Bootstrap is the tenant's first principal and the ids a person needs.
type Bootstrap struct {
	TenantID       string
	SubscriptionID string
	ClientID       string
	ClientSecret   Secret
	ObjectID       string
}

// bootstrapName is the display name of the first application.
const bootstrapName = "kustos"

// bootstrapLifetime is how long the first principal's secret is good: it is
// the way in, so it does not run out within the life of an instance. It is good
// from the beginning of time, in case the clock was ahead at the first start.
const bootstrapLifetime = 100 * 365 * 24 * time.Hour

// Open reads the tenant from the store. In an empty store it makes a tenant
// id, a subscription id and a signing key.
func Open(ctx context.Context, cfg Config) (*Directory, error) {
	d := &Directory{store: cfg.Store, authorizer: cfg.Authorizer, audit: cfg.Audit, neighbours: cfg.Neighbours, now: cfg.Now, log: cfg.Log, keyAge: cfg.SigningKeyAge, hasher: newHasher(), signIns: newSignIns()}
	var err error
	if d.pages, err = newPages(cfg.PageKey); err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d.domain = strings.ToLower(cfg.Domain)
	if d.domain == "" {
		d.domain = defaultDomain
	}
	if !IsDomain(d.domain) {
		return nil, fmt.Errorf("open directory: %q is not a domain name", cfg.Domain)
	}
	if d.keyAge <= 0 {
		d.keyAge = defaultSigningKeyAge
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	var (
		instance instanceRecord
		keys     []signingKeyRecord
		groups   []group
	)
	load := func(tx store.Tx) error {
		var err error
		if instance, err = read[instanceRecord](tx, bucketInstance, "instance"); err != nil {
			return err
		}
		if keys, err = store.ListJSON[signingKeyRecord](tx, bucketSigningKeys, ""); err != nil {
			return err
		}
		groups, err = store.ListJSON[group](tx, bucketGroups, "")
		return err
	}
	err = d.store.View(ctx, load)
	if errors.Is(err, ErrNotFound) {
		err = d.create(ctx, cfg.TenantID)
		if err == nil {
			err = d.store.View(ctx, load)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d.tenantID, d.subscriptionID = instance.TenantID, instance.SubscriptionID
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d.keys.Store(ring)
	d.groups.Store(newMembership(groups))
	return d, nil
}

func (d *Directory) create(ctx context.Context, tenantID string) error {
	if tenantID == "" {
		tenantID = ids.NewGUID()
	}
	signing, err := newSigningKey(d.now())
	if err != nil {
		return err
	}
	return d.store.Update(ctx, func(tx store.Tx) error {
		if _, err := read[instanceRecord](tx, bucketInstance, "instance"); !errors.Is(err, ErrNotFound) {
			return err // somebody was faster, or the store is broken
		}
		if err := store.PutJSON(tx, bucketSigningKeys, key(signing.KeyID), signing); err != nil {
			return err
		}
		return store.PutJSON(tx, bucketInstance, "instance", instanceRecord{
			TenantID: tenantID, SubscriptionID: ids.NewGUID(), Created: d.now().UTC()})
	})
}

// Bootstrap returns the first principal, and makes it on the first call: an
// application with a secret and its service principal. Later calls, also after
// a restart, return the same.
func (d *Directory) Bootstrap(ctx context.Context) (Bootstrap, error) {
	var instance instanceRecord
	made := false
	err := d.store.Update(ctx, func(tx store.Tx) error {
		var err error
		if instance, err = read[instanceRecord](tx, bucketInstance, "instance"); err != nil || instance.ClientID != "" {
			return err
		}
		now := d.now().UTC()
		pw, secret := newPassword(bootstrapName, time.Unix(0, 0).UTC(), now.Add(bootstrapLifetime))
		app := application{ID: ids.NewGUID(), AppID: ids.NewGUID(), DisplayName: bootstrapName, Created: now, Passwords: []password{pw}}
		sp := principal{ObjectID: ids.NewGUID(), AppID: app.AppID, DisplayName: bootstrapName, Kind: kindApplication, Created: now}
		if err := putApplication(tx, app); err != nil {
			return err
		}
		if err := putPrincipal(tx, sp); err != nil {
			return err
		}
		instance.ClientID, instance.ClientSecret, instance.ObjectID = app.AppID, secret.Reveal(), sp.ObjectID
		made = true
		return store.PutJSON(tx, bucketInstance, "instance", instance)
	})
	if err != nil {
		return Bootstrap{}, fmt.Errorf("bootstrap directory: %w", err)
	}
	if made {
		d.log.InfoContext(ctx, "first principal made", "principal", instance.ObjectID, "tenant", instance.TenantID)
	}
	return Bootstrap{TenantID: instance.TenantID, SubscriptionID: instance.SubscriptionID, ClientID: instance.ClientID,
		ClientSecret: Secret(instance.ClientSecret), ObjectID: instance.ObjectID}, nil
}

// TenantID is the tenant's GUID.
func (d *Directory) TenantID() string { return d.tenantID }

// SubscriptionID is the GUID of the subscription that the tenant was made with.
func (d *Directory) SubscriptionID() string { return d.subscriptionID }

// PrincipalType is the kind of a directory object that rights can be given to,
// spelled as role assignments spell it.
type PrincipalType string

// The types.
const (
	TypeServicePrincipal PrincipalType = "ServicePrincipal"
	TypeUser             PrincipalType = "User"
	TypeGroup            PrincipalType = "Group"
)

// Entry is what others need to know of a principal.
type Entry struct {
	Type     PrincipalType
	ObjectID string
	AppID    string // of a service principal
	UPN      string // of a user
	Name     string
	// ResourceID is the ARM id that owns a managed identity, "" for an application's principal.
	ResourceID string
}

// Lookup finds a principal: a service principal by its object id or its
// application (client) id, a user by its object id or user principal name, a
// group by its object id. ErrNotFound when there is none.
func (d *Directory) Lookup(ctx context.Context, id string) (Entry, error) {
	var entry Entry
	err := d.store.View(ctx, func(tx store.Tx) error {
		o, err := findObject(tx, id)
		if errors.Is(err, ErrNotFound) {
			var p principal
			if p, err = principalByAppID(tx, id); err == nil {
				o = p
			}
		}
		if errors.Is(err, ErrNotFound) {
			var u user
			if u, err = userByUPN(tx, id); err == nil {
				o = u
			}
		}
		if err == nil {
			entry = o.entry()
		}
		return err
	})
	if err != nil {
		return Entry{}, fmt.Errorf("look up principal: %w", err)
	}
	return entry, nil
}
