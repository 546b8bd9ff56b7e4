//go:build cgo

package duckdb

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
)

// The system calls that answering queries needs, once DuckDB is open. Which
// files can be opened is landlock's business; no call here makes a file, a
// socket, a process or a memfd.
var allowed = []string{
	// descriptors that were handed over
	"read", "write", "pread64", "pwrite64", "readv", "writev", "lseek", "close", "fstat", "openat",
	"newfstatat", "statx", "faccessat", "faccessat2", "readlinkat", "getdents64", "fcntl", "dup", "ftruncate", "fallocate", "fsync", "fdatasync",
	"recvmsg", "sendmsg", "shutdown", "statfs", "fstatfs", "getcwd", "fadvise64",
	// memory
	"mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "mincore",
	// threads
	"futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "sched_setaffinity", "membarrier", "gettid", "getpid",
	"getcpu", "set_tid_address", "exit", "exit_group", "restart_syscall", "sched_getparam", "sched_getscheduler", "get_mempolicy",
	// signals
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "rt_sigtimedwait",
	// waiting and time
	"epoll_create1", "epoll_ctl", "epoll_pwait", "eventfd2", "ppoll", "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres",
	"gettimeofday", "timer_create", "timer_settime", "timer_delete", "setitimer",
	// facts
	"getrandom", "uname", "sysinfo", "getrusage", "prlimit64", "getrlimit", "getuid", "geteuid", "getgid", "getegid", "times",
}

// allowedAMD64 are the older calls that exist on amd64 only.
var allowedAMD64 = []string{"open", "stat", "lstat", "access", "readlink", "poll", "epoll_wait", "arch_prctl", "time"}

// filter installs the list above for all threads. Everything else is EPERM,
// clone3 is ENOSYS, which makes the C library fall back to clone.
func filter(walls *engine.Confinement) {
	names := allowed
	if runtime.GOARCH == "amd64" {
		names = append(append([]string(nil), allowed...), allowedAMD64...)
	}
	when := func(name string, op seccomp.Operation, first uint64) seccomp.NameWithConditions {
		return seccomp.NameWithConditions{Name: name, Conditions: []seccomp.Condition{{Operation: op, Value: first}}}
	}
	err := seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true,
		Flag:       seccomp.FilterFlagTSync,
		Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionErrno,
			Syscalls: []seccomp.SyscallGroup{
				{Names: names, Action: seccomp.ActionAllow},
				{Names: []string{"clone3"}, Action: seccomp.ActionErrno | seccomp.Action(syscall.ENOSYS)},
				{NamesWithCondtions: []seccomp.NameWithConditions{
					when("tgkill", seccomp.Equal, uint64(os.Getpid())),
					when("clone", seccomp.BitsSet, unix.CLONE_THREAD),
				}, Action: seccomp.ActionAllow},
			},
		},
	})
	if err != nil {
		walls.Missing = append(walls.Missing, fmt.Sprintf("seccomp: %v", err))
		return
	}
	walls.Seccomp = true
}
