#!/usr/bin/env bash
# azkeys' and azsecrets' own tests, unmodified, in their live mode against a premium vault. Runs inside `kustos run`.
# usage: run.sh FOLDER   (holds azkeys.test, azsecrets.test and the modules' folders)
# Left out: what asks for a Managed HSM, and key release, whose attestation service is on the open net.
set -euo pipefail
export AZURE_CORE_ONLY_SHOW_ERRORS=true
vault=sdk-$(printf '%04x%04x' $RANDOM $RANDOM); group=sdktests-$vault
az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID" -o none
az group create -n "$group" -l westeurope -o none
az keyvault create -g "$group" -n "$vault" -l westeurope --sku premium --enable-rbac-authorization false --no-self-perms -o none
az keyvault set-policy -g "$group" -n "$vault" --spn "$AZURE_CLIENT_ID" --key-permissions all purge --secret-permissions all purge -o none
export AZURE_RECORD_MODE=live AZURE_KEYVAULT_URL=https://$vault.vault.azure.net
for module in azkeys azsecrets; do
  out=$(cd "$1/$module" && "../$module.test" -test.v -test.timeout 120s -test.skip 'TestReleaseKey|/.*MHSM' 2>&1) || { echo "$out"; echo "sdktests: $module fails"; exit 1; }
  echo "sdktests: $module: $(grep -c '^--- PASS' <<<"$out") of its tests pass, $(grep -c '^--- SKIP' <<<"$out") skip themselves"
done
az group delete -n "$group" --yes --no-wait -o none
