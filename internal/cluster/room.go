package cluster

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
)

// room is how many extents may be open at a time. An open one is a descriptor
// in the child; one that is decrypted on read costs two here as well.
type room struct {
	idle  int // extents beyond which those that nobody reads are closed
	files int // descriptors that may be used here
}

// idleExtents is how many extents may stay open in a child that knows no limit.
const idleExtents = 1500

func newRoom() room {
	r := room{idle: idleExtents, files: 1024}
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err == nil {
		// The rest is for connections, logs and other clusters.
		r.files = int(min(now.Cur, 1<<20)) * 3 / 4
	}
	return r
}

// fit takes the limit of a child over.
func (c *cache) fit(child engine.Child) {
	if most := child.Info().MaxExtents; most > 0 {
		c.mu.Lock()
		c.room.idle = most * 3 / 4
		c.mu.Unlock()
	}
}

// crowded says that extents nobody reads have to be closed. The caller holds mu.
func (c *cache) crowded() bool {
	return len(c.hot) > c.room.idle || c.files > c.room.files*3/4
}

// hold notes how many descriptors an extent has here.
func (c *cache) hold(h *hot, files int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hot[h.id] == h {
		c.files += files - h.files
	}
	h.files = files
}

// admit refuses one more extent that needs descriptors here when they are used up.
func (c *cache) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files >= c.room.files {
		return tooMany("%d extents are open, and no more fit into the %d descriptors of this process", len(c.hot), c.room.files)
	}
	return nil
}

// unopened is what an error of loading an extent means: that it is damaged, or
// that this process has no descriptor left.
func unopened(id string, err error) error {
	var full *QueryError
	switch {
	case errors.As(err, &full):
		return err
	case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
		return tooMany("no descriptor is left to open an extent")
	}
	return extentError(id, err)
}

func tooMany(format string, args ...any) error {
	return &QueryError{Kind: engine.TooMany, Message: fmt.Sprintf(format, args...) + "; small extents are merged in the background, a narrower time range needs fewer"}
}

// openable refuses a query over more extents than the child can have open.
func openable(child engine.Child, extents int) error {
	if most := child.Info().MaxExtents; most > 0 && extents > most {
		return tooMany("the query reads %d extents of one table, and no more than %d can be open at a time", extents, most)
	}
	return nil
}
