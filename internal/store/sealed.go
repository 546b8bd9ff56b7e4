package store

import (
	"context"
	"fmt"
	"iter"
)

// Sealer encrypts values with authentication; satisfied by the barrier.
type Sealer interface {
	// Seal encrypts plaintext and binds it to context.
	Seal(context string, plaintext []byte) ([]byte, error)
	// Open reverses Seal; it must fail when a bit or the context differs.
	Open(context string, sealed []byte) ([]byte, error)
}

// Sealed returns a Store that seals every value under its bucket and key, so
// that the driver below, and the disk, never see a value in clear and a value
// cannot be moved to another key.
func Sealed(inner Store, sealer Sealer) Store { return &sealedStore{inner, sealer} }

type sealedStore struct {
	inner  Store
	sealer Sealer
}

func (s *sealedStore) View(ctx context.Context, fn func(Tx) error) error {
	return s.inner.View(ctx, func(tx Tx) error { return fn(&sealedTx{tx, s.sealer}) })
}

func (s *sealedStore) Update(ctx context.Context, fn func(Tx) error) error {
	return s.inner.Update(ctx, func(tx Tx) error { return fn(&sealedTx{tx, s.sealer}) })
}

func (s *sealedStore) Close() error { return s.inner.Close() }

type sealedTx struct {
	Tx
	sealer Sealer
}

func (t *sealedTx) Get(bucket, key string) ([]byte, error) {
	sealed, err := t.Tx.Get(bucket, key)
	if err != nil {
		return nil, err
	}
	return t.open(bucket, key, sealed)
}

func (t *sealedTx) open(bucket, key string, sealed []byte) ([]byte, error) {
	value, err := t.sealer.Open(bucket+"\x00"+key, sealed)
	if err != nil {
		return nil, fmt.Errorf("open %s/%s: %w", bucket, key, err)
	}
	return value, nil
}

func (t *sealedTx) Put(bucket, key string, value []byte) error {
	sealed, err := t.sealer.Seal(bucket+"\x00"+key, value)
	if err != nil {
		return fmt.Errorf("seal %s/%s: %w", bucket, key, err)
	}
	return t.Tx.Put(bucket, key, sealed)
}

func (t *sealedTx) Scan(bucket, prefix, after string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for e, err := range t.Tx.Scan(bucket, prefix, after) {
			if err == nil {
				e.Value, err = t.open(bucket, e.Key, e.Value)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
