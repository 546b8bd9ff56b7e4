package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/backup"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/passphrase"
	"github.com/kustos-io/kustos/internal/barrier/seals"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// Names of files in the data folder.
const (
	lockName  = "lock"
	stateName = "state.db"
	caName    = "ca.pem"
)

// instance is an opened data folder: locked against a second server, its
// barrier unsealed, its state open.
type instance struct {
	dir     string
	seal    string // KIND:REST
	barrier *barrier.Barrier
	store   store.Store // sealed
	lock    *os.File
}

// openInstance opens the data folder, or makes it at the first start. It
// refuses a folder that another server holds, a missing seal (naming its
// path; it never makes a new seal for existing data), and formats newer than
// this binary.
func openInstance(ctx context.Context, cfg config.Config) (*instance, error) {
	in, asleep, err := openOrSealed(ctx, cfg)
	if asleep != nil {
		return nil, errors.Join(asleep, in.close())
	}
	return in, err
}

// openOrSealed is openInstance for a server: data under a passphrase that nobody
// can be asked for stays sealed, until an operator brings it. asleep says why.
// Every other seal that does not open is an error: waiting would not help a file
// that is missing, and hide a wrong passphrase.
func openOrSealed(ctx context.Context, cfg config.Config) (in *instance, asleep, err error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, nil, err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make data folder: %w", err)
	}
	in = &instance{dir: dir}
	if in.lock, err = lockDir(ctx, dir); err != nil {
		return nil, nil, err
	}
	if err := sweepFolder(dir); err != nil {
		return nil, nil, errors.Join(err, in.close())
	}
	_, known := barrier.InstanceID(dir)
	err = in.unseal(ctx, cfg.Seal, nil)
	if known == nil && errors.Is(err, passphrase.ErrNobodyToAsk) {
		return in, err, nil
	}
	if err == nil {
		err = in.openState(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, in.close())
	}
	return in, nil, nil
}

// sweepFolder removes what a crash left in the folder itself: files that were
// being written aside, and copies of killed backups.
func sweepFolder(dir string) error {
	if err := errors.Join(durable.Sweep(dir), backup.Sweep(dir)); err != nil {
		return fmt.Errorf("remove what a crash left in %s: %w", dir, err)
	}
	return nil
}

// lockPatience is how long a lock is waited for. The kernel drops it when the
// process ends, but one that was killed just as it started a child leaves it to
// that until the child's exec, which is soon on a machine that has time.
const lockPatience = 2 * time.Second

// lockDir takes the folder's lock.
func lockDir(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(lockPatience); ; {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		case <-deadline:
			return nil, errors.Join(fmt.Errorf("another kustos server is running on %s; stop it first, or choose another folder with --data", dir), f.Close())
		}
	}
}

// unseal opens the barrier with the configured seal, or makes both at the first
// start. secret is a passphrase that an operator handed over, or nil.
func (in *instance) unseal(ctx context.Context, spec string, secret []byte) error {
	id, err := barrier.InstanceID(in.dir)
	first := errors.Is(err, fs.ErrNotExist)
	switch {
	case first:
		if _, err := os.Stat(filepath.Join(in.dir, stateName)); err == nil {
			return fmt.Errorf("%s holds data but its keyring %s is missing; restore it from a backup", in.dir, barrier.KeyringName)
		}
		id = ids.NewGUID()
	case err != nil:
		return err
	}
	if in.seal, err = sealSpec(in.dir, spec, id, first); err != nil {
		return err
	}
	request := seals.Request{Spec: in.seal, Instance: id, Secret: secret}
	open, use := seals.Open, barrier.Open
	if first {
		open, use = seals.Create, barrier.Create
	}
	seal, err := open(ctx, request)
	if err != nil {
		return err
	}
	in.barrier, err = use(ctx, in.dir, seal)
	seal.Close()
	if seals.NeedsSecret(in.seal) {
		debug.FreeOSMemory() // argon2id has filled hundreds of megabytes
	}
	return err
}

// sealSpec is the seal to use when none is configured: the file at its default
// place, or the passphrase when that is what the folder has.
func sealSpec(dir, spec, instance string, first bool) (string, error) {
	if spec != "" {
		return spec, nil
	}
	if !first {
		kind, err := barrier.Kind(dir)
		switch {
		case err != nil:
			return "", err
		case kind == passphrase.Kind:
			return passphrase.Kind, nil
		case kind != barrier.KindFile:
			return "", fmt.Errorf("%s is sealed by a seal of kind %s; name it with --seal", dir, kind)
		}
	}
	path, err := config.DefaultSealPath(instance)
	return barrier.KindFile + ":" + path, err
}

// sealFile is the path of a file seal, "" for the other kinds.
func (in *instance) sealFile() string {
	path, _ := strings.CutPrefix(in.seal, barrier.KindFile+":")
	if path == in.seal {
		return ""
	}
	return path
}

// openState opens the store under the barrier.
func (in *instance) openState(ctx context.Context) error {
	inner, err := sqlstore.Open(ctx, filepath.Join(in.dir, stateName))
	if err != nil {
		return fmt.Errorf("open state: %w", err)
	}
	in.store = store.Sealed(inner, in.barrier)
	return nil
}

// shut closes the state and wipes the barrier's keys; the folder stays locked.
func (in *instance) shut() error {
	var err error
	if in.store != nil {
		err = in.store.Close()
		in.store = nil
	}
	if in.barrier != nil {
		in.barrier.Close()
		in.barrier = nil
	}
	return err
}

// close releases everything in reverse order.
func (in *instance) close() error {
	errs := []error{in.shut()}
	if in.lock != nil {
		errs = append(errs, in.lock.Close())
	}
	return errors.Join(errs...)
}
