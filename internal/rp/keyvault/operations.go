package keyvault

import (
	"context"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
)

type operationResource struct {
	Name         string  `json:"name"`
	Display      display `json:"display"`
	IsDataAction bool    `json:"isDataAction"`
}

type display struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description"`
}

func (p *rp) listOperations(context.Context, *provider.Request) (*provider.Response, error) {
	return ok(operationList()), nil
}

// operationList is what GET /providers/Microsoft.KeyVault/operations shows:
// the actions and data actions that this server decides over.
func operationList() list {
	const table = `
a|vaults/read|Key Vault|View Key Vault
a|vaults/write|Key Vault|Create or update Key Vault
a|vaults/delete|Key Vault|Delete Key Vault
a|vaults/deploy/action|Key Vault|Use secrets of a vault in deployments
a|vaults/accessPolicies/write|Access policy|Update access policies
a|vaults/keys/read|Key|List keys or read a key's properties
a|vaults/keys/write|Key|Create the first version of a key
a|vaults/keys/versions/read|Key version|List versions or read a version's properties
a|vaults/secrets/read|Secret|Read a secret's properties, not its value
a|vaults/secrets/write|Secret|Create or update a secret
a|checkNameAvailability/read|Name|Check that a vault name can be used
a|deletedVaults/read|Deleted vault|List soft-deleted vaults
a|locations/deletedVaults/read|Deleted vault|View a soft-deleted vault
a|locations/deletedVaults/purge/action|Deleted vault|Purge a soft-deleted vault
a|locations/operationResults/read|Operation result|Check a long-running operation
a|operations/read|Operations|List the operations of the provider
d|vaults/keys/read|Key|List keys or read a key's public part and attributes
d|vaults/keys/create/action|Key|Create a key or a new version
d|vaults/keys/import/action|Key|Import a key
d|vaults/keys/update/action|Key|Update a key's attributes
d|vaults/keys/delete|Key|Delete a key
d|vaults/keys/recover/action|Key|Recover a deleted key
d|vaults/keys/purge/action|Key|Purge a deleted key
d|vaults/keys/backup/action|Key|Back a key up
d|vaults/keys/restore/action|Key|Restore a key
d|vaults/keys/rotate/action|Key|Rotate a key
d|vaults/keys/encrypt/action|Key|Encrypt with a key
d|vaults/keys/decrypt/action|Key|Decrypt with a key
d|vaults/keys/wrap/action|Key|Wrap a symmetric key
d|vaults/keys/unwrap/action|Key|Unwrap a symmetric key
d|vaults/keys/sign/action|Key|Sign a digest
d|vaults/keys/verify/action|Key|Verify a signature
d|vaults/keyrotationpolicies/read|Rotation policy|Read a rotation policy
d|vaults/keyrotationpolicies/write|Rotation policy|Set a rotation policy
d|vaults/secrets/getSecret/action|Secret|Read a secret's value
d|vaults/secrets/readMetadata/action|Secret|List secrets and read their properties
d|vaults/secrets/setSecret/action|Secret|Set a secret
d|vaults/secrets/update/action|Secret|Update a secret's attributes
d|vaults/secrets/delete|Secret|Delete a secret
d|vaults/secrets/recover/action|Secret|Recover a deleted secret
d|vaults/secrets/purge/action|Secret|Purge a deleted secret
d|vaults/secrets/backup/action|Secret|Back a secret up
d|vaults/secrets/restore/action|Secret|Restore a secret`
	var out []operationResource
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		f := strings.Split(line, "|")
		out = append(out, operationResource{Name: namespace + "/" + f[1], IsDataAction: f[0] == "d",
			Display: display{Provider: "Microsoft Key Vault", Resource: f[2], Operation: f[3], Description: f[3]}})
	}
	return list{Value: out}
}
