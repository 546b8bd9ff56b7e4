package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"
)

const (
	// rowsLimit is when the connections that carried rows of a suspended
	// cluster are cut, whatever they do.
	rowsLimit = 2 * time.Second
	// settleTime is how long a connection must have been idle to be closed at a
	// suspension: a client that is faster than that gets its next answer and is
	// told in it that the connection ends.
	settleTime = 250 * time.Millisecond
)

// carriers are the connections to data planes. Their buffers, here, in net/http
// and in crypto/tls, hold the last requests and answers as long as they are open.
type carriers struct {
	settle time.Duration // settleTime

	mu   sync.Mutex
	open map[net.Conn]*carrier
}

type carrier struct {
	host   string // of the cluster whose rows it carried last; "" for none
	active bool
	since  time.Time // of its last change between active and idle
	// ending is set when it must end with its next answer or, idle, without one.
	ending bool
	gone   chan struct{} // closed with the connection
}

func newCarriers() *carriers { return &carriers{settle: settleTime, open: map[net.Conn]*carrier{}} }

type connectionKey struct{}

// withConnection is an http.Server's ConnContext.
func withConnection(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// state is an http.Server's ConnState.
func (c *carriers) state(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.open[conn]
	switch {
	case state == http.StateClosed || state == http.StateHijacked:
		if known != nil {
			close(known.gone)
			delete(c.open, conn)
		}
	case known == nil:
		c.open[conn] = &carrier{active: state == http.StateActive, since: time.Now(), gone: make(chan struct{})}
	default:
		// An ending one is not closed here: its client may have the whole answer, not
		// know that it was the last, and be asking again.
		known.active, known.since = state == http.StateActive, time.Now()
	}
}

// plane notes which connections carry requests to a cluster.
func (c *carriers) plane(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, ok := r.Context().Value(connectionKey{}).(net.Conn); ok && c.carries(conn, r.Host) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// carries notes that a connection carries a request to a host, and reports
// whether it must end with it.
func (c *carriers) carries(conn net.Conn, host string) (ending bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.open[conn]
	if known == nil {
		return false
	}
	known.host = clusterHost(host)
	return known.ending
}

// clusterHost is the query host of a cluster's two hosts.
func clusterHost(host string) string {
	return strings.TrimPrefix(strings.ToLower(hostOnly(host)), "ingest-")
}

// end ends the connections that carried rows of the cluster at host: those that
// have been idle for a moment, others with their next answer. With all, the ones that are
// still open after rowsLimit are cut; without, the requests on them go on. The
// channel is closed when none is open any more; who served them may hold them a
// little longer, and held tells, after a collection, whether anybody does.
func (c *carriers) end(host string, all bool) (ended <-chan struct{}, held func() bool) {
	host = clusterHost(host)
	var mine []net.Conn
	var gone []<-chan struct{}
	var weakly []weak.Pointer[tls.Conn]
	c.mu.Lock()
	for conn, known := range c.open {
		if known.host == host {
			known.ending = true
			mine, gone = append(mine, conn), append(gone, known.gone)
			if w, ok := conn.(*washed); ok {
				if secure, ok := w.Conn.(*tls.Conn); ok {
					weakly = append(weakly, weak.Make(secure))
				}
			}
		}
	}
	c.mu.Unlock()
	c.closeIdle(mine)
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(c.settle)
		defer tick.Stop()
		limit := time.NewTimer(rowsLimit)
		defer limit.Stop()
		for _, g := range gone {
			for open := true; open; {
				select {
				case <-g:
					open = false
				case <-tick.C:
					c.closeIdle(mine)
				case <-limit.C:
					if all {
						for _, conn := range mine {
							go conn.Close()
						}
					}
				}
			}
		}
	}()
	return over, func() bool {
		return slices.ContainsFunc(weakly, func(w weak.Pointer[tls.Conn]) bool { return w.Value() != nil })
	}
}

// closeIdle closes those that have been idle for a while.
func (c *carriers) closeIdle(conns []net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if known := c.open[conn]; known != nil && !known.active && time.Since(known.since) >= c.settle {
			go conn.Close() // it may wait for a peer that does not read
		}
	}
}
