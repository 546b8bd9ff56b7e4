package engine

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compact writes Thrift's compact protocol.
type compact struct{ out []byte }

func (c *compact) zigzag(v int64) {
	c.out = binary.AppendUvarint(c.out, uint64(v<<1)^uint64(v>>63))
}

func (c *compact) i64(delta byte, v int64) {
	c.out = append(c.out, delta<<4|thriftI64)
	c.zigzag(v)
}

func (c *compact) list(delta, kind byte, n int) {
	c.out = append(c.out, delta<<4|thriftList)
	if n < 15 {
		c.out = append(c.out, byte(n)<<4|kind)
		return
	}
	c.out = binary.AppendUvarint(append(c.out, 0xf0|kind), uint64(n))
}

type chunkPlace struct{ data, dictionary, bytes int64 }

// footerOf is a Parquet footer with one row group for each list of places, and
// what else may stand in one.
func footerOf(groups ...[]chunkPlace) []byte {
	c := &compact{}
	c.out = append(c.out, 1<<4|thriftI32, 2)
	c.list(1, thriftStruct, 1) // schema
	c.out = append(c.out, 4<<4|thriftBinary, 3, 'a', 'b', 'c', thriftStop)
	c.i64(1, 1000)
	c.list(1, thriftStruct, len(groups))
	for _, g := range groups {
		c.list(1, thriftStruct, len(g))
		for _, p := range g {
			c.i64(2, 4)
			c.out = append(c.out, 1<<4|thriftStruct)
			c.list(2, thriftI32, 20) // encodings
			for i := range 20 {
				c.zigzag(int64(i))
			}
			c.i64(5, p.bytes)
			c.i64(2, p.data)
			if p.dictionary > 0 {
				c.i64(2, p.dictionary)
			}
			c.out = append(c.out, thriftMap, 2*21, 1, thriftByte<<4|thriftTrue, 7, 1) // field 21, said in full
			c.out = append(c.out, 1<<4|thriftTrue, thriftStop, thriftStop)
		}
		c.i64(1, 99)
		c.out = append(c.out, 5<<4|thriftDouble, 1, 2, 3, 4, 5, 6, 7, 8, thriftStop)
	}
	return append(c.out, thriftStop)
}

func TestLayout(t *testing.T) {
	t.Parallel()
	good := footerOf([]chunkPlace{{4, 0, 100}, {150, 104, 400}}, []chunkPlace{{504, 0, 96}, {600, 0, 400}})
	got := parseLayout(good)
	if diff := cmp.Diff(layout{4, 104, 504, 600, 1000}, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for at, want := range map[int64]int64{0: 0, 3: 0, 4: 104, 103: 104, 104: 504, 599: 600, 999: 1000, 1000: 0, 1 << 40: 0} {
		if end := got.end(at); end != want {
			t.Errorf("the piece of byte %d ends at %d, want %d", at, end, want)
		}
	}
	if layout(nil).end(4) != 0 {
		t.Error("nothing has an end")
	}
	for i := range good {
		if parseLayout(good[:i]) != nil {
			t.Errorf("%d bytes of %d are a footer", i, len(good))
		}
	}
	deep := slices.Repeat([]byte{1<<4 | thriftStruct}, 1<<20)
	if parseLayout(deep) != nil {
		t.Error("a footer of nothing but beginnings")
	}
	for _, p := range []chunkPlace{{-5, 0, 10}, {10, 0, 0}, {10, 0, -1}, {1 << 62, 0, 1 << 62}} {
		if got := parseLayout(footerOf([]chunkPlace{p})); len(got) != 0 {
			t.Errorf("%+v gave %v", p, got)
		}
	}
}

func TestFooterBegin(t *testing.T) {
	t.Parallel()
	tail := func(n uint32) []byte { return append(binary.LittleEndian.AppendUint32([]byte("....."), n), "PAR1"...) }
	for name, c := range map[string]struct {
		tail []byte
		size int64
		at   int64
		ok   bool
	}{
		"as it is":          {tail(100), 1000, 892, true},
		"all of the file":   {tail(992), 1000, 0, true},
		"more than that":    {tail(993), 1000, 0, false},
		"far more":          {tail(1<<32 - 1), 1 << 40, 0, false},
		"another file":      {[]byte("12345678PAR2"), 1000, 0, false},
		"not even that":     {[]byte("PAR1"), 4, 0, false},
		"nothing, as a lie": {nil, 1000, 0, false},
	} {
		at, ok := footerBegin(c.tail, c.size)
		if ok != c.ok || ok && at != c.at {
			t.Errorf("%s: %d, %t", name, at, ok)
		}
	}
}

func TestLayoutIn(t *testing.T) {
	t.Parallel()
	footer := footerOf([]chunkPlace{{4, 0, 100}})
	tail := append(binary.LittleEndian.AppendUint32(append([]byte("data"), footer...), uint32(len(footer))), "PAR1"...)
	size := int64(1000)
	for skip, want := range map[int]layout{0: {4, 104}, 4: {4, 104}, 5: nil, len(tail): nil} {
		if got, ok := layoutIn(tail[skip:], size); ok != (want != nil) || !slices.Equal(got, want) {
			t.Errorf("without %d bytes: %v, %t", skip, got, ok)
		}
	}
	// Learned when the tail is filled: no chunk is decrypted for it again.
	for _, chunks := range []int64{3, 33} { // the footer is in one chunk with the others' lock, or not
		payload := append(make([]byte, chunks*4096-4096+100), tail...)
		s, err := NewSparse(bytesSource(payload))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.FillTail()
		before := s.Decrypted()
		if end := s.pieceEnd(4); end != 0 || s.Decrypted() != before {
			t.Errorf("%d chunks: the piece ends in chunk %d, %d bytes for that", chunks, end, s.Decrypted()-before)
		}
	}
}

// bytesSource is a source of 4096 bytes a chunk.
type bytesSource []byte

func (b bytesSource) Size() int64    { return int64(len(b)) }
func (b bytesSource) ChunkSize() int { return 4096 }

func (b bytesSource) Chunks(first, last int64, use func(int64, []byte) error) error {
	for i := first; i <= last; i++ {
		if err := use(i, b[i*4096:min(int64(len(b)), (i+1)*4096)]); err != nil {
			return err
		}
	}
	return nil
}

// Whatever a child wrote: no panic, no hang, and edges that ascend.
func FuzzLayout(f *testing.F) {
	f.Add(footerOf([]chunkPlace{{4, 0, 100}, {150, 104, 400}}))
	f.Add([]byte{4<<4 | thriftList, 0xf0 | thriftStruct, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte{1<<4 | thriftMap, 0xff, 0xff, 0xff, 0xff, 0x7f, thriftTrue<<4 | thriftFalse})
	f.Fuzz(func(t *testing.T, footer []byte) {
		l := parseLayout(footer)
		if !slices.IsSorted(l) {
			t.Errorf("edges %v", l)
		}
		for _, at := range l {
			if end := l.end(at); end != 0 && end <= at {
				t.Errorf("the piece of %d ends at %d", at, end)
			}
		}
	})
}
