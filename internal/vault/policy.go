package vault

import (
	"context"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const maxPolicies = 1024

// permissionNames are the names an access policy may hold, in lower case, in
// the order of Permissions.lists.
func permissionNames() [4]string {
	return [4]string{
		"all encrypt decrypt wrapkey unwrapkey sign verify get list create update import delete backup restore recover purge release rotate getrotationpolicy setrotationpolicy",
		"all get list set delete backup restore recover purge",
		"all get list delete create import update managecontacts getissuers listissuers setissuers deleteissuers manageissuers recover purge backup restore",
		"all get list delete set update regeneratekey recover purge backup restore setsas listsas getsas deletesas",
	}
}

// checkPolicy validates an entry for a vault of the tenant and brings absent
// lists to empty ones.
func checkPolicy(p *AccessPolicy, tenant string) error {
	if !strings.EqualFold(p.TenantID, tenant) || !ids.IsGUID(p.ObjectID) || p.ApplicationID != "" && !ids.IsGUID(p.ApplicationID) {
		return azerr.VaultInvalidValue("accessPolicies")
	}
	names, lists := permissionNames(), p.Permissions.lists()
	for i, list := range lists {
		known := strings.Fields(names[i])
		for _, name := range *list {
			if !slices.Contains(known, strings.ToLower(name)) {
				return azerr.VaultInvalidValue("accessPolicies.permissions")
			}
		}
	}
	for _, list := range lists[:3] {
		if *list == nil {
			*list = []string{}
		}
	}
	return nil
}

// holds reports whether a permission list grants the permission. The literal
// "all" grants everything, purge included: az stores it and purges with it.
func holds(list []string, permission string) bool {
	return slices.ContainsFunc(list, func(name string) bool {
		return strings.EqualFold(name, permission) || strings.EqualFold(name, "all")
	})
}

// grants reports whether an access policy of v gives the principal the
// permission on keys or secrets.
func (v *Vault) grants(p authz.Principal, area area, permission string) bool {
	for _, e := range v.AccessPolicies {
		if !p.Has(e.ObjectID) || !strings.EqualFold(e.TenantID, p.TenantID) {
			continue
		}
		if e.ApplicationID != "" && !strings.EqualFold(e.ApplicationID, p.Application()) {
			continue
		}
		list := e.Permissions.Keys
		if area == areaSecrets {
			list = e.Permissions.Secrets
		}
		if holds(list, permission) {
			return true
		}
	}
	return false
}

// PolicyChange is the kind of an accessPolicies write.
type PolicyChange string

// The three kinds: add unions permissions into the identity's entry, replace
// replaces that identity's entry, remove takes permissions away and drops an
// entry that becomes empty. Entries of other identities stay as they are.
const (
	PolicyAdd     PolicyChange = "add"
	PolicyReplace PolicyChange = "replace"
	PolicyRemove  PolicyChange = "remove"
)

// ChangePolicies applies entries to the vault and returns it.
func (s *Service) ChangePolicies(ctx context.Context, id ids.ID, kind PolicyChange, entries []AccessPolicy, by authz.Principal) (Vault, error) {
	kind = PolicyChange(strings.ToLower(string(kind)))
	if kind != PolicyAdd && kind != PolicyReplace && kind != PolicyRemove {
		return Vault{}, azerr.VaultBadRequest("The access policy operation '" + string(kind) + "' is not one of add, replace, remove.")
	}
	return s.change(ctx, "vaults/accessPolicies/"+string(kind), id, by, func(v *Vault) error {
		for _, e := range entries {
			if e.TenantID == "" {
				e.TenantID = v.TenantID
			}
			if err := checkPolicy(&e, v.TenantID); err != nil {
				return err
			}
			v.AccessPolicies = changePolicy(v.AccessPolicies, kind, e)
		}
		if len(v.AccessPolicies) > maxPolicies {
			return azerr.VaultInvalidValue("accessPolicies")
		}
		return nil
	})
}

// changePolicy returns the list with one entry's change applied; the input is
// left untouched.
func changePolicy(list []AccessPolicy, kind PolicyChange, e AccessPolicy) []AccessPolicy {
	list = slices.Clone(list)
	at := slices.IndexFunc(list, e.same)
	switch {
	case kind == PolicyRemove && at < 0:
		return list
	case at < 0:
		return append(list, e)
	case kind == PolicyReplace:
		list[at] = e
		return list
	}
	merged := list[at]
	for i, have := range merged.Permissions.lists() {
		given := *e.Permissions.lists()[i]
		*have = slices.Clone(*have)
		if kind == PolicyRemove {
			*have = slices.DeleteFunc(*have, func(name string) bool { return containsFold(given, name) })
			continue
		}
		for _, name := range given {
			if !containsFold(*have, name) {
				*have = append(*have, name)
			}
		}
	}
	if kind == PolicyRemove && merged.Permissions.empty() {
		return slices.Delete(list, at, at+1)
	}
	list[at] = merged
	return list
}

func containsFold(list []string, name string) bool {
	return slices.ContainsFunc(list, func(have string) bool { return strings.EqualFold(have, name) })
}

// change runs fn on the live vault of id in one transaction and stores it.
func (s *Service) change(ctx context.Context, operation string, id ids.ID, by authz.Principal, fn func(*Vault) error) (out Vault, err error) {
	defer s.recorded(ctx, operation, id.String(), by, &err)
	err = s.update(ctx, func(tx store.Tx) error {
		v, ok, err := s.live(tx, id.Names()[0])
		if err != nil {
			return err
		}
		if !ok || !v.at(id) {
			return notFound(id)
		}
		if err := fn(&v); err != nil {
			return err
		}
		v.Updated, v.UpdatedBy = s.now(), actorOf(by)
		out = v
		return putVault(tx, v)
	})
	if err != nil {
		return Vault{}, err
	}
	s.hint(out.Name)
	return out.clone(), nil
}
