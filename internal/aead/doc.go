// Package aead is authenticated encryption as every sealed thing of ours uses
// it: [Key] holds 32 bytes that print as REDACTED and can be wiped, Seal puts a
// random nonce in front of the ciphertext. A key is for AES-256-GCM, except in
// the second layer of a doubly encrypted cluster; [Layered] joins two ciphers.
//
// It must never hand out key bytes except through [Key.Reveal], whose callers
// are the places that wrap one key with another.
package aead
