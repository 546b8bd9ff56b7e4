package backup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/durable"
)

// staging begins the name of the folder inside the data folder in which a
// backup gathers what it copies.
const staging = ".backup-"

// newStage makes that folder and locks it, so that [Sweep] knows that somebody
// is at work in it. The caller holds the removal lock alone.
func newStage(dir string) (stage string, lock *os.File, err error) {
	if stage, err = os.MkdirTemp(dir, staging); err != nil {
		return "", nil, err
	}
	if lock, err = lockStage(stage); err != nil {
		return "", nil, errors.Join(err, os.Remove(stage))
	}
	return stage, lock, nil
}

// lockStage locks a folder until the file is closed, or this process ends.
func lockStage(stage string) (*os.File, error) {
	f, err := os.Open(stage)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Sweep removes what backups that were killed left in the data folder dir: a
// copy of the state of that time, with wraps that were superseded since, and
// names of files that are removed since. A backup at work is left alone.
func Sweep(dir string) error {
	release, err := durable.Exclusive(filepath.Join(dir, durable.RemovalLock))
	if err != nil {
		return err
	}
	defer release()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), staging) {
			continue
		}
		stage := filepath.Join(dir, e.Name())
		lock, err := lockStage(stage)
		if errors.Is(err, unix.EWOULDBLOCK) {
			continue
		}
		if err == nil {
			err = errors.Join(os.RemoveAll(stage), lock.Close())
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
