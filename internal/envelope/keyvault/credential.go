package keyvault

import (
	"context"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Resource is the only audience a cluster's identity asks for here.
const Resource = "https://vault.azure.net"

func (v *Vaults) credential(address Address, identity envelope.Identity) azcore.TokenCredential {
	if address.Name == "" && v.external != nil || v.hosts.allowed[address.Host] && v.external != nil {
		return v.external
	}
	if identity.FederatedClientID != "" {
		return &federatedCredential{v.tokens, identity, v.signInPipeline()}
	}
	return &credential{v.tokens, identity}
}

// credential is a cluster's identity.
type credential struct {
	tokens   Tokens
	identity envelope.Identity
}

// GetToken signs a token for the vaults' resource. A challenge that asks for
// another audience or tenant is refused: the host must not choose what the
// token is good for. The token is said to have expired at once, so that the
// SDK asks again for every request and a deleted identity is noticed then.
func (c *credential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if err := admitChallenge(o, c.identity.TenantID); err != nil {
		return azcore.AccessToken{}, err
	}
	token, _, err := c.tokens.IdentityToken(ctx, c.identity.ObjectID, Resource)
	if err != nil {
		return azcore.AccessToken{}, &tokenError{err}
	}
	return azcore.AccessToken{Token: token}, nil
}

// admitChallenge accepts what a vault asks for: a token for vaults, of the
// tenant that the vault is known to be in.
func admitChallenge(o policy.TokenRequestOptions, tenant string) error {
	if len(o.Scopes) != 1 || strings.TrimSuffix(strings.TrimSuffix(o.Scopes[0], "/.default"), "/") != Resource {
		return &challengeError{fmt.Sprintf("the vault asks for a token for %q", strings.Join(o.Scopes, " "))}
	}
	if o.TenantID != "" && tenant != "" && !strings.EqualFold(o.TenantID, tenant) {
		return &challengeError{fmt.Sprintf("the vault belongs to the tenant %q", o.TenantID)}
	}
	return nil
}

// challengeError is a challenge that the identity cannot answer.
type challengeError struct{ why string }

func (e *challengeError) Error() string { return e.why }

// tokenError is that no token could be had: the directory does not sign, or the
// sign-in of the vault's tenant gave no verdict.
type tokenError struct{ cause error }

func (e *tokenError) Error() string { return "token of the cluster's identity: " + e.cause.Error() }
func (e *tokenError) Unwrap() error { return e.cause }
