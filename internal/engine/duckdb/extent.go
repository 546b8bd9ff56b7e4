//go:build cgo

package duckdb

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/engine"
)

// extents holds the memfds that were handed over. A descriptor is closed only
// when no statement uses it: its number would otherwise be given to another
// file while DuckDB still opens it by that number.
type extents struct {
	most int // that may be open at a time

	mu   sync.Mutex
	open map[string]*extent
}

type extent struct {
	file   *os.File
	sparse bool // the read hook stands before it
	users  int
	closed bool // close when the last user has ended
}

// add takes files[0] over, the extent's memfd; of one that is decrypted on
// read files[1] holds the words.
func (e *extents) add(id string, files []*os.File, about *engine.SparseInfo) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.open[id]; ok {
		return badCommand("extent is open already")
	}
	if len(e.open) >= e.most {
		return &engine.Fault{Kind: engine.TooMany, Message: fmt.Sprintf("no more than %d extents may be open at a time", e.most)}
	}
	if about != nil {
		if err := hook(files[0], files[1], *about); err != nil {
			return badCommand("extent cannot be read through the hook: %v", err)
		}
	}
	e.open[id] = &extent{file: files[0], sparse: about != nil}
	return nil
}

func (x *extent) close() {
	if x.sparse {
		// An error is possible only for a file that was never added.
		_ = unhook(x.file)
	}
	x.file.Close()
}

func (e *extents) remove(id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, ok := e.open[id]
	if !ok {
		return badCommand("extent is not open")
	}
	delete(e.open, id)
	x.closed = true
	if x.users == 0 {
		x.close()
	}
	return nil
}

// use replaces the extents' placeholders by the paths of their memfds and
// keeps them open until release is called.
func (e *extents) use(sql string, ids []string) (resolved string, release func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	used := make([]*extent, 0, len(ids))
	pairs := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		x, ok := e.open[id]
		if !ok {
			return "", nil, badCommand("extent is not open")
		}
		used = append(used, x)
		pairs = append(pairs, "{{extent:"+id+"}}", descriptorPath(x.file))
	}
	for _, x := range used {
		x.users++
	}
	release = func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, x := range used {
			if x.users--; x.users == 0 && x.closed {
				x.close()
			}
		}
	}
	return strings.NewReplacer(pairs...).Replace(sql), release, nil
}

func descriptorPath(f *os.File) string {
	return "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
}
