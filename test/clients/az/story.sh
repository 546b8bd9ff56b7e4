#!/usr/bin/env bash
# The article's story with the az CLI, unmodified. Runs inside `kustos run`.
set -euo pipefail
group=az-story; location=westeurope
say() { echo "az: $*"; }

az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID" -o none
say "signed in"
az group create -n "$group" -l "$location" -o none
say "group created"

work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cat > "$work/cluster.json" <<'T'
{
  "$schema": "https://schema.management.azure.com/schemas/2015-01-01/deploymentTemplate.json#",
  "contentVersion": "1.0.0.0",
  "parameters": {
    "clusterName": { "type": "string", "defaultValue": "[concat('kusto', uniqueString(resourceGroup().id))]" },
    "location": { "type": "string", "defaultValue": "[resourceGroup().location]" }
  },
  "resources": [
    {
      "name": "[parameters('clusterName')]", // the article's default
      "type": "Microsoft.Kusto/clusters",
      "sku": { "name": "Standard_D13_v2", "tier": "Standard", "capacity": 2 },
      "apiVersion": "2019-09-07",
      "location": "[parameters('location')]",
      "identity": { "type": "SystemAssigned" },
      "properties": { "enableStreamingIngest": true }
    }
  ],
  "outputs": {
    "name": { "type": "string", "value": "[parameters('clusterName')]" },
    "principal": { "type": "string", "value": "[reference(resourceId('Microsoft.Kusto/clusters', parameters('clusterName')), '2019-09-07', 'Full').identity.principalId]" }
  }
}
T
az deployment group validate -g "$group" -f "$work/cluster.json" -o none
az deployment group create -g "$group" -n cluster -f "$work/cluster.json" -o json > "$work/out.json"
cluster=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["properties"]["outputs"]["name"]["value"])' "$work/out.json")
principal=$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["properties"]["outputs"]["principal"]["value"])' "$work/out.json")
say "cluster $cluster deployed, identity $principal"

vault="azkv${cluster#kusto}"
az keyvault create -g "$group" -n "$vault" -l "$location" --enable-purge-protection true --enable-rbac-authorization false -o none
az keyvault set-policy -g "$group" -n "$vault" --object-id "$principal" --key-permissions wrapkey unwrapkey get recover -o none
say "vault $vault created, policy set"
kid=$(az keyvault key create --vault-name "$vault" -n key1 --kty RSA --size 2048 --protection software --query key.kid -o tsv)
say "key $kid"

sed -e "s#\"properties\": { \"enableStreamingIngest\": true }#\"properties\": { \"enableStreamingIngest\": true, \"keyVaultProperties\": { \"keyVaultUri\": \"https://$vault.vault.azure.net\", \"keyName\": \"key1\", \"keyVersion\": \"${kid##*/}\" } }#" \
  "$work/cluster.json" > "$work/cmk.json"
az deployment group validate -g "$group" -f "$work/cmk.json" -o none
az deployment group create -g "$group" -n cmk -f "$work/cmk.json" -o none
got=$(az resource show -g "$group" -n "$cluster" --resource-type Microsoft.Kusto/clusters --query properties.keyVaultProperties.keyVersion -o tsv)
[ "$got" = "${kid##*/}" ] || { say "resource show gives key version '$got', wanted ${kid##*/}"; exit 1; }
say "the template with keyVaultProperties is deployed"
az deployment operation group list -g "$group" -n cmk -o none
az rest --method put --url "/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$group/providers/Microsoft.Kusto/clusters/$cluster/databases/db1?api-version=2023-08-15" \
  --body '{"location":"westeurope","kind":"ReadWrite","properties":{}}' -o none
for _ in $(seq 50); do
  state=$(az rest --method get --url "/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$group/providers/Microsoft.Kusto/clusters/$cluster/databases/db1?api-version=2023-08-15" --query properties.provisioningState -o tsv)
  [ "$state" = Succeeded ] && break
done
say "database is $state"
if az keyvault show -n nosuchvault -o none 2> "$work/err"; then say "an absent vault was shown"; exit 1; fi
printf '{"group":"%s","cluster":"%s","vault":"%s","key":"key1","uri":"https://%s.%s.kusto.windows.net"}\n' "$group" "$cluster" "$vault" "$cluster" "$location" > "$1"
say "done"
