package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

// sweepInterval is how often Run looks for what is due.
const sweepInterval = time.Minute

// errNotDue stops a rotation that is not due any more.
var errNotDue = errors.New("rotation is not due")

// Run sweeps once a minute, and when the clock jumps, until ctx ends. Errors are logged: what is due stays
// due and is tried again.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		var advanced <-chan struct{}
		if s.Advanced != nil {
			advanced = s.Advanced()
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "sweep of vaults", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-advanced:
		case <-tick.C:
		}
	}
}

// Sweep purges vaults, keys and secrets whose purge date has passed, rotates
// keys whose policy says so, and gives the near-expiry notices: in the log and
// in the audit log. Reads never show what is overdue, whether or not it was swept.
func (s *Service) Sweep(ctx context.Context) error {
	if s.scrubDue.Load() {
		s.scrub(ctx)
	}
	var vaults []Vault
	if err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		vaults, err = store.ListJSON[Vault](tx, vaultBucket, "")
		return err
	}); err != nil {
		return fmt.Errorf("list vaults: %w", err)
	}
	var failures []error
	for i := range vaults {
		failures = append(failures, s.sweepVault(ctx, &vaults[i]))
	}
	return errors.Join(failures...)
}

func (s *Service) sweepVault(ctx context.Context, v *Vault) error {
	if v.Deleted != nil && !s.now().Before(v.Deleted.PurgeAt) {
		return s.purgeDue(ctx, v)
	}
	for _, a := range []area{areaKeys, areaSecrets} {
		if err := s.purgeDueObjects(ctx, v, shelfOf(a)); err != nil {
			return err
		}
	}
	if v.Deleted != nil { // a deleted vault does nothing but wait
		return nil
	}
	return s.rotateDue(ctx, v)
}

// purgeDue removes the vault if its record is still the one that is due.
func (s *Service) purgeDue(ctx context.Context, v *Vault) error {
	dropped := false
	err := s.update(ctx, func(tx store.Tx) error {
		now, err := store.GetJSON[Vault](tx, vaultBucket, v.Host())
		if errors.Is(err, store.ErrNotFound) || err == nil && (now.Incarnation != v.Incarnation || now.Deleted == nil) {
			return nil
		}
		if err != nil {
			return err
		}
		dropped = true
		return s.dropVault(tx, now)
	})
	if dropped {
		s.recorded(ctx, "vaults/purge", v.ResourceID, sweeper(), &err)
	}
	if err != nil {
		return fmt.Errorf("purge vault %s: %w", v.Name, err)
	}
	s.keys.clear()
	s.Log.InfoContext(ctx, "vault purged at its purge date", "vault", v.Name)
	s.hint(v.Name)
	return nil
}

func (s *Service) purgeDueObjects(ctx context.Context, v *Vault, sh shelf) error {
	var due []string
	if err := s.Store.View(ctx, func(tx store.Tx) error {
		objects, err := store.ListJSON[Object](tx, sh.objects, v.Incarnation+"/")
		for _, o := range objects {
			if o.Deleted != nil && !s.now().Before(o.Deleted.PurgeAt) {
				due = append(due, o.Name)
			}
		}
		return err
	}); err != nil {
		return fmt.Errorf("list %s of vault %s: %w", sh.area, v.Name, err)
	}
	for _, name := range due {
		err := s.update(ctx, func(tx store.Tx) error {
			o, live, err := s.find(tx, sh, v, name)
			if err != nil || live || o.Name == "" { // recovered or gone in the meantime
				return err
			}
			return s.drop(tx, sh, v, name)
		})
		s.recorded(ctx, string(sh.area)+"/purge", objectScope(v, sh.area, name), sweeper(), &err)
		if err != nil {
			return fmt.Errorf("purge %s of vault %s: %w", sh.area, v.Name, err)
		}
		s.keys.drop(objectPath(v, name) + "/")
		s.Log.InfoContext(ctx, "purged at its purge date", "vault", v.Name, sh.noun, name)
	}
	return nil
}

// rotateDue runs the actions of rotation policies.
func (s *Service) rotateDue(ctx context.Context, v *Vault) error {
	var with []found[KeyVersion]
	sh := shelfOf(areaKeys)
	if err := s.Store.View(ctx, func(tx store.Tx) error {
		objects, err := store.ListJSON[Object](tx, sh.objects, v.Incarnation+"/")
		if err != nil {
			return err
		}
		for _, o := range objects {
			if o.Deleted != nil || o.Rotation == nil {
				continue
			}
			f, err := readVersion[KeyVersion](tx, sh, v, o, o.newest())
			if err != nil {
				return err
			}
			with = append(with, f)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("read rotation policies of vault %s: %w", v.Name, err)
	}
	for _, f := range with {
		if err := s.act(ctx, v, f); err != nil {
			return fmt.Errorf("rotation of key %s in vault %s: %w", f.Object.Name, v.Name, err)
		}
	}
	return nil
}

func (s *Service) act(ctx context.Context, v *Vault, f found[KeyVersion]) error {
	now := s.now()
	if at, ok := f.Object.Rotation.notifyAt(&f.Version); ok && !now.Before(at) {
		s.Log.InfoContext(ctx, "key is near its expiry", "vault", v.Name, "key", f.Object.Name, "key_version", f.Version.ID)
		_, err := updateVersion(ctx, s, shelfOf(areaKeys), v, f.Object.Name, f.Version.ID, func(kv *KeyVersion) error {
			kv.Notified = &now
			return nil
		})
		s.recorded(ctx, "keys/nearExpiry", objectScope(v, areaKeys, f.Object.Name), sweeper(), &err)
		if err != nil {
			return err
		}
	}
	at, ok := f.Object.Rotation.rotateAt(&f.Version)
	if !ok || now.Before(at) {
		return nil
	}
	kv := s.successor(f)
	private, err := s.generate(ctx, kv.Kind)
	if err != nil {
		return err
	}
	_, err = s.storeKey(ctx, v, f.Object.Name, kv, private, func(tx store.Tx, v *Vault, o *Object) error {
		if len(o.Versions) == 0 || o.newest() != f.Version.ID {
			return errNotDue
		}
		again, err := readVersion[KeyVersion](tx, shelfOf(areaKeys), v, *o, o.newest())
		if err != nil {
			return err
		}
		if at, ok := o.Rotation.rotateAt(&again.Version); !ok || now.Before(at) {
			return errNotDue
		}
		return nil
	})
	if errors.Is(err, errNotDue) { // somebody changed the key while the new one was generated
		return nil
	}
	s.recorded(ctx, "keys/rotate", objectScope(v, areaKeys, f.Object.Name), sweeper(), &err)
	if err != nil {
		return err
	}
	s.Log.InfoContext(ctx, "key rotated by its policy", "vault", v.Name, "key", f.Object.Name, "key_version", kv.ID)
	return nil
}
