package vault

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

// Fate is what has become of a key version.
type Fate string

// The fates. A key that is there may still be disabled or out of reach.
const (
	FateThere   Fate = "there"
	FateDeleted Fate = "deleted" // and can be recovered
	FateGone    Fate = "gone"    // purged, or never made
)

// KeyFate says what has become of a version of a key in a vault of this name;
// until is when a deleted one is purged.
func (s *Service) KeyFate(ctx context.Context, vault, key, version string) (fate Fate, until time.Time, err error) {
	fate = FateGone
	err = s.Store.View(ctx, func(tx store.Tx) error {
		v, ok, err := s.lookup(tx, vault)
		if err != nil || !ok {
			return err
		}
		o, ok, err := s.find(tx, shelfOf(areaKeys), &v, key)
		if err != nil || !ok || !slices.Contains(o.Versions, strings.ToLower(version)) {
			return err
		}
		fate = FateThere
		for _, d := range []*Deletion{v.Deleted, o.Deleted} {
			if d != nil && (fate == FateThere || d.PurgeAt.Before(until)) {
				fate, until = FateDeleted, d.PurgeAt
			}
		}
		return nil
	})
	return fate, until, err
}
