package extent

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
)

// FormatVersion is the newest version this package reads; it writes it when the
// DEK has a second layer, and else version 1, which differs in nothing more.
const (
	FormatVersion = layeredVersion

	singleVersion  = 1
	layeredVersion = 2
)

// ChunkSize is the plaintext length of the chunks this package writes, in
// bytes. It reads every power of two from 4 KiB to 1 MiB. With 64 KiB, which it
// wrote at first, a query of a small column decrypted nearly twice the column:
// the ends of each of its pieces. 16 KiB costs 0.1 % of the file.
const ChunkSize = 16 << 10

const (
	magic      = "KXEXTENT"
	fixedSize  = 74 // up to and including the length of the wrapped DEK
	prefixSize = 8  // nonce prefix; 4 bytes of counter follow it

	minChunk   = 4 << 10
	maxChunk   = 1 << 20
	maxWrapped = 1 << 10
	maxSection = 16 << 20
	maxHeader  = fixedSize + maxWrapped + 4 + maxSection + 2 + maxWrapped + 2*aead.TagSize

	// counters of the two nonces that belong to no chunk
	headerCounter  = math.MaxUint32
	sectionCounter = math.MaxUint32 - 1
	maxChunks      = math.MaxUint32 - 1

	headerAAD  = "kustos extent header v1\x00"
	sectionAAD = "kustos extent section v1\x00"
)

var (
	// ErrNotExtent: the file does not begin like an extent.
	ErrNotExtent = errors.New("not an extent")
	// ErrNewerFormat: the extent was written by a newer version.
	ErrNewerFormat = errors.New("written by a newer version of kustos")
	// ErrReserved: a flag or field that version 1 keeps empty is not.
	ErrReserved = errors.New("a reserved field is not empty")
	// ErrMalformed: the header contradicts itself.
	ErrMalformed = errors.New("malformed extent header")
	// ErrTruncated: the file is shorter or longer than its header says.
	ErrTruncated = errors.New("extent is truncated or has bytes added")
	// ErrLength: the source of Write is shorter or longer than was said.
	ErrLength = errors.New("source does not have the length of the header")
)

// Header says what Write shall write.
type Header struct {
	ExtentID   string // GUID
	DatabaseID string // GUID
	KeyVersion int    // version of the database key that wrapped the DEK, from 1
	WrappedDEK envelope.WrappedDEK
	Length     int64 // of the payload, in bytes
	// Section is sealed into the header: schema and statistics, at most 16 MiB,
	// in whatever encoding the writer likes; nil for none.
	Section []byte
}

// Info is what anybody can read in an extent without a key. Nothing of it is
// authenticated until a Reader was made.
type Info struct {
	FormatVersion int    `json:"formatVersion"`
	ExtentID      string `json:"extentId"`
	DatabaseID    string `json:"databaseId"`
	KeyVersion    int    `json:"databaseKeyVersion"`
	ChunkSize     int    `json:"chunkSize"`
	Chunks        int64  `json:"chunks"`
	Length        int64  `json:"plaintextBytes"`
	SectionBytes  int    `json:"sealedSectionBytes"` // 0: none
	HeaderBytes   int    `json:"headerBytes"`
	Size          int64  `json:"fileBytes"`
	envelope.WrappedDEK
}

// Object is what the DEK was wrapped for.
func (i Info) Object() envelope.Object {
	return envelope.Object{DatabaseID: i.DatabaseID, Kind: envelope.Extent, ID: i.ExtentID}
}

// Layered reports whether everything is encrypted in two layers.
func (i Info) Layered() bool { return i.FormatVersion == layeredVersion }

// tagSize is the length of every tag, in bytes.
func (i Info) tagSize() int { return envelope.TagSize(i.Layered()) }

// chunks is the number of chunks of a payload.
func chunks(length int64, chunkSize int) int64 {
	n := length / int64(chunkSize)
	if length%int64(chunkSize) != 0 {
		n++
	}
	return n
}

func nonce(prefix []byte, counter uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, aead.NonceSize), prefix...), counter)
}

