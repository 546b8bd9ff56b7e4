//go:build amd64

package crash_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/test/harness"
)

// crashed is a folder as a crash left it, with all that a start has to put in
// order: logs to replay, torn ends, files aside, orphans.
type crashed struct {
	root  string
	story *story
}

// crashedFolder makes one.
func crashedFolder(t *testing.T) *crashed {
	s := newStory(t, false)
	s.c = harness.Start(t, s.inst)
	s.process = &traced{done: make(chan struct{})} // nobody traces it, and it does not end
	must(t, s.each(func(string) {}, []step{
		{"cluster", s.makeCluster}, {"tables", s.makeTables}, {"ingest", s.ingest}, {"customer's key", func() error { return s.changeKey("k1") }},
		{"extents", s.direct}, {"database's key", s.ownKey}, {"ingest again", func() error { return s.send("db.T", "again") }},
	}))
	must(t, s.inst.Kill())
	data := s.inst.DataDir()
	tear(t, filepath.Join(data, "audit", "*.kal"), "KXAF", true)
	tear(t, filepath.Join(data, "clusters", "*", "wal", "*.kwl"), "KXFR", false)
	extents := glob(t, filepath.Join(data, "clusters", "*", "extents", "*", "*.kxt"))
	extent, err := os.ReadFile(extents[0])
	must(t, err)
	cluster := glob(t, filepath.Join(data, "clusters", "*"))[0]
	for path, content := range map[string][]byte{
		filepath.Join(filepath.Dir(extents[0]), ids.NewGUID()+".kxt"):                     extent,
		filepath.Join(filepath.Dir(extents[0]), ".x.kxt.1.tmp"):                           extent[:100],
		filepath.Join(cluster, "extents", ids.NewGUID(), ids.NewGUID()+".kxt"):            extent, // of a database that is gone
		filepath.Join(cluster, "wal", ".x.kwl.1.tmp"):                                     nil,
		filepath.Join(data, "clusters", ids.NewGUID(), "extents", ids.NewGUID(), "x.kxt"): extent, // of a cluster that is gone
		filepath.Join(data, "audit", ".x.kal.1.tmp"):                                      nil,
		filepath.Join(data, ".barrier.json.1.tmp"):                                        nil,
		filepath.Join(data, ".backup-1", "state.db"):                                      extent,
	} {
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, os.WriteFile(path, content, 0o600))
	}
	return &crashed{root: s.inst.Root, story: s}
}

// tear appends the beginning of a frame to the newest file of the audit log, or to
// every log segment with a record, as a crash in the middle of a write leaves it.
func tear(t *testing.T, pattern, magic string, newest bool) {
	files := glob(t, pattern)
	if newest {
		files = files[len(files)-1:]
	}
	torn := 0
	for _, path := range files {
		data, err := os.ReadFile(path)
		must(t, err)
		if at := bytes.LastIndex(data, []byte(magic)); at >= 0 {
			torn++
			must(t, os.WriteFile(path, append(data, data[at:at+20]...), 0o600))
		}
	}
	if torn == 0 {
		t.Fatalf("no %s has a frame", pattern)
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	must(t, err)
	if len(found) == 0 {
		t.Fatalf("there is no %s", pattern)
	}
	return found
}

// recover starts a server on a copy of the folder and kills it while it puts it in order.
func (c *crashed) recover(t *testing.T, target string) *story {
	s := newStory(t, false)
	if out, err := exec.Command("cp", "-a", filepath.Join(c.root, "data"), filepath.Join(c.root, "seal"), s.inst.Root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	must(t, os.Remove(filepath.Join(s.inst.DataDir(), "connection.json")))
	s.batches, s.did, s.tried = maps.Clone(c.story.batches), maps.Clone(c.story.did), maps.Clone(c.story.tried)
	s.uri, s.key = c.story.uri, c.story.key
	s.run(target, []step{
		{"start again", s.ready},
		{"replay", func() error {
			return s.await("all tables", func() bool {
				return s.query("db", "T | count") == nil && s.query("short", "R | count") == nil && s.query("own", "O | count") == nil
			})
		}},
		{"stop again", s.stop},
	})
	s.check()
	return s
}
