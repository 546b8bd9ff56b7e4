// Package passphrase is a barrier.Seal whose key is derived from a passphrase
// with argon2id. The parameters and a fresh salt stand in the wrapped root key,
// so they can grow with the machines (docs/format.md, "Other seals").
//
// [Seal] is made by [New] from a passphrase that [Read] took from a descriptor,
// a file or a terminal. It must never take one from an argument, where every
// process can read it, and never keep it longer than the Seal lives.
package passphrase
