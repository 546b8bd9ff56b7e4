// Package inspect says what is on the disk: extents, WAL segments, the keyring,
// the store, a whole data folder; ids, versions, wrapped keys and sizes. It
// needs no key, no seal and no running server.
//
// [Path] makes a [Report], [Print] writes it for people or as JSON. It must
// never print a plaintext or a secret, and it reads no file whose format it
// does not know further than its first bytes.
package inspect
