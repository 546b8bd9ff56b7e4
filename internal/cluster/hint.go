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
	var probes []func()
	for _, n := range nodes {
		for _, k := range n.databaseKeys() {
			if wrapped, own, err := n.ring.DatabaseWrapped(r.ctx, k.id); err == nil && own && inVault(wrapped.KEK.VaultURI, host) {
				k.wake()
				probes = append(probes, func() { k.probeNow() })
			}
		}
		wrapped, err := n.ring.Wrapped(r.ctx)
		if err == nil && wrapped.KEK.Kind == envelope.KindCustomer && inVault(wrapped.KEK.VaultURI, host) {
			n.wake()
			n.mu.Lock()
			if n.current != nil {
				probes = append(probes, func() { n.probe() })
			}
			n.mu.Unlock()
		}
	}
	r.await(probes, hintPatience)
}

// hintPatience bounds how long a change in a vault waits for what comes of it.
const hintPatience = 250 * time.Millisecond

// await lets probes that are refused end what they end before whoever took a
// key away hears that it is done: his next query is then refused cleanly, and
// not cut off in its middle. A key that is still there costs one probe.
func (r *Runtime) await(probes []func(), limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	dones := make([]chan struct{}, len(probes))
	for i, probe := range probes {
		done := make(chan struct{})
		dones[i] = done
		r.work.Go(func() { defer close(done); probe() })
	}
	for _, done := range dones {
		select {
		case <-done:
		case <-timer.C:
			return
		case <-r.ctx.Done():
			return
		}
	}
}

func inVault(uri, host string) bool {
	u, err := url.Parse(uri)
	return err == nil && strings.EqualFold(u.Hostname(), host)
}
