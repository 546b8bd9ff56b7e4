//go:build amd64

package crash_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	pointsFlag = flag.String("crash.points", "6", "at how many points of each life of a server to kill it, by chance; first: at each place of each step once; all: at every one; or how their names begin")
	seedFlag   = flag.Uint64("crash.seed", 0, "chooses the points; 0 is another choice each time")
)

// scenario is a life of a server that can be killed at any point of it.
type scenario struct {
	name string
	// live runs it once, kills the server at the point with that name ("" for
	// none), and checks what is there afterwards.
	live func(t *testing.T, target string) *story
	// known are steps that another life has as well: nothing is killed in them.
	known []string
}

// The server is killed before a system call that changes its folder: writes,
// syncs, renames, links, removals, truncations, SQLite's own included. After a
// restart every acknowledged row and deed must be there, none twice, a refused batch
// wholly or not at all, nothing left over, and fsck must be content.
//
// What runs beside each other comes in another order each time, so a point may not
// come up again: it must then be equal to one that was reached and passed, by the
// same kind of write to the same file.
func TestKillAtEveryPoint(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("seeing which files a server changes needs root")
	}
	folder := crashedFolder(t)
	passed := map[string]string{} // by kind, and by step and kind: a point where a server was killed, and what was found was right
	for _, s := range []scenario{
		{"life", func(t *testing.T, target string) *story { return live(t, target, false, (*story).life) }, nil},
		{"trouble", func(t *testing.T, target string) *story { return live(t, target, true, (*story).trouble) }, []string{"start", "cluster", "tables"}},
		{"recovery", folder.recover, nil},
	} {
		t.Run(s.name, func(t *testing.T) {
			all := slices.DeleteFunc(s.live(t, "").points, s.isKnown)
			if len(all) < 100 {
				t.Fatalf("only %d points were seen: the tracer is blind", len(all))
			}
			targets := choose(t, all)
			t.Logf("%d points, %d of them at another place; killing at %d", len(all), len(first(all)), len(targets))
			k := &killer{scenario: s, passed: passed, reached: map[string]bool{}, seen: map[string]point{}}
			k.kill(t, targets)
			if *pointsFlag == "all" && !t.Failed() {
				k.kill(t, k.unheardOf())
			}
			k.report(t)
		})
	}
}

func (s scenario) isKnown(p point) bool { return slices.Contains(s.known, p.step) }

// killer kills a server at one point after the other, three at a time.
type killer struct {
	scenario
	mu      sync.Mutex
	passed  map[string]string
	reached map[string]bool // points where it was killed
	missed  []point
	seen    map[string]point // of all lives, one of each kind in each step
}

const tries = 2

func (k *killer) kill(t *testing.T, targets []point) {
	t.Run("points", func(t *testing.T) {
		for _, target := range targets {
			t.Run(target.name(), func(t *testing.T) {
				t.Parallel()
				for range tries {
					if s := k.live(t, target.name()); k.note(target, s, !t.Failed()) {
						return
					}
				}
				k.mu.Lock()
				defer k.mu.Unlock()
				k.missed = append(k.missed, target)
			})
		}
	})
}

// note records a life; true when it ended where it should.
func (k *killer) note(target point, s *story, good bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range s.points {
		k.seen[p.step+": "+p.kind()] = p
	}
	if s.killed && good {
		k.reached[target.name()] = true
		k.passed[target.kind()] = k.name + "/" + target.name()
		k.passed[target.step+": "+target.kind()] = k.name + "/" + target.name()
	}
	return s.killed
}

// unheardOf are points of kinds that came up in some life and were nowhere reached.
func (k *killer) unheardOf() (out []point) {
	for _, name := range slices.Sorted(maps.Keys(k.seen)) {
		if p := k.seen[name]; k.passed[p.kind()] == "" && !k.isKnown(p) {
			out = append(out, p)
		}
	}
	return out
}

// report says what became of the points that did not come up again.
func (k *killer) report(t *testing.T) {
	equal := 0
	for _, p := range k.missed {
		where := "in the same step"
		as := k.passed[p.step+": "+p.kind()]
		if as == "" {
			where = "in another step"
			as = k.passed[p.kind()]
		}
		switch {
		case as != "":
			equal++
			t.Logf("%s did not come up again; equal to %s (%s), which was reached and passed: %s", p.name(), as, where, p.kind())
		case *pointsFlag == "all":
			t.Errorf("%s did not come up again, and nothing equal to it was reached: %s", p.name(), p.kind())
		default:
			t.Logf("%s did not come up again: %s", p.name(), p.kind())
		}
	}
	t.Logf("%s: killed at %d points; %d others did not come up again in %d lives, %d of them equal to one of these", k.name, len(k.reached), len(k.missed), tries, equal)
	if len(k.missed) > len(k.reached) {
		t.Errorf("%d points were not reached, and only %d were", len(k.missed), len(k.reached))
	}
}

func choose(t *testing.T, points []point) []point {
	t.Helper()
	var many int
	switch _, err := fmt.Sscan(*pointsFlag, &many); {
	case *pointsFlag == "all":
		return points
	case *pointsFlag == "first":
		return first(points)
	case err != nil:
		return slices.DeleteFunc(slices.Clone(points), func(p point) bool { return !strings.HasPrefix(p.name(), *pointsFlag) })
	}
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-crash.seed=%d", seed)
	chosen := slices.Clone(points)
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen[:min(many, len(chosen))]
}

// first are the points at another place than all before them.
func first(points []point) []point {
	return slices.DeleteFunc(slices.Clone(points), func(p point) bool { return p.number > 1 })
}
