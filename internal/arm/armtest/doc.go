// Package armtest is the control plane as the server composes it, over a store
// in memory and without vaults and clusters, for tests of what several parts do
// together. A [House] answers as the wire would; [House.Do] speaks as the first
// principal, the owner of the first subscription.
//
// It must be imported by tests only.
package armtest
