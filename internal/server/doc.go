// Package server is the front door: the CONNECT proxy and the direct TLS
// listener, leaves minted on the fly under a local CA, the routing of Azure
// host names to the planes, one loopback listener per running cluster, and the
// composition of all parts from a config.
//
// It never dials out: a host that is not served is refused at the CONNECT.
// Nothing here decides anything about a request but which plane answers it.
package server
