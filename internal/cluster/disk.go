package cluster

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrDiskFull says that there was no room to make rows durable. Nothing of the
// request was stored; queries are still answered, and ingestion works again as
// soon as there is room.
var ErrDiskFull = errors.New("disk is full")

// fullDisk marks an error that means that there is no room.
func fullDisk(err error) error {
	var sqlite interface{ Code() int } // of the store's driver
	const sqliteFull = 13
	for _, errno := range []error{unix.ENOSPC, unix.EDQUOT, unix.EFBIG} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%w: %w", ErrDiskFull, err)
		}
	}
	if errors.As(err, &sqlite) && sqlite.Code()&0xff == sqliteFull {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
