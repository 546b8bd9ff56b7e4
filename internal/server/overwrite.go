package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/engine"
)

// runtimeVariable holds settings that Go's runtime reads once, at the start of
// a process.
const runtimeVariable = "GODEBUG"

// memorySettings make that what the process lets go of is soon nowhere: the
// collector overwrites what it frees, and no goroutine is interrupted in the
// middle of a copy, which would keep the registers, rows among them, in places
// of the runtime's own.
func memorySettings() []string { return []string{"clobberfree=1", "asyncpreemptoff=1"} }

// Start is Run in a process with the settings above, so that a row or a key is
// gone from memory with the last reference to it, whoever had copied it: the
// standard library's pools, parsers and TLS included. The process
// becomes this program again with the settings; its id, arguments and open
// files stay.
func Start(ctx context.Context, cfg config.Config, out, errs io.Writer) error {
	if !overwritesFreed() {
		if err := runAgain(); err != nil {
			fmt.Fprintln(errs, "kustos:", err)
		}
	}
	// From here on the runtime does not follow changes of the processors we may use.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + engine.RingServers())
	return Run(ctx, cfg, out, errs)
}

// overwritesFreed reports whether this process was started with the settings.
func overwritesFreed() bool {
	have := map[string]string{}
	for setting := range strings.SplitSeq(os.Getenv(runtimeVariable), ",") {
		name, _, _ := strings.Cut(setting, "=")
		have[name] = setting // the last one counts
	}
	return !slices.ContainsFunc(memorySettings(), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return have[name] != s
	})
}

// runAgain replaces the process. It returns only when that is not possible.
func runAgain() error {
	settings := memorySettings()
	var env []string
	for _, e := range os.Environ() {
		if old, ok := strings.CutPrefix(e, runtimeVariable+"="); !ok {
			env = append(env, e)
		} else if old != "" {
			settings = append([]string{old}, settings...)
		}
	}
	setting := runtimeVariable + "=" + strings.Join(settings, ",")
	self, err := os.Executable()
	if err == nil {
		err = syscall.Exec(self, os.Args, append(env, setting))
	}
	return fmt.Errorf("start again with %s: %w", setting, err)
}
