package server

import (
	"runtime"
	"runtime/debug"
)

// forget makes unreadable what the process has let go of: garbage keeps its
// bytes until its place is used again. It collects, zeroes the places that are
// free within pages that stay in use, and gives whole free pages back to the
// kernel, which zeroes them.
func (p *parts) forget() {
	p.server.forgetConnections()
	p.server.own.ended()
	// Twice: what a sync.Pool holds survives one collection.
	runtime.GC()
	runtime.GC()
	fillFree()
	debug.FreeOSMemory()
}

// fillBytes is how much of each small size is taken.
const fillBytes = 2 << 20

// fillFree allocates, and so zeroes, places of every small size without
// pointers, until more are taken than lie free as a rule. Keys, encodings of
// keys and rows are of this kind.
func fillFree() {
	percent := debug.SetGCPercent(-1) // a collection would hand back what is taken here
	defer debug.SetGCPercent(percent)
	var sizes runtime.MemStats
	runtime.ReadMemStats(&sizes)
	var taken [][]byte
	for _, class := range sizes.BySize {
		for n := 0; class.Size > 0 && n < fillBytes/int(class.Size); n++ {
			taken = append(taken, make([]byte, class.Size))
		}
	}
	runtime.KeepAlive(taken)
}
