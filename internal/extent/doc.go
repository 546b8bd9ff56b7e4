// Package extent is the encrypted container of one immutable piece of a
// table: a header, then 16 KiB chunks of AES-256-GCM under a key of the
// extent's own (DEK), of a doubly encrypted cluster with ChaCha20-Poly1305 over
// it. docs/format.md, "Extent", is normative.
//
// [Write] makes one, [Open] reads the header without any key, [File.Reader]
// decrypts and verifies the chunks a read touches and no others.
//
// It must never return a byte that was not authenticated, and never name in
// the header anything that a change of KEK changes. It does no I/O of its own.
package extent
