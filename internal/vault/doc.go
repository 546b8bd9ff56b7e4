// Package vault is the Key Vault service: vaults, their access policies and
// firewall, keys with versions, secrets, soft delete and rotation, and the
// data plane that *.vault.azure.net answers.
//
// [Service] holds the domain; it keeps everything in a store.Store that seals
// its values. [Vault] is one vault, live or soft-deleted; [Caller] is who asks,
// and every data-plane operation is admitted by [Service] against the vault's
// firewall and its access policies or role assignments. [Service.Handler] is
// the data plane over HTTP; the management plane is internal/rp/keyvault.
//
// It must never put a private key or a secret value into a log line, an error,
// a listing or an ARM answer, never hand a private key to anybody (not even to
// its own handlers: they get results), and never answer an operation that the
// caller's permissions, the firewall or the state of the key refuses.
package vault
