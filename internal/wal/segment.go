package wal

import (
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

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

// Suffix ends the name of a segment file; the segment's id stands before it.
const Suffix = ".kwl"

const (
	magic      = "KXWALSEG"
	fixedSize  = 80 // up to and including the length of the wrapped DEK
	align      = 16 // headers and frames begin and end at multiples of it
	maxWrapped = 1 << 10
	maxHeader  = fixedSize + 2*maxWrapped + align + 2*aead.TagSize

	headerAAD = "kustos wal header v1\x00"

	// the first 4 bytes of a nonce; 8 bytes of counter follow
	headerDomain      = 1
	frameHeaderDomain = 2
	frameBodyDomain   = 3
)

var (
	// ErrNotSegment: the file does not begin like a WAL segment.
	ErrNotSegment = errors.New("not a wal segment")
	// ErrNewerFormat: the segment was written by a newer version.
	ErrNewerFormat = errors.New("written by a newer version of kustos")
	// ErrReserved: a flag or field that version 1 keeps empty is not.
	ErrReserved = errors.New("a reserved field is not empty")
	// ErrMalformed: the header contradicts itself or the file's name.
	ErrMalformed = errors.New("malformed wal segment header")
	// ErrTruncated: the file ends inside its header.
	ErrTruncated = errors.New("wal segment is truncated")
	// ErrCorrupt: a segment or a frame that was once durable is not there as it
	// was. Always a *CorruptError.
	ErrCorrupt = errors.New("wal segment is corrupt")
)

// CorruptError says where. It is ErrCorrupt to errors.Is.
type CorruptError struct {
	SegmentID string
	Offset    int64 // of the frame, in bytes; -1 when it is not in a frame
	Reason    string
}

func (e *CorruptError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("wal segment %s is corrupt: %s", e.SegmentID, e.Reason)
	}
	return fmt.Sprintf("wal segment %s is corrupt at offset %d: %s", e.SegmentID, e.Offset, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// Segment is what anybody can read in a segment's header without a key.
// Nothing of it is authenticated until a replay has begun.
type Segment struct {
	Path          string `json:"path"`
	FormatVersion int    `json:"formatVersion"`
	ID            string `json:"segmentId"`
	DatabaseID    string `json:"databaseId"`
	KeyVersion    int    `json:"databaseKeyVersion"`
	// Sequence orders the segments of a database, from 1.
	Sequence uint64 `json:"sequence"`
	// Run is the start (or the time after a failed write) that wrote it; within
	// a run every segment but the last has an end frame.
	Run         string `json:"run"`
	HeaderBytes int    `json:"headerBytes"`
	Size        int64  `json:"fileBytes"`
	envelope.WrappedDEK

	raw []byte // the whole header
}

// Layered reports whether everything is encrypted in two layers.
func (s Segment) Layered() bool { return s.FormatVersion == layeredVersion }

// tagSize is the length of every tag, in bytes.
func (s Segment) tagSize() int { return envelope.TagSize(s.Layered()) }

// Object is what the DEK was wrapped for.
func (s Segment) Object() envelope.Object {
	return envelope.Object{DatabaseID: s.DatabaseID, Kind: envelope.WALSegment, ID: s.ID}
}

func nonce(domain uint32, counter uint64) []byte {
	n := binary.BigEndian.AppendUint32(make([]byte, 0, aead.NonceSize), domain)
	return binary.BigEndian.AppendUint64(n, counter)
}

// encode builds the header and its tag.
func (s Segment) encode(dek envelope.DEK) ([]byte, error) {
	var guids [3][16]byte
	for i, text := range []string{s.ID, s.DatabaseID, s.Run} {
		var err error
		if guids[i], err = ids.ParseGUID(text); err != nil {
			return nil, err
		}
	}
	if s.KeyVersion < 1 || int64(s.KeyVersion) > math.MaxUint32 || len(s.WrappedDEK.Key) == 0 || len(s.WrappedDEK.Key) > maxWrapped || len(s.WrappedDEK.Layer) > maxWrapped {
		return nil, fmt.Errorf("key version %d with a wrapped dek of %d and %d bytes is out of range", s.KeyVersion, len(s.WrappedDEK.Key), len(s.WrappedDEK.Layer))
	}
	if (len(s.WrappedDEK.Layer) > 0) != dek.Layered() {
		return nil, envelope.ErrLayers
	}
	version := singleVersion
	if dek.Layered() {
		version = layeredVersion
	}
	cipher, err := dek.Cipher()
	if err != nil {
		return nil, err
	}
	size := padded(fixedSize+len(s.WrappedDEK.Key)+len(s.WrappedDEK.Layer)) + cipher.Overhead()
	b := make([]byte, 0, size)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint16(b, 0) // flags
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, guids[0][:]...)
	b = append(b, guids[1][:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(s.KeyVersion))
	b = binary.BigEndian.AppendUint64(b, s.Sequence)
	b = append(b, guids[2][:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.WrappedDEK.Layer)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(s.WrappedDEK.Key)))
	b = append(b, s.WrappedDEK.Key...)
	b = append(b, s.WrappedDEK.Layer...)
	b = append(b, make([]byte, size-cipher.Overhead()-len(b))...)
	return cipher.Seal(b, nonce(headerDomain, 0), nil, append([]byte(headerAAD), b...)), nil
}

func padded(n int) int { return (n + align - 1) / align * align }

// ReadSegment reads the header of the segment at path; it needs no key.
// Errors: ErrNotSegment, ErrNewerFormat, ErrReserved, ErrMalformed, ErrTruncated.
func ReadSegment(path string) (Segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return Segment{}, fmt.Errorf("open wal segment: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Segment{}, fmt.Errorf("open wal segment: %w", err)
	}
	s, err := parseSegment(f, info.Size())
	if err != nil {
		return Segment{}, fmt.Errorf("open wal segment %s: %w", path, err)
	}
	if name := filepath.Base(path); name != s.ID+Suffix {
		return Segment{}, fmt.Errorf("open wal segment %s: %w: it is segment %s", path, ErrMalformed, s.ID)
	}
	s.Path = path
	return s, nil
}

func parseSegment(r io.ReaderAt, size int64) (Segment, error) {
	b := make([]byte, min(size, maxHeader))
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return Segment{}, fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return Segment{}, ErrNotSegment
	}
	if len(b) < 10 {
		return Segment{}, fmt.Errorf("%w: %d bytes", ErrTruncated, size)
	}
	if v := binary.BigEndian.Uint16(b[8:]); v > FormatVersion {
		return Segment{}, fmt.Errorf("format %d, this binary knows up to %d: %w", v, FormatVersion, ErrNewerFormat)
	} else if v == 0 {
		return Segment{}, fmt.Errorf("%w: format 0", ErrMalformed)
	}
	if len(b) < fixedSize {
		return Segment{}, fmt.Errorf("%w: %d bytes", ErrTruncated, size)
	}
	if flags := binary.BigEndian.Uint16(b[10:]); flags != 0 {
		return Segment{}, fmt.Errorf("%w: flags %#04x", ErrReserved, flags)
	}
	s := Segment{FormatVersion: int(binary.BigEndian.Uint16(b[8:]))}
	layer := int(binary.BigEndian.Uint16(b[76:]))
	if layer != 0 && !s.Layered() {
		return Segment{}, fmt.Errorf("%w: second layer of %d bytes", ErrReserved, layer)
	}
	if s.Layered() && (layer == 0 || layer > maxWrapped) {
		return Segment{}, fmt.Errorf("%w: second layer of %d bytes", ErrMalformed, layer)
	}
	head, wrapped := int64(binary.BigEndian.Uint32(b[12:])), int(binary.BigEndian.Uint16(b[78:]))
	if wrapped == 0 || wrapped > maxWrapped || head != int64(padded(fixedSize+wrapped+layer)+s.tagSize()) {
		return Segment{}, fmt.Errorf("%w: header of %d bytes with a wrapped dek of %d", ErrMalformed, head, wrapped)
	}
	if head > size {
		return Segment{}, fmt.Errorf("%w: %d bytes, the header alone has %d", ErrTruncated, size, head)
	}
	s.ID = ids.FormatGUID([16]byte(b[16:32]))
	s.DatabaseID = ids.FormatGUID([16]byte(b[32:48]))
	s.KeyVersion = int(binary.BigEndian.Uint32(b[48:]))
	s.Sequence = binary.BigEndian.Uint64(b[52:])
	s.Run = ids.FormatGUID([16]byte(b[60:76]))
	s.WrappedDEK.Key = b[fixedSize : fixedSize+wrapped]
	if layer > 0 {
		s.WrappedDEK.Layer = b[fixedSize+wrapped : fixedSize+wrapped+layer]
	}
	s.HeaderBytes, s.Size, s.raw = int(head), size, b[:head]
	if s.KeyVersion == 0 || s.Sequence == 0 || s.Sequence > math.MaxInt64 {
		return Segment{}, fmt.Errorf("%w: database key version %d, sequence %d", ErrMalformed, s.KeyVersion, s.Sequence)
	}
	return s, nil
}

