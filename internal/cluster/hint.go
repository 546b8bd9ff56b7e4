package cluster

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/envelope"
)

// HintVault says that something about the vault with this host changed. It
// carries no state: the clusters whose KEK lies there probe at once instead of
// at the next interval, over the public API and with a token as ever. A hint
// that is lost, or given for no reason, changes nothing but a moment in time.
func (r *Runtime) HintVault(host string) {
	r.mu.Lock()
	nodes := slices.Collect(maps.Values(r.nodes))
	r.mu.Unlock()
	for _, n := range nodes {
		wrapped, err := n.ring.Wrapped(r.ctx)
		if err == nil && wrapped.KEK.Kind == envelope.KindCustomer && inVault(wrapped.KEK.VaultURI, host) {
			n.wake()
		}
	}
}

func inVault(uri, host string) bool {
	u, err := url.Parse(uri)
	return err == nil && strings.EqualFold(u.Hostname(), host)
}
