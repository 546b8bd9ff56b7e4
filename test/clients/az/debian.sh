#!/usr/bin/env bash
# Debian's az 2.45, unmodified. Its `keyvault key|secret`, `role assignment` and `kusto cluster create` do not work as
# packaged, against any server; keys go by `az rest`. Runs inside `kustos run`.
. "$(dirname "$0")/lib.sh"
az() { /usr/bin/az "$@"; }
export AZURE_CONFIG_DIR=$work/profile
here=$(cd "$(dirname "$0")" && pwd); suffix=$(printf '%04x%04x' $RANDOM $RANDOM); group=az-old-$suffix; v=ko-$suffix; c=kc$suffix
signin
az group create -n $group -l $location -o none
same "exists" "$(az group exists -n $group)" true
az deployment group validate -g $group -f "$here/symbolic.json" -p vaultName=$v hidden=x -o none
az deployment group create -g $group -n main -f "$here/symbolic.json" -p vaultName=$v hidden=x -o none
same "the template's vault" "$(az keyvault show -n $v --query properties.vaultUri -o tsv)" "https://$v.vault.azure.net/"
same "what-if after" "$(az deployment group what-if -g $group -f "$here/symbolic.json" -p vaultName=$v hidden=x --no-pretty-print --query "changes[?changeType!='NoChange' && changeType!='Deploy' && changeType!='Ignore'].resourceId" -o tsv)" ""
say "a template with symbolic names: validate, create, what-if"

cat > "$work/cluster.json" <<'T'
{ "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "contentVersion": "1.0.0.0",
  "parameters": { "name": { "type": "string" }, "key": { "type": "object", "defaultValue": {} } },
  "resources": [ { "type": "Microsoft.Kusto/clusters", "apiVersion": "2019-09-07", "name": "[parameters('name')]", "location": "[resourceGroup().location]",
    "sku": { "name": "Standard_D13_v2", "tier": "Standard", "capacity": 2 }, "identity": { "type": "SystemAssigned" },
    "properties": "[if(empty(parameters('key')), json('{}'), createObject('keyVaultProperties', parameters('key')))]" } ],
  "outputs": { "principal": { "type": "string", "value": "[reference(resourceId('Microsoft.Kusto/clusters', parameters('name')), '2019-09-07', 'Full').identity.principalId]" } } }
T
principal=$(az deployment group create -g $group -n c1 -f "$work/cluster.json" -p name=$c --query properties.outputs.principal.value -o tsv)
az keyvault create -g $group -n p$v -l $location --enable-purge-protection true -o none
az keyvault set-policy -g $group -n p$v --object-id "$principal" --key-permissions wrapkey unwrapkey get recover -o none
kid=$(az rest --resource https://vault.azure.net --method post --url "https://p$v.vault.azure.net/keys/k1/create?api-version=7.4" --body '{"kty":"RSA","key_size":2048}' --query key.kid -o tsv)
printf '{"key":{"value":{"keyVaultUri":"https://p%s.vault.azure.net","keyName":"k1","keyVersion":"%s"}}}' "$v" "${kid##*/}" > "$work/p.json"
az deployment group create -g $group -n c2 -f "$work/cluster.json" -p name=$c -p @"$work/p.json" -o none
same "the cluster's key version" "$(az resource show -g $group -n $c --resource-type Microsoft.Kusto/clusters --query properties.keyVaultProperties.keyVersion -o tsv)" "${kid##*/}"
same "kusto cluster show" "$(az kusto cluster show -g $group -n $c --query state -o tsv)" Running
say "cluster, vault, key, customer-managed key"
az keyvault delete -n $v -g $group -o none
same "list-deleted" "$(az keyvault list-deleted --query "[?name=='$v'].name" -o tsv)" $v
az group delete -n $group --yes --no-wait -o none
say "done"
