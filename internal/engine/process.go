package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit is how long a child may take from exec to its first reply.
const startLimit = 30 * time.Second

// ringServers is the most requests for plaintext that are met at a time.
const ringServers = 16

// firstUID is the first of the user ids children run under when we are root:
// ids that no password file has, one for each child in turn, so that children
// cannot touch each other either.
const (
	firstUID  = 0x70000000
	countUIDs = 1 << 16
)

// Process starts children by running a program again with the argument
// "engine". The zero value runs this very binary.
type Process struct {
	Path   string       // program; "" = /proc/self/exe
	Stderr io.Writer    // the child's standard error; nil = thrown away, since a crash may print data
	Log    *slog.Logger // nil = silent

	launched atomic.Uint32
}

// Launch starts a child and waits until it has opened DuckDB and locked itself in.
func (p *Process) Launch(ctx context.Context, cfg Config) (Child, error) {
	if os.Getuid() == 0 {
		uid := firstUID + p.launched.Add(1)%countUIDs
		child, err := p.launch(ctx, cfg, &syscall.Credential{Uid: uid, Gid: uid})
		if err == nil || ctx.Err() != nil || !startRefused(err) {
			return child, err
		}
		p.log().WarnContext(ctx, "engine child cannot have its own user", "error", err)
	}
	return p.launch(ctx, cfg, nil)
}

// startRefused says that the system would not start the program under another
// user: no such id in the user namespace, or files that only we may read.
func startRefused(err error) bool {
	return errors.Is(err, errStart) || errors.Is(err, ErrGone)
}

var errStart = errors.New("start engine child")

func (p *Process) log() *slog.Logger {
	if p.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return p.Log
}

func (p *Process) launch(ctx context.Context, cfg Config, cred *syscall.Credential) (Child, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control of child")
	defer theirs.Close()
	conn, err := NewConn(fds[0])
	if err != nil {
		unix.Close(fds[0])
		return nil, err
	}
	ring, err := NewRing(ringServers)
	if err != nil {
		conn.Close()
		return nil, err
	}
	path := p.Path
	if path == "" {
		path = "/proc/self/exe"
	}
	cmd := &exec.Cmd{
		Path: path, Args: []string{"kustos", "engine"}, Env: []string{}, Dir: "/",
		Stderr: p.Stderr, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: cred, Setsid: true},
	}
	c := newClient(conn, ring, p.log())
	started := make(chan error, 1)
	go func() {
		// The death signal follows the thread that forks, so that thread stays
		// with the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.process = cmd.Process
		started <- nil
		err := cmd.Wait()
		c.ended(err)
	}()
	if err := <-started; err != nil {
		conn.Close()
		ring.Close()
		return nil, fmt.Errorf("%w: %w", errStart, err)
	}
	theirs.Close()
	go c.receive()

	startCtx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	reply, err := c.call(startCtx, Request{Op: OpStart, Config: &cfg}, ring.File())
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("start engine: %w", err)
	}
	c.info = *reply.Info
	c.info.PID = cmd.Process.Pid
	c.info.Confinement.OwnUser = cred != nil
	if cred == nil {
		c.info.Confinement.Missing = append(c.info.Confinement.Missing, "own user: needs root and a program everybody may run")
	}
	if err := p.admit(ctx, c, cfg); err != nil {
		return nil, err
	}
	if err := trySparse(startCtx, c); err != nil {
		p.log().WarnContext(ctx, "engine child cannot decrypt on read, extents are decrypted whole", "error", err)
	} else {
		c.info.DecryptOnRead = true
	}
	return c, nil
}

// admit reports missing walls and refuses the child where they are required.
func (p *Process) admit(ctx context.Context, c *client, cfg Config) error {
	walls := c.info.Confinement
	if len(walls.Missing) > 0 {
		p.log().WarnContext(ctx, "engine child is not fully confined", "missing", walls.Missing)
	}
	if walls.Complete() || !cfg.RequireConfinement {
		return nil
	}
	c.Close()
	return fmt.Errorf("engine child is not fully confined: %v", walls.Missing)
}
