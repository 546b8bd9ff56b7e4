// Package directory is the tenant: applications, service principals and
// managed identities, the sign-in endpoints that turn a proof into an access
// token, the part of Microsoft Graph that clients call, and the instance
// metadata endpoint for user-assigned identities.
//
// [Directory] holds it all in the store; [Directory.Verify] checks a token and
// gives the caller as an authz.Principal, or a [TokenError] that says what was
// wrong so that each plane can word its own refusal. [ManagedIdentity] is made
// and deleted inside the transaction of the resource that owns it.
//
// It must never log a request body, a secret or a token, store a client secret
// it can avoid storing, sign for an audience or a tenant it does not know, or
// let anyone outside the process have the token of a system-assigned identity.
package directory
