// Package seals makes a barrier.Seal from what `--seal` says: a file, a
// passphrase, a token that speaks PKCS #11, or a key in a vault elsewhere.
//
// It must never make a seal where one was expected: [Open] is for data that
// there is, [Create] for a first start and for a change of seals.
package seals
