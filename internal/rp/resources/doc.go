// Package resources is the provider of Microsoft.Resources, the part of
// Resource Manager that is about the others: subscriptions, tenants, regions,
// the registration of providers, resource groups, tags, and the lists of all
// resources. The front door gives its routes ids in the namespace (see package
// arm); deployments are not here but in arm/deploy.
//
// A [Provider] keeps resource groups, and nothing about the resources in them:
// it asks the other providers through a [Registry], and deletes through the
// front door. The deletion of a group must remove the group's record last, and
// never while a provider still holds something in it.
package resources
