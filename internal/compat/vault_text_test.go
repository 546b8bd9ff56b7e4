package compat_test

// vaultPlane is what the list of operations does not say about vaults.
const vaultPlane = `
| What | |
|---|---|
| RSA 2048, 3072, 4096; EC P-256, P-384, P-521, P-256K; their -HSM types in premium vaults, as marked software keys (hsmPlatform 0) | supported |
| oct keys, exportable keys and release policies, public exponents other than 65537 at creation, import of keys wrapped for an HSM | refused by name |
| access policies; role assignments on a vault, one key or one secret; ipRules, publicNetworkAccess and the bypass for our own clusters | supported |
| virtualNetworkRules | kept; they admit nobody |
| private endpoints of a vault | refused by name |

Differs:

- Deleting, recovering and purging are done when they are answered; policies, roles and the firewall count at once.
- No request is refused for coming too often.
- The permission ` + "`all`" + ` grants purge as well.
- A vault without soft delete can be made, up to api-version 2019-09-01. It has no deleted objects: operations on them are not enabled.
- A backup can be restored by the instance that made it, into vaults of the same subscription and geography.
- The near-expiry notice of a rotation policy stands in the server's log and in the audit log. A disabled key does not rotate by its policy.
- A host under vault.azure.net that names no vault answers 404 to whoever has a token.
`
