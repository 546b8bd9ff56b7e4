package server

import (
	"strings"

	"github.com/kustos-io/kustos/internal/ids"
)

// rolesChanged passes a change of a role assignment at a vault, or at a key in
// it, on as a hint of that vault: it may be what lets a cluster in. One at a
// wider scope is noticed at the next probe.
func (p *parts) rolesChanged(scope string) {
	id, err := ids.Parse(scope)
	if err != nil || p.vault.Hint == nil {
		return
	}
	if typ := strings.ToLower(id.Type()); typ == vaultType || strings.HasPrefix(typ, vaultType+"/") {
		p.vault.Hint(strings.ToLower(id.Names()[0]))
	}
}

const vaultType = "microsoft.keyvault/vaults"
