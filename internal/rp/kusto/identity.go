package kusto

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// identity is who a cluster is: its own service principal, and the
// user-assigned identities that were given to it.
type identity struct {
	System *ServicePrincipal `json:"system,omitempty"`
	User   []assigned        `json:"user,omitempty"`
}

// assigned is a user-assigned identity; ID is as the client wrote it.
type assigned struct {
	ID string `json:"id"`
	ServicePrincipal
}

func (i identity) clone() identity {
	c := identity{User: slices.Clone(i.User)}
	if i.System != nil {
		s := *i.System
		c.System = &s
	}
	return c
}

// typ is the identity type as the service writes it.
func (i identity) typ() string {
	switch {
	case i.System != nil && len(i.User) > 0:
		return "SystemAssigned, UserAssigned"
	case i.System != nil:
		return "SystemAssigned"
	case len(i.User) > 0:
		return "UserAssigned"
	}
	return "None"
}

// find returns the user-assigned identity with this id, compared without case.
func (i identity) find(id string) (assigned, bool) {
	key := idKey(id)
	for _, u := range i.User {
		if idKey(u.ID) == key {
			return u, true
		}
	}
	return assigned{}, false
}

// idKey brings an ARM id to the form that is compared.
func idKey(text string) string {
	id, err := ids.Parse(text)
	if err != nil {
		return strings.ToLower(text)
	}
	return id.Key()
}

// wantsSystem says that the system identity is still to be made.
func (i identity) wantsSystem() bool { return i.System != nil && i.System.ObjectID == "" }

const assignAction = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"

// ServicePrincipal names a service principal that a cluster acts as.
type ServicePrincipal struct {
	ObjectID string `json:"objectId"`
	ClientID string `json:"clientId"`
	TenantID string `json:"tenantId"`
}

// identityRequest says how an identity block is read.
type identityRequest struct {
	patch     bool
	preflight bool // the identities may be made by the same template: do not look for them
	caller    authz.Principal
	cluster   string // ARM id, for refusals
}

// mergeIdentity reads an identity block over the present one. An absent or
// null block leaves it as it is, in PUT as in PATCH: the published template for
// customer-managed keys has none and must not take the identity away.
func (p *Provider) mergeIdentity(ctx context.Context, raw json.RawMessage, present identity, r identityRequest) (identity, error) {
	if isNull(raw) {
		return present.clone(), nil
	}
	o, err := asObject("identity", raw)
	if err != nil {
		return identity{}, err
	}
	typ, err := o.text("identity.type", "type", "")
	if err != nil {
		return identity{}, err
	}
	if typ == "" && r.patch && o.has("userAssignedIdentities") {
		typ = present.typ()
	}
	system, user, ok := identityKinds(typ)
	if !ok {
		return identity{}, azerr.KustoInvalidMember("identity.type", "one of None, SystemAssigned, UserAssigned, 'SystemAssigned, UserAssigned'")
	}
	var out identity
	if system {
		out.System = present.clone().System
		if out.System == nil {
			out.System = &ServicePrincipal{} // made by the accepting transaction
		}
	}
	if !user {
		return out, refuseEntries(o)
	}
	entries := map[string]json.RawMessage{}
	if o.has("userAssignedIdentities") {
		if err := json.Unmarshal(o.get("userAssignedIdentities"), &entries); err != nil {
			return identity{}, azerr.KustoInvalidMember("identity.userAssignedIdentities", "an object whose names are resource ids")
		}
	}
	if r.patch || len(entries) == 0 {
		out.User = slices.Clone(present.User)
	}
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if isNull(entries[name]) {
			out.User = slices.DeleteFunc(out.User, func(a assigned) bool { return idKey(a.ID) == idKey(name) })
			continue
		}
		if _, err := asObject("identity.userAssignedIdentities", entries[name]); err != nil {
			return identity{}, err
		}
		a, err := p.assignable(ctx, name, present, r)
		if err != nil {
			return identity{}, err
		}
		out.User = slices.DeleteFunc(out.User, func(old assigned) bool { return idKey(old.ID) == idKey(name) })
		out.User = append(out.User, a)
	}
	if len(out.User) == 0 && !system && len(entries) == 0 {
		return identity{}, azerr.KustoInvalidMember("identity.userAssignedIdentities", "given when the type is UserAssigned")
	}
	return out, nil
}