// encode builds the header with its section sealed and its tag.
func (h Header) encode(dek envelope.DEK, prefix []byte, chunkSize int) ([]byte, error) {
	extentID, err := ids.ParseGUID(h.ExtentID)
	if err != nil {
		return nil, fmt.Errorf("extent id: %w", err)
	}
	databaseID, err := ids.ParseGUID(h.DatabaseID)
	if err != nil {
		return nil, fmt.Errorf("database id: %w", err)
	}
	switch {
	case h.KeyVersion < 1 || int64(h.KeyVersion) > math.MaxUint32:
		return nil, fmt.Errorf("database key version %d is out of range", h.KeyVersion)
	case len(h.WrappedDEK.Key) == 0 || len(h.WrappedDEK.Key) > maxWrapped || len(h.WrappedDEK.Layer) > maxWrapped:
		return nil, fmt.Errorf("wrapped dek has %d and %d bytes", len(h.WrappedDEK.Key), len(h.WrappedDEK.Layer))
	case (len(h.WrappedDEK.Layer) > 0) != dek.Layered():
		return nil, envelope.ErrLayers
	case h.Length < 0 || chunks(h.Length, chunkSize) > maxChunks:
		return nil, fmt.Errorf("payload of %d bytes is out of range", h.Length)
	case len(h.Section)+envelope.TagSize(dek.Layered()) > maxSection:
		return nil, fmt.Errorf("section of %d bytes is too large", len(h.Section))
	}
	cipher, err := dek.Cipher()
	if err != nil {
		return nil, err
	}
	section := 0
	if h.Section != nil {
		section = len(h.Section) + cipher.Overhead()
	}
	size := fixedSize + len(h.WrappedDEK.Key) + 4 + section + 2 + len(h.WrappedDEK.Layer) + cipher.Overhead()
	version := singleVersion
	if dek.Layered() {
		version = layeredVersion
	}

	b := make([]byte, 0, size)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint16(b, 0) // flags
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, extentID[:]...)
	b = append(b, databaseID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(h.KeyVersion))
	b = binary.BigEndian.AppendUint32(b, uint32(chunkSize))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Length))
	b = append(b, prefix...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.WrappedDEK.Key)))
	b = append(b, h.WrappedDEK.Key...)
	b = binary.BigEndian.AppendUint32(b, uint32(section))
	if section > 0 {
		b = cipher.Seal(b, nonce(prefix, sectionCounter), h.Section, append([]byte(sectionAAD), b...))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.WrappedDEK.Layer)))
	b = append(b, h.WrappedDEK.Layer...)
	return cipher.Seal(b, nonce(prefix, headerCounter), nil, append([]byte(headerAAD), b...)), nil
}

// header is a parsed header: Info plus what the decryption needs.
type header struct {
	Info
	raw     []byte // the whole header
	hash    [sha256.Size]byte
	prefix  []byte
	section []byte // sealed
	before  int    // length of what stands before the section
}

