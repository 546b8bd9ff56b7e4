package vault

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
)

func TestKoblitzStorageForm(t *testing.T) {
	t.Parallel()
	key, err := generateKoblitz()
	if err != nil {
		t.Fatal(err)
	}
	der, err := encodePrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decodePrivate(bytes.Clone(der))
	if err != nil || !bytes.Equal(again.(koblitzKey).key.Serialize(), key.key.Serialize()) {
		t.Fatalf("read back: %v", err)
	}
	for i := range der { // whatever is damaged either fails or is another key; it never panics
		bad := bytes.Clone(der)
		bad[i] ^= 0x40
		if k, err := decodePrivate(bad); err == nil && k == nil {
			t.Errorf("byte %d: no key and no error", i)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		if got := fmt.Sprintf(verb, key); got != redacted {
			t.Errorf("%s prints %q", verb, got)
		}
	}
}

// TestKoblitzBothS: a signature stays valid with the other s, and every other
// change of it does not verify.
func TestKoblitzBothS(t *testing.T) {
	t.Parallel()
	key, err := generateKoblitz()
	if err != nil {
		t.Fatal(err)
	}
	public := key.Public().(*koblitzPublic)
	digest := bytes.Repeat([]byte{7}, koblitzHashLen)
	sig, err := key.Sign(nil, digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	var s secp256k1.ModNScalar
	s.SetByteSlice(sig[32:])
	if s.IsOverHalfOrder() {
		t.Error("the service signs with the larger s")
	}
	other := s.Negate().Bytes()
	high := append(bytes.Clone(sig[:32]), other[:]...)
	if !public.verify(digest, sig) || !public.verify(digest, high) {
		t.Error("a valid s is refused")
	}
	zero := make([]byte, 64)
	over := bytes.Repeat([]byte{0xff}, 64)
	for _, bad := range [][]byte{zero, over, sig[1:], append(sig, 0), append(bytes.Clone(sig[:32]), zero[:32]...)} {
		if public.verify(digest, bad) {
			t.Errorf("verifies: %x", bad)
		}
	}
	if _, err := key.Sign(nil, digest[1:], nil); err == nil {
		t.Error("a short digest is signed")
	}
}

func TestKoblitzImportRange(t *testing.T) {
	t.Parallel()
	order := secp256k1.Params().N.Bytes()
	for _, d := range [][]byte{make([]byte, 32), order, bytes.Repeat([]byte{0xff}, 32), make([]byte, 31)} {
		if _, ok := parseKoblitz(d); ok {
			t.Errorf("taken as a scalar: %x", d)
		}
	}
	f := setup(t)
	f.vault("kv1", nil)
	key, err := generateKoblitz()
	if err != nil {
		t.Fatal(err)
	}
	jwk := jwkText(key)
	a := f.must("PUT", "kv1", "/keys/k", map[string]any{"key": jwk})
	if a.str("key", "crv") != curveKoblitz || strings.Contains(a.text, jwk["d"].(string)) {
		t.Errorf("imported: %s", a.text)
	}
	jwk["x"], jwk["y"] = jwk["y"], jwk["x"]
	f.do("PUT", "kv1", "/keys/bad", map[string]any{"key": jwk}).is(t, 400, "BadParameter", "")
	blob := f.must("POST", "kv1", "/keys/k/backup", nil).str("value")
	f.must("DELETE", "kv1", "/keys/k", nil)
	f.do("DELETE", "kv1", "/deletedkeys/k", nil)
	if f.must("POST", "kv1", "/keys/restore", map[string]string{"value": blob}).str("key", "x") != a.str("key", "x") {
		t.Error("restored with another point")
	}
}
