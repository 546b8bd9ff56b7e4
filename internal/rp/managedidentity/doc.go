// Package managedidentity is the provider of Microsoft.ManagedIdentity:
// user-assigned identities. The resource is kept here; the service principal
// that it stands for is the directory's, made and removed in the same
// transaction, so that neither is ever there without the other.
//
// Federated credentials are the directory's too, which lets them in; a
// credential of an issuer elsewhere must bring the issuer's keys.
package managedidentity
