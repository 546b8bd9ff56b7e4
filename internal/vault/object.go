package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// Object is a key or a secret: its name and the order of its versions.
// Attributes, tags and content belong to a version.
type Object struct {
	Name     string   // as created
	Versions []string // oldest first; never empty
	Deleted  *Deletion
	// Rotation is a key's policy, nil when it was never set.
	Rotation *RotationPolicy
}

// newest is the id of the newest version.
func (o *Object) newest() string { return o.Versions[len(o.Versions)-1] }

// shelf is where one kind of object lives: keys and secrets live alike. The
// store keys are {incarnation}/{name} and {incarnation}/{name}/{version}, names
// in lower case. values holds what must not be shown: private keys and secret
// values, apart from the records that listings read.
type shelf struct {
	area                      area
	noun                      string
	objects, versions, values string
}

func shelfOf(a area) shelf {
	if a == areaSecrets {
		return shelf{a, "Secret", "vault.secrets", "vault.secretversions", "vault.secretvalues"}
	}
	return shelf{a, "Key", "vault.keys", "vault.keyversions", "vault.keymaterial"}
}

func objectPath(v *Vault, name string) string { return v.Incarnation + "/" + strings.ToLower(name) }

func versionPath(v *Vault, name, version string) string {
	return objectPath(v, name) + "/" + strings.ToLower(version)
}

// found is a version with the object and the vault it belongs to, everything an
// answer is made of.
type found[T any] struct {
	Vault   Vault
	Object  Object
	Version T
}

// find reads an object, live or deleted; ok is false when there is none or when
// its purge date has passed.
func (s *Service) find(tx store.Tx, sh shelf, v *Vault, name string) (o Object, ok bool, err error) {
	o, err = store.GetJSON[Object](tx, sh.objects, objectPath(v, name))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Object{}, false, nil
	case err != nil:
		return Object{}, false, fmt.Errorf("read %s: %w", sh.area, err)
	}
	return o, o.Deleted == nil || s.now().Before(o.Deleted.PurgeAt), nil
}

// liveObject reads an object that is not deleted, or fails with NotFound.
func (s *Service) liveObject(tx store.Tx, sh shelf, v *Vault, name string) (Object, error) {
	o, ok, err := s.find(tx, sh, v, name)
	if err != nil {
		return Object{}, err
	}
	if !ok || o.Deleted != nil {
		return Object{}, azerr.VaultObjectNotFound(sh.noun, name)
	}
	return o, nil
}

// deletedObject reads a soft-deleted object, or fails with NotFound.
func (s *Service) deletedObject(tx store.Tx, sh shelf, v *Vault, name string) (Object, error) {
	o, ok, err := s.find(tx, sh, v, name)
	if err != nil {
		return Object{}, err
	}
	if !ok || o.Deleted == nil {
		return Object{}, azerr.DeletedObjectNotFound(sh.noun, name)
	}
	return o, nil
}

// liveVersion reads a version of a live object; an empty version is the newest.
func liveVersion[T any](s *Service, tx store.Tx, sh shelf, v *Vault, name, version string) (found[T], error) {
	o, err := s.liveObject(tx, sh, v, name)
	if err != nil {
		var e *azerr.Error
		if version != "" && errors.As(err, &e) {
			return found[T]{}, azerr.VaultObjectNotFound(sh.noun, name+"/"+version)
		}
		return found[T]{}, err
	}
	if version == "" {
		version = o.newest()
	}
	if !slices.Contains(o.Versions, strings.ToLower(version)) {
		return found[T]{}, azerr.VaultObjectNotFound(sh.noun, name+"/"+version)
	}
	return readVersion[T](tx, sh, v, o, version)
}

func readVersion[T any](tx store.Tx, sh shelf, v *Vault, o Object, version string) (found[T], error) {
	kv, err := store.GetJSON[T](tx, sh.versions, versionPath(v, o.Name, version))
	if err != nil {
		return found[T]{}, fmt.Errorf("read version of %s: %w", sh.area, err)
	}
	return found[T]{Vault: *v, Object: o, Version: kv}, nil
}

// drop removes an object with all versions and what they hold.
func (s *Service) drop(tx store.Tx, sh shelf, v *Vault, name string) error {
	if err := s.unassign(tx, v.ResourceID+"/"+string(sh.area)+"/"+name); err != nil {
		return fmt.Errorf("purge %s: %w", sh.area, err)
	}
	prefix := objectPath(v, name) + "/"
	for _, bucket := range []string{sh.versions, sh.values} {
		if err := dropPrefix(tx, bucket, prefix); err != nil {
			return fmt.Errorf("purge %s: %w", sh.area, err)
		}
	}
	if err := tx.Delete(sh.objects, objectPath(v, name)); err != nil {
		return fmt.Errorf("purge %s: %w", sh.area, err)
	}
	return nil
}

// inVault reads the vault again in a write transaction; it fails when the vault
// was deleted since the request was admitted.
func (s *Service) inVault(tx store.Tx, v *Vault) (*Vault, error) {
	now, ok, err := s.live(tx, v.Name)
	if err != nil {
		return nil, err
	}
	if !ok || now.Incarnation != v.Incarnation {
		return nil, azerr.VaultHostNotFound(v.Name)
	}
	return &now, nil
}

