// Package backup copies a data folder as it is at one moment, also while a
// server writes to it, and puts a copy back. [Create] needs no key: everything
// it copies is sealed, and what it writes opens only with the seal of the
// instance and, for clusters under a customer's key, with that key.
//
// It must never decrypt anything, and never write into a folder that has data.
package backup
