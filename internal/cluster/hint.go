package cluster

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

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
			n.awaitSuspension(hintPatience)
		}
	}
}

// hintPatience bounds how long a change in a vault waits for what comes of it.
const hintPatience = 250 * time.Millisecond

// awaitSuspension lets a probe that refuses end what it ends before whoever
// took the key away hears that it is done: his next query is then refused
// cleanly, and not cut off in its middle. A key that is still there costs one probe.
func (n *node) awaitSuspension(limit time.Duration) {
	n.mu.Lock()
	up := n.current != nil
	n.mu.Unlock()
	if !up {
		return
	}
	done := make(chan struct{})
	n.r.work.Go(func() { defer close(done); n.probe() })
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-n.r.ctx.Done():
	}
}

func inVault(uri, host string) bool {
	u, err := url.Parse(uri)
	return err == nil && strings.EqualFold(u.Hostname(), host)
}