// parseHeader reads and checks the header of a file of size bytes. It does not
// know a key, so it trusts no length before it was compared with the file's.
func parseHeader(r io.ReaderAt, size int64) (*header, error) {
	fixed := make([]byte, min(size, fixedSize))
	if err := readFull(r, fixed, 0); err != nil {
		return nil, err
	}
	if len(fixed) < len(magic) || string(fixed[:len(magic)]) != magic {
		return nil, ErrNotExtent
	}
	if len(fixed) < 12 {
		return nil, fmt.Errorf("%w: %d bytes", ErrTruncated, size)
	}
	if v := binary.BigEndian.Uint16(fixed[8:]); v > FormatVersion {
		return nil, fmt.Errorf("format %d, this binary knows up to %d: %w", v, FormatVersion, ErrNewerFormat)
	} else if v == 0 {
		return nil, fmt.Errorf("%w: format 0", ErrMalformed)
	}
	if len(fixed) < fixedSize {
		return nil, fmt.Errorf("%w: %d bytes", ErrTruncated, size)
	}
	if flags := binary.BigEndian.Uint16(fixed[10:]); flags != 0 {
		return nil, fmt.Errorf("%w: flags %#04x", ErrReserved, flags)
	}
	headerSize := int64(binary.BigEndian.Uint32(fixed[12:]))
	if headerSize < fixedSize+1+4+2+aead.TagSize || headerSize > maxHeader {
		return nil, fmt.Errorf("%w: header of %d bytes", ErrMalformed, headerSize)
	}
	if headerSize > size {
		return nil, fmt.Errorf("%w: %d bytes, the header alone has %d", ErrTruncated, size, headerSize)
	}
	h := &header{raw: make([]byte, headerSize)}
	if err := readFull(r, h.raw, 0); err != nil {
		return nil, err
	}
	h.FormatVersion, h.HeaderBytes, h.Size = int(binary.BigEndian.Uint16(fixed[8:])), int(headerSize), size
	if err := h.parse(); err != nil {
		return nil, err
	}
	if want := headerSize + h.Length + h.Chunks*int64(h.tagSize()); size != want {
		return nil, fmt.Errorf("%w: %d bytes, the header says %d", ErrTruncated, size, want)
	}
	h.hash = sha256.Sum256(h.raw)
	return h, nil
}

// parse reads the fields of h.raw, whose length is at least the smallest header's.
func (h *header) parse() error {
	b, tag := h.raw, h.tagSize()
	h.ExtentID = ids.FormatGUID([16]byte(b[16:32]))
	h.DatabaseID = ids.FormatGUID([16]byte(b[32:48]))
	h.KeyVersion = int(binary.BigEndian.Uint32(b[48:]))
	h.ChunkSize = int(binary.BigEndian.Uint32(b[52:]))
	length := binary.BigEndian.Uint64(b[56:])
	h.prefix = b[64 : 64+prefixSize]
	wrapped := int(binary.BigEndian.Uint16(b[72:]))
	switch {
	case h.KeyVersion == 0:
		return fmt.Errorf("%w: database key version 0", ErrMalformed)
	case h.ChunkSize < minChunk || h.ChunkSize > maxChunk || h.ChunkSize&(h.ChunkSize-1) != 0:
		return fmt.Errorf("%w: chunk size %d", ErrMalformed, h.ChunkSize)
	case length > uint64(maxChunks)*uint64(h.ChunkSize):
		return fmt.Errorf("%w: payload of %d bytes", ErrMalformed, length)
	case wrapped == 0 || wrapped > maxWrapped || fixedSize+wrapped+4+2+tag > len(b):
		return fmt.Errorf("%w: wrapped dek of %d bytes", ErrMalformed, wrapped)
	}
	h.Length = int64(length)
	h.Chunks = chunks(h.Length, h.ChunkSize)
	h.WrappedDEK.Key = b[fixedSize : fixedSize+wrapped]
	h.before = fixedSize + wrapped + 4
	section := int64(binary.BigEndian.Uint32(b[h.before-4:]))
	if section != 0 && section < int64(tag) || section > maxSection || int64(h.before)+section+2+int64(tag) > int64(len(b)) {
		return fmt.Errorf("%w: section of %d bytes", ErrMalformed, section)
	}
	h.SectionBytes = int(section)
	h.section = b[h.before : h.before+int(section)]
	rest := b[h.before+int(section):]
	layer := int(binary.BigEndian.Uint16(rest))
	switch {
	case layer != 0 && !h.Layered():
		return fmt.Errorf("%w: second layer of %d bytes", ErrReserved, layer)
	case h.Layered() && (layer == 0 || layer > maxWrapped):
		return fmt.Errorf("%w: second layer of %d bytes", ErrMalformed, layer)
	case len(rest) != 2+layer+tag:
		return fmt.Errorf("%w: %d bytes more than its fields", ErrMalformed, len(rest)-2-layer-tag)
	}
	if layer > 0 {
		h.WrappedDEK.Layer = rest[2 : 2+layer]
	}
	return nil
}

func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends at byte %d", ErrTruncated, off+int64(n))
	}
	return err
}
