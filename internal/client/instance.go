package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kustos-io/kustos/internal/cli"
)

// Instance is a server that this process starts and stops, on a folder of its
// own. It is not safe for concurrent use.
type Instance struct {
	Root    string   // holds data, seal and server.log
	Args    []string // further arguments of `kustos up`
	binary  string
	process *exec.Cmd
	done    chan error
	log     *os.File
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
)

// NewInstance prepares an instance of binary below root; nothing is started.
func NewInstance(binary, root string, args ...string) *Instance {
	return &Instance{binary: binary, Root: root, Args: args}
}

// Binary is the program that Start runs.
func (i *Instance) Binary() string { return i.binary }

// DataDir is the data folder.
func (i *Instance) DataDir() string { return filepath.Join(i.Root, "data") }

// SealPath is the seal file.
func (i *Instance) SealPath() string { return filepath.Join(i.Root, "seal") }

// Start runs the server and waits for its connection file.
func (i *Instance) Start(ctx context.Context) (*Client, time.Duration, error) {
	path := filepath.Join(i.DataDir(), "connection.json")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	var err error
	if i.log, err = os.OpenFile(filepath.Join(i.Root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, 0, err
	}
	begin := time.Now()
	args := append([]string{"up", "--data", i.DataDir(), "--seal", "file:" + i.SealPath(), "--proxy", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, i.Args...)
	i.process = exec.CommandContext(context.WithoutCancel(ctx), i.binary, args...)
	i.process.Stdout, i.process.Stderr = i.log, i.log
	if err := i.process.Start(); err != nil {
		return nil, 0, err
	}
	i.done = make(chan error, 1)
	go func(p *exec.Cmd, done chan<- error) { done <- p.Wait() }(i.process, i.done)
	timeout := time.After(startTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := cli.ReadConnection(i.DataDir()); err == nil {
			c, err := New(conn)
			return c, time.Since(begin), err
		}
		select {
		case err := <-i.done:
			return nil, 0, fmt.Errorf("the server ended before it was ready (%w); its log is %s", err, i.log.Name())
		case <-timeout:
			return nil, 0, fmt.Errorf("the server is not ready after %s; its log is %s", startTimeout, i.log.Name())
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-tick.C:
		}
	}
}

// Stop ends the server with SIGTERM and insists on exit status 0.
func (i *Instance) Stop() error {
	if i.process == nil {
		return nil
	}
	defer func() { _ = i.log.Close(); i.process = nil }()
	if err := i.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-i.done:
		if err != nil {
			return fmt.Errorf("the server did not stop cleanly: %w", err)
		}
		return nil
	case <-time.After(stopTimeout):
		_ = i.process.Process.Kill()
		<-i.done
		return fmt.Errorf("the server did not stop within %s", stopTimeout)
	}
}

// Kill ends the server with SIGKILL, as a crash does.
func (i *Instance) Kill() error {
	if i.process == nil {
		return nil
	}
	defer func() { _ = i.log.Close(); i.process = nil }()
	if err := i.process.Process.Kill(); err != nil {
		return err
	}
	<-i.done
	return nil
}
