package server

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// closingTime bounds the wait for the end of closed connections.
const closingTime = 200 * time.Millisecond

// connections knows which connections have carried data: requests and answers
// of clusters and vaults stay in the buffers of a connection until the next
// ones come.
type connections struct {
	mu    sync.Mutex
	known map[net.Conn]*connUse
}

type connUse struct{ data, idle bool }

type connectionKey struct{}

// watch makes srv tell about its connections.
func (c *connections) watch(srv *http.Server) {
	srv.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, conn)
	}
	srv.ConnState = func(conn net.Conn, state http.ConnState) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if state == http.StateClosed || state == http.StateHijacked {
			delete(c.known, conn)
			return
		}
		k := c.known[conn]
		if k == nil {
			k = &connUse{}
			c.known[conn] = k
		}
		k.idle = state == http.StateIdle
	}
}

// carries notes that a request for host came over its connection.
func (c *connections) carries(r *http.Request, host string) {
	if !strings.HasSuffix(host, suffixVault) && !strings.HasSuffix(host, suffixKusto) {
		return
	}
	conn, _ := r.Context().Value(connectionKey{}).(net.Conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.known[conn]; k != nil {
		k.data = true
	}
}

// closeIdle closes those that carried data and wait for the next request.
func (c *connections) closeIdle() {
	c.mu.Lock()
	var doomed []net.Conn
	for conn, k := range c.known {
		if k.data && k.idle {
			doomed = append(doomed, conn)
		}
	}
	c.mu.Unlock()
	for _, conn := range doomed {
		_ = conn.Close()
	}
	// Their buffers are let go of by the goroutines that served them, soon.
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(closingTime); c.knowsAny(doomed); {
		select {
		case <-tick.C:
		case <-limit:
			return
		}
	}
}

func (c *connections) knowsAny(conns []net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.known[conn] != nil {
			return true
		}
	}
	return false
}
