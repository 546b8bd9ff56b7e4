package envelope

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/ids"
)

// DEK encrypts one extent or one WAL segment, in a doubly encrypted cluster with
// a second key in a second layer. It prints as REDACTED; its holder must Wipe it.
type DEK struct{ key, layer aead.Key } // layer is zero when there is one layer

// WrappedDEK is a DEK as it stands in a header: each of its keys wrapped by a
// chain of its own.
type WrappedDEK struct {
	Key   []byte `json:"wrappedDek"`                // by the database key
	Layer []byte `json:"wrappedLayerDek,omitempty"` // by the layer key; nil when there is one layer
}

// Lengths of the two wraps, in bytes.
const (
	WrappedDEKSize      = 1 + aead.Overhead + aead.KeySize
	WrappedLayerDEKSize = 1 + aead.OverheadX + aead.KeySize
)

const (
	dekAAD      = "kustos dek v1\x00"
	layerDEKAAD = "kustos layer dek v1\x00"
)

// ErrLayers: a file, or a value of the catalogue, is not encrypted in the layers
// its cluster has, or its header and its wraps say different things. It is
// aead.ErrAuthentication too: no writer makes such a thing.
var ErrLayers = fmt.Errorf("it is not encrypted in the layers of its cluster: %w", aead.ErrAuthentication)

// NewDEK makes a random DEK of one layer, AES-256-GCM.
func NewDEK() DEK { return DEK{key: aead.NewKey()} }

// NewLayeredDEK makes a random DEK of two: ChaCha20-Poly1305 over AES-256-GCM.
func NewLayeredDEK() DEK { return DEK{aead.NewKey(), aead.NewKeyFor(aead.ChaCha20Poly1305)} }

// Layered reports whether the DEK encrypts in two layers.
func (d DEK) Layered() bool { return d.layer != aead.Key{} }

// Keys are the keys of the layers, the inner one first.
func (d DEK) Keys() []aead.Key {
	if d.Layered() {
		return []aead.Key{d.key, d.layer}
	}
	return []aead.Key{d.key}
}

// Wipe zeroes the keys for every copy of the DEK. Wiping twice is fine.
func (d DEK) Wipe() {
	d.key.Wipe()
	d.layer.Wipe()
}

// Wiped reports whether the DEK can no longer be used.
func (d DEK) Wiped() bool { return d.key.Wiped() || d.Layered() && d.layer.Wiped() }

// Format writes REDACTED for every verb.
func (d DEK) Format(f fmt.State, verb rune) { d.key.Format(f, verb) }

// MarshalText is REDACTED; encoding/json and encoding/xml use it too.
func (d DEK) MarshalText() ([]byte, error) { return d.key.MarshalText() }

// LogValue is REDACTED.
func (d DEK) LogValue() slog.Value { return d.key.LogValue() }

// Cipher takes nonces of 12 bytes and makes tags of 16 for each layer. Whoever
// holds it can use it after Wipe. aead.ErrWiped.
func (d DEK) Cipher() (cipher.AEAD, error) {
	inner, err := d.key.Cipher()
	if err != nil || !d.Layered() {
		return inner, err
	}
	outer, err := d.layer.Cipher()
	if err != nil {
		return nil, err
	}
	return aead.Layered(inner, outer), nil
}

// TagSize is how many bytes of tags a layered or single DEK makes.
func TagSize(layered bool) int {
	if layered {
		return 2 * aead.TagSize
	}
	return aead.TagSize
}

// ObjectKind says what a DEK encrypts.
type ObjectKind byte

// The kinds; the numbers are part of the format.
const (
	Extent     ObjectKind = 1
	WALSegment ObjectKind = 2
)

// Object names what a DEK encrypts; both ids are GUIDs in lower case.
type Object struct {
	DatabaseID string
	Kind       ObjectKind
	ID         string
}

// aad: label | database id, 16 bytes | key version, 4 | kind, 1 | object id, 16.
func (o Object) aad(label string, version int) ([]byte, error) {
	d, err := ids.ParseGUID(o.DatabaseID)
	if err != nil {
		return nil, fmt.Errorf("database id: %w", err)
	}
	id, err := ids.ParseGUID(o.ID)
	if err != nil {
		return nil, fmt.Errorf("object id: %w", err)
	}
	aad := append([]byte(label), d[:]...)
	aad = binary.BigEndian.AppendUint32(aad, uint32(version))
	aad = append(aad, byte(o.Kind))
	return append(aad, id[:]...), nil
}

