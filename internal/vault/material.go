package vault

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// keyKind is the type of a key with its size or curve.
type keyKind struct {
	Type  string // RSA, RSA-HSM, EC, EC-HSM
	Bits  int    // RSA: 2048, 3072, 4096
	Curve string // EC: P-256, P-384, P-521, P-256K
}

func (k keyKind) ec() bool { return strings.HasPrefix(k.Type, "EC") }

// hsm tells the -HSM types. There is no such module here: the key is a software
// key, and hsmPlatform "0" says so.
func (k keyKind) hsm() bool { return strings.HasSuffix(k.Type, "-HSM") }

// curveOf is the standard library's curve of that name, nil for P-256K and for
// what is no curve.
func curveOf(name string) elliptic.Curve {
	switch name {
	case "P-256":
		return elliptic.P256()
	case "P-384":
		return elliptic.P384()
	case "P-521":
		return elliptic.P521()
	}
	return nil
}

// parseKind checks kty with size or curve for a vault of the SKU. size 0 and
// curve "" are the defaults.
func parseKind(kty string, size int, curve string, sku SKU) (keyKind, error) {
	known := []string{"RSA", "RSA-HSM", "EC", "EC-HSM"}
	i := slices.IndexFunc(known, func(t string) bool { return strings.EqualFold(t, kty) })
	switch {
	case kty == "":
		return keyKind{}, azerr.BadParameter("Property 'kty' is required.", "")
	case i < 0:
		return keyKind{}, azerr.KeyTypeNotSupported(kty)
	}
	k := keyKind{Type: known[i]}
	if k.hsm() && !sku.Premium() {
		return keyKind{}, azerr.HardwareKeyNotAllowed()
	}
	if k.ec() {
		if curve == "" {
			curve = "P-256"
		}
		if curveOf(curve) == nil && curve != curveKoblitz {
			return keyKind{}, azerr.BadParameter("Unsupported curve '"+curve+"'.", "")
		}
		k.Curve = curve
		return k, nil
	}
	if size == 0 {
		size = 2048
	}
	if !supportedSize(size) {
		return keyKind{}, azerr.BadParameter("Unsupported key size", "")
	}
	k.Bits = size
	return k, nil
}

func supportedSize(bits int) bool { return bits == 2048 || bits == 3072 || bits == 4096 }

// generate makes a private key. It may take seconds, so it must not run inside
// a transaction; ctx only bounds the wait for a free place.
func (s *Service) generate(ctx context.Context, k keyKind) (crypto.Signer, error) {
	select {
	case s.generating <- struct{}{}:
		defer func() { <-s.generating }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to generate a key: %w", ctx.Err())
	}
	if k.Curve == curveKoblitz {
		key, err := generateKoblitz()
		if err != nil {
			return nil, fmt.Errorf("generate %s key: %w", k.Curve, err)
		}
		return key, nil
	}
	if k.ec() {
		key, err := ecdsa.GenerateKey(curveOf(k.Curve), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("generate %s key: %w", k.Curve, err)
		}
		return key, nil
	}
	key, err := rsa.GenerateKey(rand.Reader, k.Bits)
	if err != nil {
		return nil, fmt.Errorf("generate RSA-%d key: %w", k.Bits, err)
	}
	return key, nil
}

// describe fills the public part of a version.
func describe(kv *KeyVersion, public crypto.PublicKey) error {
	switch p := public.(type) {
	case *rsa.PublicKey:
		kv.N, kv.E = p.N.Bytes(), big.NewInt(int64(p.E)).Bytes()
		return nil
	case *ecdsa.PublicKey:
		point, err := p.Bytes() // 4 || X || Y
		if err != nil {
			return fmt.Errorf("encode public key: %w", err)
		}
		half := len(point) / 2
		kv.X, kv.Y = point[1:1+half], point[1+half:]
		return nil
	case *koblitzPublic:
		kv.X, kv.Y = p.coordinates()
		return nil
	}
	return errors.New("unknown kind of public key")
}

// public is the public key of a version.
func (kv *KeyVersion) public() (crypto.PublicKey, error) {
	if kv.Kind.Curve == curveKoblitz {
		key, err := parseKoblitzPublic(kv.X, kv.Y)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		return key, nil
	}
	if kv.Kind.ec() {
		point := append(append([]byte{4}, kv.X...), kv.Y...)
		key, err := ecdsa.ParseUncompressedPublicKey(curveOf(kv.Kind.Curve), point)
		if err != nil {
			return nil, fmt.Errorf("read public key: %w", err)
		}
		return key, nil
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(kv.N), E: int(new(big.Int).SetBytes(kv.E).Int64())}, nil
}

// encodePrivate is the PKCS #8 form that goes into the sealed store.
func encodePrivate(key crypto.Signer) ([]byte, error) {
	if k, ok := key.(koblitzKey); ok {
		return k.encode()
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return der, nil
}

// decodePrivate reads encodePrivate's form and clears it.
func decodePrivate(der []byte) (crypto.Signer, error) {
	defer clear(der)
	if k, ok := decodeKoblitz(der); ok {
		return k, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("stored private key does not parse") // the cause may quote the key
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("stored private key is of an unknown kind")
	}
	return signer, nil
}
