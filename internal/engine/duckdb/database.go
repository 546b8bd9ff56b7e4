//go:build cgo

package duckdb

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	duck "github.com/duckdb/duckdb-go-bindings"

	"github.com/kustos-io/kustos/internal/engine"
)

// database is the in-memory DuckDB of this process.
type database struct {
	db duck.Database

	mu      sync.Mutex
	idle    []duck.Connection
	buffers map[string]map[string]bool // buffer → its columns

	loading sync.Mutex      // one change of hot tables at a time
	hot     bool            // there may be hot tables
	loaded  map[string]bool // hot tables
}

// open starts DuckDB and locks its settings. The order matters: a setting that
// takes freedom away must come after those that need it.
func open(cfg engine.Config) (*database, error) {
	d := &database{buffers: make(map[string]map[string]bool), hot: cfg.HotBytes > 0, loaded: make(map[string]bool)}
	if duck.Open("", &d.db) == duck.StateError {
		return nil, fmt.Errorf("open duckdb")
	}
	threads := cfg.Threads
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	settings := []string{
		"SET temp_directory=''",
		fmt.Sprintf("SET memory_limit='%dB'", memoryLimit(cfg)),
		fmt.Sprintf("SET threads=%d", threads),
		"SET enable_external_file_cache=false",
		"SET autoinstall_known_extensions=false",
		"SET autoload_known_extensions=false",
		"SET allow_community_extensions=false",
		"SET TimeZone='UTC'",
		"SET allowed_directories=['/proc/self/fd/']",
		"SET enable_external_access=false",
	}
	settings = append(settings, cfg.Prelude...)
	settings = append(settings, "SET lock_configuration=true")
	for i, sql := range settings {
		if err := d.exec(sql); err != nil {
			return nil, fmt.Errorf("statement %d of the start: %w", i+1, err)
		}
	}
	return d, nil
}

// connection takes a connection for one statement; release gives it back.
func (d *database) connection() (duck.Connection, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		return c, nil
	}
	var c duck.Connection
	if duck.Connect(d.db, &c) == duck.StateError {
		return c, &engine.Fault{Kind: engine.Internal, Message: "no connection to the database"}
	}
	return c, nil
}

func (d *database) release(c duck.Connection) {
	const keep = 16
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) < keep {
		d.idle = append(d.idle, c)
		return
	}
	duck.Disconnect(&c)
}

// exec runs a statement without parameters and without a result.
func (d *database) exec(sql string) error {
	c, err := d.connection()
	if err != nil {
		return err
	}
	defer d.release(c)
	return execOn(c, sql)
}

func execOn(c duck.Connection, sql string) error {
	var res duck.Result
	defer duck.DestroyResult(&res)
	if duck.Query(c, sql, &res) == duck.StateError {
		return fault(duck.ResultError(&res))
	}
	return nil
}

// interruptible runs fn and interrupts the connection when ctx ends. One
// interrupt is not enough: one that comes before the statement has begun is lost.
func interruptible(ctx context.Context, c duck.Connection, fn func() error) error {
	if ctx.Err() != nil {
		return interrupted()
	}
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			duck.Interrupt(c)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	err := fn()
	close(done)
	watch.Wait() // the connection is given back only when nobody interrupts it any more
	if err != nil && ctx.Err() != nil {
		return interrupted()
	}
	return err
}

func interrupted() error {
	return &engine.Fault{Kind: engine.Interrupted, Message: "the statement was interrupted"}
}
