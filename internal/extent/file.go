package extent

import (
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
)

// File is an extent whose header was read. It is safe for concurrent use as
// far as its io.ReaderAt is.
type File struct {
	r io.ReaderAt
	h *header
}

// Open reads and checks the header of an extent of size bytes; it needs no key
// and authenticates nothing. Errors: ErrNotExtent, ErrNewerFormat, ErrReserved,
// ErrMalformed, ErrTruncated, or the reader's.
func Open(r io.ReaderAt, size int64) (*File, error) {
	h, err := parseHeader(r, size)
	if err != nil {
		return nil, fmt.Errorf("open extent: %w", err)
	}
	return &File{r, h}, nil
}

// Info is what the header says.
func (f *File) Info() Info { return f.h.Info }

// Reader authenticates the header with the DEK and returns the payload. It
// fails with aead.ErrAuthentication when the key or a bit of the header is wrong.
func (f *File) Reader(dek envelope.DEK) (*Reader, error) {
	if dek.Layered() != f.h.Layered() {
		return nil, fmt.Errorf("header of extent %s: %w", f.h.ExtentID, envelope.ErrLayers)
	}
	cipher, err := dek.Cipher()
	if err != nil {
		return nil, err
	}
	body := len(f.h.raw) - f.h.tagSize()
	aad := append([]byte(headerAAD), f.h.raw[:body]...)
	if _, err := cipher.Open(nil, nonce(f.h.prefix, headerCounter), f.h.raw[body:], aad); err != nil {
		return nil, fmt.Errorf("header of extent %s: %w", f.h.ExtentID, aead.ErrAuthentication)
	}
	return &Reader{File: f, dek: dek}, nil
}

// Verify authenticates header, section and every chunk.
func (f *File) Verify(ctx context.Context, dek envelope.DEK) error {
	r, err := f.Reader(dek)
	if err != nil {
		return err
	}
	if _, err := r.Section(); err != nil {
		return err
	}
	return r.CopyTo(ctx, io.Discard)
}

// ChunkError says that one chunk does not verify; it is aead.ErrAuthentication
// to errors.Is. The other chunks are not concerned.
type ChunkError struct {
	ExtentID string
	Index    int64
	Offset   int64 // of the chunk's ciphertext in the file, in bytes
}

func (e *ChunkError) Error() string {
	return fmt.Sprintf("chunk %d of extent %s, at offset %d of the file: %v", e.Index, e.ExtentID, e.Offset, aead.ErrAuthentication)
}

// Unwrap is aead.ErrAuthentication.
func (e *ChunkError) Unwrap() error { return aead.ErrAuthentication }

// Reader is the payload of an extent. Each read decrypts and verifies the
// chunks it touches and no others; it keeps no plaintext. After the DEK is
// wiped every read fails with aead.ErrWiped. It is safe for concurrent use.
type Reader struct {
	*File
	dek envelope.DEK
}

// Size is the length of the payload in bytes.
func (r *Reader) Size() int64 { return r.h.Length }

// ChunkSize is the unit in which the payload is verified, in bytes.
func (r *Reader) ChunkSize() int { return r.h.ChunkSize }

// Chunks gives the chunks first to last, verified, to use: in order, one or
// some neighbours at a time, as the payload from the chunk index on. What use
// gets is valid until it returns. Chunks before one that does not verify are given.
func (r *Reader) Chunks(first, last int64, use func(index int64, payload []byte) error) error {
	if first < 0 || first > last || last >= r.h.Chunks {
		return fmt.Errorf("chunks %d to %d of extent %s, which has %d", first, last, r.h.ExtentID, r.h.Chunks)
	}
	return r.decrypt(first, last, use)
}

// Section is the opened section, nil when the extent has none.
func (r *Reader) Section() ([]byte, error) {
	if r.h.SectionBytes == 0 {
		return nil, nil
	}
	cipher, err := r.dek.Cipher()
	if err != nil {
		return nil, err
	}
	aad := append([]byte(sectionAAD), r.h.raw[:r.h.before]...)
	// never nil, so that an empty section is not taken for none
	plain, err := cipher.Open([]byte{}, nonce(r.h.prefix, sectionCounter), r.h.section, aad)
	if err != nil {
		return nil, fmt.Errorf("section of extent %s: %w", r.h.ExtentID, aead.ErrAuthentication)
	}
	return plain, nil
}

