package server

import (
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// externalCredential signs in to the real cloud for the vault hosts that the
// operator allowed by name: they know nothing of our directory. It is taken
// from the environment of `kustos up` (AZURE_TENANT_ID, AZURE_CLIENT_ID,
// AZURE_CLIENT_SECRET or a certificate). Without allowed hosts there is none,
// and nothing is ever dialled.
func externalCredential(hosts []string) (azcore.TokenCredential, error) {
	if len(hosts) == 0 {
		return nil, nil
	}
	credential, err := azidentity.NewEnvironmentCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("--allow-vault-host needs a principal of that vault's tenant in AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET: %w", err)
	}
	return credential, nil
}
