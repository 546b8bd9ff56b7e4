package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// ValidName reports whether name is a vault name: 3-24 letters, digits and
// hyphens, a letter first, no hyphen last, no two hyphens in a row.
func ValidName(name string) bool {
	if len(name) < 3 || len(name) > 24 || strings.Contains(name, "--") || strings.HasSuffix(name, "-") {
		return false
	}
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// at reports whether v is the vault that id names: same subscription and group.
func (v *Vault) at(id ids.ID) bool {
	return strings.EqualFold(v.Subscription, id.Subscription) && strings.EqualFold(v.ResourceGroup, id.ResourceGroup)
}

func notFound(id ids.ID) error {
	return azerr.ResourceNotFound("Microsoft.KeyVault/vaults/"+id.Names()[0], id.ResourceGroup)
}

// Write is a PUT of a vault.
type Write struct {
	ID ids.ID
	// APIVersion decides the defaults of a new vault.
	APIVersion string
	Location   string
	// Tags nil removes all tags.
	Tags  map[string]string
	Input Input
	By    authz.Principal
}

// Put makes a vault, changes it, or recovers it (createMode=recover). created
// tells a new or recovered one.
func (s *Service) Put(ctx context.Context, w Write) (v Vault, created bool, err error) {
	defer s.recorded(ctx, "vaults/write", w.ID.String(), w.By, &err)
	err = s.update(ctx, func(tx store.Tx) error {
		var overdue *Vault
		if v, created, overdue, err = s.plan(tx, w); err != nil {
			return err
		}
		if overdue != nil {
			if err := s.dropVault(tx, *overdue); err != nil {
				return err
			}
		}
		return putVault(tx, v)
	})
	if err != nil {
		return Vault{}, false, err
	}
	s.hint(v.Name)
	return v.clone(), created, nil
}

// Check says whether Put would refuse the write; it changes nothing.
func (s *Service) Check(ctx context.Context, w Write) error {
	return s.Store.View(ctx, func(tx store.Tx) error {
		_, _, _, err := s.plan(tx, w)
		return err
	})
}

// plan is what the vault becomes by a write. overdue is a deleted vault of the
// name whose purge date has passed; it is to be dropped first.
func (s *Service) plan(tx store.Tx, w Write) (v Vault, created bool, overdue *Vault, err error) {
	name := w.ID.Names()[0]
	if !ValidName(name) {
		return Vault{}, false, nil, azerr.VaultNameNotValid(name)
	}
	if err := checkTags(w.Tags); err != nil {
		return Vault{}, false, nil, err
	}
	recovering, err := w.Input.recover()
	if err != nil {
		return Vault{}, false, nil, err
	}
	have, ok, err := s.lookup(tx, name)
	if err != nil {
		return Vault{}, false, nil, err
	}
	if !ok && have.Name != "" {
		overdue = &have
	}
	switch {
	case ok && have.Deleted != nil && recovering && have.at(w.ID):
		v, err = recovered(have, w)
		created = true
	case ok && have.Deleted != nil && strings.EqualFold(have.Subscription, w.ID.Subscription) && !recovering:
		err = azerr.VaultDeletedStateConflict()
	case recovering:
		err = azerr.SoftDeletedVaultDoesNotExist()
	case ok && have.Deleted == nil && have.at(w.ID):
		v, err = updated(have, w)
	case ok:
		err = azerr.VaultAlreadyExists(name)
	default:
		v, err = newVault(w)
		created = true
	}
	if err != nil {
		return Vault{}, false, nil, err
	}
	v.Updated, v.UpdatedBy = s.now(), actorOf(w.By)
	if v.Created.IsZero() {
		v.Created, v.CreatedBy = v.Updated, v.UpdatedBy
	}
	return v, created, overdue, nil
}

// newVault is the version-aware create: from 2026-02-01 role assignments are
// the default, up to 2019-09-01 a vault may do without soft delete.
func newVault(w Write) (Vault, error) {
	id, apiVersion, location, in := w.ID, w.APIVersion, w.Location, w.Input
	if location == "" {
		return Vault{}, azerr.VaultMissingProperty("location")
	}
	loc := ids.ParseLocation(location)
	if !loc.Known() {
		return Vault{}, azerr.VaultRegionNotSupported(location)
	}
	canonical := ids.ID{Subscription: id.Subscription, ResourceGroup: id.ResourceGroup, Namespace: "Microsoft.KeyVault",
		Segments: []ids.Segment{{Type: "vaults", Name: id.Names()[0]}}}
	v := Vault{Incarnation: newVersion(), Name: id.Names()[0], ResourceID: canonical.String(), Subscription: id.Subscription,
		ResourceGroup: id.ResourceGroup, Location: string(loc), Tags: w.Tags, AccessPolicies: []AccessPolicy{},
		RBAC: apiVersion >= "2026-02-01"}
	switch {
	case in.TenantID == nil:
		return Vault{}, azerr.VaultMissingProperty("tenantId")
	case in.SKU == nil:
		return Vault{}, azerr.VaultMissingProperty("sku")
	}
	if err := in.applyProtection(&v, true, apiVersion <= "2019-09-01"); err != nil {
		return Vault{}, err
	}
	if err := in.apply(&v); err != nil {
		return Vault{}, err
	}
	if in.AccessPolicies == nil && !v.RBAC {
		return Vault{}, azerr.VaultMissingProperty("accessPolicies")
	}
	return v, nil
}

// updated is a PUT over a live vault. What the client does not name stays,
// apart from the tags: the firewall must not open because a template is silent.
func updated(v Vault, w Write) (Vault, error) {
	location, in := w.Location, w.Input
	if location != "" && string(ids.ParseLocation(location)) != v.Location {
		return Vault{}, azerr.InvalidResourceLocation(v.Name, v.Location, v.ResourceGroup, string(ids.ParseLocation(location)))
	}
	if err := in.applyProtection(&v, false, false); err != nil {
		return Vault{}, err
	}
	if err := in.apply(&v); err != nil {
		return Vault{}, err
	}
	v.Tags = w.Tags
	return v, nil
}

// recovered brings a deleted vault back as it was. Only createMode is needed;
// tenant, sku and policies come from the deleted vault.
func recovered(v Vault, w Write) (Vault, error) {
	location, in := w.Location, w.Input
	if location != "" && string(ids.ParseLocation(location)) != v.Location {
		return Vault{}, azerr.SoftDeletedVaultDoesNotExist()
	}
	if in.TenantID != nil && !strings.EqualFold(*in.TenantID, v.TenantID) {
		return Vault{}, azerr.VaultInvalidValue("tenantId")
	}
	if in.PurgeProtection != nil && !*in.PurgeProtection { // refused wherever it stands
		return Vault{}, azerr.VaultPurgeProtectionFixed()
	}
	v.Deleted = nil
	return v, nil
}

// Patch changes what the client names. tags nil leaves the tags alone.
func (s *Service) Patch(ctx context.Context, id ids.ID, tags map[string]string, in Input, by authz.Principal) (Vault, error) {
	if err := checkTags(tags); err != nil {
		return Vault{}, err
	}
	if _, err := in.recover(); err != nil {
		return Vault{}, err
	}
	return s.change(ctx, "vaults/write", id, by, func(v *Vault) error {
		if err := in.applyProtection(v, false, false); err != nil {
			return err
		}
		if tags != nil {
			v.Tags = tags
		}
		return in.apply(v)
	})
}

// Get returns the live vault of id.
func (s *Service) Get(ctx context.Context, id ids.ID) (Vault, error) {
	var v Vault
	err := s.Store.View(ctx, func(tx store.Tx) error {
		have, ok, err := s.live(tx, id.Names()[0])
		if err == nil && (!ok || !have.at(id)) {
			err = notFound(id)
		}
		v = have
		return err
	})
	if err != nil {
		return Vault{}, err
	}
	return v, nil
}

// all lists the vaults that keep reports, ordered by name.
func (s *Service) all(ctx context.Context, keep func(*Vault) bool) ([]Vault, error) {
	var out []Vault
	err := s.Store.View(ctx, func(tx store.Tx) error {
		vaults, err := store.ListJSON[Vault](tx, vaultBucket, "")
		out = slices.DeleteFunc(vaults, func(v Vault) bool {
			return v.Deleted != nil && !s.now().Before(v.Deleted.PurgeAt) || !keep(&v)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list vaults: %w", err)
	}
	return out, nil
}

// List returns the live vaults of a subscription, or of one group when group is not empty.
func (s *Service) List(ctx context.Context, subscription, group string) ([]Vault, error) {
	return s.all(ctx, func(v *Vault) bool {
		return v.Deleted == nil && strings.EqualFold(v.Subscription, subscription) && (group == "" || strings.EqualFold(v.ResourceGroup, group))
	})
}

// Delete soft-deletes the vault, or removes it for good when it has no soft
// delete. It reports false when there is no such vault.
func (s *Service) Delete(ctx context.Context, id ids.ID, by authz.Principal) (existed bool, err error) {
	defer s.recorded(ctx, "vaults/delete", id.String(), by, &err)
	var name string
	err = s.update(ctx, func(tx store.Tx) error {
		v, ok, err := s.live(tx, id.Names()[0])
		if err != nil || !ok || !v.at(id) {
			return err
		}
		name = v.Name
		if !v.SoftDelete {
			return s.dropVault(tx, v)
		}
		if err := s.unassign(tx, v.ResourceID); err != nil { // a recovered vault comes back without them
			return err
		}
		now := s.now()
		v.Deleted = &Deletion{At: now, PurgeAt: now.Add(time.Duration(v.RetentionDays) * 24 * time.Hour)}
		v.Updated, v.UpdatedBy = now, actorOf(by)
		return putVault(tx, v)
	})
	if err != nil || name == "" {
		return false, err
	}
	s.keys.clear()
	s.hint(name)
	return true, nil
}

// DeletedVaults lists the soft-deleted vaults of a subscription.
func (s *Service) DeletedVaults(ctx context.Context, subscription string) ([]Vault, error) {
	return s.all(ctx, func(v *Vault) bool { return v.Deleted != nil && strings.EqualFold(v.Subscription, subscription) })
}

// DeletedVault returns one soft-deleted vault.
func (s *Service) DeletedVault(ctx context.Context, subscription, location, name string) (Vault, error) {
	var v Vault
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		v, err = s.deletedVault(tx, subscription, location, name)
		return err
	})
	if err != nil {
		return Vault{}, err
	}
	return v, nil
}

func (s *Service) deletedVault(tx store.Tx, subscription, location, name string) (Vault, error) {
	v, ok, err := s.lookup(tx, name)
	if err != nil {
		return Vault{}, err
	}
	if !ok || v.Deleted == nil || !strings.EqualFold(v.Subscription, subscription) || string(ids.ParseLocation(location)) != v.Location {
		return Vault{}, azerr.DeletedVaultNotFound(name)
	}
	return v, nil
}

// Purge removes a soft-deleted vault with everything in it; a purge-protected
// one is refused. It returns the incarnation that is gone.
func (s *Service) Purge(ctx context.Context, subscription, location, name string, by authz.Principal) (incarnation string, err error) {
	defer s.recorded(ctx, "vaults/purge", "/subscriptions/"+subscription+"/providers/Microsoft.KeyVault/locations/"+location+"/deletedVaults/"+name, by, &err)
	err = s.update(ctx, func(tx store.Tx) error {
		v, err := s.deletedVault(tx, subscription, location, name)
		if err != nil {
			return err
		}
		if v.PurgeProtection {
			return azerr.VaultPurgeNotAllowed()
		}
		incarnation = v.Incarnation
		return s.dropVault(tx, v)
	})
	if err != nil {
		return "", err
	}
	s.keys.clear()
	s.hint(name)
	return incarnation, nil
}

// Exists reports whether the incarnation of a vault is still there, live or deleted.
func (s *Service) Exists(ctx context.Context, name, incarnation string) (bool, error) {
	found := false
	err := s.Store.View(ctx, func(tx store.Tx) error {
		v, ok, err := s.lookup(tx, name)
		found = ok && v.Incarnation == incarnation
		return err
	})
	return found, err
}

// CheckName says whether a vault of that name could be made; reason and message
// are empty when it could. A soft-deleted name counts as taken.
func (s *Service) CheckName(ctx context.Context, name string) (reason, message string, err error) {
	if !ValidName(name) {
		return "AccountNameInvalid", azerr.VaultNameNotValidText(name), nil
	}
	err = s.Store.View(ctx, func(tx store.Tx) error {
		_, ok, err := s.lookup(tx, name)
		if ok {
			reason, message = "AlreadyExists", azerr.VaultAlreadyExistsText(name)
		}
		return err
	})
	return reason, message, err
}
