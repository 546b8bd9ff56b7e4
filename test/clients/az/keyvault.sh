#!/usr/bin/env bash
# az keyvault, unmodified: vaults, keys, secrets, role assignments, network rules. Runs inside `kustos run`.
. "$(dirname "$0")/lib.sh"
suffix=$(printf '%04x%04x' $RANDOM $RANDOM); group=az-keyvault-$suffix; v=kv-$suffix; p=kp-$suffix; r=kr-$suffix
signin
az group create -n $group -l $location -o none

# Vaults with access policies.
az keyvault create -g $group -n $v -l $location --enable-rbac-authorization false --retention-days 7 -o none
same "soft delete" "$(az keyvault show -n $v --query '[properties.enableSoftDelete, properties.softDeleteRetentionInDays]' -o tsv | paste -sd' ')" "true 7"
same "the list" "$(az keyvault list -g $group --query '[].name' -o tsv)" $v
az keyvault update -n $v -g $group --enabled-for-template-deployment true -o none
someone=11111111-2222-3333-4444-555555555555
az keyvault set-policy -n $v --object-id $someone --key-permissions get list --secret-permissions get -o none
same "the policy" "$(az keyvault show -n $v --query "sort(properties.accessPolicies[?objectId=='$someone'].permissions.keys[])" -o tsv | paste -sd' ')" "get list"
az keyvault delete-policy -n $v --object-id $someone -o none
same "the policy after its deletion" "$(az keyvault show -n $v --query "length(properties.accessPolicies[?objectId=='$someone'])")" 0
az keyvault network-rule add -n $v --ip-address 10.1.2.0/24 -o none
same "the network rule" "$(az keyvault network-rule list -n $v --query 'ipRules[0].value' -o tsv)" 10.1.2.0/24
az keyvault network-rule remove -n $v --ip-address 10.1.2.0/24 -o none
say "vault, policies, network rules"

# Keys.
az keyvault key create --vault-name $v -n rsa --kty RSA --size 2048 --ops encrypt decrypt sign verify wrapKey unwrapKey -o none
az keyvault key create --vault-name $v -n ec --kty EC --curve P-256 -o none
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$work/rsa.pem" 2>/dev/null
az keyvault key import --vault-name $v -n imported --pem-file "$work/rsa.pem" -o none
same "the keys" "$(az keyvault key list --vault-name $v --query 'sort([].name)' -o tsv | paste -sd' ')" "ec imported rsa"
first=$(az keyvault key show --vault-name $v -n rsa --query key.kid -o tsv)
second=$(az keyvault key rotate --vault-name $v -n rsa --query key.kid -o tsv)
[ "$first" != "$second" ] || die "rotate made no new version"
same "the versions" "$(az keyvault key list-versions --vault-name $v -n rsa --query 'length(@)')" 2
plain=$(printf 'a data key' | base64)
secret=$(az keyvault key encrypt --id "$first" -a RSA-OAEP-256 --value "$plain" --data-type base64 --query result -o tsv)
same "the decrypted value" "$(az keyvault key decrypt --id "$first" -a RSA-OAEP-256 --value "$secret" --data-type base64 --query result -o tsv)" "$plain"
az keyvault key set-attributes --id "$first" --enabled false -o none
refused KeyDisabled az keyvault key decrypt --id "$first" -a RSA-OAEP-256 --value "$secret" --data-type base64
digest=$(printf 'a text' | openssl dgst -sha256 -binary | base64)
signature=$(az keyvault key sign --vault-name $v -n ec -a ES256 --digest "$digest" --query signature -o tsv)
same "the verification" "$(az keyvault key verify --vault-name $v -n ec -a ES256 --digest "$digest" --signature "$signature" --query isValid)" true
cat > "$work/policy.json" <<'T'
{ "lifetimeActions": [ { "trigger": { "timeAfterCreate": "P90D" }, "action": { "type": "Rotate" } } ], "attributes": { "expiryTime": "P2Y" } }
T
az keyvault key rotation-policy update --vault-name $v -n rsa --value "$work/policy.json" -o none
same "the rotation policy" "$(az keyvault key rotation-policy show --vault-name $v -n rsa --query expiresIn -o tsv)" P2Y
az keyvault key backup --vault-name $v -n ec -f "$work/ec.backup" -o none
az keyvault key delete --vault-name $v -n ec -o none
same "the deleted key" "$(az keyvault key list-deleted --vault-name $v --query '[].name' -o tsv)" ec
az keyvault key recover --vault-name $v -n ec -o none
az keyvault key delete --vault-name $v -n ec -o none
az keyvault key purge --vault-name $v -n ec -o none
az keyvault key restore --vault-name $v -f "$work/ec.backup" -o none
same "the restored key verifies" "$(az keyvault key verify --vault-name $v -n ec -a ES256 --digest "$digest" --signature "$signature" --query isValid)" true
say "keys"

