package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// RemovalLock is the lock file of a data folder that whoever removes data files
// holds shared. A backup holds it alone while it takes its snapshot: what the
// snapshot names then stays until it is linked.
const RemovalLock = "removal.lock"

// Shared waits until nobody holds the lock file at path exclusively, and
// holds it together with others until release. The kernel releases it when the
// process ends.
func Shared(path string) (release func(), err error) { return flock(path, unix.LOCK_SH) }

// Exclusive waits until nobody else holds the lock file at path, and holds it
// alone until release.
func Exclusive(path string) (release func(), err error) { return flock(path, unix.LOCK_EX) }

func flock(path string, how int) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
