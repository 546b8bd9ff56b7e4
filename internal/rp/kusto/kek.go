package kusto

import (
	"context"
	"errors"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
)

// KeyChecker calls a vault as the cluster's identity; satisfied by *keyvault.Vaults. Its refusals are
// *envelope.RevokedError; anything else is trouble on the way and no answer.
type KeyChecker interface {
	// Key reads the key: the pinned version, or the newest.
	Key(ctx context.Context, kek envelope.KEK) (KeyFacts, error)
	// Probe wraps and unwraps a random value and compares.
	Probe(ctx context.Context, kek envelope.KEK) error
}

// KeyFacts is what check 8 looks at.
type KeyFacts = keyvault.Facts

// keyError is the wire error of a refusal by a vault.
func (p *Provider) keyError(err error, kv *keyVaultProperties) error {
	var refusal *envelope.RevokedError
	if !errors.As(err, &refusal) {
		return azerr.KustoVaultUnreachable(kv.KeyVaultURI).Because(err)
	}
	return codeError(refusal.Code, kv).Because(err)
}

// codeError builds the wire error of one of the eight codes.
func codeError(code string, kv *keyVaultProperties) *azerr.Error {
	switch code {
	case "KeyVaultNotFound":
		return azerr.KeyVaultNotFound(kv.KeyVaultURI)
	case "KeyNotFound":
		return azerr.KeyNotFound(kv.KeyName, kv.KeyVaultURI)
	case "InvalidKeyVaultProperties":
		return azerr.InvalidKeyVaultProperties()
	}
	return azerr.IdentityDoesNotHaveAccessToKeyVault(kv.KeyVaultURI)
}

// wireError is the error an operation on rec ends with. A refusal may come
// from the vault of the key in force or from that of the new one.
func (p *Provider) wireError(err error, rec *record, work *clusterWork) *azerr.Error {
	var refusal *envelope.RevokedError
	var suspended *cluster.SuspendedError
	kv := rec.KeyVault
	if work.After != nil && work.After.KeyVault != nil {
		uri := ""
		if errors.As(err, &refusal) {
			uri = refusal.VaultURI
		}
		if kv == nil || uri == work.After.KeyVault.KeyVaultURI && uri != kv.KeyVaultURI {
			kv = work.After.KeyVault
		}
	}
	switch {
	case kv == nil:
	case errors.As(err, &refusal):
		return codeError(refusal.Code, kv).Because(err)
	case errors.As(err, &suspended):
		return codeError(suspended.Code, kv).Because(err)
	case errors.Is(err, envelope.ErrUnavailable):
		return azerr.KustoVaultUnreachable(kv.KeyVaultURI).Because(err)
	}
	return azerr.From(err)
}
