package server

import (
	"runtime"
	"runtime/debug"

	"github.com/kustos-io/kustos/internal/cluster"
)

// forget makes unreadable what the process has let go of at a suspension of a
// cluster, or of one database of it: keys at once, rows as soon as the
// connections that carried them have ended, which takes at most rowsLimit for a
// cluster.
func (p *parts) forget(c cluster.Spec, database string) {
	p.server.forgetConnections()
	p.server.own.ended()
	ended := p.server.carriers.end(hostOf(c.URI), database == "")
	collect()
	go func() {
		<-ended
		collect()
		p.log.Info("connections that carried rows have ended and memory is overwritten", "cluster", c.ID, "database", database)
	}()
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
