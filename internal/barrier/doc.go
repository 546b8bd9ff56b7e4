// Package barrier seals everything of our own state that reaches a disk.
//
// A [Seal] wraps one root key; the root key seals numbered data keys; the
// newest data key seals values (docs/format.md, "Barrier"). The root and data
// keys live in a keyring file in the data directory; the seal lives elsewhere.
// [Barrier] satisfies store.Sealer. The seal that is built in, [FileSeal], is
// 32 random bytes in a file: whoever holds that file and the data directory
// holds everything, and it says so.
//
// It must never write a key in clear, and never make a new seal or keyring
// where one was expected.
package barrier
