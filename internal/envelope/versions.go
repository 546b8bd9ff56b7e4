package envelope

import (
	"context"
	"fmt"

	"github.com/kustos-io/kustos/internal/store"
)

// DatabaseKeyVersions lists the versions of a database's key that there are,
// oldest first. It needs no key.
func (k *Keyring) DatabaseKeyVersions(tx store.Tx, databaseID string) ([]int, error) {
	record, err := loadDatabase(tx, k.id, databaseID)
	if err != nil {
		return nil, err
	}
	versions := make([]int, len(record.Keys))
	for i, entry := range record.Keys {
		versions[i] = entry.Version
	}
	return versions, nil
}

// DropDatabaseKeys takes every version of a database's key before keep out of
// its record, inside the caller's transaction, and returns them: what they
// encrypted is lost, so the caller knows that there is nothing. Version keep
// must be there. It needs no key. ScrubDatabase belongs after the commit.
func (k *Keyring) DropDatabaseKeys(tx store.Tx, databaseID string, keep int) (dropped []int, err error) {
	record, err := loadDatabase(tx, k.id, databaseID)
	if err != nil {
		return nil, err
	}
	if _, err := record.pick(databaseID, keep); err != nil || keep < 1 {
		return nil, fmt.Errorf("drop keys before version %d: %w", keep, ErrNotFound)
	}
	var kept []databaseKey
	for _, entry := range record.Keys {
		if entry.Version < keep {
			dropped = append(dropped, entry.Version)
		} else {
			kept = append(kept, entry)
		}
	}
	if len(dropped) == 0 {
		return nil, nil
	}
	record.Keys = kept
	return dropped, store.PutJSON(tx, databaseBucket, k.id+"/"+databaseID, record)
}

// ScrubDatabase overwrites what remains of dropped versions in the store's
// log. Until it returns nil they may lie there, sealed by the barrier.
func (k *Keyring) ScrubDatabase(ctx context.Context, databaseID string) error {
	if err := store.Scrub(ctx, k.store); err != nil {
		return fmt.Errorf("scrub dropped keys of database %s: %w", databaseID, err)
	}
	k.log.InfoContext(ctx, "dropped versions of a database's key are gone", "cluster", k.id, "database", databaseID)
	return nil
}
