package aead

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"unsafe"
)

// After Wipe the cipher's memory holds no key, unless the cipher was lent.
func TestWipeScrubsTheCipher(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		algorithm Algorithm
		lent      bool
	}{
		"kept": {AES256GCM, false}, "lent": {AES256GCM, true},
		"kept, ChaCha20": {ChaCha20Poly1305, false}, "kept, XChaCha20": {XChaCha20Poly1305, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lent := tt.lent
			raw := bytes.Repeat([]byte{0xc5, 0x3a}, KeySize/2)
			k, err := KeyFor(tt.algorithm, raw)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := k.Seal(nil, []byte("row"))
			if err != nil {
				t.Fatal(err)
			}
			if lent {
				if _, err := k.Cipher(); err != nil {
					t.Fatal(err)
				}
			}
			v := reflect.ValueOf(k.state.cipher)
			memory := unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size())
			if bytes.Equal(memory, make([]byte, len(memory))) {
				t.Fatal("the cipher is not where it is looked for")
			}
			k.Wipe()
			if zero := bytes.Equal(memory, make([]byte, len(memory))); zero == lent {
				t.Errorf("zeroed: %v", zero)
			}
			if _, err := k.Open(nil, sealed); !errors.Is(err, ErrWiped) {
				t.Errorf("after Wipe: %v", err)
			}
		})
	}
}

func TestScrubLeavesPointersAlone(t *testing.T) {
	t.Parallel()
	type inner struct{ p *int }
	if scrub(&inner{new(int)}) || scrub(nil) || scrub(3) || scrub(&[]byte{1}) {
		t.Error("scrubbed something with a pointer")
	}
}
