//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	duck "github.com/duckdb/duckdb-go-bindings"
	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/engine"
)

// control is the descriptor at which a child finds its socket.
const control = 3

// errNotChild is what a person sees who starts the engine by hand.
var errNotChild = errors.New("the engine is started by the server, not by hand")

// Main is the life of an engine child. It returns when the control socket
// ends, which is how a parent ends it and how its death is seen.
func Main(ctx context.Context) error {
	if kind, err := unix.GetsockoptInt(control, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_SEQPACKET {
		return errNotChild
	}
	unix.CloseOnExec(control)
	conn, err := engine.NewConn(control)
	if err != nil {
		return err
	}
	defer conn.Close()

	var start engine.Request
	files, err := conn.Receive(&start)
	if err != nil {
		return fmt.Errorf("first command: %w", err)
	}
	for _, f := range files {
		defer f.Close()
	}
	if start.Op != engine.OpStart || start.Config == nil || len(files) != 1 {
		return errors.New("the first command must be start")
	}
	if err := hookRing(files[0]); err != nil {
		return fmt.Errorf("ring: %w", err)
	}
	cfg := withDefaults(*start.Config)
	var walls engine.Confinement
	limit(cfg, &walls)
	if cfg.Threads > 0 {
		runtime.GOMAXPROCS(max(2, cfg.Threads))
	}
	db, err := open(cfg)
	if err != nil {
		return errors.Join(err, conn.Send(&engine.Reply{ID: start.ID, Fault: refusal(err)}))
	}
	filter(&walls)
	info := &engine.Info{Version: duck.LibraryVersion(), Confinement: walls, MaxExtents: mostExtents()}
	if err := conn.Send(&engine.Reply{ID: start.ID, Info: info}); err != nil {
		return err
	}
	return newServer(conn, db, info.MaxExtents).serve(ctx)
}

func withDefaults(cfg engine.Config) engine.Config {
	if cfg.MemoryLimit <= 0 {
		cfg.MemoryLimit = 1 << 30
	}
	if cfg.MaxFile <= 0 {
		cfg.MaxFile = 8 << 30
	}
	if cfg.MaxOpen <= 0 {
		cfg.MaxOpen = 1 << 16
	}
	return cfg
}

// spare is how many descriptors are kept for everything but extents: messages,
// rows, and the files DuckDB has open while it reads.
const spare = 512

// mostExtents is how many extents fit: each is a descriptor.
func mostExtents() int {
	var now unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &now); err != nil || now.Cur <= spare {
		return spare
	}
	return int(now.Cur) - spare
}
