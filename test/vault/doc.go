// Package vault tries the key server as a black box: what a seal does to it,
// what its audit log holds, what a crash leaves of a key, and what a search of
// the disk finds.
package vault
