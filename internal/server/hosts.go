package server

import (
	"net"
	"net/http"
	"strings"
)

// Planes are the handlers behind the served host names.
type Planes struct {
	Login    http.Handler // login.microsoftonline.com and its aliases
	Graph    http.Handler // graph.microsoft.com
	ARM      http.Handler // management.azure.com
	Vault    http.Handler // {vault}.vault.azure.net
	Kusto    http.Handler // {cluster}.{region}.kusto.windows.net and ingest-…
	Identity http.Handler // 169.254.169.254, plain HTTP through the proxy only
	// IdentityEndpoint is what IDENTITY_ENDPOINT points to: the proxy's own
	// address, from loopback only. nil when there is none.
	IdentityEndpoint http.Handler
}

// Served host names. A name under a suffix is served whether or not the vault
// or cluster exists: the plane answers that.
const (
	hostARM       = "management.azure.com"
	hostGraph     = "graph.microsoft.com"
	suffixVault   = ".vault.azure.net"
	suffixKusto   = ".kusto.windows.net"
	hostIdentity  = "169.254.169.254"
	hostLocalhost = "localhost"
)

func loginHosts() []string {
	return []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"}
}

// CAConstraints are the DNS names and suffixes the local CA may sign for.
func caConstraints() []string {
	return append(loginHosts(), hostARM, hostGraph, "vault.azure.net", "kusto.windows.net", hostLocalhost)
}

// handler returns the plane for an HTTPS host (without port), nil when the
// host is not served.
func (p Planes) handler(host string) http.Handler {
	host = strings.ToLower(host)
	switch {
	case host == hostARM:
		return p.ARM
	case host == hostGraph:
		return p.Graph
	case oneLabelUnder(host, suffixVault):
		return p.Vault
	case strings.HasSuffix(host, suffixKusto) && strings.Count(host, ".") == strings.Count(suffixKusto, ".")+1:
		return p.Kusto // {cluster}.{region}
	}
	for _, h := range loginHosts() {
		if host == h {
			return p.Login
		}
	}
	return nil
}

// oneLabelUnder reports whether host is exactly one label under suffix (which begins with a dot).
func oneLabelUnder(host, suffix string) bool {
	label, ok := strings.CutSuffix(host, suffix)
	return ok && label != "" && !strings.Contains(label, ".")
}

// hostOnly strips a port.
func hostOnly(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}
