package authz

import "context"

// Authorizer decides over actions ("Microsoft.Kusto/clusters/write") and data
// actions ("Microsoft.KeyVault/vaults/keys/read") at a scope, which is an ARM
// id. It must deny what no rule allows; an error means no decision could be
// made and counts as a refusal.
type Authorizer interface {
	Authorize(ctx context.Context, p Principal, action, scope string) (Decision, error)
	AuthorizeData(ctx context.Context, p Principal, dataAction, scope string) (Decision, error)
}
