package compat_test

// deployments is written by hand; the stories deploy_scopes, template_root and
// whatif_twice show it.
const deployments = `## Deployments

| What | |
|---|---|
| language versions 1.0 and 2.0, and the experimental ones that Bicep writes: symbolic names, types, existing resources, loops, user functions | supported |
| deployments to groups, subscriptions, management groups and the tenant: validate, what-if, put, cancel, delete, list with $filter and $top, operations, export | supported |
| mode Complete and on-error deployments, to groups | supported |
| nested templates with inner and outer scope; linked templates and parameter files with relativePath, from the folder of ` + "`kustos up --template-root`" + ` | supported |
| parameters from a vault's secrets, read as the deployer | supported |
| another address of a link | refused: ` + "`InvalidContentLink`" + ` |
| template specs | refused by name |
| extensions (imports, extensions, resources of them) | refused by name |
| api profiles | refused where a resource has no apiVersion of its own |
| members that no resource has | refused: ` + "`InvalidRequestContent`" + ` |
| limits: 4 MB, 1 MB of one resource, 800 resources and copies, 256 parameters and variables, 64 outputs, 24,576 characters of an expression, 800 target groups, ten locations of a scope above groups, 800 deployments of a scope | supported |

Differs:

- What-if evaluates ` + "`reference()`" + ` and ` + "`list*()`" + ` against what is there and what the deployment makes; a template deployed twice shows no change. Tags that a template leaves out are shown as deleted, as the deployment does it.
- A type, namespace or version that is not served is refused with the usual words, and below them with the resource's full type, line and column.
- What a type declares secure is left out of parameters and outputs wherever it is inside of them; a nested template with outer scope gets it as a secure parameter, not as text.
- Nested templates are not deployed in mode Complete.
- Bounds on the work of a template (steps, size of one value, depth) that the service does not publish.

`
