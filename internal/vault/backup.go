package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// A backup is magic, then the sealed payload. The instance's backup key seals
// it; kind, tenant and subscription are authenticated with it, so that a blob
// opens on this instance, for this subscription and as this kind only.
const (
	backupMagic = "&KustosKeyVaultBackupV1."
	// maxBackupVersions is the service's limit of past versions.
	maxBackupVersions = 500
)

// payload is what a backup holds: all versions, oldest first.
type payload[T any] struct {
	Location string
	Object   Object
	Versions []T
	Values   [][]byte
}

func (p *payload[T]) wipe() {
	for _, v := range p.Values {
		clear(v)
	}
}

func backupContext(sh shelf, v *Vault) []byte {
	return []byte(strings.ToLower(backupMagic + string(sh.area) + "\x00" + v.TenantID + "\x00" + v.Subscription))
}

func errBackup() error {
	return azerr.BadParameter("The backup blob cannot be read: it is damaged, or it belongs to another kind of object, subscription or server.", "")
}

// backupKey reads the instance's backup key; with create it is made when it is
// not there yet.
func (s *Service) backupKey(ctx context.Context, create bool) (aead.Key, error) {
	var raw []byte
	defer func() { clear(raw) }()
	read := func(tx store.Tx) (err error) {
		raw, err = tx.Get(backupBucket, "key")
		return err
	}
	err := s.Store.View(ctx, read)
	if errors.Is(err, store.ErrNotFound) && create {
		fresh := aead.NewKey()
		defer fresh.Wipe()
		err = s.update(ctx, func(tx store.Tx) error {
			if err := read(tx); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return fresh.Reveal(func(b []byte) error {
				raw = bytes.Clone(b)
				return tx.Put(backupBucket, "key", raw)
			})
		})
	}
	if errors.Is(err, store.ErrNotFound) {
		return aead.Key{}, errBackup()
	}
	if err != nil {
		return aead.Key{}, fmt.Errorf("read backup key: %w", err)
	}
	return aead.KeyFrom(raw)
}

// backup seals an object with all its versions.
func backup[T any](ctx context.Context, s *Service, sh shelf, v *Vault, name string) ([]byte, error) {
	p := payload[T]{Location: v.Location}
	defer p.wipe()
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		if p.Object, err = s.liveObject(tx, sh, v, name); err != nil {
			return err
		}
		if len(p.Object.Versions)-1 > maxBackupVersions {
			return azerr.BadParameter(fmt.Sprintf("%s %s has more than %d past versions and cannot be backed up.", sh.noun, name, maxBackupVersions), "")
		}
		for _, id := range p.Object.Versions {
			f, err := readVersion[T](tx, sh, v, p.Object, id)
			if err != nil {
				return err
			}
			value, err := tx.Get(sh.values, versionPath(v, name, id))
			if err != nil {
				return fmt.Errorf("read %s: %w", sh.area, err)
			}
			p.Versions, p.Values = append(p.Versions, f.Version), append(p.Values, value)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	key, err := s.backupKey(ctx, true)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	plain, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode backup: %w", err)
	}
	defer clear(plain)
	sealed, err := key.Seal(backupContext(sh, v), plain)
	if err != nil {
		return nil, fmt.Errorf("seal backup: %w", err)
	}
	return append([]byte(backupMagic), sealed...), nil
}

// restore brings a backup back under the same name and the same version ids.
// The name must be free in the vault, and the vault in the same geography.
func restore[T any](ctx context.Context, s *Service, sh shelf, v *Vault, blob []byte) (found[T], error) {
	sealed, ok := bytes.CutPrefix(blob, []byte(backupMagic))
	if !ok {
		return found[T]{}, errBackup()
	}
	key, err := s.backupKey(ctx, false)
	if err != nil {
		return found[T]{}, err
	}
	defer key.Wipe()
	plain, err := key.Open(backupContext(sh, v), sealed)
	if err != nil {
		return found[T]{}, errBackup()
	}
	defer clear(plain)
	var p payload[T]
	if err := json.Unmarshal(plain, &p); err != nil {
		return found[T]{}, errBackup()
	}
	defer p.wipe()
	if geography(p.Location) != geography(v.Location) {
		return found[T]{}, azerr.BadParameter(fmt.Sprintf("The backup is of a vault in %s and can be restored only in the same geography.", p.Location), "")
	}
	var out found[T]
	err = s.update(ctx, func(tx store.Tx) error {
		v, err := s.inVault(tx, v)
		if err != nil {
			return err
		}
		have, err := s.free(tx, sh, v, p.Object.Name)
		if err != nil {
			return err
		}
		if len(have.Versions) > 0 {
			return azerr.ObjectAlreadyExists(sh.noun, p.Object.Name)
		}
		for i, id := range p.Object.Versions {
			path := versionPath(v, p.Object.Name, id)
			if err := errors.Join(tx.Put(sh.values, path, p.Values[i]), store.PutJSON(tx, sh.versions, path, p.Versions[i])); err != nil {
				return fmt.Errorf("restore %s: %w", sh.area, err)
			}
		}
		out = found[T]{Vault: *v, Object: p.Object, Version: p.Versions[len(p.Versions)-1]}
		return store.PutJSON(tx, sh.objects, objectPath(v, p.Object.Name), p.Object)
	})
	if err == nil {
		s.hint(v.Name)
	}
	return out, err
}

// geography is the area of regions within which backups may move.
func geography(location string) string {
	for _, g := range []struct{ name, regions string }{
		{"Australia", "australiacentral australiaeast australiasoutheast"},
		{"Asia Pacific", "eastasia southeastasia"},
		{"Brazil", "brazilsouth"},
		{"Canada", "canadacentral canadaeast"},
		{"Europe", "northeurope westeurope"},
		{"France", "francecentral francesouth"},
		{"India", "centralindia southindia westindia"},
		{"Japan", "japaneast japanwest"},
		{"Korea", "koreacentral koreasouth"},
		{"Switzerland", "switzerlandnorth switzerlandwest"},
		{"United Kingdom", "uksouth ukwest"},
		{"United States", "centralus eastus eastus2 northcentralus southcentralus westcentralus westus westus2 westus3"},
	} {
		for _, r := range strings.Fields(g.regions) {
			if r == location {
				return g.name
			}
		}
	}
	return location // a geography of one region
}
