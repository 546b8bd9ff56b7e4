#!/usr/bin/env bash
# A key in another tenant with the az CLI, unmodified, as docs/cross-tenant.md
# has it. Runs inside `kustos run`, as the first tenant's principal.
. "$(dirname "$0")/lib.sh"
customer=Fabrikam group=az-tenants vault=kvaztenants1 cluster=aztenants1 api=2025-02-14
"$KUSTOS" tenant create "$customer" >/dev/null
theirs() { "$KUSTOS" run --tenant "$customer" -- "$@"; } # a command of the customer
signin
theirs bash -c 'az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID" -o none'
say "signed in to two tenants"

az group create -n $group -l $location -o none
identity=$(az identity create -g $group -n keys --query id -o tsv)
principal=$(az identity show --ids "$identity" --query principalId -o tsv)
app=$(az ad app create --display-name keys --sign-in-audience AzureADMultipleOrgs --query appId -o tsv)
az ad app federated-credential create --id "$app" -o none --parameters \
  "{\"name\":\"cluster\",\"issuer\":\"https://login.microsoftonline.com/$AZURE_TENANT_ID/v2.0\",\"subject\":\"$principal\",\"audiences\":[\"api://AzureADTokenExchange\"]}"
say "identity $principal, trusted by application $app"

theirs az group create -n $group -l $location -o none
theirs az keyvault create -n $vault -g $group -l $location --enable-purge-protection true --enable-rbac-authorization false -o none
theirs az keyvault key create --vault-name $vault -n key1 --kty RSA -o none
let_in() { # makes the service principal, and lets it in
  sp=$(theirs az ad sp create --id "$app" --query id -o tsv)
  theirs az keyvault set-policy -n $vault --object-id "$sp" --key-permissions get wrapKey unwrapKey -o none
}
let_in
same "the owner of the application" "$(theirs az ad sp show --id "$app" --query appOwnerOrganizationId -o tsv)" "$AZURE_TENANT_ID"
refused "does not exist\|not found" theirs az ad app show --id "$app"
say "service principal $sp let in to the vault"

id=/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$group/providers/Microsoft.Kusto/clusters/$cluster
body() { # members of keyVaultProperties
  echo "{\"location\":\"$location\",\"sku\":{\"name\":\"Standard_E2ads_v5\",\"tier\":\"Standard\",\"capacity\":2},\"identity\":{\"type\":\"UserAssigned\",\"userAssignedIdentities\":{\"$identity\":{}}},
    \"properties\":{\"keyVaultProperties\":{\"keyVaultUri\":\"https://$vault.vault.azure.net\",\"keyName\":\"key1\",\"userIdentity\":\"$identity\"$1}}}"
}
put() { az resource create --id "$id" --api-version $api --is-full-object --properties "$(body "$1")" -o none; }
refused InvalidKeyVaultProperties put ''
refused IdentityDoesNotHaveAccessToKeyVault put ",\"federatedIdentityClientId\":\"$AZURE_CLIENT_ID\""
put ",\"federatedIdentityClientId\":\"$app\""
show() { az resource show --ids "$id" --api-version $api --query "properties.$1" -o tsv; }
same "the application" "$(show keyVaultProperties.federatedIdentityClientId)" "$app"
until_state() { for _ in $(seq 60); do [ "$(show state)" != "$1" ] || return 0; done; die "the cluster is $(show state), not $1"; }
until_state Running
say "a cluster under the key of the other tenant"

theirs az ad sp delete --id "$sp"
until_state Stopped
case $(show stateReason) in *AADSTS7000229*) ;; *) die "stopped for '$(show stateReason)'" ;; esac
let_in
until_state Running
say "stopped without the service principal, running with another"
az resource delete --ids "$id" --api-version $api
say "done"
