package wal

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

const (
	marker     = "KXFR"
	frameFixed = 16 // marker, body length, number
	bodyFixed  = 8  // kind, three zeros, number of records
	maxBody    = 256 << 20

	frameHeaderAAD = "kustos wal frame v1\x00"
	frameBodyAAD   = "kustos wal body v1\x00"

	kindRecords = 1
	kindEnd     = 2
)

// MaxRecord is the largest record Append takes, in bytes.
const MaxRecord = 64 << 20

// frames seals and opens the frames of one segment.
type frames struct {
	cipher cipher.AEAD
	hash   [sha256.Size]byte // of the segment's header
}

// head is the length of a frame's header: what is fixed, and a tag.
func (f frames) head() int64 { return frameFixed + int64(f.cipher.Overhead()) }

func (f frames) aad(label string, fixed []byte) []byte {
	out := make([]byte, 0, len(label)+len(f.hash)+frameFixed)
	out = append(out, label...)
	out = append(out, f.hash[:]...)
	return append(out, fixed[:frameFixed]...)
}

// encodeBody lays records out; the result is a multiple of align.
func encodeBody(kind byte, records [][]byte) []byte {
	size := bodyFixed
	for _, r := range records {
		size += 4 + len(r)
	}
	b := make([]byte, 0, padded(size))
	b = append(b, kind, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(records)))
	for _, r := range records {
		b = binary.BigEndian.AppendUint32(b, uint32(len(r)))
		b = append(b, r...)
	}
	return b[:cap(b)]
}

var errBody = errors.New("an authentic frame does not hold what a frame holds")

// decodeBody gives the records to use; they are valid until it returns.
func decodeBody(b []byte, use func(record []byte) error) (end bool, records int, err error) {
	count := binary.BigEndian.Uint32(b[4:])
	switch {
	case b[0] == kindEnd && count == 0:
		return true, 0, nil
	case b[0] != kindRecords:
		return false, 0, errBody
	}
	rest := b[bodyFixed:]
	for range count {
		if len(rest) < 4 {
			return false, records, errBody
		}
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(len(rest)-4) {
			return false, records, errBody
		}
		if err := use(rest[4 : 4+n : 4+n]); err != nil {
			return false, records, err
		}
		records++
		rest = rest[4+n:]
	}
	return false, records, nil
}

// seal makes a frame of a body.
func (f frames) seal(number uint64, body []byte) []byte {
	n := len(body) + f.cipher.Overhead()
	out := make([]byte, 0, int(f.head())+n)
	out = append(out, marker...)
	out = binary.BigEndian.AppendUint32(out, uint32(n))
	out = binary.BigEndian.AppendUint64(out, number)
	fixed := out[:frameFixed]
	out = f.cipher.Seal(out, nonce(frameHeaderDomain, number), nil, f.aad(frameHeaderAAD, fixed))
	return f.cipher.Seal(out, nonce(frameBodyDomain, number), body, f.aad(frameBodyAAD, fixed))
}

// header authenticates a frame header and returns its number and the length of
// the body that follows.
func (f frames) header(b []byte) (number uint64, body int64, ok bool) {
	if int64(len(b)) < f.head() || string(b[:len(marker)]) != marker {
		return 0, 0, false
	}
	body, number = int64(binary.BigEndian.Uint32(b[4:])), binary.BigEndian.Uint64(b[8:])
	if body < align+int64(f.cipher.Overhead()) || body > maxBody || body%align != 0 {
		return 0, 0, false
	}
	if _, err := f.cipher.Open(nil, nonce(frameHeaderDomain, number), b[frameFixed:f.head()], f.aad(frameHeaderAAD, b)); err != nil {
		return 0, 0, false
	}
	return number, body, true
}

// body authenticates and decrypts a frame's body in place.
func (f frames) body(head []byte, number uint64, sealed []byte) ([]byte, bool) {
	plain, err := f.cipher.Open(sealed[:0], nonce(frameBodyDomain, number), sealed, f.aad(frameBodyAAD, head))
	return plain, err == nil
}

// holdsHeader looks for an authentic frame header anywhere in b.
func (f frames) holdsHeader(b []byte) bool {
	for {
		at := bytes.Index(b, []byte(marker))
		if at < 0 {
			return false
		}
		if _, _, ok := f.header(b[at:]); ok {
			return true
		}
		b = b[at+1:]
	}
}
