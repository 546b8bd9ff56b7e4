// Package aead is AES-256-GCM as every sealed thing of ours uses it: [Key]
// holds 32 bytes that print as REDACTED and can be wiped, Seal puts a random
// 96-bit nonce in front of the ciphertext.
//
// It must never hand out key bytes except through [Key.Reveal], whose callers
// are the places that wrap one key with another.
package aead