# Secrets.
az keyvault secret set --vault-name $v -n s1 --value 'kept "here"' --content-type text/plain -o none
az keyvault secret set --vault-name $v -n s1 --value newer -o none
same "the secret" "$(az keyvault secret show --vault-name $v -n s1 --query value -o tsv)" newer
same "the secret's versions" "$(az keyvault secret list-versions --vault-name $v -n s1 --query 'length(@)')" 2
same "the secrets" "$(az keyvault secret list --vault-name $v --query '[].name' -o tsv)" s1
az keyvault secret backup --vault-name $v -n s1 -f "$work/s1.backup" -o none
az keyvault secret delete --vault-name $v -n s1 -o none
az keyvault secret recover --vault-name $v -n s1 -o none
az keyvault secret delete --vault-name $v -n s1 -o none
az keyvault secret purge --vault-name $v -n s1 -o none
az keyvault secret restore --vault-name $v -f "$work/s1.backup" -o none
same "the restored secret" "$(az keyvault secret show --vault-name $v -n s1 --query value -o tsv)" newer
say "secrets"

# Soft delete of the vault itself.
az keyvault delete -n $v -g $group -o none
same "the deleted vault" "$(az keyvault list-deleted --query "[?name=='$v'].name" -o tsv)" $v
az keyvault recover -n $v -o none
same "a key of the recovered vault" "$(az keyvault key show --vault-name $v -n ec --query 'ends_with(key.kid, `/`)')" false
az keyvault delete -n $v -g $group -o none
az keyvault purge -n $v -l $location -o none
az keyvault create -g $group -n $p -l $location --enable-purge-protection true --enable-rbac-authorization false -o none
az keyvault key create --vault-name $p -n k -o none
az keyvault key delete --vault-name $p -n k -o none
refused purge az keyvault key purge --vault-name $p -n k
az keyvault delete -n $p -g $group -o none
refused purge az keyvault purge -n $p -l $location
say "delete, recover, purge; purge refused under purge protection"

# A vault under Azure RBAC: no right, the role, no right again.
az keyvault create -g $group -n $r -l $location --enable-rbac-authorization true -o none
scope=$(az keyvault show -n $r --query id -o tsv)
refused Forbidden az keyvault secret set --vault-name $r -n s --value x
az role assignment create --assignee "$AZURE_CLIENT_ID" --role "Key Vault Secrets Officer" --scope "$scope" -o none
az keyvault secret set --vault-name $r -n s --value x -o none
same "the assignment" "$(az role assignment list --scope "$scope" --query "[?scope=='$scope'].roleDefinitionName" -o tsv)" "Key Vault Secrets Officer"
az role assignment delete --assignee "$AZURE_CLIENT_ID" --role "Key Vault Secrets Officer" --scope "$scope" -o none
refused Forbidden az keyvault secret show --vault-name $r -n s
say "role assignments decide"
az group delete -n $group --yes -o none
say "done"
