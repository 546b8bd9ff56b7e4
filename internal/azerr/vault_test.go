package azerr_test

import (
	"testing"

	"github.com/kustos-io/kustos/internal/azerr"
)

func TestVaultGolden(t *testing.T) {
	t.Parallel()
	const (
		caller    = "appid=a;oid=o;iss=https://sts.windows.net/t/"
		challenge = `Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"`
	)
	compare(t, "vault.golden", []*azerr.Error{
		azerr.VaultBadRequest("No."),
		azerr.VaultInvalidValue("tenantId"),
		azerr.VaultMissingProperty("accessPolicies"),
		azerr.DeletedVaultNotFound("v"),
		azerr.VaultNameNotValid("a--b"),
		azerr.VaultAlreadyExists("v"),
		azerr.VaultDeletedStateConflict(),
		azerr.SoftDeletedVaultDoesNotExist(),
		azerr.VaultRetentionFixed(),
		azerr.VaultPurgeProtectionFixed(),
		azerr.VaultSoftDeleteFixed(),
		azerr.VaultPurgeNotAllowed(),
		azerr.VaultRegionNotSupported("mars"),
		azerr.VaultSkuNotSupported("gold"),
		azerr.VaultNotOffered("Managed HSMs"),
		azerr.VaultUnauthorized(azerr.AKV10000, challenge),
		azerr.VaultUnauthorized(azerr.AKV10022("https://vault.azure.net", "https://management.azure.com"), challenge),
		azerr.VaultUnauthorized(azerr.AKV10032("https://sts.windows.net/t/", "https://sts.windows.net/u/"), challenge),
		azerr.VaultHostNotFound("v"),
		azerr.VaultManagementRefused(azerr.VaultForbiddenByRbac("name=n;"+caller, "Microsoft.KeyVault/vaults/keys/read", "/subscriptions/s/x", "v", "westeurope")),
		azerr.VaultNotForDeployment("/subscriptions/s/v"),
		azerr.BadParameter("Unsupported key size", ""),
		azerr.NotBase64URL("value"),
		azerr.KeyTypeNotSupported("oct"),
		azerr.HardwareKeyNotAllowed(),
		azerr.ExportableNeedsPremium(),
		azerr.ExportableNeedsPolicy(),
		azerr.PolicyNeedsExportable(),
		azerr.VaultAccessDenied(caller, "keys", "wrapKey", "v", "westeurope"),
		azerr.VaultForbiddenByRbac("name=n;"+caller, "Microsoft.KeyVault/vaults/keys/read", "/subscriptions/s/x", "v", "westeurope"),
		azerr.VaultForbiddenByFirewall("10.0.0.1", caller, "v", "westeurope"),
		azerr.VaultForbiddenByConnection(caller, "v", "westeurope"),
		azerr.PurgeForbiddenByPolicy("v", "westeurope"),
		azerr.KeyDisabled("unwrapKey"),
		azerr.KeyExpired("wrapKey"),
		azerr.KeyNotYetValid("wrapKey"),
		azerr.KeyOperationForbidden("sign"),
		azerr.SecretDisabled(),
		azerr.VaultObjectNotFound("Key", "k/v"),
		azerr.VaultObjectNotFound("Secret", "s"),
		azerr.DeletedObjectNotFound("Key", "k"),
		azerr.ObjectIsDeletedButRecoverable("Key", "k"),
		azerr.ObjectIsDeletedButRecoverable("Secret", "s"),
		azerr.ObjectAlreadyExists("Key", "k"),
		azerr.VaultOperationNotOffered("Certificates"),
		azerr.VaultOperationNotEnabled("purge"),
		azerr.ManagedHSMOnly("rng"),
		azerr.VaultRouteNotFound("/x"),
		azerr.VaultMethodNotAllowed("PUT", "/keys"),
	})
}
