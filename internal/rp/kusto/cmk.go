package kusto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
)

// The checks of a customer-managed key, in this order. They run before a
// request is accepted, and 4 to 9 once more inside the operation, because the
// world may have changed.
//
//	1 shape                                     InvalidKeyVaultProperties
//	2 the cluster exists                        CannotProvideKeyVaultPropertiesDuringCreation
//	3 an identity can reach the key             KeyVaultPropertiesOnlyForSystemAssignedResources, InvalidKeyVaultProperties
//	4 the vault exists                          KeyVaultNotFound
//	5 soft delete, then purge protection        KeyVaultNotSoftDeleteEnabled, KeyVaultNotPurgeProtected
//	6 same region, same tenant (*)              InvalidKeyVaultProperties
//	7 get key, as the identity                  IdentityDoesNotHaveAccessToKeyVault, KeyNotFound
//	8 type, size, state, operations of the key  InvalidKeyVaultProperties
//	9 wrap and unwrap a probe                   IdentityDoesNotHaveAccessToKeyVault
//
// (*) With a federatedIdentityClientId any tenant: then 7 and 9 are done as that
// application, which signs in to the vault's tenant by a token of the identity.

// invalidKey is InvalidKeyVaultProperties with the reason for the log.
func invalidKey(why string) error {
	return azerr.InvalidKeyVaultProperties().Because(errors.New(why))
}

// planKey reads what the request says about the key into pl, and checks it.
func (p *Provider) planKey(ctx context.Context, req *provider.Request, pl *plan, preflight bool) error {
	key, err := p.readKeyRequest(pl.sent, req.Shape) // 1
	if err != nil {
		return err
	}
	if key.given && !key.off {
		if err := p.checkCreation(req.Shape, pl, key.properties); err != nil { // 2
			return err
		}
	}
	after := pl.after
	key.keepWhatVersionsLack(req.Shape, after.KeyVault)
	switch {
	case key.off:
		after.KeyVault = nil
	case key.given:
		after.KeyVault = &key.properties
	}
	if after.KeyVault != nil {
		if err := p.checkIdentity(after); err != nil { // 3
			return err
		}
	}
	if pl.before != nil {
		if err := p.checkDatabaseIdentities(ctx, pl.before, after); err != nil {
			return err
		}
	}
	var before *keyVaultProperties
	if pl.before != nil {
		before = pl.before.KeyVault
	}
	pl.rekey = !sameKey(before, after.KeyVault) || after.KeyVault != nil && p.otherPrincipal(pl.before, after) || p.refresh(req, key, after)
	if !pl.rekey || preflight {
		return nil
	}
	if err := p.keyReachable(ctx, pl.before, after.kek()); err != nil {
		return err
	}
	if after.KeyVault == nil {
		return nil
	}
	return p.checkKey(ctx, after)
}

// refresh reports a PATCH that repeats a key without a version: it asks for
// the newest version now.
func (p *Provider) refresh(req *provider.Request, key keyRequest, after *record) bool {
	return req.Method == http.MethodPatch && key.given && !key.off && after.KeyVault.KeyVersion == ""
}

// otherPrincipal reports that the same key is reached as somebody else from
// now on: the identity was made anew.
func (p *Provider) otherPrincipal(before, after *record) bool {
	return before == nil || before.kek().Identity != after.kek().Identity
}

// checkCreation is check 2. A cluster can be created under a customer's key
// only with a user-assigned identity that the same request gives it: the access
// of any other identity cannot exist yet.
func (p *Provider) checkCreation(shape string, pl *plan, kv keyVaultProperties) error {
	if !pl.create {
		return nil
	}
	if shape >= v20200918 && !p.rules2020 && kv.UserIdentity != "" {
		if _, ok := pl.after.Identity.find(kv.UserIdentity); ok {
			return nil
		}
	}
	return azerr.CannotProvideKeyVaultPropertiesDuringCreation()
}

// checkIdentity is check 3, on the cluster as the request leaves it. It also
// refuses to take away the identity in use.
func (p *Provider) checkIdentity(after *record) error {
	kv := after.KeyVault
	switch {
	case kv.UserIdentity == "" && after.Identity.System == nil, kv.UserIdentity != "" && p.rules2020:
		return azerr.KeyVaultPropertiesOnlyForSystemAssignedResources()
	case kv.UserIdentity == "":
		return nil
	}
	if _, ok := after.Identity.find(kv.UserIdentity); !ok {
		return invalidKey("userIdentity is not assigned to the cluster")
	}
	return nil
}

// keyReachable refuses a change of key while the present one is away: the
// cluster key can only be re-wrapped after it was unwrapped once more. The
// refusal names the present vault. Another identity to the same key may try.
func (p *Provider) keyReachable(ctx context.Context, before *record, next envelope.KEK) error {
	if before == nil || before.KeyVault == nil || before.kek().OtherWayTo(next) {
		return nil
	}
	st, err := p.runtime.State(ctx, before.ID)
	switch {
	case err != nil:
		return fmt.Errorf("state of cluster %s: %w", before.Name, err)
	case st.Phase != cluster.Suspended:
		return nil
	case st.Code == "KeyNotFound":
		return azerr.KeyNotFound(before.KeyVault.KeyName, before.KeyVault.KeyVaultURI)
	case st.Code == "KeyVaultUnavailable":
		return azerr.KustoVaultUnreachable(before.KeyVault.KeyVaultURI)
	}
	return azerr.IdentityDoesNotHaveAccessToKeyVault(before.KeyVault.KeyVaultURI)
}

