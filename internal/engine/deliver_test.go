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
	// A piece ends in the middle of chunk 7, the next in that of 99; another with chunk 89.
	s.learn.Do(func() { s.pieces = layout{4, 7*chunk + 100, 85 * chunk, 90 * chunk, chunks*chunk - 1000} })
	buffer := make([]byte, 40*chunk)
	decrypted := int64(0)
	for _, c := range []struct {
		name               string
		first, last        int64
		begin              int64 // byte
		given              uint64
		resident, decrypts int64 // chunks
	}{
		{"what follows in the piece is given as well", 2, 4, 5, 0b111111, 0, 6},
		{"what is asked for again is given again", 2, 3, 5, 0b111111, 0, 6},
		{"what is asked for once more is kept, and nothing besides", 2, 3, 0, 0, 2, 2},
		{"what is there is not decrypted", 2, 3, 0, 0, 2, 0},
		{"the piece is that of the first byte", 7, 8, 99, 0b10, 3, 2},
		{"another begins in the same chunk", 9, 9, 0, 1<<40 - 1, 3, 40},
		{"only as much as the buffer has", 49, 84, 0, 1<<36 - 1, 3, 36},
		{"some again", 47, 49, 0, 1<<38 - 1, 3, 38},
		{"and once more", 47, 49, 0, 0, 6, 3},
		{"before what does not verify", 86, 87, 0, 0b1111, 6, 4},
		{"more than the buffer has", 50, 91, 0, 0, 6, -1},
		{"after the pieces", 99, 99, chunk - 100, 1, 41, 1},
		{"a begin that cannot be", 0, 0, 1 << 40, 0b11, 41, 2},
	} {
		clear(buffer)
		given, err := s.Deliver(c.first, c.last, Buffer{buffer, c.begin})
		if c.decrypts < 0 {
			if !errors.Is(err, errBad) || given != (Given{}) {
				t.Errorf("%s: %b, %v", c.name, given, err)
			}
			decrypted = s.Decrypted()
			c.resident = (s.Resident() + chunk - 1) / chunk
			continue
		}
		if err != nil || given != (Given{c.given}) {
			t.Fatalf("%s: %b given, want %b, %v", c.name, given, c.given, err)
		}
		for i := range int64(40) {
			want := byte(0)
			if given[0]>>i&1 == 1 {
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
	if n, err := s.Failure(); n != 1 || !errors.Is(err, errBad) {
		t.Errorf("%d failures, %v", n, err)
	}
	if _, err := s.Evict(1, 0); err != nil || s.Resident() != 0 {
		t.Fatalf("evicted: %d bytes are left, %v", s.Resident(), err)
	}
	if given, err := s.Deliver(2, 3, Buffer{buffer, 0}); given != (Given{0b100011}) || err != nil {
		t.Errorf("after eviction: %b, %v", given, err)
	}
}

// A source that is no Parquet file, or lies: nothing is read ahead, or what there is.
func TestDeliverWithoutLayout(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string]layout{"none": nil, "beyond the end": {0, 1 << 50}} {
		s, err := NewSparse(constant{10 * 4096, 99})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want := uint64(0b1)
		if pieces != nil {
			s.learn.Do(func() { s.pieces = pieces })
			want = 0b1111111
		}
		if given, err := s.Deliver(3, 3, Buffer{make([]byte, 1<<20), 0}); given != (Given{want}) || err != nil {
			t.Errorf("%s: %b, %v", name, given, err)
		}
	}
}
