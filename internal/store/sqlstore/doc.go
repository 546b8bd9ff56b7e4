// Package sqlstore is the SQLite driver of store (pure Go, no cgo): WAL mode,
// synchronous=FULL, secure_delete, one writer connection and a pool of
// readers, schema migrations embedded in the binary.
//
// It writes what it is given: wrap it in store.Sealed so that values reach the
// disk sealed. It must never open a schema newer than the binary.
package sqlstore
