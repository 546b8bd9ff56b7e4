// Package server is the front door: the CONNECT proxy and the direct TLS
// listener, leaves minted on the fly under a local CA, the routing of Azure
// host names to the planes, and of requests to their tenants, one loopback
// listener per running cluster, and the composition of all parts from a config:
// those that tenants share, and those that each tenant has of its own.
//
// It never dials out: a host that is not served is refused at the CONNECT.
// Nothing here decides anything about a request but which plane of which tenant answers it.
package server
