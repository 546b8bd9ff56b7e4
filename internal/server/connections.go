package server

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// endingTime bounds the wait for the far ends of closed connections.
const endingTime = 200 * time.Millisecond

// ownConnections are the connections that our own clients have to our own
// listener: keys come and go over them and stay in the buffers of both ends.
// Connections of others are never closed before their time: a request that is
// on its way over one would be lost.
type ownConnections struct {
	mu    sync.Mutex
	open  map[string]bool // by both ends: another socket may have the client's address alone
	known map[string]bool // connections that the listener has
}

// ends names a connection by its two addresses.
func ends(client, server net.Addr) string { return client.String() + ">" + server.String() }

func newOwnConnections() *ownConnections {
	return &ownConnections{open: map[string]bool{}, known: map[string]bool{}}
}

// dialled notes a connection of one of our clients.
func (c *ownConnections) dialled(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[ends(conn.LocalAddr(), conn.RemoteAddr())] = true
}

// has reports whether the listener's end is that of one of our clients.
func (c *ownConnections) has(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[ends(conn.RemoteAddr(), conn.LocalAddr())]
}

// state is the listener's http.Server.ConnState.
func (c *ownConnections) state(conn net.Conn, state http.ConnState) {
	both := ends(conn.RemoteAddr(), conn.LocalAddr())
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.known, both)
		delete(c.open, both)
		return
	}
	c.known[both] = true
}

func (c *ownConnections) any() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for both := range c.open {
		if c.known[both] {
			return true
		}
	}
	return false
}

// ended waits, for a bounded time, until the listener has let go of connections
// that our clients closed.
func (c *ownConnections) ended() {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(endingTime); c.any(); {
		select {
		case <-tick.C:
		case <-limit:
			return
		}
	}
}
