package extent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
)

// testHeader is a header whose wrap is not of the DEK: the container does not look at it.
func testHeader(length int) Header {
	return Header{ExtentID: ids.NewGUID(), DatabaseID: ids.NewGUID(), KeyVersion: 3,
		WrappedDEK: envelope.WrappedDEK{Key: bytes.Repeat([]byte{7}, envelope.WrappedDEKSize)}, Length: int64(length)}
}

// noise is length bytes that repeat nowhere.
func noise(length int) []byte {
	b := make([]byte, length)
	_, _ = rand.NewChaCha8([32]byte{byte(length)}).Read(b)
	return b
}

// deks are keys of one layer and of two.
func deks() map[string]envelope.DEK {
	return map[string]envelope.DEK{"one layer": envelope.NewDEK(), "two layers": envelope.NewLayeredDEK()}
}

// fit puts a wrap of the second layer into the header when the DEK has one.
func fit(h Header, dek envelope.DEK) Header {
	if dek.Layered() && h.WrappedDEK.Layer == nil {
		h.WrappedDEK.Layer = bytes.Repeat([]byte{8}, envelope.WrappedLayerDEKSize)
	}
	return h
}

func build(t testing.TB, h Header, dek envelope.DEK, payload []byte, chunkSize int) []byte {
	t.Helper()
	h = fit(h, dek)
	var out bytes.Buffer
	if err := write(&out, h, dek, bytes.NewReader(payload), chunkSize); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func openBytes(t testing.TB, data []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestRoundTripAroundChunkBorders(t *testing.T) {
	t.Parallel()
	for name, dek := range deks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roundTrips(t, dek)
		})
	}
}

func roundTrips(t *testing.T, dek envelope.DEK) {
	version, tag, head := 1, 16, 183
	if dek.Layered() {
		version, tag, head = 2, 32, 288
	}
	for _, length := range []int{0, 1, 15, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2*ChunkSize - 1, 2 * ChunkSize, 16*ChunkSize - 1, 16 * ChunkSize, 17*ChunkSize + 3} {
		payload, h := noise(length), fit(testHeader(length), dek)
		h.Section = []byte("statistics")
		var out bytes.Buffer
		if err := Write(&out, h, dek, bytes.NewReader(payload)); err != nil {
			t.Fatal(err)
		}
		f := openBytes(t, out.Bytes())
		info := f.Info()
		want := Info{FormatVersion: version, ExtentID: h.ExtentID, DatabaseID: h.DatabaseID, KeyVersion: 3, WrappedDEK: h.WrappedDEK, ChunkSize: ChunkSize,
			Chunks: int64(length+ChunkSize-1) / ChunkSize, Length: int64(length), SectionBytes: 10 + tag, HeaderBytes: head, Size: int64(out.Len())}
		if diff := cmp.Diff(want, info); diff != "" {
			t.Errorf("length %d (-want +got)\n%s", length, diff)
		}
		r, err := f.Reader(dek)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := r.Section(); err != nil || string(s) != "statistics" {
			t.Errorf("section %q, %v", s, err)
		}
		var back bytes.Buffer
		if err := r.CopyTo(context.Background(), &back); err != nil || !bytes.Equal(back.Bytes(), payload) {
			t.Errorf("length %d: %d bytes back, %v", length, back.Len(), err)
		}
		if err := f.Verify(context.Background(), dek); err != nil {
			t.Error(err)
		}
		// a window too short to occur in noise by chance; 8 bytes suffice
		for i := 0; i+8 <= length; i += 4096 {
			if bytes.Contains(out.Bytes(), payload[i:i+8]) {
				t.Fatalf("payload in clear at %d", i)
			}
		}
	}
}

