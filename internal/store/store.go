package store

import (
	"context"
	"errors"
	"iter"
)

// ErrNotFound is returned by Get and Delete for a key that is not there.
var ErrNotFound = errors.New("not found in store")

// Store is a transactional key-value store. It must be safe for concurrent
// use. Update transactions are serialised; a View sees one consistent snapshot
// and never blocks an Update.
type Store interface {
	// View runs fn in a read-only transaction.
	View(ctx context.Context, fn func(Tx) error) error
	// Update runs fn in a read-write transaction. When fn returns an error
	// nothing of it is kept; when Update returns nil everything is durable
	// (fsynced). fn must not call Update or View of the same store.
	Update(ctx context.Context, fn func(Tx) error) error
	// Close waits for running transactions and releases the files.
	Close() error
}

// Tx is one transaction. It is valid only inside fn and only on its goroutine.
type Tx interface {
	// Get returns the value, or ErrNotFound. The caller owns the slice.
	Get(bucket, key string) ([]byte, error)
	// Put inserts or replaces.
	Put(bucket, key string, value []byte) error
	// Delete removes the key, or returns ErrNotFound.
	Delete(bucket, key string) error
	// Scan yields the entries whose key begins with prefix and is greater than
	// after, in ascending byte order of the keys. It stops at the first error,
	// which it yields. The bucket may not be changed while it runs.
	Scan(bucket, prefix, after string) iter.Seq2[Entry, error]
}

// Entry is one key and its value.
type Entry struct {
	Key   string
	Value []byte
}