// WrapDEK makes a fresh DEK for an object and wraps it with the database's
// newest key, whose version goes into the object's header beside the wrap, and
// in a doubly encrypted cluster with the layer key. It reads the store: call it
// outside transactions. ErrLocked, ErrNotFound.
func (k *Keyring) WrapDEK(o Object) (dek DEK, wrapped WrappedDEK, keyVersion int, err error) {
	layer, err := k.heldLayer()
	if err != nil {
		return DEK{}, WrappedDEK{}, 0, err
	}
	err = k.withDatabaseKey(o.DatabaseID, 0, func(key aead.Key, version int) error {
		dek = NewDEK()
		if layer != (aead.Key{}) {
			dek = NewLayeredDEK()
		}
		wrapped, err = WrapDEKWith(key, layer, o, version, dek)
		keyVersion = version
		return lockedIfWiped(err)
	})
	if err != nil {
		dek.Wipe()
		return DEK{}, WrappedDEK{}, 0, err
	}
	return dek, wrapped, keyVersion, nil
}

// UnwrapDEK opens the DEK of an object with the database key version its header
// names. It fails with aead.ErrAuthentication when wrap, version or object do
// not belong together, and when it has not the layers of its cluster. It reads
// the store: call it outside transactions.
func (k *Keyring) UnwrapDEK(o Object, keyVersion int, wrapped WrappedDEK) (dek DEK, err error) {
	if keyVersion < 1 {
		return DEK{}, fmt.Errorf("database %s, key version %d: %w", o.DatabaseID, keyVersion, ErrNotFound)
	}
	layer, err := k.heldLayer()
	if err != nil {
		return DEK{}, err
	}
	err = k.withDatabaseKey(o.DatabaseID, keyVersion, func(key aead.Key, version int) error {
		dek, err = UnwrapDEKWith(key, layer, o, version, wrapped)
		return lockedIfWiped(err)
	})
	return dek, err
}

// lockedIfWiped: a Lock that came in between wiped the keys in use.
func lockedIfWiped(err error) error {
	if errors.Is(err, aead.ErrWiped) {
		return ErrLocked
	}
	return err
}

// WrapDEKWith is the wrap itself, version byte | nonce | ciphertext | tag, of
// each layer. layer is zero for a DEK of one.
func WrapDEKWith(databaseKey, layer aead.Key, o Object, keyVersion int, dek DEK) (w WrappedDEK, err error) {
	if dek.Layered() != (layer != aead.Key{}) {
		return w, fmt.Errorf("wrap dek of %s: %w", o.ID, ErrLayers)
	}
	if w.Key, err = wrapFor(databaseKey, o, dekAAD, keyVersion, dek.key); err == nil && dek.Layered() {
		w.Layer, err = wrapFor(layer, o, layerDEKAAD, keyVersion, dek.layer)
	}
	if err != nil {
		return WrappedDEK{}, fmt.Errorf("wrap dek of %s: %w", o.ID, err)
	}
	return w, nil
}

func wrapFor(by aead.Key, o Object, label string, keyVersion int, key aead.Key) ([]byte, error) {
	aad, err := o.aad(label, keyVersion)
	if err != nil {
		return nil, err
	}
	return wrapKey(by, aad, key)
}

// UnwrapDEKWith reverses WrapDEKWith. ErrLayers when the wrap has a second layer
// and layer is zero, or the other way round.
func UnwrapDEKWith(databaseKey, layer aead.Key, o Object, keyVersion int, w WrappedDEK) (dek DEK, err error) {
	if (len(w.Layer) > 0) != (layer != aead.Key{}) {
		return DEK{}, fmt.Errorf("unwrap dek of %s: %w", o.ID, ErrLayers)
	}
	if dek.key, err = unwrapFor(databaseKey, aead.AES256GCM, o, dekAAD, keyVersion, w.Key); err != nil {
		return DEK{}, fmt.Errorf("unwrap dek of %s with version %d of the key of database %s: %w", o.ID, keyVersion, o.DatabaseID, err)
	}
	if len(w.Layer) > 0 {
		if dek.layer, err = unwrapFor(layer, aead.ChaCha20Poly1305, o, layerDEKAAD, keyVersion, w.Layer); err != nil {
			dek.Wipe()
			return DEK{}, fmt.Errorf("unwrap dek of the second layer of %s: %w", o.ID, err)
		}
	}
	return dek, nil
}

func unwrapFor(by aead.Key, a aead.Algorithm, o Object, label string, keyVersion int, wrapped []byte) (aead.Key, error) {
	aad, err := o.aad(label, keyVersion)
	if err != nil {
		return aead.Key{}, err
	}
	return unwrapKey(by, a, aad, wrapped)
}
