// Package vaultseal is a barrier.Seal whose key is a key in a vault elsewhere:
// Azure Key Vault, or another instance of this server. Wrapping and unwrapping
// go over the vault's public API with RSA-OAEP-256.
//
// [Seal] is made by [New] from the key's address and a credential. The root key
// is sealed under a random key first and only that key goes to the vault, so
// the vault never sees the root key. It must follow no redirect.
package vaultseal
