// Package kusto is the Microsoft.Kusto resource provider: clusters, databases
// and principal assignments as ARM resources, at every published api-version.
//
// [Provider] decides and records; it holds no data and no keys. What a cluster
// really does (start, stop, take another key, keep databases) is done by a
// [Runtime]; long work runs as a persisted operation ([Operations]) whose steps
// may be repeated after a restart. Customer-managed keys are checked in a fixed
// order, cheapest and least revealing first, before a request is accepted and
// once more inside the operation (see cmk.go).
//
// The package must never answer success for something it has not done: a
// property that would need a feature that is not there is refused by name. It
// must never call a vault itself: keys are reached through a [KeyChecker] as
// the cluster's identity, vault records through a [VaultReader].
package kusto
