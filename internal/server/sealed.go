package server

import (
	"context"
	"log/slog"
	"maps"
	"net/http"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/wire"
)

// sealedPlanes answer every request of every plane with the same 503.
func sealedPlanes(log *slog.Logger) Planes {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, info := wire.WithRequest(r)
		wire.SetCommonHeaders(w.Header(), info)
		wire.WriteError(w, r, log, &azerr.Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable",
			Message: "This server is sealed and answers nothing until its operator unseals it (kustos operator unseal).",
			Header:  http.Header{"Retry-After": {"30"}}})
	})
	return Planes{Login: h, Graph: h, ARM: h, Vault: h, Kusto: h, Identity: h}
}

func keepContext(ctx context.Context, _, _ string) context.Context { return ctx }

// leavesOnly is the CA without its key: it can go on with the certificates that
// were made, and make no other. Those of the fixed hosts are made now.
func (ca *CA) leavesOnly() *CA {
	for _, host := range append(loginHosts(), hostARM, hostGraph, hostLocalhost) {
		_, _ = ca.Leaf(host) // one that cannot be made is a handshake that fails while sealed
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return &CA{cert: ca.cert, now: ca.now, leaves: maps.Clone(ca.leaves)}
}
