package aead

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes in bytes. Overhead is what [Key.Seal] adds with AES-256-GCM and
// ChaCha20-Poly1305: a nonce and a tag. With XChaCha20-Poly1305 it is OverheadX.
const (
	KeySize   = 32
	NonceSize = 12
	TagSize   = 16
	Overhead  = NonceSize + TagSize
	OverheadX = chacha20poly1305.NonceSizeX + TagSize
)

// Algorithm is what a key is for; a key is never used with two.
type Algorithm int

// The algorithms. All take keys of 32 bytes and make tags of 16.
const (
	AES256GCM         Algorithm = iota // nonces of 12 bytes
	ChaCha20Poly1305                   // nonces of 12 bytes
	XChaCha20Poly1305                  // nonces of 24 bytes: random ones do not bound the use of a key
)

// ErrWiped is returned for every use of a key after Wipe, and of the zero Key.
var ErrWiped = errors.New("key is wiped")

// ErrAuthentication is returned when a sealed value, its additional data or
// the key differs from what was sealed.
var ErrAuthentication = errors.New("authentication of sealed data failed")

const redacted = "REDACTED"

// Key is a key of one algorithm. Copies share the same bytes, so that one Wipe wipes
// them all; the zero Key holds nothing. It is safe for concurrent use.
//
// Wipe zeroes the bytes and the expanded key inside the standard library's
// cipher; the latter not when Cipher gave it out, because whoever has it
// may be using it: then it lives until it is collected.
type Key struct{ state *keyState }

// keyState: fmt cannot call methods of unexported fields, and with a wrong verb
// it follows one pointer, never two; so the bytes are two pointers away.
type keyState struct {
	mu     sync.RWMutex
	bytes  *[KeySize]byte
	cipher cipher.AEAD // nil once wiped
	lent   bool        // Cipher gave it out: it may be in use after Wipe
}

// NewKey makes a random key for AES-256-GCM.
func NewKey() Key { return NewKeyFor(AES256GCM) }

// NewKeyFor makes a random key for an algorithm.
func NewKeyFor(a Algorithm) Key {
	var b [KeySize]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails: it ends the program instead
	k, err := KeyFor(a, b[:])
	if err != nil {
		panic("BUG: a key of the right size was refused: " + err.Error())
	}
	clear(b[:])
	return k
}

// KeyFrom copies 32 bytes into a Key for AES-256-GCM. The caller keeps the slice
// and should clear it.
func KeyFrom(b []byte) (Key, error) { return KeyFor(AES256GCM, b) }

// KeyFor is KeyFrom for an algorithm.
func KeyFor(a Algorithm, b []byte) (Key, error) {
	if len(b) != KeySize {
		return Key{}, fmt.Errorf("key has %d bytes, want %d", len(b), KeySize)
	}
	s := &keyState{bytes: new([KeySize]byte)}
	copy(s.bytes[:], b)
	var err error
	if s.cipher, err = a.cipher(s.bytes[:]); err != nil {
		return Key{}, fmt.Errorf("make cipher: %w", err)
	}
	return Key{s}, nil
}

func (a Algorithm) cipher(key []byte) (cipher.AEAD, error) {
	switch a {
	case AES256GCM:
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		defer scrub(block) // NewGCM copies it
		return cipher.NewGCM(block)
	case ChaCha20Poly1305:
		return chacha20poly1305.New(key)
	case XChaCha20Poly1305:
		return chacha20poly1305.NewX(key)
	}
	return nil, fmt.Errorf("no algorithm %d", a)
}

// Wipe zeroes the key for every copy of it. Wiping twice is fine.
func (k Key) Wipe() {
	if k.state == nil {
		return
	}
	k.state.mu.Lock()
	defer k.state.mu.Unlock()
	clear(k.state.bytes[:])
	if k.state.cipher != nil && !k.state.lent {
		scrub(k.state.cipher)
	}
	k.state.cipher = nil
}

// Wiped reports whether the key can no longer be used.
func (k Key) Wiped() bool {
	return k.use(func(cipher.AEAD) error { return nil }) != nil
}

// use runs fn with the cipher. Wipe waits for it: the expanded key must not be
// zeroed under somebody who encrypts with it.
func (k Key) use(fn func(cipher.AEAD) error) error {
	if k.state == nil {
		return ErrWiped
	}
	k.state.mu.RLock()
	defer k.state.mu.RUnlock()
	if k.state.cipher == nil {
		return ErrWiped
	}
	burn() // see there
	defer burn()
	return fn(k.state.cipher)
}

// Cipher is for callers that count nonces themselves. Whoever holds it can use
// it after Wipe.
func (k Key) Cipher() (cipher.AEAD, error) {
	if k.state == nil {
		return nil, ErrWiped
	}
	k.state.mu.Lock()
	defer k.state.mu.Unlock()
	if k.state.cipher == nil {
		return nil, ErrWiped
	}
	k.state.lent = true
	return k.state.cipher, nil
}

// Reveal calls fn with the key's bytes, valid only until fn returns.
func (k Key) Reveal(fn func([]byte) error) error {
	if k.state == nil {
		return ErrWiped
	}
	k.state.mu.RLock()
	if k.state.cipher == nil {
		k.state.mu.RUnlock()
		return ErrWiped
	}
	b := *k.state.bytes // fn may take long (a vault call); Wipe must not wait for it
	k.state.mu.RUnlock()
	defer clear(b[:])
	return fn(b[:])
}

// Equal compares in constant time; a wiped key equals nothing.
func (k Key) Equal(other []byte) bool {
	same := false
	_ = k.Reveal(func(b []byte) error { same = subtle.ConstantTimeCompare(b, other) == 1; return nil })
	return same
}

// Seal encrypts plaintext bound to aad: nonce | ciphertext | tag, Overhead
// bytes longer than plaintext. With random nonces of 12 bytes one key must seal
// fewer than 2^32 values.
func (k Key) Seal(aad, plaintext []byte) (out []byte, err error) {
	err = k.use(func(c cipher.AEAD) error {
		out = make([]byte, c.NonceSize(), c.NonceSize()+len(plaintext)+c.Overhead())
		_, _ = rand.Read(out)
		out = c.Seal(out, out, plaintext, aad)
		return nil
	})
	return out, err
}

// Open reverses Seal; ErrAuthentication when a bit, the aad or the key differs.
func (k Key) Open(aad, sealed []byte) (plaintext []byte, err error) {
	err = k.use(func(c cipher.AEAD) (err error) {
		n := c.NonceSize()
		if len(sealed) < n+c.Overhead() {
			return fmt.Errorf("%w: %d bytes are too few", ErrAuthentication, len(sealed))
		}
		if plaintext, err = c.Open(nil, sealed[:n], sealed[n:], aad); err != nil {
			return ErrAuthentication
		}
		return nil
	})
	return plaintext, err
}

// String is REDACTED.
func (Key) String() string { return redacted }

// GoString is REDACTED.
func (Key) GoString() string { return redacted }

// Format writes REDACTED for every verb, %x and %#v included.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText is REDACTED; encoding/json and encoding/xml use it too.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue is REDACTED.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }
