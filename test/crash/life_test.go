//go:build amd64

package crash_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

// step is a part of a life; its name is that of the points in it.
type step struct {
	name string
	do   func() error
}

// settings of every life. Where the audit log goes on in another file depends on
// what runs beside, so only the life of trouble has small ones.
func (s *story) settings() []string {
	args := []string{"--control", "127.0.0.1:0", "--clock", "manual"}
	if s.double {
		args = append(args, "--audit-segment-bytes", "16384")
	}
	return args
}

// live runs a server through the steps of a story, kills it at a point ("" for
// none), and checks what is there afterwards. double says whether its cluster has
// a second layer of encryption.
func live(t *testing.T, target string, double bool, steps func(*story) []step) *story {
	s := newStory(t, double)
	s.run(target, steps(s))
	s.check()
	return s
}

func newStory(t *testing.T, double bool) *story {
	s := &story{t: t, double: double, batches: map[string]*batch{}, did: map[string]bool{}, tried: map[string]bool{}, keyNext: "-"}
	s.inst = harness.New(t, s.settings()...)
	return s
}

// run lives steps under a tracer; the first error is the end of the server, or a defect.
func (s *story) run(target string, steps []step) {
	t := s.t
	t.Helper()
	points := newRecord("start", target)
	log, err := os.OpenFile(filepath.Join(s.inst.Root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer log.Close()
	s.process = &traced{dir: s.inst.DataDir(), seal: s.inst.SealPath(), reached: points.reached}
	s.process.start(t, log, append([]string{s.inst.Binary(), "up", "--data", s.inst.DataDir(), "--seal", "file:" + s.inst.SealPath(),
		"--proxy", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, s.settings()...)...)
	if err = s.each(points.enter, steps); err != nil {
		s.process.end() // what was a defect is said below
	}
	select {
	case <-s.process.done:
	case <-time.After(time.Minute):
		t.Fatal("the server does not end")
	}
	must(t, s.process.err)
	s.killed, s.points = s.process.killed, points.points
	if err != nil && !s.killed {
		t.Fatalf("in step %q: %v", points.step, err)
	}
}

func (s *story) each(enter func(string), steps []step) error {
	for _, step := range steps {
		enter(step.name)
		if err := step.do(); err != nil {
			return err
		}
		s.did[step.name] = true
	}
	return nil
}

// check starts the server again and compares the folder with what was acknowledged.
func (s *story) check() {
	t := s.t
	t.Helper()
	s.c = harness.Start(t, s.inst)
	if s.did["cluster"] {
		s.giveBack()
		s.rows()
		s.keys()
		// the folder lives on
		harness.Command(t, s.c, s.uri, "db", ".create-merge table After (Id:long)", ".ingest inline into table After <|\n1\n2\n")
		if got := len(s.answer("db", "After")); got != 2 {
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
	clusters, err := os.ReadDir(filepath.Join(s.inst.DataDir(), "clusters"))
	must(s.t, err)
	if s.did["delete cluster"] && len(clusters) > 1 {
		s.t.Errorf("a cluster was deleted, and there are %d folders", len(clusters))
	}
}

// rows compares every table with the batches that were sent to it.
func (s *story) rows() {
	t := s.t
	t.Helper()
	found := map[string]map[int]int{}
	for _, table := range []string{"db.T", "short.R", "db.D", "db.H", "own.O"} {
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
		for _, row := range s.answer(database, "set notruncation; "+name+" | project Id") {
			found[table][int(row[0].(float64))]++
		}
	}
	for label, b := range s.batches {
		there := 0
		for id := b.first; id < b.first+b.rows; id++ {
			if n := found[b.table][id]; n > 1 {
				t.Errorf("row %d of batch %s is there %d times", id, label, n)
			} else {
				there += n
			}
		}
		gone := s.tried["drop "+b.table] || b.table == "short.R" && s.tried["retention"]
		switch {
		case b.acked && there < b.rows && (!gone || there > 0):
			t.Errorf("batch %s of table %s was acknowledged, and %d of its %d rows are there", label, b.table, there, b.rows)
		case b.refused && there > 0:
			t.Errorf("batch %s of table %s was refused, and %d of its %d rows are there", label, b.table, there, b.rows)
		case there != 0 && there != b.rows:
			t.Errorf("batch %s of table %s is there by half: %d rows of %d", label, b.table, there, b.rows)
		}
	}
}

func (s *story) has(database, table string) bool {
	if database != "db" {
		there := false
		for _, row := range s.answer("db", ".show databases") {
			there = there || row[0] == database
		}
		if !there {
			return false
		}
	}
	for _, row := range s.answer(database, ".show tables") {
		if row[0] == table {
			return true
		}
	}
	return false
}

// answer asks a cluster that was just started, or one of its databases: until it
// has its key and has read its log, it refuses with 412.
func (s *story) answer(database, text string) [][]any {
	s.t.Helper()
	if !s.tried["revoke"] && !s.tried["revoke database"] && !s.tried["stop cluster"] {
		return answer(s.t, s.c, s.uri, database, text)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(time.Minute); ; {
		rows, err := s.c.Query(s.t.Context(), s.uri, database, text)
		var refused *client.RefusedError
		if err == nil {
			return rows
		} else if !errors.As(err, &refused) || refused.Status != http.StatusPreconditionFailed && refused.Status < 500 {
			s.t.Fatal(err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
