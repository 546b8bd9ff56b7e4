#!/usr/bin/env bash
# The directory with the az CLI, unmodified: applications with a secret and a
# certificate, people and groups, and every way of signing in that needs no
# window. Runs inside `kustos run`.
set -euo pipefail
subscription=/subscriptions/$AZURE_SUBSCRIPTION_ID
ann=ann@kustos.onmicrosoft.com password=Correct7horse
say() { echo "az directory: $*"; }
die() { say "$*"; exit 1; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
field() { python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$1" "$2"; }
# az writes its certificate into the home folder.
real_home=$HOME; export HOME=$work

az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID" -o none
az ad sp create-for-rbac -n loader --role Reader --scopes "$subscription" -o json > "$work/secret.json" 2>/dev/null
az ad sp create-for-rbac -n loader --role Reader --scopes "$subscription" -o json > "$work/secret.json" 2>/dev/null # again: the same application
[ "$(az ad app list --display-name loader --query 'length(@)')" = 1 ] || die "a second application of the same name"
az ad sp create-for-rbac -n certified --create-cert --role Reader --scopes "$subscription" -o json > "$work/cert.json" 2>/dev/null
app=$(field "$work/cert.json" appId)
az ad app credential reset --id "$app" --create-cert --append -o none 2>/dev/null
[ "$(az ad app credential list --id "$app" --cert --query 'length(@)')" = 2 ] || die "the second certificate is missing"
az ad sp show --id "$app" -o none
az ad sp list --display-name certified -o none
say "two principals made, one with a secret and one with certificates"

az ad user create --display-name Ann --user-principal-name "$ann" --password "$password" -o none
az ad group create --display-name staff --mail-nickname staff -o none
id=$(az ad user show --id "$ann" --query id -o tsv); group=$(az ad group show --group staff --query id -o tsv)
az ad group member add --group staff --member-id "$id"
[ "$(az ad group member check --group "$group" --member-id "$id" --query value)" = true ] || die "ann is not in the group"
[ "$(az ad group member list --group staff --query '[0].userPrincipalName' -o tsv)" = "$ann" ] || die "the list of members lacks ann"
[ "$(az ad user get-member-groups --id "$ann" --query '[0].displayName' -o tsv)" = staff ] || die "ann's groups lack staff"
az role assignment create --assignee-object-id "$group" --assignee-principal-type Group --role Contributor --scope "$subscription" -o none
[ "$(az role assignment list --assignee "$ann" --include-groups --all --query '[0].roleDefinitionName' -o tsv)" = Contributor ] || die "ann's roles lack that of her group"
az role assignment create --assignee "$ann" --role Reader --scope "$subscription" -o none
say "a user, a group, and roles for both"

az ad app federated-credential create --id "$app" -o none --parameters \
  "{\"name\":\"own\",\"issuer\":\"https://login.microsoftonline.com/$AZURE_TENANT_ID/v2.0\",\"subject\":\"$id\",\"audiences\":[\"api://AzureADTokenExchange\"]}"
[ "$(az ad app federated-credential list --id "$app" --query '[0].name' -o tsv)" = own ] || die "no federated credential"
if az ad app federated-credential create --id "$app" --parameters \
  '{"name":"far","issuer":"https://token.actions.githubusercontent.com","subject":"x","audiences":["a"]}' 2> "$work/err"; then die "an issuer that would have to be called"; fi
az ad app update --id "$app" --web-redirect-uris https://site.example/back --identifier-uris "api://$app"
az ad app show --id "api://$app" -o none
az identity create -g "$(az group create -n az-directory -l westeurope --query name -o tsv)" -n id1 -o json > "$work/identity.json"
say "federated credential, redirect URI, identity"

az login --service-principal -u "$(field "$work/secret.json" appId)" -p "$(field "$work/secret.json" password)" --tenant "$AZURE_TENANT_ID" -o none
az login --service-principal -u "$app" --certificate "$(field "$work/cert.json" fileWithCertAndPrivateKey)" --tenant "$AZURE_TENANT_ID" -o none
az group show -n az-directory -o none
if az group create -n nothing -l westeurope -o none 2> "$work/err"; then die "a Reader made a group"; fi
say "signed in by secret and by certificate"

az logout
az login -u "$ann" -p "$password" -o none 2>/dev/null
[ "$(az account show --query user.type -o tsv)" = user ] || die "not signed in as a user"
[ "$(az ad signed-in-user show --query userPrincipalName -o tsv)" = "$ann" ] || die "az does not know who it is"
az group create -n by-ann -l westeurope -o none # the group's role
if az ad user list -o none 2> "$work/err"; then die "ann may list users"; fi
if az login -u "$ann" -p wrong -o none 2> "$work/err"; then die "signed in with a wrong password"; fi
say "signed in by password"

# The device code, with curl for the browser.
az logout
az login --use-device-code -o none 2> "$work/device" & login=$!
code=""
for _ in $(seq 100); do code=$(sed -n 's/.*enter the code \([A-Z0-9]*\).*/\1/p' "$work/device"); [ -n "$code" ] && break; sleep 0.1; done
[ -n "$code" ] || die "no device code"
host=https://login.microsoftonline.com
browser() { curl -fsS -c "$work/jar" -b "$work/jar" -H "Origin: $host" "$@"; }
hidden() { sed -n 's/.*name="'"$1"'" value="\([^"]*\)".*/\1/p' "$work/page"; }
browser "$host/common/oauth2/deviceauth" > "$work/page"
browser "$host/common/oauth2/deviceauth" --data-urlencode "csrf=$(hidden csrf)" --data-urlencode "user_code=$code" > "$work/page2"; mv "$work/page2" "$work/page"
browser "$host/common/oauth2/signin" --data-urlencode "flow=$(hidden flow)" --data-urlencode "csrf=$(hidden csrf)" \
  --data-urlencode "username=$ann" --data-urlencode "password=$password" --data "decision=accept" > "$work/page2"
grep -q "You have signed in" "$work/page2" || die "the page did not sign in"
wait "$login"
[ "$(az account show --query user.name -o tsv)" = "$ann" ] || die "the device is not signed in"
az account get-access-token --resource https://vault.azure.net -o none # by refresh token
say "signed in by device code"
export HOME=$real_home
say "done"