// checkKey is checks 4 to 9 of the key of rec. It notes the vault's tenant where
// an application signs in there, so that the KEK of rec is complete afterwards.
func (p *Provider) checkKey(ctx context.Context, rec *record) error {
	kv := rec.KeyVault
	address, err := p.hosts.Parse(kv.KeyVaultURI)
	if err != nil {
		return invalidKey("keyVaultUri is " + err.Error())
	}
	own := address.Name != ""
	if own {
		if err := p.checkVault(ctx, rec, address.Name); err != nil { // 4, 5, 6
			return err
		}
	}
	kek := rec.kek()
	if kek.Identity.ObjectID == "" { // a system identity that this request makes: nobody can have let it in
		return azerr.IdentityDoesNotHaveAccessToKeyVault(kv.KeyVaultURI)
	}
	facts, err := p.keys.Key(ctx, kek) // 7
	if err != nil {
		return p.keyError(err, kv)
	}
	if !own { // 5, as far as the key tells: no management record of that vault is in reach
		if err := checkRecovery(facts.RecoveryLevel, kv.KeyVaultURI); err != nil {
			return err
		}
	}
	if err := p.checkFacts(facts); err != nil { // 8
		return err
	}
	if err := p.keys.Probe(ctx, kek); err != nil { // 9
		return p.keyError(err, kv)
	}
	return nil
}

func (p *Provider) checkVault(ctx context.Context, rec *record, name string) error {
	uri := rec.KeyVault.KeyVaultURI
	vault, ok, err := p.vaults.VaultByName(ctx, name)
	switch {
	case err != nil:
		return fmt.Errorf("read vault %s: %w", name, err)
	case !ok:
		return azerr.KeyVaultNotFound(uri)
	case !vault.SoftDelete: // before purge protection, which cannot exist without it
		return azerr.KeyVaultNotSoftDeleteEnabled(uri)
	case !vault.PurgeProtection:
		return azerr.KeyVaultNotPurgeProtected(uri)
	case vault.Location != rec.Location:
		return invalidKey("the vault is in " + string(vault.Location) + ", the cluster in " + string(rec.Location))
	case rec.KeyVault.FederatedClientID == "" && !strings.EqualFold(vault.TenantID, p.tenant):
		return invalidKey("the vault belongs to another tenant, and there is no federatedIdentityClientId")
	}
	rec.KeyVault.VaultTenantID = ""
	if rec.KeyVault.FederatedClientID != "" {
		rec.KeyVault.VaultTenantID = strings.ToLower(vault.TenantID)
	}
	return nil
}

// checkRecovery reads both protections off a key's recovery level.
func checkRecovery(level, uri string) error {
	switch {
	case level == "" || level == "Purgeable":
		return azerr.KeyVaultNotSoftDeleteEnabled(uri)
	case strings.Contains(level, "Purgeable"):
		return azerr.KeyVaultNotPurgeProtected(uri)
	}
	return nil
}

// checkFacts is check 8.
func (p *Provider) checkFacts(k KeyFacts) error {
	types, sizes := []string{"RSA", "RSA-HSM"}, []int{2048, 3072, 4096}
	if p.rules2020 {
		types, sizes = types[:1], sizes[:1]
	}
	switch {
	case !slices.Contains(types, k.Type):
		return invalidKey("the key is of type " + k.Type)
	case !slices.Contains(sizes, k.Bits):
		return invalidKey(fmt.Sprintf("the key has %d bits", k.Bits))
	case !k.Enabled:
		return invalidKey("the key is disabled")
	case !k.CanWrap || !k.CanUnwrap:
		return invalidKey("the key may not wrap and unwrap")
	}
	return p.checkWindow(k)
}

// checkWindow refuses a key outside nbf..exp: what it wrapped it unwraps, and it
// protects nothing new.
func (p *Provider) checkWindow(k KeyFacts) error {
	now := p.now()
	switch {
	case !k.NotBefore.IsZero() && now.Before(k.NotBefore):
		return invalidKey("the key is not valid yet")
	case !k.Expires.IsZero() && !now.Before(k.Expires):
		return invalidKey("the key has expired")
	}
	return nil
}

// kek is the key of the record as the runtime names it.
func (r *record) kek() envelope.KEK {
	if r.KeyVault == nil {
		return envelope.KEK{Kind: envelope.KindPlatform}
	}
	kek := envelope.KEK{Kind: envelope.KindCustomer, VaultURI: r.KeyVault.KeyVaultURI, KeyName: r.KeyVault.KeyName, KeyVersion: r.KeyVault.KeyVersion}
	if r.KeyVault.UserIdentity == "" {
		if s := r.Identity.System; s != nil {
			kek.Identity = envelope.Identity{ObjectID: s.ObjectID, ClientID: s.ClientID, TenantID: s.TenantID}
		}
		return kek
	}
	if u, ok := r.Identity.find(r.KeyVault.UserIdentity); ok {
		kek.Identity = envelope.Identity{ObjectID: u.ObjectID, ClientID: u.ClientID, TenantID: u.TenantID, ResourceID: u.ID,
			FederatedClientID: strings.ToLower(r.KeyVault.FederatedClientID), VaultTenantID: r.KeyVault.VaultTenantID}
	}
	return kek
}