// refuseEntries refuses identities under a type that has none; null entries ask for their removal and are fine.
func refuseEntries(o body) error {
	if !o.has("userAssignedIdentities") {
		return nil
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(o.get("userAssignedIdentities"), &entries); err != nil {
		return azerr.KustoInvalidMember("identity.userAssignedIdentities", "an object whose names are resource ids")
	}
	for _, v := range entries {
		if !isNull(v) {
			return azerr.KustoInvalidMember("identity.userAssignedIdentities", "absent unless the type has UserAssigned in it")
		}
	}
	return nil
}

func identityKinds(typ string) (system, user, ok bool) {
	switch strings.ToLower(strings.ReplaceAll(typ, " ", "")) {
	case "none":
		return false, false, true
	case "systemassigned":
		return true, false, true
	case "userassigned":
		return false, true, true
	case "systemassigned,userassigned", "userassigned,systemassigned":
		return true, true, true
	}
	return false, false, false
}

// assignable resolves an identity that the request adds. The caller must be
// allowed to assign it: otherwise a cluster would lend its writer somebody
// else's access.
func (p *Provider) assignable(ctx context.Context, text string, present identity, r identityRequest) (assigned, error) {
	have, there := present.find(text)
	id, err := ids.Parse(text)
	if err != nil || !strings.EqualFold(id.Type(), "Microsoft.ManagedIdentity/userAssignedIdentities") || !id.IsResource() || id.ResourceGroup == "" {
		return assigned{}, azerr.KustoInvalidMember("identity.userAssignedIdentities", "an object whose names are ids of user-assigned identities")
	}
	if r.preflight {
		return assigned{ID: text, ServicePrincipal: have.ServicePrincipal}, nil
	}
	found, ok, err := p.users.UserIdentity(ctx, id)
	if err != nil {
		return assigned{}, err
	}
	if there && (!ok || found.ObjectID == have.ObjectID) {
		return have, nil // already given; that the resource is gone by now is no concern of this request
	}
	d, err := p.authorizer.Authorize(ctx, r.caller, assignAction, id.String())
	if err != nil {
		return assigned{}, err
	}
	if !d.Allowed {
		return assigned{}, azerr.LinkedAuthorizationFailed(r.caller.AppID, r.caller.ObjectID, "Microsoft.Kusto/clusters/write", r.cluster, assignAction, id.String())
	}
	if !ok {
		return assigned{}, azerr.KustoBadRequest("The user-assigned identity '" + text + "' was not found.")
	}
	return assigned{ID: text, ServicePrincipal: found}, nil
}

// sameIdentity compares what was asked for; a system identity still to be made is a change.
func sameIdentity(a, b identity) bool {
	if (a.System == nil) != (b.System == nil) || len(a.User) != len(b.User) || b.wantsSystem() {
		return false
	}
	for _, u := range a.User {
		if v, ok := b.find(u.ID); !ok || v.ObjectID != u.ObjectID {
			return false
		}
	}
	return true
}

// wire is the identity block of an answer. The first answer of a creation has
// no ids yet.
func (i identity) wire(withIDs bool) object {
	var o object
	if i.System != nil && withIDs && !i.wantsSystem() {
		o.add("principalId", i.System.ObjectID)
		o.add("tenantId", i.System.TenantID)
	}
	o.add("type", i.typ())
	if len(i.User) > 0 {
		var users object
		for _, u := range i.User {
			users.add(u.ID, object{{"principalId", u.ObjectID}, {"clientId", u.ClientID}})
		}
		o.add("userAssignedIdentities", users)
	}
	return o
}
