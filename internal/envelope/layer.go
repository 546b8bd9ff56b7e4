package envelope

import (
	"context"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/aead"
)

// layerSubject is the layer key as the audit log names it.
func (k *Keyring) layerSubject() subject {
	return subject{operations: "layerkey", name: "second layer of cluster " + k.id}
}

// layerWrapper is the platform's KEK, which alone wraps layer keys: no vault of a
// customer has to do with the second layer.
func (k *Keyring) layerWrapper(ctx context.Context) (KeyWrapper, error) {
	w, err := k.wrappers.For(ctx, PlatformKEK())
	if err != nil {
		return nil, fmt.Errorf("find wrapper of the layer key: %w", err)
	}
	b, ok := w.(layerBound)
	if !ok {
		return nil, errors.New("the platform KEK here cannot wrap layer keys")
	}
	return b.ForLayer(k.id), nil
}

// newLayer makes a layer key and wraps it.
func (k *Keyring) newLayer(ctx context.Context) (*Wrapped, error) {
	w, err := k.layerWrapper(ctx)
	if err != nil {
		return nil, err
	}
	key := aead.NewKeyFor(aead.XChaCha20Poly1305)
	defer key.Wipe()
	var wrapped Wrapped
	err = key.Reveal(func(raw []byte) (err error) {
		wrapped, err = w.Wrap(ctx, raw)
		return k.note(ctx, k.layerSubject(), "wrap", PlatformKEK(), wrapped.KeyVersion, err)
	})
	if err != nil {
		return nil, fmt.Errorf("wrap layer key of cluster %s: %w", k.id, err)
	}
	return &wrapped, nil
}

// unwrapLayer opens the layer key of a record, the zero key when it has none.
func (k *Keyring) unwrapLayer(ctx context.Context, r clusterRecord) (aead.Key, error) {
	if r.Layer == nil {
		return aead.Key{}, nil
	}
	w, err := k.layerWrapper(ctx)
	if err != nil {
		return aead.Key{}, err
	}
	raw, err := w.Unwrap(ctx, *r.Layer)
	defer func() { clear(raw) }()
	if err = k.note(ctx, k.layerSubject(), "unwrap", PlatformKEK(), r.Layer.KeyVersion, err); err != nil {
		return aead.Key{}, fmt.Errorf("unwrap layer key of cluster %s: %w", k.id, err)
	}
	key, err := aead.KeyFor(aead.XChaCha20Poly1305, raw)
	if err != nil {
		return aead.Key{}, fmt.Errorf("unwrap layer key of cluster %s: %w", k.id, err)
	}
	return key, nil
}

// heldLayer returns the layer key, zero when the cluster is not doubly
// encrypted, or ErrLocked.
func (k *Keyring) heldLayer() (aead.Key, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.key.Wiped() {
		return aead.Key{}, fmt.Errorf("cluster %s: %w", k.id, ErrLocked)
	}
	return k.layer, nil
}

// Layered reports whether the cluster is doubly encrypted. It needs no key.
func (k *Keyring) Layered(ctx context.Context) (bool, error) {
	r, err := k.record(ctx)
	return r.Layer != nil, err
}
