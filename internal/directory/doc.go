// Package directory is the tenant: applications, service principals, managed
// identities, users and groups; the sign-in endpoints and pages that turn a
// secret, a certificate, a federated token or a person's password into tokens;
// the part of Microsoft Graph that clients call; and the instance metadata
// endpoint for user-assigned identities.
//
// [Directory] holds it all in the store; [Directory.Verify] checks a token and
// gives the caller as an authz.Principal, or a [TokenError] that says what was
// wrong so that each plane can word its own refusal. [ManagedIdentity] is made
// and deleted inside the transaction of the resource that owns it.
// [Directory.Run] does what time makes due: signing keys change every month.
//
// It must never log a request body, a secret or a token, store a client secret
// or a password it can avoid storing, sign for an audience or a tenant it does
// not know, call any other host, let a person have the rights of the
// application he signs in through, or let anyone outside the process have the
// token of a system-assigned identity.
package directory
