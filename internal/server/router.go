package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/wire"
)

// router sends a request to the plane of its host. Clients write "//" in paths
// (az, azurerm); it is collapsed here, without a redirect, which would lose
// body and token.
func (s *Server) router(w http.ResponseWriter, r *http.Request) {
	h := s.planes.handler(hostOnly(r.Host))
	if h == nil {
		r, info := wire.WithRequest(r)
		wire.SetCommonHeaders(w.Header(), info)
		wire.WriteError(w, r, s.log, hostNotServed(r.Host))
		return
	}
	collapse(r.URL)
	h.ServeHTTP(w, r)
}

func hostNotServed(host string) error {
	return &azerr.Error{Status: http.StatusMisdirectedRequest, Code: "HostNotServed", Message: "This server does not answer for the host '" + host + "'."}
}

// collapse replaces runs of slashes by one, in the decoded and the escaped path.
func collapse(u *url.URL) {
	u.Path = singleSlashes(u.Path)
	if u.RawPath != "" {
		u.RawPath = singleSlashes(u.RawPath)
	}
}

func singleSlashes(p string) string {
	for strings.Contains(p, "//") {
		p = strings.ReplaceAll(p, "//", "/")
	}
	return p
}
