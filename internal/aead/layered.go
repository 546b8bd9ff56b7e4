package aead

import (
	"crypto/cipher"
	"sync"
)

// Layered is one cipher made of two with keys of their own: outer seals what
// inner sealed, its tag included, with the same nonce and additional data. What
// it sealed opens with both keys only, and nobody can make or change it with one.
// Both must take nonces of the same size.
func Layered(inner, outer cipher.AEAD) cipher.AEAD {
	if inner.NonceSize() != outer.NonceSize() {
		panic("BUG: layers with nonces of two sizes")
	}
	return layered{inner, outer}
}

type layered struct{ inner, outer cipher.AEAD }

func (l layered) NonceSize() int { return l.inner.NonceSize() }

func (l layered) Overhead() int { return l.inner.Overhead() + l.outer.Overhead() }

// Seal is as cipher.AEAD has it.
func (l layered) Seal(dst, nonce, plaintext, aad []byte) []byte {
	if need := len(dst) + len(plaintext) + l.Overhead(); cap(dst) < need {
		// Once for both layers; plaintext may not overlap then.
		dst = append(make([]byte, 0, need), dst...)
	}
	burn()
	defer burn()
	out := l.inner.Seal(dst, nonce, plaintext, aad)
	return l.outer.Seal(out[:len(dst)], nonce, out[len(dst):], aad)
}

// between holds what stands between the layers while one is opened. That is
// ciphertext, so it need not be wiped.
var between = sync.Pool{New: func() any { return new([]byte) }}

// mostBetween is the largest buffer that is kept, in bytes.
const mostBetween = 1<<20 + 64

// Open is as cipher.AEAD has it: dst may be the beginning of ciphertext, whose
// storage is used then.
func (l layered) Open(dst, nonce, ciphertext, aad []byte) ([]byte, error) {
	burn()
	defer burn()
	if len(dst) == 0 && cap(dst) > 0 && len(ciphertext) > 0 && &dst[:1][0] == &ciphertext[0] {
		middle, err := l.outer.Open(dst, nonce, ciphertext, aad)
		if err != nil {
			return nil, err
		}
		return l.inner.Open(dst, nonce, middle, aad)
	}
	b := between.Get().(*[]byte)
	middle, err := l.outer.Open((*b)[:0], nonce, ciphertext, aad)
	var plain []byte
	if err == nil {
		plain, err = l.inner.Open(dst, nonce, middle, aad)
		*b = middle[:0]
	}
	if cap(*b) <= mostBetween {
		between.Put(b)
	}
	return plain, err
}
