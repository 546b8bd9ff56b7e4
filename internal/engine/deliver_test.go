package engine

import (
	"bytes"
	"errors"
	"testing"
)

func TestDeliver(t *testing.T) {
	t.Parallel()
	const chunk, chunks = 4096, 100
	s, err := NewSparse(constant{chunks*chunk - 7, 90})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	buffer := make([]byte, 40*chunk)
	decrypted := int64(0)
	for _, c := range []struct {
		name                string
		first, last         int64
		wholeFirst, wholeTo int64
		given               uint64
		resident, decrypts  int64 // chunks
	}{
		{"ends are kept, the rest is given", 2, 7, 3, 6, 0b011110, 2, 6},
		{"what is asked for again is kept", 2, 7, 3, 6, 0, 6, 4},
		{"what is there is not decrypted", 2, 7, 3, 6, 0, 6, 0},
		{"only as much as the buffer has", 10, 59, 10, 59, 1<<40 - 1, 16, 50},
		{"some again", 8, 14, 8, 14, 0b11, 21, 7},
		{"more is taken than asked for", 60, 61, 0, 99, 0b11, 21, 2},
		{"the last, short chunk", 99, 99, 99, 99, 1, 21, 1},
		{"nothing whole", 62, 63, 1, 0, 0, 23, 2},
	} {
		clear(buffer)
		given, err := s.Deliver(c.first, c.last, Whole{c.wholeFirst, c.wholeTo, buffer})
		if err != nil || given != c.given {
			t.Fatalf("%s: %b given, want %b, %v", c.name, given, c.given, err)
		}
		for i := range int64(40) {
			want := byte(0)
			if given>>i&1 == 1 {
				want = 0xA5
			}
			n := min(chunk, chunks*chunk-7-(c.first+i)*chunk)
			if n > 0 && !bytes.Equal(buffer[i*chunk:i*chunk+n], bytes.Repeat([]byte{want}, int(n))) {
				t.Errorf("%s: chunk %d of the buffer is wrong", c.name, i)
			}
		}
		if got := (s.Resident() + chunk - 1) / chunk; got != c.resident {
			t.Errorf("%s: %d chunks are there, want %d", c.name, got, c.resident)
		}
		if got := (s.Decrypted() - decrypted + chunk - 1) / chunk; got != c.decrypts {
			t.Errorf("%s: %d chunks were decrypted, want %d", c.name, got, c.decrypts)
		}
		decrypted = s.Decrypted()
	}
	if given, err := s.Deliver(88, 91, Whole{88, 91, buffer}); !errors.Is(err, errBad) || given != 0 {
		t.Errorf("a chunk that does not verify: %b, %v", given, err)
	}
	if _, err := s.Evict(1, 0); err != nil || s.Resident() != 0 {
		t.Fatalf("evicted: %d bytes are left, %v", s.Resident(), err)
	}
	if given, err := s.Deliver(2, 7, Whole{3, 6, buffer}); given != 0b011110 || err != nil {
		t.Errorf("after eviction: %b, %v", given, err)
	}
}
