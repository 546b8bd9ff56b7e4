package crash_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/client"
	"github.com/kustos-io/kustos/test/harness"
)

// slow is a query that a child works on for seconds.
const slow = "range x from 1 to 300000000 step 1 | extend h=hash_sha256(tostring(x)) | summarize dcount(h), max(h)"

func TestKillEngineChildDuringQuery(t *testing.T) {
	inst := harness.New(t)
	c := harness.Start(t, inst)
	uri, _ := harness.Cluster(t, c, "childkill", "db")
	harness.Command(t, c, uri, "db", ".create table T (Id:long)", ".ingest inline into table T <|\n1\n2\n3\n")
	child := engineChild(t, c.Conn.PID)
	answer := make(chan error, 1)
	go func() {
		_, err := c.Query(t.Context(), uri, "db", slow)
		answer <- err
	}()
	waitBusy(t, child)
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := <-answer
	var refused *client.RefusedError
	if !errors.As(err, &refused) || refused.Status < 500 {
		t.Fatalf("the query that lost its engine: %v, want a clean 5xx error", err)
	}
	rows, err := c.Query(t.Context(), uri, "db", "T | count")
	if err != nil || len(rows) != 1 || fmt.Sprint(rows[0][0]) != "3" {
		t.Fatalf("the next query: %v, %v; want 3 rows counted", rows, err)
	}
	if again := engineChild(t, c.Conn.PID); again == child {
		t.Error("the child is still there")
	}
}

// engineChild is the pid of the server's one child.
func engineChild(t *testing.T, server int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if fields := stat(pid); len(fields) > 2 && fields[1] == strconv.Itoa(server) && fields[0] != "Z" {
			return pid
		}
	}
	t.Fatalf("server %d has no child", server)
	return 0
}

// stat is /proc/PID/stat after the command name: state, parent, …; nil when
// the process is gone.
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
}

// waitBusy waits until the child has used some processor time on the query.
func waitBusy(t *testing.T, pid int) {
	t.Helper()
	ticks := func() int {
		f := stat(pid)
		if len(f) < 13 {
			t.Fatal("the child is gone before it was killed")
		}
		user, err := strconv.Atoi(f[11])
		if err != nil {
			t.Fatal(err)
		}
		return user
	}
	before := ticks()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ticks() < before+10 { // a tenth of a second of work
		select {
		case <-deadline:
			t.Fatal("the child never began to work")
		case <-tick.C:
		}
	}
}
