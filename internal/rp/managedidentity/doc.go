// Package managedidentity is the provider of Microsoft.ManagedIdentity:
// user-assigned identities. The resource is kept here; the service principal
// that it stands for is the directory's, made and removed in the same
// transaction, so that neither is ever there without the other.
//
// Not built, and refused by name: federated credentials, and identities/default
// (the system-assigned identity of another resource).
package managedidentity
