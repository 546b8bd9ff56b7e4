//go:build cgo

package duckdb

/*
#include "confine.h"
*/
import "C"

import (
	"fmt"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
)

// limit stops what a child never needs: core dumps, locked memory, files and
// descriptors without bound, being read by other processes of its user. It
// reports the landlock rules as well, which stand since before main.
func limit(cfg engine.Config, walls *engine.Confinement) {
	missing := func(wall string, err error) {
		walls.Missing = append(walls.Missing, fmt.Sprintf("%s: %v", wall, err))
	}
	if C.kustos_landlock_abi > 0 {
		walls.Landlock, walls.LandlockABI = true, int(C.kustos_landlock_abi)
	} else {
		missing("landlock", syscall.Errno(C.kustos_landlock_errno))
	}

	// A write beyond the file limit must be an error, not a death.
	signal.Ignore(unix.SIGXFSZ)
	walls.Limits = true
	for _, l := range []struct {
		name     string
		resource int
		value    uint64
	}{
		{"core", unix.RLIMIT_CORE, 0},
		{"memlock", unix.RLIMIT_MEMLOCK, 0},
		{"fsize", unix.RLIMIT_FSIZE, uint64(cfg.MaxFile)},
		{"nofile", unix.RLIMIT_NOFILE, uint64(cfg.MaxOpen)},
	} {
		var now unix.Rlimit
		err := unix.Getrlimit(l.resource, &now)
		if err == nil {
			value := min(l.value, now.Max)
			err = unix.Setrlimit(l.resource, &unix.Rlimit{Cur: value, Max: value})
		}
		if err != nil {
			walls.Limits = false
			missing("limit "+l.name, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		missing("not dumpable", err)
	} else {
		walls.NotDumpable = true
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		missing("no new privileges", err)
	} else {
		walls.NoNewPrivs = true
	}
}