// authenticate checks the header's tag and returns what binds frames to it.
func (s Segment) authenticate(c cipher.AEAD) (hash [sha256.Size]byte, err error) {
	body := len(s.raw) - c.Overhead()
	if _, err := c.Open(nil, nonce(headerDomain, 0), s.raw[body:], append([]byte(headerAAD), s.raw[:body]...)); err != nil {
		return hash, fmt.Errorf("header of wal segment %s: %w", s.ID, aead.ErrAuthentication)
	}
	return sha256.Sum256(s.raw), nil
}

// Segments reads the headers of all segments in dir, of one database when
// databaseID is not "", in the order of their sequence numbers. A file that
// ends in .kwl and is no segment is an error that names it; a missing folder
// holds none.
func Segments(dir, databaseID string) ([]Segment, error) {
	all, unreadable, err := List(dir)
	if err != nil {
		return nil, err
	}
	if len(unreadable) > 0 {
		return nil, unreadable[0].Cause
	}
	if databaseID == "" {
		return all, nil
	}
	return slices.DeleteFunc(all, func(s Segment) bool { return s.DatabaseID != databaseID }), nil
}

// Unreadable is a file that ends in .kwl and has no header that could be read.
type Unreadable struct {
	Path string
	// ID is what the file's name says.
	ID string
	// DatabaseID is what stands where a header has it, "" when the file is
	// shorter. It is a hint and nothing more.
	DatabaseID string
	Cause      error
}

