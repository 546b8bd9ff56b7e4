package aead

import "runtime"

// burn zeroes the stack below its caller's frame. ChaCha20-Poly1305 puts a copy
// of its key there, which would stay until something else is put in its place,
// beyond a Wipe. Called before, it makes the stack large enough that it does not
// move with a key in it; called after, it overwrites what was left.
//
//go:noinline
func burn() {
	var below [burnt]byte
	runtime.KeepAlive(&below)
}

// burnt is more than the frames of any cipher here take together, in bytes.
const burnt = 4 << 10
