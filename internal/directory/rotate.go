package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

const (
	defaultSigningKeyAge = 30 * 24 * time.Hour
	// retiredKeyLifetime is how long a retired key's public part stays: until
	// the last token it signed is over, and an hour for tokens that were being
	// signed while it was retired and for the tolerance of Verify.
	retiredKeyLifetime = identityTokenLifetime + time.Hour
	// upkeepInterval bounds how late a change of the clock is noticed.
	upkeepInterval = time.Hour
)

// expiry is when a retired key can be deleted.
func (r signingKeyRecord) expiry() time.Time { return r.Retired.Add(retiredKeyLifetime) }

// RotateSigningKey makes a new token signing key, which signs from now on, and
// returns its key id. The private part of the old one is erased at once; its
// public part stays published until no token it signed can be valid any more.
func (d *Directory) RotateSigningKey(ctx context.Context) (keyID string, err error) {
	d.rotation.Lock()
	defer d.rotation.Unlock()
	return d.rotate(ctx)
}

// rotate is RotateSigningKey with the lock held.
func (d *Directory) rotate(ctx context.Context) (keyID string, err error) {
	now := d.now().UTC()
	next, err := newSigningKey(now)
	if err != nil {
		return "", fmt.Errorf("rotate signing key: %w", err)
	}
	err = d.changeKeys(ctx, func(records []signingKeyRecord) []signingKeyRecord {
		for i := range records {
			if records[i].Retired.IsZero() {
				records[i].Retired, records[i].PKCS8 = now, nil
			}
		}
		return append(records, next)
	})
	if err != nil {
		return "", fmt.Errorf("rotate signing key: %w", err)
	}
	d.log.InfoContext(ctx, "signing key rotated", "key", next.KeyID)
	return next.KeyID, nil
}

// changeKeys replaces the keys of the store by change's in one transaction,
// leaving out those whose time is over, and then uses them.
func (d *Directory) changeKeys(ctx context.Context, change func([]signingKeyRecord) []signingKeyRecord) error {
	var ring *keyring
	err := d.store.Update(ctx, func(tx store.Tx) error {
		old, err := store.ListJSON[signingKeyRecord](tx, bucketSigningKeys, "")
		if err != nil {
			return err
		}
		gone := map[string]bool{}
		for _, r := range old {
			gone[key(r.KeyID)] = true
		}
		var kept []signingKeyRecord
		for _, r := range change(old) {
			if !r.Retired.IsZero() && !d.now().Before(r.expiry()) {
				continue
			}
			kept = append(kept, r)
			delete(gone, key(r.KeyID))
			if err := store.PutJSON(tx, bucketSigningKeys, key(r.KeyID), r); err != nil {
				return err
			}
		}
		for id := range gone {
			if err := tx.Delete(bucketSigningKeys, id); err != nil {
				return fmt.Errorf("delete signing key: %w", err)
			}
		}
		ring, err = newKeyring(kept)
		return err
	})
	if err != nil {
		return err
	}
	d.keys.Store(ring)
	d.scrubDue.Store(true)
	d.scrub(ctx)
	return nil
}

// scrub makes the store overwrite what was deleted. A reader can be in the
// way; Upkeep tries again then.
func (d *Directory) scrub(ctx context.Context) {
	if !d.scrubDue.Swap(false) {
		return
	}
	if err := store.Scrub(ctx, d.store); err != nil {
		d.scrubDue.Store(true)
		d.log.WarnContext(ctx, "erasing old signing keys is put off", "error", err)
	}
}

// currentKeys is the keyring to sign with: the signing key is replaced first
// when it is too old. A key that cannot be replaced goes on signing, because a
// full disk must not shut everybody out; an operator is told.
func (d *Directory) currentKeys() *keyring {
	ring := d.keys.Load()
	if d.now().Sub(ring.created) < d.keyAge {
		return ring
	}
	d.rotation.Lock()
	defer d.rotation.Unlock()
	ring = d.keys.Load()
	if d.now().Sub(ring.created) < d.keyAge {
		return ring // somebody was faster
	}
	// Not the request's context: a client that goes away must not stop it.
	ctx := context.Background()
	if _, err := d.rotate(ctx); err != nil {
		d.log.ErrorContext(ctx, "signing key is too old and cannot be rotated", "key", ring.signing, "error", err)
		return ring
	}
	return d.keys.Load()
}

// Upkeep does what time makes due: it rotates an old signing key, deletes
// retired ones that no valid token needs, and forgets sign-ins that are over.
func (d *Directory) Upkeep(ctx context.Context) error {
	d.currentKeys()
	d.rotation.Lock()
	defer d.rotation.Unlock()
	if end := d.keys.Load().expiry; !end.IsZero() && !d.now().Before(end) {
		if err := d.changeKeys(ctx, func(r []signingKeyRecord) []signingKeyRecord { return r }); err != nil {
			return fmt.Errorf("delete retired signing keys: %w", err)
		}
		d.log.InfoContext(ctx, "retired signing keys deleted")
	}
	d.scrub(ctx)
	d.signIns.sweep(d.now())
	return errors.Join(d.forgetAssertions(ctx), d.forgetSessions(ctx))
}

// Run does Upkeep when it is due, until ctx ends.
func (d *Directory) Run(ctx context.Context) {
	for {
		if err := d.Upkeep(ctx); err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "directory upkeep failed", "error", err)
		}
		timer := time.NewTimer(d.untilUpkeep())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

func (d *Directory) untilUpkeep() time.Duration {
	ring, now := d.keys.Load(), d.now()
	wait := min(upkeepInterval, ring.created.Add(d.keyAge).Sub(now))
	if !ring.expiry.IsZero() {
		wait = min(wait, ring.expiry.Sub(now))
	}
	return max(wait, time.Second) // never a busy loop, whatever fails
}
