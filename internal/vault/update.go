package vault

import (
	"context"

	"github.com/kustos-io/kustos/internal/store"
)

// update is the store's Update; all writes of the service go through it. Where
// fn deletes a private key or the value of a secret, what it was made of is
// overwritten in the store's log before update returns.
func (s *Service) update(ctx context.Context, fn func(store.Tx) error) error {
	s.records.empty()
	defer s.records.empty()
	deleted := false
	err := s.Store.Update(ctx, func(tx store.Tx) error {
		deleted = false // a store may run fn again
		return fn(&watchedTx{Tx: tx, deleted: &deleted})
	})
	if err == nil && deleted {
		s.scrub(ctx)
	}
	return err
}

// watchedTx notes that a private key or the value of a secret is deleted.
type watchedTx struct {
	store.Tx
	deleted *bool
}

// Delete is the store's Delete.
func (w *watchedTx) Delete(bucket, key string) error {
	if bucket == shelfOf(areaKeys).values || bucket == shelfOf(areaSecrets).values {
		*w.deleted = true
	}
	return w.Tx.Delete(bucket, key)
}

// scrub overwrites what a purge leaves in the store's log: a purged key must
// not lie there until the store folds its log in of its own accord. A reader can
// be in the way; the next sweep tries again then.
func (s *Service) scrub(ctx context.Context) {
	s.scrubDue.Store(false)
	if err := store.Scrub(ctx, s.Store); err != nil {
		s.scrubDue.Store(true)
		s.Log.WarnContext(ctx, "what was purged is not scrubbed from the store's log yet", "error", err)
	}
}
