package kusto

import (
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
)

// keyVaultProperties names a customer's key. Empty members were not given.
type keyVaultProperties struct {
	KeyVaultURI  string `json:"keyVaultUri"` // as sent
	KeyName      string `json:"keyName"`
	KeyVersion   string `json:"keyVersion"`   // "" follows the newest version
	UserIdentity string `json:"userIdentity"` // "" means the system identity
	// FederatedClientID is the multi-tenant application that trusts UserIdentity
	// and is let in to the vault, "" when the identity is let in itself.
	FederatedClientID string `json:"federatedIdentityClientId,omitempty"`
	// VaultTenantID is where that application signs in: the tenant of the vault
	// when check 6 was passed. It is not shown.
	VaultTenantID string `json:"vaultTenantId,omitempty"`
}

// keyRequest is what a request says about the key.
type keyRequest struct {
	// given is false when the member is absent or null: no change.
	given bool
	// off says that the member is {} or has only empty values: the service's own key again.
	off        bool
	properties keyVaultProperties
}

// readKeyRequest is check 1 of CMK: the shape. Its refusals all have the code
// InvalidKeyVaultProperties, whose text is fixed; the reason goes to the log.
func (p *Provider) readKeyRequest(sent body, shape string) (keyRequest, error) {
	if !sent.has("keyVaultProperties") {
		return keyRequest{}, nil
	}
	o, err := asObject("properties.keyVaultProperties", sent.get("keyVaultProperties"))
	if err != nil {
		return keyRequest{}, invalidKey("keyVaultProperties is not an object")
	}
	var kv keyVaultProperties
	for _, m := range []struct {
		name string
		to   *string
	}{{"keyVaultUri", &kv.KeyVaultURI}, {"keyName", &kv.KeyName}, {"keyVersion", &kv.KeyVersion}, {"userIdentity", &kv.UserIdentity}, {"federatedIdentityClientId", &kv.FederatedClientID}} {
		if *m.to, err = o.text(m.name, m.name, ""); err != nil {
			return keyRequest{}, invalidKey(m.name + " is not a string")
		}
	}
	if shape < v20250214 {
		kv.FederatedClientID = "" // not a member of this version
	}
	if kv == (keyVaultProperties{}) {
		return keyRequest{given: true, off: true}, nil
	}
	if shape < v20190907 {
		return keyRequest{}, invalidKey("the api-version has no customer-managed keys")
	}
	if shape < v20200918 && !o.has("keyVersion") {
		return keyRequest{}, invalidKey("keyVersion is required at this api-version")
	}
	return keyRequest{given: true, properties: kv}, p.checkKeyShape(kv)
}

func (p *Provider) checkKeyShape(kv keyVaultProperties) error {
	if !regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`).MatchString(kv.KeyName) {
		return invalidKey("keyName is missing or malformed")
	}
	if kv.KeyVersion != "" && !regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`).MatchString(kv.KeyVersion) {
		return invalidKey("keyVersion is malformed")
	}
	if p.rules2020 && kv.KeyVersion == "" {
		return invalidKey("keyVersion is required by the rules of 2020")
	}
	if _, err := p.hosts.Parse(kv.KeyVaultURI); err != nil {
		return invalidKey("keyVaultUri is " + err.Error())
	}
	if kv.UserIdentity != "" {
		id, err := ids.Parse(kv.UserIdentity)
		if err != nil || !strings.EqualFold(id.Type(), "Microsoft.ManagedIdentity/userAssignedIdentities") || !id.IsResource() || id.ResourceGroup == "" {
			return invalidKey("userIdentity is not the id of a user-assigned identity")
		}
	}
	return p.checkFederatedShape(kv)
}

// checkFederatedShape is the part of check 1 about an application in between.
// Entra lets an application trust user-assigned identities alone, and an
// operator's own principal reaches the vaults that he allowed by name.
func (p *Provider) checkFederatedShape(kv keyVaultProperties) error {
	if kv.FederatedClientID == "" {
		return nil
	}
	address, err := p.hosts.Parse(kv.KeyVaultURI)
	switch {
	case !ids.IsGUID(kv.FederatedClientID):
		return invalidKey("federatedIdentityClientId is not an application id")
	case kv.UserIdentity == "":
		return invalidKey("federatedIdentityClientId needs a userIdentity that the application trusts")
	case err != nil || address.Name == "":
		return invalidKey("federatedIdentityClientId needs a vault of this server")
	}
	return nil
}

// wire is the member of an answer: null when the service's own key is in force.
func (kv *keyVaultProperties) wire(shape string) any {
	if kv == nil {
		return nil
	}
	o := object{{"keyName", kv.KeyName}, {"keyVersion", kv.KeyVersion}, {"keyVaultUri", kv.KeyVaultURI}}
	if shape >= v20200918 {
		o.add("userIdentity", kv.UserIdentity)
	}
	if shape >= v20250214 && kv.FederatedClientID != "" {
		o.add("federatedIdentityClientId", kv.FederatedClientID)
	}
	return o
}

// sameKey compares keys the way the service does: hosts without case and
// final slash, identities without case.
func sameKey(a, b *keyVaultProperties) bool {
	if a == nil || b == nil {
		return a == b
	}
	return vaultKey(a.KeyVaultURI) == vaultKey(b.KeyVaultURI) && strings.EqualFold(a.KeyName, b.KeyName) && strings.EqualFold(a.KeyVersion, b.KeyVersion) &&
		idKey(a.UserIdentity) == idKey(b.UserIdentity) && strings.EqualFold(a.FederatedClientID, b.FederatedClientID)
}

// keepWhatVersionsLack leaves the identity of a key alone when the request's
// version has no member for it and names the same key: a client that writes back
// what it read, or sets another version, has not asked for it.
func (key *keyRequest) keepWhatVersionsLack(shape string, present *keyVaultProperties) {
	kv := &key.properties
	if !key.given || key.off || present == nil || vaultKey(kv.KeyVaultURI) != vaultKey(present.KeyVaultURI) || !strings.EqualFold(kv.KeyName, present.KeyName) {
		return
	}
	if shape < v20200918 && kv.UserIdentity == "" {
		kv.UserIdentity = present.UserIdentity
	}
	if shape < v20250214 && kv.UserIdentity != "" {
		kv.FederatedClientID = present.FederatedClientID
	}
	if kv.FederatedClientID != "" {
		kv.VaultTenantID = present.VaultTenantID // until check 6 looks again
	}
}

func vaultKey(uri string) string { return strings.TrimSuffix(strings.ToLower(uri), "/") }
