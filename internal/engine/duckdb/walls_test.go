//go:build cgo

package duckdb

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
)

// escapeVariable makes the test's own engine child try to get out instead of
// answering queries. A real child has no environment at all.
const escapeVariable = "KUSTOS_TEST_ESCAPE"

// escapes are the attempts; each returns nil when it got out.
var escapes = map[string]func() error{
	"read a file":        func() error { _, err := os.ReadFile("/etc/passwd"); return err },
	"list a folder":      func() error { _, err := os.ReadDir("/"); return err },
	"read its environ":   func() error { _, err := os.ReadFile("/proc/self/environ"); return err },
	"read the parent":    func() error { _, err := os.ReadFile("/proc/1/status"); return err },
	"write a file":       func() error { return os.WriteFile("/tmp/kustos-escape", nil, 0o600) },
	"run a program":      func() error { return exec.Command("/bin/true").Run() },
	"open a socket":      func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
	"open a unix socket": func() error { _, err := net.Listen("unix", "@kustos-escape"); return err },
	"send a datagram":    func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); return err },
	"signal another":     func() error { return syscall.Kill(os.Getppid(), 0) },
	"trace another":      func() error { return unix.PtraceSeize(os.Getppid()) },
	"make a memfd":       func() error { _, err := unix.MemfdCreate("escape", 0); return err },
	"leave a core dump":  func() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}) },
	"become dumpable":    func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
	"fork": func() error {
		_, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0)
		if errno == 0 {
			return nil
		}
		return errno
	},
}

type escapeReport struct {
	Walls engine.Confinement
	Out   []string // attempts that succeeded
}

// escape runs in a process with the argument "engine", so that the constructor
// has raised its wall, and puts up the others as Main does.
func escape() {
	var r escapeReport
	limit(withDefaults(engine.Config{}), &r.Walls)
	filter(&r.Walls)
	for name, try := range escapes {
		if try() == nil {
			r.Out = append(r.Out, name)
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(r)
}

func TestWallsHold(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/proc/self/exe", "engine")
	cmd.Env = []string{escapeVariable + "=1"}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	must(t, err)
	var r escapeReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if !r.Walls.Landlock || !r.Walls.Seccomp {
		t.Skipf("this system lacks walls: %v", r.Walls.Missing)
	}
	if len(r.Out) > 0 {
		t.Fatalf("the child could: %s", strings.Join(r.Out, ", "))
	}
}

// By hand the engine is refused, in a sentence.
func TestNotByHand(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/proc/self/exe", "engine")
	cmd.Env = []string{}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not by hand") {
		t.Fatalf("%v: %s", err, out)
	}
}

// The child ends when its parent is killed: the socket closes.
func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	theirs := os.NewFile(uintptr(fds[1]), "theirs")
	cmd := exec.Command("/proc/self/exe", "engine")
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{theirs}
	must(t, cmd.Start())
	theirs.Close()
	conn, err := engine.NewConn(fds[0])
	must(t, err)
	ring, err := engine.NewRing(1)
	must(t, err)
	defer ring.Close()
	must(t, conn.Send(&engine.Request{ID: 1, Op: engine.OpStart, Config: &engine.Config{}}, ring.File()))
	var reply engine.Reply
	_, err = conn.Receive(&reply)
	must(t, err)
	conn.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		must(t, err)
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("the child lives on")
	}
}

// The child runs without environment, under its own user where we may choose.
func TestChildOwnsNothing(t *testing.T) {
	t.Parallel()
	child := launch(t, engine.Config{})
	me, err := user.Current()
	must(t, err)
	if me.Uid != "0" {
		t.Skip("only root can give the child a user of its own, and look at it")
	}
	status, err := os.ReadFile("/proc/" + itoa(child.Info().PID) + "/status")
	must(t, err)
	for _, want := range []string{"Uid:\t18790", "NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("no %q in\n%s", want, status)
		}
	}
	environ, err := os.ReadFile("/proc/" + itoa(child.Info().PID) + "/environ")
	must(t, err)
	if len(environ) > 0 {
		t.Errorf("environment %q", environ)
	}
}