// guard is a condition on the object, as it is in the transaction, for a write
// to go on; it may complete the object. Without versions the name is free.
type guard func(tx store.Tx, v *Vault, o *Object) error

// errExists stops a write that is for a free name only.
var errExists = errors.New("the object exists")

// writeVersion appends a version to an object in one transaction, or makes the
// object. A soft-deleted object of the name refuses it, and so does may, which
// may be nil.
func writeVersion[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name, id string, version T, value []byte, may guard) (found[T], error) {
	var out found[T]
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		o, err := s.free(tx, sh, v, name)
		if err != nil {
			return err
		}
		if may != nil {
			if err := may(tx, v, &o); err != nil {
				return err
			}
		}
		if len(o.Versions) == 0 {
			o.Name = name
		}
		o.Versions = append(o.Versions, id)
		path := versionPath(v, name, id)
		if err := tx.Put(sh.values, path, value); err != nil {
			return fmt.Errorf("write %s: %w", sh.area, err)
		}
		if err := store.PutJSON(tx, sh.versions, path, version); err != nil {
			return fmt.Errorf("write %s: %w", sh.area, err)
		}
		out = found[T]{Vault: *v, Object: o, Version: version}
		return store.PutJSON(tx, sh.objects, objectPath(v, name), o)
	})
	if err == nil {
		s.hint(v.Name)
	}
	return out, err
}

// free returns the live object of a name, or a zero one when the name is free,
// for which it clears away an object whose purge date has passed.
func (s *Service) free(tx store.Tx, sh shelf, v *Vault, name string) (Object, error) {
	o, ok, err := s.find(tx, sh, v, name)
	switch {
	case err != nil:
		return Object{}, err
	case ok && o.Deleted != nil:
		return Object{}, azerr.ObjectIsDeletedButRecoverable(sh.noun, name)
	case ok:
		return o, nil
	case o.Name != "":
		return Object{}, s.drop(tx, sh, v, name)
	}
	return Object{}, nil
}

// getVersion reads a version of a live object; an empty version is the newest.
func getVersion[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name, version string) (found[T], error) {
	var out found[T]
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		out, err = liveVersion[T](s, tx, sh, v, name, version)
		return err
	})
	return out, err
}

// updateVersion changes a version of a live object in one transaction.
func updateVersion[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name, version string, change func(*T) error) (found[T], error) {
	var out found[T]
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		if out, err = liveVersion[T](s, tx, sh, v, name, version); err != nil {
			return err
		}
		if err := change(&out.Version); err != nil {
			return err
		}
		if version == "" {
			version = out.Object.newest()
		}
		return store.PutJSON(tx, sh.versions, versionPath(v, name, version), out.Version)
	})
	if err == nil {
		s.keys.drop(objectPath(v, name) + "/")
		s.hint(v.Name)
	}
	return out, err
}

// deleteObject soft-deletes a live object, or removes it for good in a vault
// without soft delete (Object.Deleted is nil then).
func deleteObject[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name string) (found[T], error) {
	var out found[T]
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		if out, err = liveVersion[T](s, tx, sh, v, name, ""); err != nil {
			return err
		}
		if !v.SoftDelete {
			return s.drop(tx, sh, v, name)
		}
		now := s.now()
		out.Object.Deleted = &Deletion{At: now, PurgeAt: now.Add(time.Duration(v.RetentionDays) * 24 * time.Hour)}
		return store.PutJSON(tx, sh.objects, objectPath(v, name), out.Object)
	})
	if err == nil {
		s.keys.drop(objectPath(v, name) + "/")
		s.hint(v.Name)
	}
	return out, err
}

// getDeleted reads the newest version of a soft-deleted object.
func getDeleted[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name string) (found[T], error) {
	var out found[T]
	err := s.Store.View(ctx, func(tx store.Tx) error {
		o, err := s.deletedObject(tx, sh, v, name)
		if err != nil {
			return err
		}
		out, err = readVersion[T](tx, sh, v, o, o.newest())
		return err
	})
	return out, err
}

// recoverObject makes a soft-deleted object live again, with all versions.
func recoverObject[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name string) (found[T], error) {
	var out found[T]
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		o, err := s.deletedObject(tx, sh, v, name)
		if err != nil {
			return err
		}
		o.Deleted = nil
		if out, err = readVersion[T](tx, sh, v, o, o.newest()); err != nil {
			return err
		}
		return store.PutJSON(tx, sh.objects, objectPath(v, name), o)
	})
	if err == nil {
		s.hint(v.Name)
	}
	return out, err
}

// purgeObject removes a soft-deleted object for good; purge protection refuses it.
func (s *Service) purgeObject(ctx context.Context, sh shelf, v *Vault, name string) error {
	err := s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		if _, err := s.deletedObject(tx, sh, v, name); err != nil {
			return err
		}
		if v.PurgeProtection {
			return azerr.PurgeForbiddenByPolicy(v.Name, v.Location)
		}
		return s.drop(tx, sh, v, name)
	})
	if err == nil {
		s.keys.drop(objectPath(v, name) + "/")
		s.hint(v.Name)
	}
	return err
}
