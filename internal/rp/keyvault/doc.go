// Package keyvault is the resource provider Microsoft.KeyVault: vaults, access
// policies, soft-deleted vaults, and keys and secrets as ARM sub-resources.
//
// [New] returns the provider.Provider. It shapes requests and answers; every
// rule lives in package vault.
//
// It must never return a secret's value or private key material, and never
// answer for private endpoints or managed HSMs, which are refused by name.
package keyvault
