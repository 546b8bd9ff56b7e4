//go:build amd64

package crash_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

// A backup or a restore is killed before a system call that changes a file: what
// is there under the name that was asked for is whole, or nothing is; the server
// goes on, and the same command works when what was left beside it is removed.
func TestKillBackupAndRestore(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("seeing which files a process changes needs root")
	}
	inst := harness.New(t)
	c := harness.Start(t, inst)
	uri, _ := harness.Cluster(t, c, "copies", "db")
	harness.Command(t, c, uri, "db", ".create table T (Id:long)", ".ingest inline into table T <|\n1\n2\n3\n", ".set-or-append T <| range Id from 4 to 9 step 1")
	good := filepath.Join(inst.Root, "good")
	run(t, inst, "backup", "--data", inst.DataDir(), good)
	for name, try := range map[string]struct {
		args   []string
		result string
		check  func(t *testing.T, result string)
	}{
		"backup": {[]string{"backup", "--data", inst.DataDir()}, filepath.Join(inst.Root, "copy"), func(t *testing.T, copied string) {
			harness.Command(t, c, uri, "db", "T | count", ".ingest inline into table T <|\n10\n") // the server does not notice
			restored := filepath.Join(t.TempDir(), "data")
			run(t, inst, "restore", "--data", restored, copied)
			run(t, inst, "fsck", "--seal", "file:"+inst.SealPath(), restored)
		}},
		"restore": {[]string{"restore", "--data"}, filepath.Join(inst.Root, "back"), func(t *testing.T, restored string) {
			run(t, inst, "fsck", "--seal", "file:"+inst.SealPath(), restored)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			args := append(try.args, try.result)
			if name == "restore" {
				args = append(args, good)
			}
			attempt := func(target string) *record {
				must(t, os.RemoveAll(try.result))
				must(t, os.RemoveAll(try.result+".part"))
				points := newRecord(name, target)
				process := &traced{dir: inst.Root, reached: points.reached}
				log, err := os.Create(filepath.Join(t.TempDir(), "log"))
				must(t, err)
				defer log.Close()
				process.start(t, log, append([]string{inst.Binary()}, args...)...)
				<-process.done
				must(t, process.err)
				if _, err := os.Stat(try.result); err == nil {
					try.check(t, try.result)
				} else if !process.killed {
					t.Fatal("nothing was made, and nobody was killed")
				}
				return points
			}
			all := attempt("").points
			targets := choose(t, all)
			for _, target := range targets {
				attempt(target.name())
			}
			t.Logf("%d points, killed at %d", len(all), len(targets))
			attempt("")
		})
	}
	must(t, inst.Stop())
	harness.Start(t, inst) // removes what killed backups left
	must(t, inst.Stop())
	left, err := filepath.Glob(filepath.Join(inst.DataDir(), ".*"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	run(t, inst, "fsck", "--seal", "file:"+inst.SealPath(), inst.DataDir())
}

func run(t *testing.T, inst *client.Instance, args ...string) {
	t.Helper()
	if out, err := exec.Command(inst.Binary(), args...).CombinedOutput(); err != nil {
		t.Fatalf("kustos %v: %v\n%s", args, err, out)
	}
}
