package barrier

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/ids"
)

// ErrClosed is returned by every use of a Barrier after Close.
var ErrClosed = errors.New("barrier is closed")

const (
	valueVersion = 1
	valueHeader  = 1 + 4 // version, key id
	valueAAD     = "kustos barrier value"
)

// Barrier seals and opens values of one instance. It is safe for concurrent
// use.
type Barrier struct {
	dir      string
	instance string

	mu   sync.RWMutex
	ring *keyringFile
	root aead.Key
	keys map[uint32]aead.Key // nil when closed
	last uint32              // seals new values
}

// Create makes the keyring of a new instance in dir, which must exist. It
// refuses, with an error that is fs.ErrExist, when there is one already. The
// instance id is the seal's when the seal has one.
func Create(ctx context.Context, dir string, seal Seal) (*Barrier, error) {
	instance := ids.NewGUID()
	if s, ok := seal.(interface{ InstanceID() string }); ok {
		instance = s.InstanceID()
	}
	b := &Barrier{dir: dir, instance: instance, root: aead.NewKey(), keys: map[uint32]aead.Key{}}
	ring := &keyringFile{Format: keyringFormat, Instance: instance}
	ring.setKind(seal)
	err := b.root.Reveal(func(key []byte) (err error) {
		ring.Root, err = seal.Wrap(ctx, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("wrap root key: %w", err)
	}
	if err := verifyWrap(ctx, seal, ring.Root, b.root); err != nil {
		return nil, err
	}
	key, err := b.addKey(ring)
	if err != nil {
		return nil, err
	}
	if err := ring.create(dir); err != nil {
		return nil, err
	}
	b.use(ring, key)
	return b, nil
}

// Open reads the keyring in dir and unwraps it with seal. Errors: fs.ErrNotExist
// when dir holds none, ErrWrongSeal, ErrNewerFormat.
func Open(ctx context.Context, dir string, seal Seal) (*Barrier, error) {
	ring, err := readKeyring(dir)
	if err != nil {
		return nil, err
	}
	if s, ok := seal.(interface{ InstanceID() string }); ok && s.InstanceID() != ring.Instance {
		return nil, fmt.Errorf("%w: %s is of instance %s, %s is of instance %s", ErrWrongSeal, seal.Describe(), s.InstanceID(), dir, ring.Instance)
	}
	if kind := KindOf(seal); kind != ring.kind() {
		return nil, fmt.Errorf("%w: %s is sealed by a seal of kind %s, not by %s", ErrWrongSeal, dir, ring.kind(), seal.Describe())
	}
	raw, err := seal.Unwrap(ctx, ring.Root)
	if err != nil {
		return nil, fmt.Errorf("unwrap root key of %s: %w", dir, err)
	}
	defer clear(raw)
	root, err := aead.KeyFrom(raw)
	if err != nil {
		return nil, fmt.Errorf("root key of %s: %w", dir, err)
	}
	b := &Barrier{dir: dir, instance: ring.Instance, root: root, keys: map[uint32]aead.Key{}}
	for _, k := range ring.Keys {
		key, err := openKey(root, ring.Instance, k)
		if err != nil {
			b.Close()
			return nil, fmt.Errorf("keyring in %s: data key %d: %w", dir, k.ID, err)
		}
		b.keys[k.ID], b.last = key, k.ID
	}
	b.ring = ring
	return b, nil
}

func openKey(root aead.Key, instance string, k sealedKey) (aead.Key, error) {
	raw, err := root.Open(dataKeyAAD(instance, k.ID), k.Sealed)
	if err != nil {
		return aead.Key{}, err
	}
	defer clear(raw)
	return aead.KeyFrom(raw)
}

// addKey appends a fresh data key to ring.
func (b *Barrier) addKey(ring *keyringFile) (aead.Key, error) {
	id := uint32(1)
	if n := len(ring.Keys); n > 0 {
		id = ring.Keys[n-1].ID + 1
	}
	key := aead.NewKey()
	var sealed []byte
	err := key.Reveal(func(raw []byte) (err error) {
		sealed, err = b.root.Seal(dataKeyAAD(b.instance, id), raw)
		return err
	})
	if err != nil {
		return aead.Key{}, fmt.Errorf("seal data key: %w", err)
	}
	ring.Keys = append(ring.Keys, sealedKey{ID: id, Sealed: sealed})
	return key, nil
}

func (b *Barrier) use(ring *keyringFile, key aead.Key) {
	b.ring = ring
	b.last = ring.Keys[len(ring.Keys)-1].ID
	b.keys[b.last] = key
}

// Rotate makes a new data key and seals values with it from then on; values
// sealed before stay readable. It is durable when it returns nil and changes
// nothing otherwise. One data key must seal fewer than 2^32 values.
func (b *Barrier) Rotate() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keys == nil {
		return ErrClosed
	}
	ring := *b.ring
	ring.Keys = append([]sealedKey(nil), b.ring.Keys...)
	key, err := b.addKey(&ring)
	if err != nil {
		return err
	}
	if err := ring.replace(b.dir); err != nil {
		return err
	}
	b.use(&ring, key)
	return nil
}

// InstanceID is the GUID of the instance.
func (b *Barrier) InstanceID() string { return b.instance }

// Seal encrypts plaintext bound to this instance and to context:
// version byte | key id, 4 bytes big endian | nonce | ciphertext | tag.
func (b *Barrier) Seal(context string, plaintext []byte) ([]byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.keys == nil {
		return nil, ErrClosed
	}
	header := binary.BigEndian.AppendUint32([]byte{valueVersion}, b.last)
	sealed, err := b.keys[b.last].Seal(b.aad(header, context), plaintext)
	if err != nil {
		return nil, fmt.Errorf("seal value: %w", err)
	}
	return append(header, sealed...), nil
}

// Open reverses Seal. It fails with aead.ErrAuthentication when a bit, the
// context or the instance differs.
func (b *Barrier) Open(context string, sealed []byte) ([]byte, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.keys == nil {
		return nil, ErrClosed
	}
	if len(sealed) < valueHeader {
		return nil, fmt.Errorf("open value: %w: %d bytes are too few", aead.ErrAuthentication, len(sealed))
	}
	if v := sealed[0]; v > valueVersion {
		return nil, fmt.Errorf("value has format %d, this binary knows up to %d: %w", v, valueVersion, ErrNewerFormat)
	}
	header := sealed[:valueHeader]
	id := binary.BigEndian.Uint32(header[1:])
	key, ok := b.keys[id]
	if !ok {
		return nil, fmt.Errorf("open value: %w: no data key %d", aead.ErrAuthentication, id)
	}
	plaintext, err := key.Open(b.aad(header, context), sealed[valueHeader:])
	if err != nil {
		return nil, fmt.Errorf("open value: %w", err)
	}
	return plaintext, nil
}

// aad: everything before context has a fixed length, so no two differ only in
// where one part ends.
func (b *Barrier) aad(header []byte, context string) []byte {
	out := make([]byte, 0, len(valueAAD)+len(header)+len(b.instance)+len(context))
	out = append(out, valueAAD...)
	out = append(out, header...)
	out = append(out, b.instance...)
	return append(out, context...)
}

// Close wipes every key. Closing twice is fine.
func (b *Barrier) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.root.Wipe()
	for _, k := range b.keys {
		k.Wipe()
	}
	b.keys = nil
}
