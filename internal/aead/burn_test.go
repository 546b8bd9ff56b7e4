//go:build linux

package aead

import (
	"bytes"
	"crypto/cipher"
	"os"
	"runtime"
	"testing"
	"unsafe"
)

// A ChaCha20-Poly1305 key does not stay on the stack of who used it, where
// neither Wipe nor the collector would reach it.
func TestNoKeyStaysOnTheStack(t *testing.T) {
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	raw := bytes.Repeat([]byte{0xd1, 0x7e, 0x03, 0x99}, KeySize/4)
	key, err := KeyFor(ChaCha20Poly1305, raw)
	if err != nil {
		t.Fatal(err)
	}
	outer, err := key.Cipher()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := NewKey().Cipher()
	if err != nil {
		t.Fatal(err)
	}
	plain, nonce, below := make([]byte, 1000), make([]byte, NonceSize), make([]byte, 32<<10)
	sealed := Layered(inner, outer).Seal(nil, nonce, plain, nil)
	left := func(use func()) bool {
		var mark byte
		end := int64(uintptr(unsafe.Pointer(&mark)))
		grow() // so that the stack does not move
		deep(use)
		n, _ := memory.ReadAt(below, end-int64(len(below))) // what lies below the stack is cut off
		found := bytes.Contains(below[:n], raw)
		runtime.KeepAlive(&mark)
		return found
	}
	for name, use := range map[string]func(c cipher.AEAD){
		"seal": func(c cipher.AEAD) { c.Seal(nil, nonce, plain, nil) },
		"open": func(c cipher.AEAD) { _, _ = c.Open(nil, nonce, sealed, nil) },
	} {
		if !left(func() { use(outer) }) {
			t.Logf("%s: the cipher alone leaves no key on the stack here", name)
		}
		if left(func() { use(Layered(inner, outer)) }) {
			t.Errorf("%s: the key is still on the stack", name)
		}
	}
	if left(func() { _, _ = key.Seal(nil, plain) }) {
		t.Error("Key.Seal: the key is still on the stack")
	}
}

// deep runs use so far down the stack that reading memory does not overwrite
// what it leaves.
//
//go:noinline
func deep(use func()) {
	var room [8 << 10]byte
	use()
	runtime.KeepAlive(&room)
}

//go:noinline
func grow() {
	var room [64 << 10]byte
	runtime.KeepAlive(&room)
}