// List is Segments for somebody who goes on when headers are damaged: those
// files come apart, in the order of their names.
func List(dir string) (segments []Segment, unreadable []Unreadable, err error) {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("list wal segments: %w", err)
	}
	for _, n := range names {
		id, is := strings.CutSuffix(n.Name(), Suffix)
		if !is {
			continue
		}
		path := filepath.Join(dir, n.Name())
		s, err := ReadSegment(path)
		switch {
		case err == nil:
			segments = append(segments, s)
		case errors.Is(err, os.ErrNotExist): // removed meanwhile; whoever recovers sees a gap by the numbers
		case Damaged(err):
			owner, headErr := claimed(path)
			if headErr != nil {
				return nil, nil, headErr
			}
			unreadable = append(unreadable, Unreadable{path, id, owner, err})
		default:
			return nil, nil, err
		}
	}
	slices.SortFunc(segments, func(a, b Segment) int {
		switch {
		case a.DatabaseID != b.DatabaseID:
			return strings.Compare(a.DatabaseID, b.DatabaseID)
		case a.Sequence < b.Sequence:
			return -1
		case a.Sequence > b.Sequence:
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return segments, unreadable, nil
}

// claimed is the database id that stands in a header that cannot be read.
func claimed(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("open wal segment: %w", err)
	}
	defer f.Close()
	b := make([]byte, 48)
	if _, err := io.ReadFull(f, b); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("read wal segment %s: %w", path, err)
	}
	return ids.FormatGUID([16]byte(b[32:48])), nil
}

// Damaged reports whether an error of reading a segment, of Recover too, says
// that the file is not as it was written. I/O errors, a key that is not there
// and a context that ended say nothing about the file.
func Damaged(err error) bool {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return false
	}
	for _, damage := range []error{ErrCorrupt, ErrNotSegment, ErrNewerFormat, ErrReserved, ErrMalformed, ErrTruncated,
		aead.ErrAuthentication, envelope.ErrLayers, envelope.ErrNewerFormat} {
		if errors.Is(err, damage) {
			return true
		}
	}
	return false
}
