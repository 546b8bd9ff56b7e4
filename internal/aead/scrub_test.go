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
	for name, lent := range map[string]bool{"kept": false, "lent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := bytes.Repeat([]byte{0xc5, 0x3a}, KeySize/2)
			k, err := KeyFrom(raw)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := k.Seal(nil, []byte("row"))
			if err != nil {
				t.Fatal(err)
			}
			if lent {
				if _, err := k.GCM(); err != nil {
					t.Fatal(err)
				}
			}
			v := reflect.ValueOf(k.state.gcm)
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
