package server

import (
	"context"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/vault"
)

// deploymentSecrets reads the secrets that deployment parameters refer to, as
// the deployer: ARM's right to deploy from the vault is asked first, then the
// vault's own switch.
type deploymentSecrets struct {
	vault  *vault.Service
	access authz.Authorizer
	tenant *tenant
}

func (s deploymentSecrets) ParameterSecret(ctx context.Context, p authz.Principal, id ids.ID, name, version string) (string, error) {
	const action = "Microsoft.KeyVault/vaults/deploy/action"
	// The vaults are those of all tenants; a role at the tenant's root is not for
	// what is in another.
	if mine, err := s.tenant.owns(ctx, id.Subscription); err != nil || !mine {
		if err == nil {
			err = azerr.SubscriptionNotFound(id.Subscription)
		}
		return "", err
	}
	d, err := s.access.Authorize(ctx, p, action, id.String())
	if err != nil {
		return "", err
	}
	if !d.Allowed {
		return "", azerr.AuthorizationFailed(p.AppID, p.ObjectID, action, id.String())
	}
	secret, err := s.vault.DeploymentSecret(ctx, id, name, version, p)
	if err != nil {
		return "", err
	}
	return secret.Reveal(), nil
}

// roleID finds a built-in role by its display name.
func roleID(name string) (id string, ok bool) {
	for _, r := range authz.Roles() {
		if r.Name == name {
			return r.ID, true
		}
	}
	return "", false
}
