# What the az stories share: saying, comparing, expecting a refusal by name.
set -euo pipefail
export AZURE_CORE_ONLY_SHOW_ERRORS=true
story=$(basename "$0" .sh); location=westeurope
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
say() { echo "az $story: $*"; }
die() { say "$*"; exit 1; }
signin() { az login --service-principal -u "$AZURE_CLIENT_ID" -p "$AZURE_CLIENT_SECRET" --tenant "$AZURE_TENANT_ID" -o none; }
same() { [ "$2" = "$3" ] || die "$1 is '$2', wanted '$3'"; } # what, got, wanted
refused() { # error text, command…
  local want=$1; shift
  if "$@" >"$work/refused" 2>&1; then die "'$*' was not refused"; fi
  grep -qi -- "$want" "$work/refused" || { cat "$work/refused"; die "'$*' was not refused with $want"; }
}