func TestReadAtIsTheSliceOfThePayload(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		chunk := minChunk << rapid.IntRange(0, 2).Draw(t, "chunk size")
		border := rapid.IntRange(0, 5).Draw(t, "chunks") * chunk
		length := max(0, border+rapid.IntRange(-2, 2).Draw(t, "beside the border"))
		payload, dek := noise(length), envelope.NewDEK()
		if rapid.Bool().Draw(t, "layered") {
			dek = envelope.NewLayeredDEK()
		}
		var out bytes.Buffer
		if err := write(&out, fit(testHeader(length), dek), dek, bytes.NewReader(payload), chunk); err != nil {
			t.Fatal(err)
		}
		f, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Reader(dek)
		if err != nil {
			t.Fatal(err)
		}
		whole := bytes.NewReader(payload)
		for range 10 {
			off := int64(rapid.IntRange(0, length+10).Draw(t, "offset"))
			got := make([]byte, rapid.IntRange(0, length+10).Draw(t, "length"))
			want := make([]byte, len(got))
			n, err := r.ReadAt(got, off)
			wantN, wantErr := whole.ReadAt(want, off)
			if len(got) == 0 {
				wantErr = nil // bytes.Reader says EOF for an empty read at the end; io.ReaderAt allows both
			}
			if n != wantN || !errors.Is(err, wantErr) || !bytes.Equal(got[:n], want[:n]) {
				t.Fatalf("ReadAt(%d bytes, %d) = %d, %v; want %d, %v", len(got), off, n, err, wantN, wantErr)
			}
		}
	})
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	payload, made := noise(2*minChunk+100), deks()
	h := testHeader(len(payload))
	h.Section = []byte("s")
	written := map[string][]byte{}
	for name, dek := range made {
		written[name] = build(t, h, dek, payload, minChunk)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"one layer", "two layers"}).Draw(t, "layers")
		dek, good := made[name], written[name]
		bad := bytes.Clone(good)
		at := rapid.IntRange(0, len(bad)-1).Draw(t, "byte")
		if rapid.Bool().Draw(t, "in the header") {
			at %= len(good) - len(payload) - 3*envelope.TagSize(dek.Layered())
		}
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		f, err := Open(bytes.NewReader(bad), int64(len(bad)))
		if err == nil {
			err = f.Verify(context.Background(), dek)
		}
		if err == nil {
			t.Fatalf("byte %d", at)
		}
	})
}

// TestOtherChunksStayReadable: a bad chunk is the error of the reads that touch it.
func TestOtherChunksStayReadable(t *testing.T) {
	t.Parallel()
	for name, dek := range deks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			otherChunksStayReadable(t, dek)
		})
	}
}

func otherChunksStayReadable(t *testing.T, dek envelope.DEK) {
	payload := noise(3 * minChunk)
	data := build(t, testHeader(len(payload)), dek, payload, minChunk)
	data[len(data)-minChunk-2*envelope.TagSize(dek.Layered())-5] ^= 1 // in the second chunk
	r, err := openBytes(t, data).Reader(dek)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(payload))
	if n, err := r.ReadAt(got, 0); n != minChunk || !errors.Is(err, aead.ErrAuthentication) {
		t.Errorf("across the bad chunk: %d, %v", n, err)
	}
	for _, off := range []int64{0, 2 * minChunk} {
		if n, err := r.ReadAt(got[:minChunk], off); n != minChunk || err != nil || !bytes.Equal(got[:n], payload[off:off+minChunk]) {
			t.Errorf("at %d: %d, %v", off, n, err)
		}
	}
}

// countingReader counts the bytes that were asked for.
type countingReader struct {
	io.ReaderAt
	n int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.n += len(p)
	return c.ReaderAt.ReadAt(p, off)
}

func TestReadsOnlyTheChunksTouched(t *testing.T) {
	t.Parallel()
	for name, dek := range deks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			readsOnlyTheChunksTouched(t, dek)
		})
	}
}

func readsOnlyTheChunksTouched(t *testing.T, dek envelope.DEK) {
	payload := noise(20 * minChunk)
	data := build(t, testHeader(len(payload)), dek, payload, minChunk)
	c := &countingReader{ReaderAt: bytes.NewReader(data)}
	f, err := Open(c, int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Reader(dek)
	if err != nil {
		t.Fatal(err)
	}
	c.n = 0
	if _, err := r.ReadAt(make([]byte, 2), 5*minChunk-1); err != nil { // the seam of two chunks
		t.Fatal(err)
	}
	if want := 2 * (minChunk + envelope.TagSize(dek.Layered())); c.n != want {
		t.Errorf("read %d bytes, want %d", c.n, want)
	}
}

func TestWipedKeyReadsNothing(t *testing.T) {
	t.Parallel()
	for name, dek := range deks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wipedKeyReadsNothing(t, dek)
		})
	}
}

