// Package providertest is the suite that every resource provider must pass.
// A provider's test calls [Run] once per tracked type with what the type needs
// ([Suite]); the suite drives it through a real front door, as Azure's clients
// do: creation, reading, lists, change, deletion, absent parents, names in any
// case, api-versions, bad bodies, strangers, many callers at once, a restart.
//
// docs/providers.md tells how to write a provider.
package providertest
