// Package envelope is the key chain of a cluster: a KEK in a vault (or the
// platform's own) wraps the cluster key, the cluster key wraps database keys,
// a database key wraps the DEK of each extent and WAL segment.
//
// [KeyWrapper] is the one thing a KEK does; [Keyring] keeps a cluster's chain
// in the store and its cluster key in memory while it is unlocked. See
// DESIGN.md for the states and docs/format.md for the bytes.
//
// It must never persist an unwrapped key, never keep one after Lock, never
// keep an old wrap in force after ChangeKEK, and never guess: a KEK that
// refuses is ErrRevoked, one that cannot be asked is ErrUnavailable.
package envelope
