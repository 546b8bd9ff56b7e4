//go:build amd64

package crash_test

import (
	"fmt"
	"strings"
	"sync"
)

// point is a moment at which a process can be killed: what it is about to do.
type point struct {
	step   string // of the story, when it came
	deed   string // what is done to which file, ids left out
	number int    // how often that was done in this step, from 1
	after  int    // what was done to this file since its last sync
}

// name tells a point from all others of its life.
func (p point) name() string { return fmt.Sprintf("%s: %s #%d", p.step, p.deed, p.number) }

// many is from how many changes on it is one kind of point, however many there are:
// one page of a checkpoint among others, one of a large transaction.
const many = 8

// kind is what makes two points equal, but for when they come: what is done,
// to which file, and how much of what was done to it before is not synced. For
// the log of SQLite that is the place within the transaction.
func (p point) kind() string {
	if p.after >= many {
		return fmt.Sprintf("%s, %d or more after a sync", p.deed, many)
	}
	return fmt.Sprintf("%s, %d after a sync", p.deed, p.after)
}

// record numbers the points of a life as they come.
type record struct {
	mu     sync.Mutex
	step   string
	target string // name of the point at which to kill; "" for none
	seen   map[string]int
	open   map[string]int // changes of a file since its last sync
	points []point
}

func newRecord(step, target string) *record {
	return &record{step: step, target: target, seen: map[string]int{}, open: map[string]int{}}
}

func (r *record) enter(step string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.step = step
}

func (r *record) reached(deed, file string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := point{step: r.step, deed: deed, after: r.open[file]}
	r.seen[p.step+": "+deed]++
	p.number = r.seen[p.step+": "+deed]
	if r.open[file]++; strings.HasPrefix(deed, "sync ") {
		r.open[file] = 0
	}
	r.points = append(r.points, p)
	return p.name() == r.target
}
