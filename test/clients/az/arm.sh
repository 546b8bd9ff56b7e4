#!/usr/bin/env bash
# az group, deployment, resource, lock, identity, role, ad, rest, unmodified. Runs inside `kustos run`.
. "$(dirname "$0")/lib.sh"
suffix=$(printf '%04x%04x' $RANDOM $RANDOM); group=az-arm-$suffix; other=az-sub-$suffix; v=ka-$suffix
signin
same "the accounts" "$(az account list --query '[].id' -o tsv)" "$AZURE_SUBSCRIPTION_ID"

same "a token" "$(az account get-access-token --query '[tokenType, subscription]' -o tsv | paste -sd' ')" "Bearer $AZURE_SUBSCRIPTION_ID"

# Groups.
az group create -n $group -l $location --tags team=a -o none
same "exists" "$(az group exists -n $group) $(az group exists -n $group-not)" "true false"
az group update -n $group --set tags.stage=test -o none
same "the tags" "$(az group show -n $group --query 'tags | [team, stage]' -o tsv | paste -sd' ')" "a test"
same "the list" "$(az group list --tag stage=test --query "[?name=='$group'].location" -o tsv)" $location
az tag update --resource-id "$(az group show -n $group --query id -o tsv)" --operation merge --tags cost=7 -o none
same "the merged tag" "$(az group show -n $group --query tags.cost -o tsv)" 7
say "groups, tags"

# Deployments, of what Bicep's compiler writes: symbolic names, languageVersion 2.0.
template=$(dirname "$0")/symbolic.json
az deployment group validate -g $group -f "$template" -p vaultName=$v -o none
same "what-if before" "$(az deployment group what-if -g $group -f "$template" -p vaultName=$v hidden=x --no-pretty-print --query "changes[?changeType=='Create'] | length(@)")" 3
az deployment group create -g $group -n main -f "$template" -p vaultName=$v hidden=x --query properties.outputs -o json > "$work/out.json"
same "the outputs" "$(python3 -c 'import json,sys; o=json.load(open(sys.argv[1])); print(o["uri"]["value"], o["kept"]["value"])' "$work/out.json")" "https://$v.vault.azure.net/ 7"
same "what-if after" "$(az deployment group what-if -g $group -f "$template" -p vaultName=$v hidden=x --no-pretty-print --query "changes[?changeType!='NoChange' && changeType!='Deploy' && changeType!='Ignore'].[changeType, resourceId]" -o tsv)" ""
same "the state" "$(az deployment group show -g $group -n main --query properties.provisioningState -o tsv)" Succeeded
same "the deployments" "$(az deployment group list -g $group --query '[].name' -o tsv)" main
same "the operations" "$(az deployment operation group list -g $group -n main --query "length([?properties.provisioningState!='Succeeded'])")" 0
az deployment group export -g $group -n main > "$work/exported.json"
same "the exported template" "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["languageVersion"])' "$work/exported.json")" 2.0
refused "DeploymentCannotBeCancelled\|cannot be cancelled" az deployment group cancel -g $group -n main
az deployment group delete -g $group -n main -o none
refused DeploymentNotFound az deployment group show -g $group -n main
cat > "$work/sub.json" <<'T'
{ "$schema": "https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#", "contentVersion": "1.0.0.0",
  "parameters": { "name": { "type": "string" } },
  "resources": [ { "type": "Microsoft.Resources/resourceGroups", "apiVersion": "2022-09-01", "name": "[parameters('name')]", "location": "[deployment().location]" } ],
  "outputs": { "id": { "type": "string", "value": "[concat(subscription().id, '/resourceGroups/', parameters('name'))]" } } }
T
same "the subscription deployment's output" "$(az deployment sub create -n sub-$suffix -l $location -f "$work/sub.json" -p name=$other --query properties.outputs.id.value -o tsv)" \
  "/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$other"
say "deployments"

# Generic resources, locks, providers.
id=$(az resource show -g $group -n $v --resource-type Microsoft.KeyVault/vaults --query id -o tsv)
same "resource list" "$(az resource list -g $group --query 'sort([].name)' -o tsv | paste -sd' ')" "$v who"
az resource tag --ids "$id" --tags a=1 -o none
az resource update --ids "$id" --set properties.enabledForDeployment=true -o none
same "the resource updated" "$(az resource show --ids "$id" --query '[tags.a, properties.enabledForDeployment]' -o tsv | paste -sd' ')" "1 true"
az lock create -n keep --lock-type CanNotDelete -g $group --resource-name $v --resource-type Microsoft.KeyVault/vaults -o none
same "the lock" "$(az lock list -g $group --resource-name $v --resource-type Microsoft.KeyVault/vaults --query '[].level' -o tsv)" CanNotDelete
refused "failed to be deleted" az resource delete --ids "$id"
refused ScopeLocked az keyvault delete -n $v -g $group
az lock delete -n keep -g $group --resource-name $v --resource-type Microsoft.KeyVault/vaults -o none
az resource delete --ids "$id" -o none
refused "ResourceNotFound\|was not found" az resource show --ids "$id"
az provider register -n Microsoft.KeyVault -o none
same "the provider" "$(az provider show -n Microsoft.KeyVault --query registrationState -o tsv)" Registered
say "resources, locks, providers"

