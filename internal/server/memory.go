package server

import (
	"log/slog"

	"golang.org/x/sys/unix"
)

// lockMemory keeps every page of the process, and with them the keys, out of
// swap. It does so only where no limit can get in the way later: a process that
// may lock some megabytes would die of the first larger allocation.
func lockMemory(log *slog.Logger) bool {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit)
	if err == nil && limit.Cur != unix.RLIM_INFINITY && !mayLock() {
		log.Warn("memory is not locked: keys can reach swap; give the process CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK, or run without swap", "limit", limit.Cur)
		return false
	}
	// on fault: what the runtime reserves and never touches costs nothing
	if err == nil {
		err = unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	}
	if err != nil {
		log.Warn("memory is not locked: keys can reach swap", "error", err)
		return false
	}
	return true
}

// mayLock reports whether the process has CAP_IPC_LOCK.
func mayLock() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[0].Effective&(1<<unix.CAP_IPC_LOCK) != 0
}
