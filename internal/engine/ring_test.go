package engine

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// constant is a source of 0xA5 whose chunk number bad does not verify.
type constant struct{ size, bad int64 }

var errBad = errors.New("does not verify")

func (c constant) Size() int64    { return c.size }
func (c constant) ChunkSize() int { return 4096 }

func (c constant) Chunks(first, last int64, use func(int64, []byte) error) error {
	for i := first; i <= last; i++ {
		if i == c.bad {
			return errBad
		}
		if err := use(i, bytes.Repeat([]byte{0xA5}, int(min(4096, c.size-i*4096)))); err != nil {
			return err
		}
	}
	return nil
}

// A child may write anything into the ring: it must get an error, nothing else.
func TestRingRefuses(t *testing.T) {
	t.Parallel()
	s, err := NewSparse(constant{10*4096 + 5, 7})
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRing(1)
	if err != nil {
		t.Fatal(err)
	}
	index := r.Attach(s, nil)
	for name, c := range map[string]struct {
		index       uint32
		first, last int64
		want        unix.Errno
	}{
		"good":                    {index, 0, 6, 0},
		"the last, short chunk":   {index, 10, 10, 0},
		"one that does not exist": {index, 0, 11, unix.EIO},
		"backwards":               {index, 3, 2, unix.EIO},
		"far away":                {index, 1<<32 - 1, 1<<32 - 1, unix.EIO},
		"an unknown extent":       {index + 1, 0, 0, unix.EBADF},
		"one that is damaged":     {index, 6, 8, unix.EIO},
	} {
		for _, b := range []Buffer{{}, {nil, 1<<32 - 1}, {make([]byte, 4095), 1<<32 - 1}} {
			if given, got := r.answer(request{c.index, c.first, c.last, b}); got != c.want || given != (Given{}) {
				t.Errorf("%s, buffer of %d: %v, %b given, want %v", name, len(b.Into), got, given, c.want)
			}
		}
	}
	if _, err := s.Failure(); err == nil {
		t.Error("no failure is remembered")
	}
	if got := s.Resident(); got != 7*4096+5 {
		t.Errorf("%d bytes are there", got)
	}
	if freed, err := s.Evict(2, 3); err != nil || freed != 5*4096+5 || s.Resident() != 2*4096 {
		t.Errorf("eviction freed %d, %d are left, %v", freed, s.Resident(), err)
	}
	r.Detach(index)
	if _, got := r.answer(request{index, 0, 0, Buffer{}}); got != unix.EBADF {
		t.Errorf("a detached extent: %v", got)
	}
	index = r.Attach(s, nil)
	s.Close()
	if _, got := r.answer(request{index, 0, 0, Buffer{}}); got != unix.EIO {
		t.Errorf("a closed extent: %v", got)
	}
	r.Close()
	if _, got := r.answer(request{index, 0, 0, Buffer{}}); got != unix.EIO {
		t.Errorf("a closed ring: %v", got)
	}
}
