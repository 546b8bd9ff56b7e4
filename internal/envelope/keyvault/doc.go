// Package keyvault reaches customers' keys in vaults, as a cluster's managed
// identity, over the public Key Vault API and nothing else: whatever a user's
// client would be refused, this package is refused too. A vault of another
// tenant it reaches as an application that trusts the identity and signs in
// there, over the public token endpoint. [Vaults] makes the
// envelope's key wrappers and answers the questions of the checks that come
// before a key is accepted; [Hosts] decides which addresses may be called at all.
//
// It must never follow a redirect, never carry a token to a host that Hosts
// does not admit, and never read network trouble as a refusal: a refusal
// suspends a cluster.
package keyvault
