// Package pkcs11 is a barrier.Seal whose key is an AES-256 key inside a token
// that speaks PKCS #11: a hardware module, or SoftHSM for tests. The key is made
// in the token as sensitive and not extractable; the root key is encrypted by
// the token with AES-GCM.
//
// [Seal] is made by [Open] or [Create] from an [Address] (RFC 7512). The module
// is loaded at run time without cgo. It must never make a key where one was
// expected, and never take the PIN from an argument.
package pkcs11
