package vault

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RSA-OAEP of JWA is SHA-1 by definition
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"math/big"

	"github.com/kustos-io/kustos/internal/azerr"
)

// Encryption algorithms of JWA that RSA keys know. Each handles one block.
const (
	algRSA15   = "RSA1_5"
	algOAEP    = "RSA-OAEP"
	algOAEP256 = "RSA-OAEP-256"
)

func badAlgorithm(alg string, k keyKind) error {
	return azerr.BadParameter(fmt.Sprintf("Algorithm '%s' is not supported by a key of type %s.", alg, k.Type), "")
}

func oaepHash(alg string) hash.Hash {
	switch alg {
	case algOAEP:
		return sha1.New() //nolint:gosec // see the import
	case algOAEP256:
		return sha256.New()
	}
	return nil
}

// encrypt is encrypt and wrapKey: one block of at most k-11, k-42 or k-66 bytes.
func encrypt(public crypto.PublicKey, k keyKind, alg string, plaintext []byte) ([]byte, error) {
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, badAlgorithm(alg, k)
	}
	var out []byte
	var err error
	switch h := oaepHash(alg); {
	case h != nil:
		out, err = rsa.EncryptOAEP(h, rand.Reader, key, plaintext, nil)
	case alg == algRSA15:
		//lint:ignore SA1019 clients of the service use RSA1_5
		out, err = rsa.EncryptPKCS1v15(rand.Reader, key, plaintext) //nolint:staticcheck
	default:
		return nil, badAlgorithm(alg, k)
	}
	if errors.Is(err, rsa.ErrMessageTooLong) {
		return nil, azerr.BadParameter("Property 'value' is too long for algorithm '"+alg+"' and the size of the key.", "")
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt with %s: %w", alg, err)
	}
	return out, nil
}

// decrypt is decrypt and unwrapKey. All failures of one algorithm look alike.
func decrypt(private crypto.Signer, k keyKind, alg string, ciphertext []byte) ([]byte, error) {
	key, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, badAlgorithm(alg, k)
	}
	switch h := oaepHash(alg); {
	case h != nil:
		out, err := rsa.DecryptOAEP(h, nil, key, ciphertext, nil)
		if err != nil {
			return nil, azerr.BadParameter("Error occurred while decoding OAEP padding.", "")
		}
		return out, nil
	case alg == algRSA15:
		//lint:ignore SA1019 clients of the service use RSA1_5
		out, err := rsa.DecryptPKCS1v15(nil, key, ciphertext) //nolint:staticcheck
		if err != nil {
			return nil, azerr.BadParameter("The parameter is incorrect.\r\n", "")
		}
		return out, nil
	}
	return nil, badAlgorithm(alg, k)
}

// signature describes a signing algorithm.
type signature struct {
	hash  crypto.Hash // 0: RSNULL, the input is signed as it is
	pss   bool
	curve string // EC only
}

func signatureOf(alg string, k keyKind) (signature, error) {
	rsaAlgs := map[string]signature{
		"RS256": {hash: crypto.SHA256}, "RS384": {hash: crypto.SHA384}, "RS512": {hash: crypto.SHA512},
		"PS256": {hash: crypto.SHA256, pss: true}, "PS384": {hash: crypto.SHA384, pss: true}, "PS512": {hash: crypto.SHA512, pss: true},
		"RSNULL": {},
	}
	ecAlgs := map[string]signature{
		"ES256": {hash: crypto.SHA256, curve: "P-256"}, "ES384": {hash: crypto.SHA384, curve: "P-384"}, "ES512": {hash: crypto.SHA512, curve: "P-521"},
		"ES256K": {hash: crypto.SHA256, curve: curveKoblitz},
	}
	algs := rsaAlgs
	if k.ec() {
		algs = ecAlgs
	}
	sig, ok := algs[alg]
	if !ok || sig.curve != k.Curve {
		return signature{}, badAlgorithm(alg, k)
	}
	return sig, nil
}

func (s signature) checkDigest(digest []byte, k keyKind) error {
	if s.hash == 0 {
		if len(digest) > k.Bits/8-11 {
			return azerr.BadParameter("Property 'value' is too long for the size of the key.", "")
		}
		return nil
	}
	if len(digest) != s.hash.Size() {
		return azerr.BadParameter(fmt.Sprintf("Invalid length of 'value': %d bytes. Correct length for the algorithm is %d bytes.", len(digest), s.hash.Size()), "")
	}
	return nil
}

func (s signature) pssOptions() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash}
}

// sign signs a digest; EC signatures are r||s.
func sign(private crypto.Signer, k keyKind, alg string, digest []byte) ([]byte, error) {
	s, err := signatureOf(alg, k)
	if err != nil {
		return nil, err
	}
	if err := s.checkDigest(digest, k); err != nil {
		return nil, err
	}
	var out []byte
	switch key := private.(type) {
	case *rsa.PrivateKey:
		if s.pss {
			out, err = rsa.SignPSS(rand.Reader, key, s.hash, digest, s.pssOptions())
		} else {
			out, err = rsa.SignPKCS1v15(nil, key, s.hash, digest)
		}
	case *ecdsa.PrivateKey:
		var r, t *big.Int
		if r, t, err = ecdsa.Sign(rand.Reader, key, digest); err == nil {
			size := (key.Params().BitSize + 7) / 8
			out = make([]byte, 2*size)
			r.FillBytes(out[:size])
			t.FillBytes(out[size:])
		}
	case koblitzKey:
		out, err = key.Sign(nil, digest, s.hash)
	}
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", alg, err)
	}
	return out, nil
}

// verify reports whether sig is a signature of the digest.
func verify(public crypto.PublicKey, k keyKind, alg string, digest, sig []byte) (bool, error) {
	s, err := signatureOf(alg, k)
	if err != nil {
		return false, err
	}
	if err := s.checkDigest(digest, k); err != nil {
		return false, err
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		if s.pss {
			return rsa.VerifyPSS(key, s.hash, digest, sig, s.pssOptions()) == nil, nil
		}
		return rsa.VerifyPKCS1v15(key, s.hash, digest, sig) == nil, nil
	case *ecdsa.PublicKey:
		size := (key.Params().BitSize + 7) / 8
		if len(sig) != 2*size {
			return false, nil
		}
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])), nil
	case *koblitzPublic:
		return key.verify(digest, sig), nil
	}
	return false, badAlgorithm(alg, k)
}
