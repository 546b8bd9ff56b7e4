package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"math/big"

	"github.com/kustos-io/kustos/internal/azerr"
)

// jsonWebKey is a key as a client imports it. Members are raw bytes; it prints
// as REDACTED whatever the verb.
type jsonWebKey struct {
	Kty, Crv               string
	Ops                    []string
	N, E, D, P, Q          []byte
	DP, DQ, QI, X, Y, K, T []byte
}

// Format and LogValue keep private members out of logs and errors.
func (jsonWebKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is Format for structured logs.
func (jsonWebKey) LogValue() slog.Value { return slog.StringValue(redacted) }

const redacted = "REDACTED"

// wipe clears the private members.
func (j *jsonWebKey) wipe() {
	for _, b := range [][]byte{j.D, j.P, j.Q, j.DP, j.DQ, j.QI, j.K, j.T} {
		clear(b)
	}
}

// private checks the key in full and returns it. Every refusal is a
// BadParameter that names no private member's value.
func (j *jsonWebKey) private(hsm bool, sku SKU) (keyKind, crypto.Signer, error) {
	kty := j.Kty
	if hsm && (kty == "RSA" || kty == "EC") {
		kty += "-HSM"
	}
	if len(j.T) > 0 {
		return keyKind{}, nil, azerr.BadParameter("Import of a key that an HSM has wrapped (key_hsm) is not offered by this server.", "")
	}
	bits := new(big.Int).SetBytes(j.N).BitLen()
	kind, err := parseKind(kty, max(bits, 1), j.Crv, sku)
	if err != nil {
		return keyKind{}, nil, err
	}
	if kind.ec() {
		key, err := j.ec(kind)
		return kind, key, err
	}
	key, err := j.rsa()
	return kind, key, err
}

func badImport(why string) error {
	return azerr.BadParameter("The key cannot be imported: "+why, "")
}

func (j *jsonWebKey) rsa() (crypto.Signer, error) {
	for _, m := range []struct {
		name  string
		value []byte
	}{{"n", j.N}, {"e", j.E}, {"d", j.D}, {"p", j.P}, {"q", j.Q}} {
		if len(m.value) == 0 {
			return nil, badImport("the member '" + m.name + "' is missing.")
		}
	}
	e := new(big.Int).SetBytes(j.E)
	if !e.IsInt64() || e.Int64() < 3 || e.Int64() > 1<<31-1 || e.Bit(0) == 0 {
		return nil, badImport("the public exponent is not usable.")
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).SetBytes(j.N), E: int(e.Int64())},
		D:         new(big.Int).SetBytes(j.D),
		Primes:    []*big.Int{new(big.Int).SetBytes(j.P), new(big.Int).SetBytes(j.Q)},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, badImport("its members do not belong together.")
	}
	for _, m := range []struct {
		given []byte
		want  *big.Int
	}{{j.DP, key.Precomputed.Dp}, {j.DQ, key.Precomputed.Dq}, {j.QI, key.Precomputed.Qinv}} {
		if len(m.given) > 0 && (m.want == nil || new(big.Int).SetBytes(m.given).Cmp(m.want) != 0) {
			return nil, badImport("its members do not belong together.")
		}
	}
	return key, nil
}

func (j *jsonWebKey) ec(kind keyKind) (crypto.Signer, error) {
	size := koblitzSize
	if curve := curveOf(kind.Curve); curve != nil {
		size = (curve.Params().BitSize + 7) / 8
	}
	d, ok := fit(j.D, size)
	if !ok || len(j.D) == 0 {
		return nil, badImport("the member 'd' is missing or too long.")
	}
	defer clear(d)
	key, ok := parseScalar(kind, d)
	if !ok {
		return nil, badImport("the member 'd' is out of range.")
	}
	var have KeyVersion
	if err := describe(&have, key.Public()); err != nil {
		return nil, err
	}
	x, okX := fit(j.X, size)
	y, okY := fit(j.Y, size)
	if !okX || !okY || subtle.ConstantTimeCompare(x, have.X)&subtle.ConstantTimeCompare(y, have.Y) != 1 {
		return nil, badImport("its members do not belong together.")
	}
	return key, nil
}

// parseScalar makes a private key of d; false when it is out of range.
func parseScalar(kind keyKind, d []byte) (crypto.Signer, bool) {
	if kind.Curve == curveKoblitz {
		return parseKoblitz(d)
	}
	key, err := ecdsa.ParseRawPrivateKey(curveOf(kind.Curve), d)
	return key, err == nil
}

// fit pads b with leading zeroes to size, or drops leading zeroes; false when
// the number is longer.
func fit(b []byte, size int) ([]byte, bool) {
	for len(b) > size && b[0] == 0 {
		b = b[1:]
	}
	if len(b) > size {
		return nil, false
	}
	out := make([]byte, size)
	copy(out[size-len(b):], b)
	return out, true
}
