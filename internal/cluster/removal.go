package cluster

import (
	"path/filepath"

	"github.com/kustos-io/kustos/internal/durable"
)

// removing waits until files may be removed; done must be called afterwards.
// Nobody waits here with a lock that requests need: a backup must not hold
// them up.
func (c Config) removing() (done func()) {
	done, err := durable.Shared(filepath.Join(c.Dir, durable.RemovalLock))
	if err != nil {
		// Without the lock file there can be no backup under way that this
		// would disturb but one that began before the file was lost.
		c.Log.Error("removal lock cannot be taken", "error", err)
		return func() {}
	}
	return done
}
