// Package scope keeps the records of what resources live in: resource groups,
// the tags of a subscription, and which namespaces a subscription has
// unregistered. The front door reads them to admit a request; the provider of
// Microsoft.Resources writes them. All functions work inside the caller's
// transaction and must not be given names that were not validated.
package scope
