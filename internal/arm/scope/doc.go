// Package scope keeps the records of what resources live in: management
// groups, subscriptions, resource groups, their locks, and which namespaces a
// subscription has unregistered. The front door reads them to admit a request,
// the authorizer to decide; the providers of ARM's own types write them. All functions work inside the caller's
// transaction and must not be given names that were not validated.
package scope
