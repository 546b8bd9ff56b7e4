package store

import (
	"context"
	"iter"
	"strings"
)

// Namespace is a part of a store that belongs to one owner: its buckets stand
// in the store below under the owner's name, so that no owner can reach those
// of another. Buckets that all owners share go through under their own name.
// The zero Namespace is the store itself: every bucket goes through.
type Namespace struct {
	prefix string
	shared []string
}

// NewNamespace names an owner. Each of shared is the name of a shared bucket
// or, when it ends in '.', the beginning of such names. The name must not be
// empty.
func NewNamespace(name string, shared ...string) Namespace {
	if name == "" {
		panic("BUG: a namespace without a name")
	}
	return Namespace{name + "/", shared}
}

// bucket is the name of an owner's bucket in the store below.
func (n Namespace) bucket(name string) string {
	for _, s := range n.shared {
		if name == s || strings.HasSuffix(s, ".") && strings.HasPrefix(name, s) {
			return name
		}
	}
	return n.prefix + name
}

// Store is the owner's part of root. Closing it does nothing: whoever opened
// root closes that.
func (n Namespace) Store(root Store) Store { return namespacedStore{root, n} }

// Tx is the owner's part of a transaction: of one of the store below, or of one
// of another namespace of that store.
func (n Namespace) Tx(tx Tx) Tx { return namespacedTx{Root(tx), n} }

// Root is the transaction of the store below that a transaction of a namespace
// is a part of, and any other transaction itself. Services that all owners
// share use it when an owner's part hands them its transaction.
func Root(tx Tx) Tx {
	for {
		part, ok := tx.(namespacedTx)
		if !ok {
			return tx
		}
		tx = part.root
	}
}

type namespacedStore struct {
	root Store
	Namespace
}

func (s namespacedStore) View(ctx context.Context, fn func(Tx) error) error {
	return s.root.View(ctx, func(tx Tx) error { return fn(namespacedTx{tx, s.Namespace}) })
}

func (s namespacedStore) Update(ctx context.Context, fn func(Tx) error) error {
	return s.root.Update(ctx, func(tx Tx) error { return fn(namespacedTx{tx, s.Namespace}) })
}

func (namespacedStore) Close() error { return nil }

// Scrub scrubs the whole store below.
func (s namespacedStore) Scrub(ctx context.Context) error { return Scrub(ctx, s.root) }

type namespacedTx struct {
	root Tx
	Namespace
}

func (t namespacedTx) Get(bucket, key string) ([]byte, error) {
	return t.root.Get(t.bucket(bucket), key)
}

func (t namespacedTx) Put(bucket, key string, value []byte) error {
	return t.root.Put(t.bucket(bucket), key, value)
}

func (t namespacedTx) Delete(bucket, key string) error { return t.root.Delete(t.bucket(bucket), key) }

func (t namespacedTx) Scan(bucket, prefix, after string) iter.Seq2[Entry, error] {
	return t.root.Scan(t.bucket(bucket), prefix, after)
}
