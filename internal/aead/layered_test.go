package aead_test

import (
	"bytes"
	"crypto/cipher"
	"testing"

	"pgregory.net/rapid"

	"github.com/kustos-io/kustos/internal/aead"
)

func ciphers(t testing.TB) (inner, outer cipher.AEAD) {
	t.Helper()
	inner, err := aead.NewKey().Cipher()
	if err != nil {
		t.Fatal(err)
	}
	if outer, err = aead.NewKeyFor(aead.ChaCha20Poly1305).Cipher(); err != nil {
		t.Fatal(err)
	}
	return inner, outer
}

// What two layers seal opens with both keys only, and is what the outer makes
// of what the inner makes.
func TestLayered(t *testing.T) {
	t.Parallel()
	inner, outer := ciphers(t)
	otherInner, otherOuter := ciphers(t)
	both := aead.Layered(inner, outer)
	rapid.Check(t, func(t *rapid.T) {
		nonce := rapid.SliceOfN(rapid.Byte(), aead.NonceSize, aead.NonceSize).Draw(t, "nonce")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "prefix")
		dst := append(make([]byte, 0, len(prefix)+rapid.IntRange(0, 2*len(plain)+64).Draw(t, "room")), prefix...)
		out := both.Seal(dst, nonce, plain, aad)
		sealed := out[len(prefix):]
		if !bytes.Equal(out[:len(prefix)], prefix) || !bytes.Equal(sealed, outer.Seal(nil, nonce, inner.Seal(nil, nonce, plain, aad), aad)) || len(sealed) != len(plain)+both.Overhead() {
			t.Fatalf("sealed to %x", out)
		}
		kept := bytes.Clone(sealed)
		got, err := both.Open(bytes.Clone(prefix), nonce, sealed, aad)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(prefix), plain...)) || !bytes.Equal(sealed, kept) {
			t.Fatalf("opened to %x, %v", got, err)
		}
		if got, err := both.Open(kept[:0], nonce, kept, aad); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("in place: %x, %v", got, err)
		}
		for name, c := range map[string]cipher.AEAD{
			"other inner": aead.Layered(otherInner, outer), "other outer": aead.Layered(inner, otherOuter),
			"inner alone": inner, "outer alone": outer, "reversed": aead.Layered(outer, inner),
		} {
			if got, err := c.Open(nil, nonce, sealed, aad); err == nil && !(name == "outer alone" && !bytes.Equal(got, plain)) {
				t.Fatalf("%s opened it", name)
			}
		}
		bad := bytes.Clone(sealed)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "byte")] ^= 1
		if _, err := both.Open(nil, nonce, bad, aad); err == nil {
			t.Fatal("a flipped bit was not found")
		}
	})
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	for algorithm, overhead := range map[aead.Algorithm]int{aead.AES256GCM: aead.Overhead, aead.ChaCha20Poly1305: aead.Overhead, aead.XChaCha20Poly1305: aead.OverheadX} {
		key := aead.NewKeyFor(algorithm)
		sealed, err := key.Seal([]byte("aad"), []byte("plain"))
		if err != nil || len(sealed) != len("plain")+overhead {
			t.Fatalf("%d: %d bytes, %v", algorithm, len(sealed), err)
		}
		if got, err := key.Open([]byte("aad"), sealed); err != nil || string(got) != "plain" {
			t.Errorf("%d: %q, %v", algorithm, got, err)
		}
		sealed[len(sealed)/2] ^= 1
		if _, err := key.Open([]byte("aad"), sealed); err == nil {
			t.Errorf("%d: a flipped bit was not found", algorithm)
		}
	}
	if _, err := aead.KeyFor(9, make([]byte, aead.KeySize)); err == nil {
		t.Error("an algorithm that is none was taken")
	}
}
