// Package memstore is the in-memory driver of store, for tests. It keeps
// nothing on any disk.
package memstore

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/kustos-io/kustos/internal/store"
)

// New returns an empty store.
func New() store.Store { return &memStore{buckets: map[string]map[string][]byte{}} }

type memStore struct {
	write   sync.Mutex   // serialises Update
	mu      sync.RWMutex // guards the pointer below
	buckets map[string]map[string][]byte
}

func (s *memStore) snapshot() map[string]map[string][]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.buckets
}

func (s *memStore) View(ctx context.Context, fn func(store.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(&memTx{base: s.snapshot()})
}

func (s *memStore) Update(ctx context.Context, fn func(store.Tx) error) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &memTx{base: s.snapshot(), dirty: map[string]map[string][]byte{}}
	if err := fn(tx); err != nil {
		return err
	}
	next := maps.Clone(tx.base)
	maps.Copy(next, tx.dirty)
	s.mu.Lock()
	s.buckets = next
	s.mu.Unlock()
	return nil
}

func (s *memStore) Close() error { return nil }

// memTx reads base through dirty; a bucket is copied on its first write.
type memTx struct {
	base, dirty map[string]map[string][]byte
}

func (t *memTx) bucket(name string) map[string][]byte {
	if b, ok := t.dirty[name]; ok {
		return b
	}
	return t.base[name]
}

func (t *memTx) writable(name string) map[string][]byte {
	if t.dirty == nil {
		panic("BUG: write in a View transaction")
	}
	b, ok := t.dirty[name]
	if !ok {
		b = maps.Clone(t.base[name])
		if b == nil {
			b = map[string][]byte{}
		}
		t.dirty[name] = b
	}
	return b
}

func (t *memTx) Get(bucket, key string) ([]byte, error) {
	v, ok := t.bucket(bucket)[key]
	if !ok {
		return nil, store.ErrNotFound
	}
	return slices.Clone(v), nil
}

func (t *memTx) Put(bucket, key string, value []byte) error {
	t.writable(bucket)[key] = slices.Clone(value)
	return nil
}

func (t *memTx) Delete(bucket, key string) error {
	if _, ok := t.bucket(bucket)[key]; !ok {
		return store.ErrNotFound
	}
	delete(t.writable(bucket), key)
	return nil
}

func (t *memTx) Scan(bucket, prefix, after string) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		b := t.bucket(bucket)
		for _, k := range slices.Sorted(maps.Keys(b)) {
			if strings.HasPrefix(k, prefix) && k > after {
				if !yield(store.Entry{Key: k, Value: slices.Clone(b[k])}, nil) {
					return
				}
			}
		}
	}
}
