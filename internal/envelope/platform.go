package envelope

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	platformBucket  = "envelope.platform"
	platformVersion = "1" // its key in the bucket and Wrapped.KeyVersion
	platformAAD     = "kustos platform wrap v1\x00"
	layerAAD        = "kustos platform layer wrap v1\x00"
	algorithmGCM    = "A256GCM"
)

// Platform is the KEK of clusters without a customer-managed key: one AES-256
// key of the instance, sealed by the barrier because it lives in the store.
type Platform struct {
	kek     aead.Key
	cluster string // "" until ForCluster or ForLayer
	label   string // of the AAD
}

// NewPlatform reads the platform KEK from the store, or makes it on first use.
// s must be a sealed store: the value put there is the key.
func NewPlatform(ctx context.Context, s store.Store) (*Platform, error) {
	var kek aead.Key
	load := func(tx store.Tx) error {
		raw, err := tx.Get(platformBucket, platformVersion)
		if err != nil {
			return err
		}
		defer clear(raw)
		kek, err = aead.KeyFrom(raw)
		return err
	}
	err := s.View(ctx, load)
	if errors.Is(err, store.ErrNotFound) {
		err = s.Update(ctx, func(tx store.Tx) error {
			if err := load(tx); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			kek = aead.NewKey()
			return kek.Reveal(func(raw []byte) error { return tx.Put(platformBucket, platformVersion, raw) })
		})
	}
	if err != nil {
		return nil, fmt.Errorf("load platform key: %w", err)
	}
	return &Platform{kek: kek}, nil
}

// ForCluster is the same KEK bound to one cluster: what it wraps unwraps for
// that cluster only.
func (p *Platform) ForCluster(clusterID string) KeyWrapper {
	return &Platform{p.kek, clusterID, platformAAD}
}

// ForLayer is the same KEK bound to the second layer of one cluster.
func (p *Platform) ForLayer(clusterID string) KeyWrapper {
	return &Platform{p.kek, clusterID, layerAAD}
}

func (p *Platform) aad() ([]byte, error) {
	if p.cluster == "" {
		return nil, errors.New("the platform key wraps for a named cluster only")
	}
	return []byte(p.label + p.cluster), nil
}

// Wrap seals key with AES-256-GCM bound to the cluster.
func (p *Platform) Wrap(ctx context.Context, key []byte) (Wrapped, error) {
	aad, err := p.aad()
	if err != nil {
		return Wrapped{}, err
	}
	if err := ctx.Err(); err != nil {
		return Wrapped{}, err
	}
	sealed, err := p.kek.Seal(aad, key)
	if err != nil {
		return Wrapped{}, fmt.Errorf("wrap with platform key: %w", err)
	}
	return Wrapped{KEK: PlatformKEK(), KeyVersion: platformVersion, Algorithm: algorithmGCM, Ciphertext: sealed}, nil
}

// Unwrap reverses Wrap.
func (p *Platform) Unwrap(ctx context.Context, w Wrapped) ([]byte, error) {
	aad, err := p.aad()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.Algorithm != algorithmGCM || w.KeyVersion != platformVersion {
		return nil, fmt.Errorf("the platform key has no version %q with algorithm %q", w.KeyVersion, w.Algorithm)
	}
	key, err := p.kek.Open(aad, w.Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("unwrap with platform key: %w", err)
	}
	return key, nil
}

// Close wipes the KEK for every bound copy.
func (p *Platform) Close() { p.kek.Wipe() }