func wipedKeyReadsNothing(t *testing.T, dek envelope.DEK) {
	payload := noise(100)
	h := testHeader(100)
	h.Section = []byte{}
	r, err := openBytes(t, build(t, h, dek, payload, ChunkSize)).Reader(dek)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := r.Section(); err != nil || s == nil || len(s) != 0 {
		t.Errorf("empty section: %v, %v", s, err)
	}
	dek.Wipe()
	if n, err := r.ReadAt(make([]byte, 1), 0); n != 0 || !errors.Is(err, aead.ErrWiped) {
		t.Errorf("read: %d, %v", n, err)
	}
	if _, err := r.Section(); !errors.Is(err, aead.ErrWiped) {
		t.Errorf("section: %v", err)
	}
	if err := r.CopyTo(context.Background(), io.Discard); !errors.Is(err, aead.ErrWiped) {
		t.Errorf("copy: %v", err)
	}
}

func TestWriteRefusals(t *testing.T) {
	t.Parallel()
	dek := envelope.NewDEK()
	for name, c := range map[string]struct {
		edit   func(*Header)
		source int
		want   error
	}{
		"source too short": {func(*Header) {}, 99, ErrLength},
		"source too long":  {func(*Header) {}, 101, ErrLength},
		"extent id":        {func(h *Header) { h.ExtentID = "x" }, 100, nil},
		"database id":      {func(h *Header) { h.DatabaseID = "" }, 100, nil},
		"key version":      {func(h *Header) { h.KeyVersion = 0 }, 100, nil},
		"no wrap":          {func(h *Header) { h.WrappedDEK.Key = nil }, 100, nil},
		"huge wrap":        {func(h *Header) { h.WrappedDEK.Key = make([]byte, maxWrapped+1) }, 100, nil},
		"layer it has not": {func(h *Header) { h.WrappedDEK.Layer = []byte{1} }, 100, envelope.ErrLayers},
		"negative length":  {func(h *Header) { h.Length = -1 }, 100, nil},
		"huge length":      {func(h *Header) { h.Length = 1 << 62 }, 100, nil},
		"huge section":     {func(h *Header) { h.Section = make([]byte, maxSection) }, 100, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := testHeader(100)
			c.edit(&h)
			err := Write(io.Discard, h, dek, bytes.NewReader(make([]byte, c.source)))
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCopyStopsWithItsContext(t *testing.T) {
	t.Parallel()
	dek, payload := envelope.NewDEK(), noise(40*minChunk)
	f := openBytes(t, build(t, testHeader(len(payload)), dek, payload, minChunk))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Verify(ctx, dek); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentReads(t *testing.T) {
	t.Parallel()
	for name, dek := range deks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			concurrentReads(t, dek)
		})
	}
}

func concurrentReads(t *testing.T, dek envelope.DEK) {
	payload := noise(10*minChunk + 7)
	r, err := openBytes(t, build(t, testHeader(len(payload)), dek, payload, minChunk)).Reader(dek)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			got := make([]byte, 5000)
			for j := range 40 {
				off := int64((i*977 + j*1013) % (len(payload) - len(got)))
				if _, err := r.ReadAt(got, off); err != nil || !bytes.Equal(got, payload[off:off+5000]) {
					t.Errorf("at %d: %v", off, err)
				}
			}
		})
	}
	wg.Wait()
}

// FuzzOpen: no input panics or makes a header that contradicts its file, and
// nothing but what we wrote passes with a key.
func FuzzOpen(f *testing.F) {
	dek := envelope.NewDEK()
	h := testHeader(5000)
	h.Section = []byte("section")
	good := build(f, h, dek, noise(5000), minChunk)
	f.Add(good)
	f.Add(good[:200])
	f.Add([]byte(magic))
	f.Add(build(f, testHeader(0), dek, nil, minChunk))
	f.Add(build(f, h, envelope.NewLayeredDEK(), noise(5000), minChunk))
	for _, at := range []int{9, 11, 15, 51, 54, 63, 73, 140} {
		bad := bytes.Clone(good)
		bad[at]++
		f.Add(bad)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		i := file.Info()
		if i.Length > i.Size || int64(i.HeaderBytes) > i.Size || i.SectionBytes > i.HeaderBytes {
			t.Errorf("%+v", i)
		}
		other := envelope.NewDEK()
		if i.Layered() {
			other = envelope.NewLayeredDEK()
		}
		if err := file.Verify(context.Background(), other); !errors.Is(err, aead.ErrAuthentication) {
			t.Errorf("another key: %v", err)
		}
	})
}
