// Package wal is the encrypted write-ahead log of a database: numbered segment
// files, each under a key of its own (DEK), each a header and then frames of
// AES-256-GCM, of a doubly encrypted cluster with ChaCha20-Poly1305 over it. docs/format.md, "WAL segment", is normative.
//
// [Log] appends: when Append returns nil the record is on the disk (fsync);
// appends that run at once share one frame and one fsync. [Recover] and
// [Replay] read segments back after a start and tell a write that a crash cut
// short from a change that was made later.
//
// It must never acknowledge a record that is not durable, never append to a
// segment of an earlier start, never change a segment while reading it, and
// never end a replay quietly at a place where a record may have been lost.
package wal
