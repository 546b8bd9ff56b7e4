// Package sequences drives the real binary through random sequences of
// ingestion, queries, changes of keys, revocation by every cause, restoration,
// SIGKILL and restarts, beside a model of what must be there: after every step an
// acknowledged row is read back exactly, or refused for the true reason.
package sequences_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/kustos-io/kustos/test/harness"
)

var (
	runs  = flag.Int("sequences.runs", 4, "how many sequences; docs/benchmarks.md records a long run")
	seed  = flag.Uint64("sequences.seed", 0, "of the first sequence of the first server; 0 is another each time")
	limit = flag.Duration("sequences.limit", 0, "begin no sequence after this time; 0 is no limit")
)

const (
	perServer = 10 // sequences that share a folder, one after another
	deeds     = 8  // of a sequence
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	harness.Cleanup()
	os.Exit(code)
}

func TestRandomSequences(t *testing.T) {
	first := *seed
	if first == 0 {
		first = rand.Uint64()>>1 + 1
	}
	began := time.Now()
	count := map[string]*tally{}
	for _, d := range allDeeds() {
		count[d.name] = &tally{}
	}
	done, all := 0, &totals{}
	defer func() { t.Logf("%d sequences in %s; %v: %v", done, time.Since(began).Round(time.Second), all, count) }()
	for done < *runs && !t.Failed() && (*limit == 0 || time.Since(began) < *limit) {
		server := first + uint64(done/perServer)
		t.Run(fmt.Sprintf("seed=%d", server), func(t *testing.T) {
			w := newWorld(t, rand.New(rand.NewPCG(server, 0)), count, all)
			for n := 0; n < perServer && done < *runs; n++ {
				w.sequence(n)
				done++
			}
			w.settle() // so that the end of the server finds nothing under way
		})
	}
}

// tally is how often a deed was done, and how long it and looking at everything took.
type tally struct {
	n    int
	took time.Duration
}

func (t *tally) add(took time.Duration) { t.n, t.took = t.n+1, t.took+took }

func (t *tally) String() string {
	return fmt.Sprintf("%d (%s)", t.n, (t.took / time.Duration(max(t.n, 1))).Round(time.Millisecond))
}

// sequence does what chance says, and looks at everything after each deed.
func (w *world) sequence(n int) {
	w.t.Helper()
	w.trace = append(w.trace, fmt.Sprintf("sequence %d:", n))
	for range deeds {
		var able []deed
		total := 0
		for _, d := range allDeeds() {
			if d.able == nil || d.able(w) {
				able, total = append(able, d), total+d.weight
			}
		}
		at := w.random.IntN(total)
		for _, d := range able {
			if at -= d.weight; at < 0 {
				w.trace = append(w.trace, d.name)
				began := time.Now()
				d.do(w)
				w.settle()
				w.count[d.name].add(time.Since(began))
				break
			}
		}
	}
}