// ReadAt is io.ReaderAt. A chunk that does not verify is an error that is
// aead.ErrAuthentication and names it; the bytes before it are returned.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read of extent at a negative offset")
	}
	want := len(p)
	if off >= r.h.Length {
		p = nil
	} else if int64(len(p)) > r.h.Length-off {
		p = p[:r.h.Length-off]
	}
	if len(p) > 0 {
		size := int64(r.h.ChunkSize)
		err := r.decrypt(off/size, (off+int64(len(p))-1)/size, func(index int64, payload []byte) error {
			n += copy(p[n:], payload[max(0, off-index*size):])
			return nil
		})
		if err != nil {
			return n, err
		}
	}
	if n < want {
		return n, io.EOF
	}
	return n, nil
}

// CopyTo writes the whole payload to w, chunk by chunk as they verify. When it
// returns an error what w got so far is authentic but not whole.
func (r *Reader) CopyTo(ctx context.Context, w io.Writer) error {
	if r.h.Chunks == 0 {
		return nil
	}
	return r.decrypt(0, r.h.Chunks-1, func(_ int64, payload []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := w.Write(payload)
		return err
	})
}

// decrypt is Chunks without the check of the range.
func (r *Reader) decrypt(first, last int64, use func(index int64, payload []byte) error) error {
	cipher, err := r.dek.Cipher()
	if err != nil {
		return fmt.Errorf("extent %s: %w", r.h.ExtentID, err)
	}
	size, stride := r.h.ChunkSize, r.h.ChunkSize+r.h.tagSize()
	most := min(last-first+1, int64(max(1, runBytes/size)))
	together := min(most, int64(max(1, plainBytes/size)))
	b := takeBuffers(int(most)*stride, int(together)*size)
	used := 0
	defer func() {
		clear(b.plain[:used])
		buffersPool.Put(b)
	}()
	b.aad = chunkAAD(b.aad[:0], r.h.hash, 0, false)
	b.nonce = append(append(b.nonce[:0], r.h.prefix...), 0, 0, 0, 0)
	for first <= last {
		n := min(last-first+1, most)
		off := int64(r.h.HeaderBytes) + first*int64(stride)
		cipherText := b.cipherText[:min(n*int64(stride), r.h.Size-off)]
		if err := readFull(r.r, cipherText, off); err != nil {
			return fmt.Errorf("read extent %s: %w", r.h.ExtentID, err)
		}
		for ; n > 0; n -= together {
			now := min(n, together)
			used = max(used, min(len(b.plain), int(now)*size))
			plain, failed := b.plain[:0], error(nil)
			for i := first; i < first+now && failed == nil; i++ {
				one := cipherText[:min(stride, len(cipherText))]
				cipherText = cipherText[len(one):]
				var opened []byte
				if opened, failed = r.open(cipher, b, plain, one, i); failed == nil {
					plain = opened
				}
			}
			if len(plain) > 0 {
				if err := use(first, plain); err != nil {
					return err
				}
			}
			if failed != nil {
				return failed
			}
			first += now
		}
	}
	return nil
}

// open verifies one chunk and appends it to dst. The nonce's prefix and the
// hash stand in the buffers already.
func (r *Reader) open(c cipher.AEAD, b *buffers, dst, one []byte, index int64) ([]byte, error) {
	binary.BigEndian.PutUint32(b.nonce[prefixSize:], uint32(index))
	binary.BigEndian.PutUint32(b.aad[sha256.Size:], uint32(index))
	b.aad[sha256.Size+4] = 0
	if index == r.h.Chunks-1 {
		b.aad[sha256.Size+4] = 1
	}
	plain, err := c.Open(dst, b.nonce, one, b.aad)
	if err != nil {
		at := int64(r.h.HeaderBytes) + index*int64(r.h.ChunkSize+r.h.tagSize())
		return nil, &ChunkError{ExtentID: r.h.ExtentID, Index: index, Offset: at}
	}
	return plain, nil
}
