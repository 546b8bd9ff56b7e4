package tour

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

// instance is a server of the same binary on a temporary folder.
type instance struct {
	binary, root string
	process      *exec.Cmd
	done         chan error
	log          *os.File
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
)

func newInstance(binary string) (*instance, error) {
	root, err := os.MkdirTemp("", "kustos-tour-")
	if err != nil {
		return nil, err
	}
	return &instance{binary: binary, root: root}, nil
}

func (i *instance) dataDir() string  { return filepath.Join(i.root, "data") }
func (i *instance) sealPath() string { return filepath.Join(i.root, "seal") }

// start runs the server and waits for its connection file.
func (i *instance) start(ctx context.Context) (*client, time.Duration, error) {
	path := filepath.Join(i.dataDir(), "connection.json")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	var err error
	if i.log, err = os.OpenFile(filepath.Join(i.root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, 0, err
	}
	begin := time.Now()
	// The probe interval is short, so that the tour's revocation is seen within a breath.
	i.process = exec.CommandContext(context.WithoutCancel(ctx), i.binary, "up", "--data", i.dataDir(), "--seal", "file:"+i.sealPath(),
		"--proxy", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--key-probe-interval", "500ms")
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
		if conn, err := cli.ReadConnection(i.dataDir()); err == nil {
			c, err := newClient(conn)
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

// stop ends the server with SIGTERM and insists on exit status 0.
func (i *instance) stop() error {
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

// remove deletes everything the instance left behind.
func (i *instance) remove() error { return os.RemoveAll(i.root) }
