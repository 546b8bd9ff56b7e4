package vault

import (
	"crypto"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// curveKoblitz is secp256k1 as the service and JWA-registered ES256K call it.
// The standard library has no such curve; the one used here computes public
// keys and signatures with scalar multiplications that are not advertised as
// constant-time (docs/threat-model.md).
const curveKoblitz = "P-256K"

const (
	koblitzSize    = 32
	koblitzHashLen = 32
)

// koblitzPublic is a public key on P-256K.
type koblitzPublic struct{ point *secp256k1.PublicKey }

// koblitzKey is a private key on P-256K. It prints as REDACTED.
type koblitzKey struct{ key *secp256k1.PrivateKey }

var _ crypto.Signer = koblitzKey{}

// Format keeps the scalar out of logs and errors.
func (koblitzKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is Format for structured logs.
func (koblitzKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// Public is a *koblitzPublic.
func (k koblitzKey) Public() crypto.PublicKey { return &koblitzPublic{k.key.PubKey()} }

// Sign signs a digest of 32 bytes: r||s with the nonce of RFC 6979 and the
// smaller of the two possible s. Any verifier takes both; some take only this.
func (k koblitzKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	if len(digest) != koblitzHashLen {
		return nil, fmt.Errorf("digest has %d bytes, want %d", len(digest), koblitzHashLen)
	}
	sig := ecdsa.Sign(k.key, digest)
	r, s := sig.R(), sig.S()
	rb, sb := r.Bytes(), s.Bytes()
	return append(rb[:], sb[:]...), nil
}

// verify takes r||s with either s.
func (p *koblitzPublic) verify(digest, sig []byte) bool {
	if len(sig) != 2*koblitzSize || len(digest) != koblitzHashLen {
		return false
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(sig[:koblitzSize]) || s.SetByteSlice(sig[koblitzSize:]) || r.IsZero() || s.IsZero() {
		return false
	}
	return ecdsa.NewSignature(&r, &s).Verify(digest, p.point)
}

// coordinates are X and Y in the length of the curve.
func (p *koblitzPublic) coordinates() (x, y []byte) {
	point := p.point.SerializeUncompressed() // 4 || X || Y
	return point[1 : 1+koblitzSize], point[1+koblitzSize:]
}

func parseKoblitzPublic(x, y []byte) (*koblitzPublic, error) {
	if len(x) != koblitzSize || len(y) != koblitzSize {
		return nil, errors.New("coordinate has the wrong length")
	}
	point, err := secp256k1.ParsePubKey(append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, fmt.Errorf("point: %w", err)
	}
	return &koblitzPublic{point}, nil
}

func generateKoblitz() (koblitzKey, error) {
	key, err := secp256k1.GeneratePrivateKeyFromRand(rand.Reader)
	if err != nil {
		return koblitzKey{}, err
	}
	return koblitzKey{key}, nil
}

// parseKoblitz reads a scalar; false when it is zero or not below the order.
func parseKoblitz(d []byte) (koblitzKey, bool) {
	var s secp256k1.ModNScalar
	defer s.Zero()
	if len(d) != koblitzSize || s.SetByteSlice(d) || s.IsZero() {
		return koblitzKey{}, false
	}
	return koblitzKey{secp256k1.NewPrivateKey(&s)}, true
}

// pkcs8Koblitz is PKCS #8 around the ECPrivateKey of RFC 5915. The standard
// library reads and writes the same for its own curves.
type pkcs8Koblitz struct {
	Version   int
	Algorithm struct{ Key, Curve asn1.ObjectIdentifier }
	Private   []byte
}

type rfc5915 struct {
	Version int
	Private []byte
}

func oidEC() asn1.ObjectIdentifier      { return asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1} }
func oidKoblitz() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 132, 0, 10} }

// encode is the form that goes into the sealed store.
func (k koblitzKey) encode() ([]byte, error) {
	d := k.key.Serialize()
	defer clear(d)
	inner, err := asn1.Marshal(rfc5915{1, d})
	if err != nil {
		return nil, errors.New("encode private key") // the cause may quote the key
	}
	defer clear(inner)
	out := pkcs8Koblitz{Private: inner}
	out.Algorithm.Key, out.Algorithm.Curve = oidEC(), oidKoblitz()
	return asn1.Marshal(out)
}

// decodeKoblitz reads encode's form; false when der is something else.
func decodeKoblitz(der []byte) (koblitzKey, bool) {
	var outer pkcs8Koblitz
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 || !outer.Algorithm.Curve.Equal(oidKoblitz()) {
		return koblitzKey{}, false
	}
	defer clear(outer.Private)
	var inner rfc5915
	if rest, err := asn1.Unmarshal(outer.Private, &inner); err != nil || len(rest) > 0 {
		return koblitzKey{}, false
	}
	defer clear(inner.Private)
	return parseKoblitz(inner.Private)
}
