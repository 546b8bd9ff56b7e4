// Package durable writes small files so that after a power cut a name shows
// either the whole old content or the whole new one: write aside, fsync,
// rename or link, fsync the folder.
//
// It must never leave a half-written file under the final name.
package durable
