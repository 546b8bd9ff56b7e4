package barrier

import (
	"context"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/aead"
)

// KindFile is the kind of the embedded seal; a keyring that names no kind has it.
const KindFile = "file"

// KindOf is what Describe says before its first colon.
func KindOf(seal Seal) string {
	kind, _, _ := strings.Cut(seal.Describe(), ":")
	return kind
}

// Kind reads from the keyring in dir which kind of seal wraps its root key.
func Kind(dir string) (string, error) {
	f, err := readKeyring(dir)
	if err != nil {
		return "", err
	}
	return f.kind(), nil
}

func (f *keyringFile) kind() string {
	if f.Seal == "" {
		return KindFile
	}
	return f.Seal
}

func (f *keyringFile) setKind(seal Seal) {
	f.Seal = KindOf(seal)
	if f.Seal == KindFile {
		f.Seal = ""
	}
}

// Rekey makes a new root key, wraps it with seal, which may be another than
// before, and seals every data key with it. It is durable when it returns nil
// and changes nothing otherwise. Values on the disk are not touched.
//
// A copy of the old keyring still opens with the old seal: whoever gives up a
// seal because others may have it should Rotate besides, and treat what was
// written before as known to them.
func (b *Barrier) Rekey(ctx context.Context, seal Seal) error {
	if s, ok := seal.(interface{ InstanceID() string }); ok && s.InstanceID() != b.instance {
		return fmt.Errorf("%w: %s is of instance %s, not of %s", ErrWrongSeal, seal.Describe(), s.InstanceID(), b.instance)
	}
	root := aead.NewKey()
	young := &keyringFile{Format: keyringFormat, Instance: b.instance}
	young.setKind(seal)
	err := root.Reveal(func(key []byte) (err error) { // outside the lock: the seal may be far away
		young.Root, err = seal.Wrap(ctx, key)
		return err
	})
	if err != nil {
		return fmt.Errorf("wrap new root key: %w", err)
	}
	if err := verifyWrap(ctx, seal, young.Root, root); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keys == nil {
		return ErrClosed
	}
	for _, k := range b.ring.Keys {
		var sealed []byte
		err := b.keys[k.ID].Reveal(func(raw []byte) (err error) {
			sealed, err = root.Seal(dataKeyAAD(b.instance, k.ID), raw)
			return err
		})
		if err != nil {
			return fmt.Errorf("seal data key %d: %w", k.ID, err)
		}
		young.Keys = append(young.Keys, sealedKey{ID: k.ID, Sealed: sealed})
	}
	if err := young.replace(b.dir); err != nil {
		return err
	}
	b.root.Wipe()
	b.ring, b.root = young, root
	return nil
}

// verifyWrap unwraps what was just wrapped: a seal that cannot give the key
// back must not come into force.
func verifyWrap(ctx context.Context, seal Seal, blob []byte, root aead.Key) error {
	raw, err := seal.Unwrap(ctx, blob)
	if err != nil {
		return fmt.Errorf("unwrap what %s wrapped: %w", seal.Describe(), err)
	}
	defer clear(raw)
	if !root.Equal(raw) {
		return fmt.Errorf("%s gave another key back: %w", seal.Describe(), ErrWrongSeal)
	}
	return nil
}

// KeyIDs are the numbers of the data keys, the last of which seals.
func (b *Barrier) KeyIDs() []uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []uint32
	for _, k := range b.ring.Keys {
		out = append(out, k.ID)
	}
	return out
}
