// Package store is the transactional home of our own state: directory,
// vaults, resources, operations, catalogue. It is an ordered key-value store
// with buckets; drivers live in memstore (tests) and sqlstore (SQLite), and
// every driver must pass storetest.
//
// Values are sealed by the barrier before they reach a driver that writes to a
// disk (see [Sealed]); bucket names and keys are stored in clear, so they must
// never hold a secret, a row or query text.
package store
