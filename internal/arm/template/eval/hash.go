package eval

import (
	"crypto/sha1" //nolint:gosec // RFC 4122 version 5 names are SHA-1 by definition
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func hashFunctions() map[string]*builtin {
	return map[string]*builtin{
		"guid": {least: 1, most: -1, eager: func(c *call, args []value.Value) (value.Value, error) {
			name, err := joined(c, args)
			if err != nil {
				return nil, err
			}
			return GUID(name), nil
		}},
		"uniqueString": {least: 1, most: -1, eager: func(c *call, args []value.Value) (value.Value, error) {
			name, err := joined(c, args)
			if err != nil {
				return nil, err
			}
			return UniqueString(name), nil
		}},
		"newGuid": {eager: func(c *call, _ []value.Value) (value.Value, error) {
			if c.env.Fresh == nil {
				return nil, misplaced(c.name)
			}
			return c.env.Fresh.NewGUID(), nil
		}},
	}
}

func joined(c *call, args []value.Value) (string, error) {
	parts := make([]string, len(args))
	for i, a := range args {
		switch a.(type) {
		case string, int64, bool:
			parts[i] = Render(a)
		default:
			return "", Errorf("The template language function '%s' expects its parameters to be of type 'String'. The provided value is of type '%s'. %s", c.name, value.TypeName(a), see(c.name))
		}
	}
	return strings.Join(parts, "-"), nil
}

// GUID is the name-based GUID (RFC 4122, version 5) of name in the template
// language's own name space.
func GUID(name string) string {
	space := [16]byte{0x11, 0xfb, 0x06, 0xfb, 0x71, 0x2d, 0x4d, 0xdd, 0x98, 0xc7, 0xe7, 0x1b, 0xbd, 0x58, 0x88, 0x30}
	sum := sha1.Sum(append(space[:], name...))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// UniqueString spells the 64-bit hash of name in 13 characters.
func UniqueString(name string) string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	h := hash64([]byte(name))
	var out [13]byte
	for i := range out {
		out[i] = alphabet[h>>59]
		h <<= 5
	}
	return string(out[:])
}

// TemplateHash is the decimal 64-bit hash of the template as minified, upper-cased JSON,
// and that text.
func TemplateHash(template value.Value) (hash, minified string) {
	minified = strings.ToUpper(value.JSON(template))
	return strconv.FormatUint(hash64([]byte(minified)), 10), minified
}

// hash64 is the service's 64-bit hash: two 32-bit lanes with seed 0.
func hash64(data []byte) uint64 {
	const c1, c2 = 0x239B961B, 0xAB0E9789
	var h1, h2 uint32
	mix1 := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
	mix2 := func(k uint32) uint32 { return bits.RotateLeft32(k*c2, 17) * c1 }
	rest := data
	for len(rest) >= 8 {
		h1 ^= mix1(binary.LittleEndian.Uint32(rest))
		h1 = (bits.RotateLeft32(h1, 19)+h2)*5 + 0x561CCD1B
		h2 ^= mix2(binary.LittleEndian.Uint32(rest[4:]))
		h2 = (bits.RotateLeft32(h2, 13)+h1)*5 + 0x0BCAA747
		rest = rest[8:]
	}
	if len(rest) > 0 {
		var tail [8]byte
		copy(tail[:], rest)
		h1 ^= mix1(binary.LittleEndian.Uint32(tail[:]))
		if len(rest) > 4 {
			h2 ^= mix2(binary.LittleEndian.Uint32(tail[4:]))
		}
	}
	n := uint32(len(data))
	h1 ^= n
	h2 ^= n
	h1 += h2
	h2 += h1
	finish := func(h uint32) uint32 {
		h = (h ^ h>>16) * 0x85EBCA6B
		h = (h ^ h>>13) * 0xC2B2AE35
		return h ^ h>>16
	}
	h1, h2 = finish(h1), finish(h2)
	h1 += h2
	h2 += h1
	return uint64(h2)<<32 | uint64(h1)
}