# A whole object, an action of it, and another group for it.
az resource create -g $group -n c$suffix --resource-type Microsoft.Kusto/clusters --api-version 2023-08-15 --is-full-object -o none \
  -p "{\"location\": \"$location\", \"sku\": {\"name\": \"Standard_D13_v2\", \"tier\": \"Standard\", \"capacity\": 2}, \"tags\": {\"whole\": \"yes\"}}"
id=$(az resource show -g $group -n c$suffix --resource-type Microsoft.Kusto/clusters --query id -o tsv)
same "the cluster" "$(az resource show --ids "$id" --query '[tags.whole, properties.state]' -o tsv | paste -sd' ')" "yes Running"
az resource invoke-action --ids "$id" --action stop -o none
same "the stopped cluster" "$(az resource show --ids "$id" --query properties.state -o tsv)" Stopped
az resource move --destination-group $other --ids "$id" -o none
same "the moved cluster" "$(az resource list -g $other --query '[].name' -o tsv)" c$suffix
refused "ResourceNotFound\|was not found" az resource show --ids "$id"
az resource delete -g $other -n c$suffix --resource-type Microsoft.Kusto/clusters -o none
say "a cluster by az resource: created, stopped, moved, deleted"

# Identities and role assignments.
principal=$(az identity create -g $group -n mine -l $location --query principalId -o tsv)
same "identity list" "$(az identity list -g $group --query 'sort([].name)' -o tsv | paste -sd' ')" "mine who"
same "identity show" "$(az identity show -g $group -n mine --query principalId -o tsv)" "$principal"
scope=/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$group
az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal --role Reader --scope "$scope" -o none
same "the role" "$(az role assignment list -g $group --query "[?principalId=='$principal'].roleDefinitionName" -o tsv)" Reader
# az as that identity: az asks the endpoint of App Service, and without one that of a machine.
id=$(az identity show -g $group -n mine --query id -o tsv)
client=$(az identity show -g $group -n mine --query clientId -o tsv)
as() { "$KUSTOS" run --as "$id" -- "$@"; }
as az login --identity -o none
same "the group, seen by the identity" "$(as az group show -n $group --query name -o tsv)" $group
refused AuthorizationFailed as az group update -n $group --tags a=1
as az logout
as env -u IDENTITY_ENDPOINT -u IDENTITY_HEADER az login --identity --client-id "$client" -o none
same "the group, seen through IMDS" "$(as env -u IDENTITY_ENDPOINT -u IDENTITY_HEADER az group show -n $group --query name -o tsv)" $group
as az logout
say "az login --identity"
az role assignment delete --assignee "$principal" --role Reader --scope "$scope" -o none
az identity delete -g $group -n mine -o none
refused "ResourceNotFound\|was not found" az identity show -g $group -n me
say "identities, roles"

# A service principal of one's own, and what it may do.
az ad sp create-for-rbac -n sp-$suffix --role Reader --scopes "$scope" -o json > "$work/sp.json" 2>"$work/sp.err" || { cat "$work/sp.err"; die "create-for-rbac"; }
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/sp.json" "$1"; }
mine=$AZURE_CONFIG_DIR; export AZURE_CONFIG_DIR=$work/profile
az login --service-principal -u "$(field appId)" -p "$(field password)" --tenant "$(field tenant)" -o none
same "what the reader reads" "$(az group show -n $group --query name -o tsv)" $group
refused AuthorizationFailed az tag update --resource-id "$scope" --operation merge --tags x=y
export AZURE_CONFIG_DIR=$mine
same "the service principal" "$(az ad sp show --id "$(field appId)" --query '[appId, displayName]' -o tsv | paste -sd' ')" "$(field appId) sp-$suffix"
az ad sp delete --id "$(field appId)" -o none
say "ad sp create-for-rbac, and a login with it"

same "az rest" "$(az rest --method get --url "$scope?api-version=2021-04-01" --query name -o tsv)" $group
az group delete -n $group --yes -o none
az group delete -n $other --yes --no-wait -o none
same "exists after the delete" "$(az group exists -n $group)" false
say "done"
