// Package provider is the contract between the ARM front door and a resource
// provider. A provider is one folder under internal/rp that implements
// [Provider] and passes providertest. The front door has already authenticated
// and authorised the caller, parsed the resource id, checked the api-version
// and the resource group, and read the body; a provider never sees net/http's
// request and never writes a response itself.
package provider
