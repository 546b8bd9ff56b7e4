//go:build amd64

package crash_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/test/harness"
)

var (
	pointsFlag = flag.String("crash.points", "12", "at how many points of a server's life to kill it, by chance; first: at each place of each step once; all: at every one; or how their names begin")
	seedFlag   = flag.Uint64("crash.seed", 0, "chooses the points; 0 is another choice each time")
)

// The server is killed before a system call that changes its folder: writes,
// syncs, renames, links, removals, truncations, SQLite's own included, in a life of
// ingestion, seals, merges, retention, drops and changes of every key. After a
// restart every acknowledged row and deed must be there, none twice, a refused batch
// wholly or not at all, nothing left over, and fsck must be content.
func TestKillAtEveryPoint(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("seeing which files a server changes needs root")
	}
	all := life(t, "")
	if len(all.points) < 300 {
		t.Fatalf("only %d points were seen: the tracer is blind", len(all.points))
	}
	targets := choose(t, all.points)
	t.Logf("%d points, %d of them at another place; killing at %d", len(all.points), len(first(all.points)), len(targets))
	missed := 0
	for _, target := range targets {
		if !t.Run(target, func(t *testing.T) {
			killed := false
			for tries := 3; tries > 0 && !killed; tries-- { // what runs beside each other comes in another order each time
				killed = life(t, target).killed
			}
			if !killed {
				missed++
			}
		}) {
			break
		}
	}
	t.Logf("killed at %d points; %d others did not come up again in three lives", len(targets)-missed, missed)
	if missed > len(targets)/2 {
		t.Errorf("%d of %d points were not reached", missed, len(targets))
	}
}

func choose(t *testing.T, points []string) []string {
	t.Helper()
	var many int
	switch _, err := fmt.Sscan(*pointsFlag, &many); {
	case *pointsFlag == "all":
		return points
	case *pointsFlag == "first":
		return first(points)
	case err != nil:
		return slices.DeleteFunc(slices.Clone(points), func(p string) bool { return !strings.HasPrefix(p, *pointsFlag) })
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
func first(points []string) (out []string) {
	for _, p := range points {
		if strings.HasSuffix(p, " #1") {
			out = append(out, p)
		}
	}
	return out
}

// life runs a server through everything, kills it at a point ("" for none), and
// checks what is there afterwards.
func life(t *testing.T, target string) *story {
	t.Helper()
	inst := harness.New(t, "--control", "127.0.0.1:0", "--clock", "manual")
	points := &counter{seen: map[string]int{}, target: target, step: "start"}
	s := &story{t: t, inst: inst, batches: map[string]*batch{}}
	log, err := os.OpenFile(filepath.Join(inst.Root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer log.Close()
	process := &traced{dir: inst.DataDir(), reached: points.reached}
	process.start(t, log, inst.Binary(), "up", "--data", inst.DataDir(), "--seal", "file:"+inst.SealPath(),
		"--proxy", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--clock", "manual")
	s.process, s.enter = process, points.enter
	if err = s.live(); err != nil {
		process.end() // what was a defect is said below
	}
	select {
	case <-process.done:
	case <-time.After(time.Minute):
		t.Fatal("the server does not end")
	}
	must(t, process.err)
	s.killed, s.points = process.killed, points.points
	if err != nil && !process.killed {
		t.Fatalf("in step %q: %v", points.step, err)
	}
	s.check()
	return s
}

// check starts the server again and compares the folder with what was acknowledged.
func (s *story) check() {
	t := s.t
	t.Helper()
	if _, err := os.Stat(filepath.Join(s.inst.DataDir(), "barrier.json")); err != nil && s.killed {
		must(t, os.RemoveAll(s.inst.DataDir())) // nothing was begun; a seal that was made is kept
		_ = os.Remove(s.inst.SealPath())
	}
	c := harness.Start(t, s.inst)
	s.c = c
	if s.did["cluster"] {
		s.rows()
		s.keys()
		// the folder lives on
		harness.Command(t, c, s.uri, "db", ".create-merge table After (Id:long)", ".ingest inline into table After <|\n1\n2\n")
		if got := len(answer(t, c, s.uri, "db", "After")); got != 2 {
			t.Errorf("%d new rows of 2", got)
		}
	}
	must(t, s.inst.Stop())
	s.leftovers()
	out, err := exec.Command(s.inst.Binary(), "fsck", "--seal", "file:"+s.inst.SealPath(), s.inst.DataDir()).CombinedOutput()
	if err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
}

// leftovers fails the test for files that nothing will ever read.
func (s *story) leftovers() {
	err := filepath.WalkDir(s.inst.DataDir(), func(path string, d os.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(d.Name(), ".tmp") || strings.HasPrefix(d.Name(), ".backup-")) {
			s.t.Errorf("%s is left over", path)
		}
		return err
	})
	must(s.t, err)
}

// rows compares every table with the batches that were sent to it.
func (s *story) rows() {
	t := s.t
	t.Helper()
	found := map[string]map[int]int{}
	for _, table := range []string{"db.T", "short.R", "db.D", "own.O"} {
		database, name, _ := strings.Cut(table, ".")
		found[table] = map[int]int{}
		if !s.has(database, name) {
			if s.did["create "+table] && !s.tried["drop "+table] {
				t.Errorf("table %s is gone", table)
			}
			continue
		}
		if s.did["drop "+table] {
			t.Errorf("table %s was dropped and is there", table)
		}
		for _, row := range answer(t, s.c, s.uri, database, "set notruncation; "+name+" | project Id") {
			found[table][int(row[0].(float64))]++
		}
	}
	for label, b := range s.batches {
		there := 0
		for id := b.first; id < b.first+batchRows; id++ {
			if n := found[b.table][id]; n > 1 {
				t.Errorf("row %d of batch %s is there %d times", id, label, n)
			} else {
				there += n
			}
		}
		gone := s.tried["drop "+b.table] || b.table == "short.R" && s.tried["retention"]
		switch {
		case b.acked && there < batchRows && (!gone || there > 0):
			t.Errorf("batch %s of table %s was acknowledged, and %d of its %d rows are there", label, b.table, there, batchRows)
		case there != 0 && there != batchRows:
			t.Errorf("batch %s of table %s is there by half: %d rows of %d", label, b.table, there, batchRows)
		}
	}
}

func (s *story) has(database, table string) bool {
	if database != "db" {
		there := false
		for _, row := range answer(s.t, s.c, s.uri, "db", ".show databases") {
			there = there || row[0] == database
		}
		if !there {
			return false
		}
	}
	for _, row := range answer(s.t, s.c, s.uri, database, ".show tables") {
		if row[0] == table {
			return true
		}
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
