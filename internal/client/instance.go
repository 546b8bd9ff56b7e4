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

	"github.com/kustos-io/kustos/internal/connection"
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
	begin := time.Now()
	if err := i.launch(ctx, nil); err != nil {
		return nil, 0, err
	}
	c, err := i.Ready(ctx)
	return c, time.Since(begin), err
}

// StartSealed runs the server where no terminal can be asked for a passphrase,
// and waits for its operator's socket.
func (i *Instance) StartSealed(ctx context.Context) error {
	socket := filepath.Join(i.DataDir(), "admin.sock")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// a session of its own has no terminal
	if err := i.launch(ctx, &syscall.SysProcAttr{Setsid: true}); err != nil {
		return err
	}
	return i.await(ctx, func() bool { _, err := os.Stat(socket); return err == nil })
}

func (i *Instance) launch(ctx context.Context, how *syscall.SysProcAttr) error {
	path := filepath.Join(i.DataDir(), "connection.json")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var err error
	if i.log, err = os.OpenFile(filepath.Join(i.Root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	args := append([]string{"up", "--data", i.DataDir(), "--seal", "file:" + i.SealPath(), "--proxy", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, i.Args...)
	i.process = exec.CommandContext(context.WithoutCancel(ctx), i.binary, args...)
	i.process.Stdout, i.process.Stderr = i.log, i.log
	i.process.SysProcAttr = how
	if err := i.process.Start(); err != nil {
		return err
	}
	i.done = make(chan error, 1)
	go func(p *exec.Cmd, done chan<- error) { done <- p.Wait() }(i.process, i.done)
	return nil
}

// Ready waits for the connection file.
func (i *Instance) Ready(ctx context.Context) (*Client, error) {
	var conn connection.File
	err := i.await(ctx, func() (ok bool) {
		var err error
		conn, err = connection.Read(i.DataDir())
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	return New(conn)
}

// await waits for a sign of the server.
func (i *Instance) await(ctx context.Context, seen func() bool) error {
	timeout := time.After(startTimeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !seen() {
		select {
		case err := <-i.done:
			i.process = nil // nothing is left to stop
			return errors.Join(fmt.Errorf("the server ended before it was ready (%w); its log is %s", err, i.log.Name()), i.log.Close())
		case <-timeout:
			return fmt.Errorf("the server is not ready after %s; its log is %s", startTimeout, i.log.Name())
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
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
