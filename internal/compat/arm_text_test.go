package compat_test

// managementPlane is what no registry of types can say.
const managementPlane = `| What | |
|---|---|
| locks CanNotDelete and ReadOnly at subscriptions, groups and resources, inherited, held against every write, deletion, action and deployment | supported |
| tags of subscriptions, groups and resources (Merge, Replace, Delete), predefined tag names | supported |
| If-Match and If-None-Match on every resource; an ETag of the content where the type has none of its own | supported |
| request limits: counted by default, refused with 429 by ` + "`kustos up --request-limits`" + ` | supported |
| move of clusters, vaults and inert resources between groups and subscriptions, all or none | supported |
| move of user-assigned identities, of a cluster while an operation runs on it, and of children without their parent | refused by name |
| customer-managed keys of clusters, and from 2023-05-02 of single databases (both keys are needed then) | supported |
| re-encryption of clusters and of single databases ([reencryption.md](reencryption.md)): the action kustosReencrypt, which is not Azure's | supported |
| customer-managed keys in a vault of another tenant of the same server, through a multi-tenant application that trusts a user-assigned identity (federatedIdentityClientId, from 2025-02-14) | supported |
| federatedIdentityClientId with the system-assigned identity, or with a vault host of --allow-vault-host | refused (InvalidKeyVaultProperties) |
| exportTemplate of groups: identities with their credentials, vaults, clusters with databases and assignments | supported |
| exportTemplate of other types | refused by name, beside the template |
| custom role definitions with one permission | supported |
| conditions and delegated identities of role assignments, deny assignments, classic administrators | refused by name |
| management groups to six levels, subscriptions in them, entities, descendants | supported |
| settings of the hierarchy, $search, $filter, $view and $skip of entities | refused by name |
| subscriptions by alias for the caller, rename, cancel, enable | supported |
| subscriptions for other owners or tenants | refused by name |
| ` + "`kustos up --inert-provider Microsoft.Network`" + `: records that do nothing, with the header x-kustos-inert, the member kustosInert and, in lists, the tag kustos-inert | supported |
| actions of inert resources, children that are only named inside of their parent | refused by name |

Differs:

- The first principal is Owner of the whole tenant ("/"), or nobody could make a management group or a second subscription.
- A change takes effect at once: roles, locks, moves and tags need no minutes to spread.
- Role assignments on what moves do not move with it, and are removed.
- A billing scope is remembered with its alias and means nothing.

`
