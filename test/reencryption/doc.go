// Package reencryption measures a re-encryption by itself and beside queries: how
// much it rewrites in a second, and what the queries feel of it.
package reencryption
