package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/durable"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

// Names of files in the data folder.
const (
	lockName       = "lock"
	stateName      = "state.db"
	caName         = "ca.pem"
	connectionName = "connection.json"
)

// instance is an opened data folder: locked against a second server, its
// barrier unsealed, its state open.
type instance struct {
	dir      string
	sealPath string
	barrier  *barrier.Barrier
	store    store.Store // sealed
	lock     *os.File
}

// openInstance opens the data folder, or makes it at the first start. It
// refuses a folder that another server holds, a missing seal (naming its
// path; it never makes a new seal for existing data), and formats newer than
// this binary.
func openInstance(ctx context.Context, cfg config.Config) (*instance, error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	in := &instance{dir: dir}
	if in.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := in.unseal(ctx, cfg.SealPath); err != nil {
		in.close()
		return nil, err
	}
	inner, err := sqlstore.Open(ctx, filepath.Join(dir, stateName))
	if err != nil {
		in.close()
		return nil, fmt.Errorf("open state: %w", err)
	}
	in.store = store.Sealed(inner, in.barrier)
	return in, nil
}

// lockDir takes the folder's lock, which the kernel drops when the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another kustos server is running on %s; stop it first, or choose another folder with --data", dir)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// unseal opens the barrier with the file seal, or makes both at the first start.
func (in *instance) unseal(ctx context.Context, sealPath string) error {
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
	if sealPath == "" {
		if sealPath, err = config.DefaultSealPath(id); err != nil {
			return err
		}
	}
	in.sealPath = sealPath
	if !first {
		seal, err := barrier.OpenFileSeal(sealPath)
		if err != nil {
			return err
		}
		defer seal.Close()
		in.barrier, err = barrier.Open(ctx, in.dir, seal)
		return err
	}
	seal, err := barrier.CreateFileSeal(sealPath)
	if errors.Is(err, fs.ErrExist) { // an earlier first start was cut off before it had a keyring
		seal, err = barrier.OpenFileSeal(sealPath)
	}
	if err != nil {
		return err
	}
	defer seal.Close()
	in.barrier, err = barrier.Create(ctx, in.dir, seal)
	return err
}

// close releases everything in reverse order.
func (in *instance) close() error {
	var errs []error
	if in.store != nil {
		errs = append(errs, in.store.Close())
	}
	if in.barrier != nil {
		in.barrier.Close()
	}
	if in.lock != nil {
		errs = append(errs, in.lock.Close())
	}
	return errors.Join(errs...)
}
