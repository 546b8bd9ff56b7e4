package ids

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
)

// NewGUID returns a random (version 4) GUID in lower case with dashes.
func NewGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails: it ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return formatGUID(b)
}

func formatGUID(b [16]byte) string {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}

// IsGUID reports whether text is a dashed GUID (8-4-4-4-12 hex digits, any case).
func IsGUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return false
			}
		}
	}
	return true
}

// ParseGUID reads a dashed GUID, any case.
func ParseGUID(text string) (b [16]byte, err error) {
	if !IsGUID(text) {
		return b, fmt.Errorf("%q is not a guid", text)
	}
	if _, err := hex.Decode(b[:], []byte(strings.ReplaceAll(text, "-", ""))); err != nil {
		return b, err
	}
	return b, nil
}

// FormatGUID prints 16 bytes as a lower-case dashed GUID.
func FormatGUID(b [16]byte) string { return formatGUID(b) }
