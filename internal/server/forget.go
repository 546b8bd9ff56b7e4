package server

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/kustos-io/kustos/internal/cluster"
)

// forget makes unreadable what the process has let go of at a suspension of a
// cluster, or of one database of it: keys at once, rows as soon as the
// connections that carried them have ended, which takes at most rowsLimit for a
// cluster.
func (p *parts) forget(c cluster.Spec, database string) {
	p.server.forgetConnections()
	p.server.own.ended()
	ended, held := p.server.carriers.end(hostOf(c.URI), database == "")
	collect()
	go func() {
		<-ended
		collect()
		if awaitUnheld(held) {
			p.log.Info("connections that carried rows have ended and memory is overwritten", "cluster", c.ID, "database", database)
		} else {
			p.log.Error("a connection that carried rows has ended and something still holds it: rows may be in memory", "cluster", c.ID, "database", database)
		}
	}()
}

// unheldLimit is how long whoever served a connection may take to let go of it.
const unheldLimit = 10 * time.Second

// awaitUnheld collects until nothing is held any more and reports whether that
// came about: a connection says that it is closed before its server has left it.
func awaitUnheld(held func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(unheldLimit); held(); {
		if time.Now().After(limit) {
			return false
		}
		<-tick.C
		collect()
	}
	collect() // what was put back into a pool between two collections
	return true
}

// collect frees, and so overwrites, what nobody refers to, and gives whole free
// pages back to the kernel, which zeroes them.
func collect() {
	clearThreads()
	// Twice: what a sync.Pool holds survives one collection.
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
}
