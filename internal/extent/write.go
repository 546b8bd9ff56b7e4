package extent

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/kustos-io/kustos/internal/envelope"
)

const (
	// ioChunks is how many chunks one write of ciphertext carries.
	ioChunks = 64
	// runBytes is how much payload is read at a time, little enough for a core's cache,
	// and plainBytes how much of it is decrypted before it is handed on: what is copied
	// at once comes from the cache nearest to the core.
	runBytes   = 256 << 10
	plainBytes = 16 << 10
)

// Write writes an extent: the header, then src encrypted. src must give exactly
// hdr.Length bytes, else ErrLength; what was written to w until then is no
// valid extent. A DEK must be used for one extent only.
func Write(w io.Writer, hdr Header, dek envelope.DEK, src io.Reader) error {
	return write(w, hdr, dek, src, ChunkSize)
}

func write(w io.Writer, hdr Header, dek envelope.DEK, src io.Reader, chunkSize int) error {
	var prefix [prefixSize]byte
	_, _ = rand.Read(prefix[:]) // crypto/rand.Read never fails: it ends the program instead
	head, err := hdr.encode(dek, prefix[:], chunkSize)
	if err != nil {
		return fmt.Errorf("encode header of extent %s: %w", hdr.ExtentID, err)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	cipher, err := dek.Cipher()
	if err != nil {
		return err
	}
	hash := sha256.Sum256(head)
	plain := make([]byte, chunkSize)
	defer clear(plain)
	out := make([]byte, 0, ioChunks*(chunkSize+cipher.Overhead()))
	var aad []byte
	total := chunks(hdr.Length, chunkSize)
	left := hdr.Length
	for i := range total {
		p := plain[:min(left, int64(chunkSize))]
		if _, err := io.ReadFull(src, p); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("write extent %s: %w: it ends before %d bytes", hdr.ExtentID, ErrLength, hdr.Length)
		} else if err != nil {
			return fmt.Errorf("read payload of extent %s: %w", hdr.ExtentID, err)
		}
		left -= int64(len(p))
		aad = chunkAAD(aad[:0], hash, uint32(i), i == total-1)
		out = cipher.Seal(out, nonce(prefix[:], uint32(i)), p, aad)
		if i%ioChunks == ioChunks-1 || i == total-1 {
			if _, err := w.Write(out); err != nil {
				return err
			}
			out = out[:0]
		}
	}
	if n, err := io.ReadFull(src, plain[:1]); n > 0 {
		return fmt.Errorf("write extent %s: %w: it goes on after %d bytes", hdr.ExtentID, ErrLength, hdr.Length)
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("read payload of extent %s: %w", hdr.ExtentID, err)
	}
	return nil
}

// chunkAAD appends: header hash, 32 bytes | chunk index, 4 | last flag, 1.
func chunkAAD(aad []byte, hash [sha256.Size]byte, index uint32, last bool) []byte {
	aad = binary.BigEndian.AppendUint32(append(aad, hash[:]...), index)
	if last {
		return append(aad, 1)
	}
	return append(aad, 0)
}
