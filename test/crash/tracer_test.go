//go:build amd64

package crash_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"
)

// execVariable makes the test binary a launcher: it asks the kernel to stop it
// at every call that changes files, and becomes the program of its arguments.
const execVariable = "KUSTOS_CRASH_EXEC"

// changing are the system calls that change files, by what names the file:
// the first argument as a descriptor, or the path at an argument, with the folder it is relative to.
var changing = map[uint64]struct {
	name      string
	at        string // fd, path, dirfd path, target (second path), dirfd target
	createsIf bool   // only with O_CREAT, where there was none
}{
	unix.SYS_WRITE: {"write", "fd", false}, unix.SYS_PWRITE64: {"write", "fd", false}, unix.SYS_WRITEV: {"write", "fd", false}, unix.SYS_PWRITEV: {"write", "fd", false},
	unix.SYS_COPY_FILE_RANGE: {"write", "third fd", false}, unix.SYS_SENDFILE: {"write", "fd", false},
	unix.SYS_FSYNC: {"sync", "fd", false}, unix.SYS_FDATASYNC: {"sync", "fd", false}, unix.SYS_FTRUNCATE: {"truncate", "fd", false}, unix.SYS_FALLOCATE: {"truncate", "fd", false},
	unix.SYS_RENAME: {"rename", "target", false}, unix.SYS_RENAMEAT: {"rename", "dirfd target", false}, unix.SYS_RENAMEAT2: {"rename", "dirfd target", false},
	unix.SYS_LINK: {"link", "target", false}, unix.SYS_LINKAT: {"link", "dirfd target", false},
	unix.SYS_UNLINK: {"remove", "path", false}, unix.SYS_RMDIR: {"remove", "path", false}, unix.SYS_UNLINKAT: {"remove", "dirfd path", false},
	unix.SYS_MKDIR: {"mkdir", "path", false}, unix.SYS_MKDIRAT: {"mkdir", "dirfd path", false}, unix.SYS_TRUNCATE: {"truncate", "path", false},
	unix.SYS_OPEN: {"create", "path", true}, unix.SYS_OPENAT: {"create", "dirfd path", true},
}

// launch is what the test binary does with execVariable set; it does not return.
func launch() {
	runtime.LockOSThread()
	names := []string{"write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile", "fsync", "fdatasync", "ftruncate", "fallocate", "rename", "renameat", "renameat2",
		"link", "linkat", "unlink", "rmdir", "unlinkat", "mkdir", "mkdirat", "truncate", "open", "openat"}
	err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{
		DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{{Names: names, Action: seccomp.ActionTrace}}}})
	if err == nil {
		_ = os.Unsetenv(execVariable)
		err = syscall.Exec(os.Args[1], os.Args[1:], os.Environ())
	}
	fmt.Fprintln(os.Stderr, "launch:", err)
	os.Exit(1)
}

// traced is a process that stops before everything it does to files below dir.
type traced struct {
	dir  string
	seal string // a file outside dir that counts too
	// reached is told every point in turn, by what is done and to which file, and
	// says whether to kill the process there. It is called by one goroutine.
	reached func(deed, file string) (kill bool)

	pid    int
	killed bool
	err    error
	done   chan struct{}
}

// start runs a program below a tracer; its output goes to log.
func (p *traced) start(t *testing.T, log *os.File, args ...string) {
	t.Helper()
	p.done = make(chan struct{})
	started := make(chan error, 1)
	onOwnThread(func() { // the tracer is a thread
		defer close(p.done)
		self, err := os.Executable()
		if err == nil {
			var process *os.Process
			process, err = os.StartProcess(self, append([]string{self}, args...), &os.ProcAttr{
				Env: append(os.Environ(), execVariable+"=1"), Files: []*os.File{nil, log, log}, Sys: &syscall.SysProcAttr{Ptrace: true}})
			if err == nil {
				p.pid = process.Pid
				err = p.attach()
			}
		}
		started <- err
		if err == nil {
			p.err = p.follow()
		}
	})
	if err := <-started; err != nil {
		t.Skipf("a process cannot be traced here: %v", err)
	}
}

// onOwnThread runs a function on a thread that ends with it and has no children:
// the tracer hears of all of its thread's, and would take the end of others from
// who waits for it.
func onOwnThread(run func()) {
	found := make(chan struct{})
	var look func()
	look = func() {
		runtime.LockOSThread()
		children, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", unix.Gettid()))
		if err == nil && len(children) > 0 {
			go look() // on another thread: this one is kept until one is found
			<-found
			runtime.UnlockOSThread()
			return
		}
		close(found)
		run()
	}
	go look()
}

