// Package fsck verifies a data folder on which no server runs. [Structure]
// needs no key and checks what anybody can: that every file is of its kind and
// whole, that the numbers of log segments follow one another. [Contents] needs
// the seal: it opens every value of the state, compares the catalogue with the
// files, and, for clusters whose key this machine has, verifies every chunk of
// every extent and every frame of the log.
//
// It must never change anything, and never say that something is sound that it
// did not verify: what could not be verified is listed.
package fsck