// end kills the process, which is no part of what is tried.
func (p *traced) end() { _ = unix.Kill(p.pid, unix.SIGKILL) }

const waitMine = unix.WALL | unix.WNOTHREAD // children of this thread alone, of every kind

func (p *traced) attach() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(p.pid, &status, waitMine, nil); err != nil {
		return err
	}
	err := unix.PtraceSetOptions(p.pid, unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACEFORK|unix.PTRACE_O_TRACEVFORK|unix.PTRACE_O_TRACEEXEC|unix.PTRACE_O_EXITKILL)
	if err != nil {
		return err
	}
	return unix.PtraceCont(p.pid, 0)
}

// follow lets the process and all its children run from stop to stop until it
// has ended. Its thread may have other children, which it does not wait for.
func (p *traced) follow() error {
	for {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, waitMine, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case thread == p.pid && !status.Stopped():
			return nil // the last of its threads
		case !status.Stopped():
			continue
		}
		pass := 0
		switch sig := status.StopSignal(); {
		case sig == unix.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
			if deed, file := p.point(thread); deed != "" && !p.killed && p.reached(deed, file) {
				p.killed = true
				_ = unix.Kill(p.pid, unix.SIGKILL)
			}
		case sig == unix.SIGTRAP || sig == unix.SIGSTOP: // a new thread, a fork, an exec
		default:
			pass = int(sig)
		}
		_ = unix.PtraceCont(thread, pass) // an error means that it was killed
	}
}

var (
	guid      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	temporary = regexp.MustCompile(`\.[0-9]+\.tmp$|(\.backup-)[0-9]+`)
	numbered  = regexp.MustCompile(`[0-9a-f]{16}|[0-9]{8,}`)
)

// point names what a thread is about to do, with ids left out, and the file as it
// is called: "" when it is nothing to a file below dir.
func (p *traced) point(thread int) (deed, file string) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(thread, &regs) != nil {
		return "", ""
	}
	call, ok := changing[regs.Orig_rax]
	if !ok {
		return "", ""
	}
	args := []uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10}
	var path string
	switch call.at {
	case "fd":
		path = descriptor(thread, args[0])
	case "third fd":
		path = descriptor(thread, args[2])
	case "path":
		path = text(thread, args[0])
	case "target":
		path = text(thread, args[1])
	case "dirfd path":
		path = relative(thread, args[0], args[1])
	case "dirfd target":
		path = relative(thread, args[2], args[3])
	}
	if call.createsIf {
		flags := args[1]
		if call.at == "dirfd path" {
			flags = args[2]
		}
		if _, err := os.Stat(path); flags&unix.O_CREAT == 0 || err == nil && flags&unix.O_TRUNC == 0 {
			return "", "" // it is there and stays as it is
		}
	}
	rel, err := filepath.Rel(p.dir, path)
	switch {
	case err != nil:
		return "", ""
	case p.seal != "" && strings.HasPrefix(strings.TrimPrefix(filepath.Base(path), "."), filepath.Base(p.seal)) && filepath.Dir(path) == filepath.Dir(p.seal):
	case rel == ".." || strings.HasPrefix(rel, "../"):
		return "", ""
	}
	rel = strings.TrimSuffix(rel, " (deleted)")
	name := temporary.ReplaceAllString(guid.ReplaceAllString(rel, "ID"), "$1*")
	return call.name + " " + numbered.ReplaceAllString(name, "N"), rel
}

func descriptor(thread int, fd uint64) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", thread, int32(fd))) // "" is below no folder
	return path
}

func relative(thread int, dir, at uint64) string {
	path := text(thread, at)
	if filepath.IsAbs(path) || int32(dir) == unix.AT_FDCWD {
		return path
	}
	return filepath.Join(descriptor(thread, dir), path)
}

// text is a string of the stopped thread's memory.
func text(thread int, at uint64) string {
	var out []byte
	for piece := make([]byte, 64); len(out) < unix.PathMax; at += uint64(len(piece)) {
		n, err := unix.PtracePeekData(thread, uintptr(at), piece)
		if end := bytes.IndexByte(piece[:n], 0); end >= 0 {
			return string(append(out, piece[:end]...))
		}
		if err != nil {
			break
		}
		out = append(out, piece[:n]...)
	}
	return ""
}
