package directory

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const signingKeyBits = 2048

// signingKeyRecord is a token signing key as stored. The store's seal is what
// keeps the private part from the disk.
type signingKeyRecord struct {
	// KeyID is the base64url SHA-1 thumbprint of the certificate, as Entra's are.
	KeyID       string    `json:"keyId"`
	PKCS8       []byte    `json:"pkcs8"`
	Certificate []byte    `json:"certificate"`
	Created     time.Time `json:"created"`
}

func newSigningKey(now time.Time) (signingKeyRecord, error) {
	private, err := rsa.GenerateKey(rand.Reader, signingKeyBits)
	if err != nil {
		return signingKeyRecord{}, fmt.Errorf("generate signing key: %w", err)
	}
	// Nobody verifies the certificate; clients that read x5c want one to be there.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return signingKeyRecord{}, fmt.Errorf("generate certificate serial: %w", err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "accounts.accesscontrol.windows.net"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(50, 0, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return signingKeyRecord{}, fmt.Errorf("certificate of signing key: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return signingKeyRecord{}, fmt.Errorf("encode signing key: %w", err)
	}
	thumbprint := sha1.Sum(certificate) // an identifier (x5t), not a protection
	return signingKeyRecord{KeyID: base64.RawURLEncoding.EncodeToString(thumbprint[:]), PKCS8: pkcs8, Certificate: certificate, Created: now.UTC()}, nil
}

// keyring is an immutable set of signing keys; the newest signs.
type keyring struct {
	signer  jose.Signer
	public  map[string]*rsa.PublicKey
	webKeys []webKey
}

// webKey is one key of the JWKS document, with Entra's members and order.
type webKey struct {
	KeyType     string   `json:"kty"`
	Use         string   `json:"use"`
	KeyID       string   `json:"kid"`
	Thumbprint  string   `json:"x5t"`
	Modulus     string   `json:"n"`
	Exponent    string   `json:"e"`
	Chain       []string `json:"x5c"`
	CloudIssuer string   `json:"cloud_instance_name"`
	Issuer      string   `json:"issuer,omitempty"`
}

func newKeyring(records []signingKeyRecord) (*keyring, error) {
	if len(records) == 0 {
		return nil, errors.New("no signing key in the store")
	}
	ring := &keyring{public: map[string]*rsa.PublicKey{}}
	newest := records[0]
	var signWith *rsa.PrivateKey
	for _, r := range records {
		parsed, err := x509.ParsePKCS8PrivateKey(r.PKCS8)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: not a private key", r.KeyID) // the cause could quote the key
		}
		private, ok := parsed.(*rsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("signing key %s is not RSA", r.KeyID)
		}
		if signWith == nil || r.Created.After(newest.Created) {
			newest, signWith = r, private
		}
		ring.public[r.KeyID] = &private.PublicKey
		b64 := base64.RawURLEncoding.EncodeToString
		ring.webKeys = append(ring.webKeys, webKey{KeyType: "RSA", Use: "sig", KeyID: r.KeyID, Thumbprint: r.KeyID,
			Modulus: b64(private.N.Bytes()), Exponent: b64(big.NewInt(int64(private.E)).Bytes()),
			Chain: []string{base64.StdEncoding.EncodeToString(r.Certificate)}, CloudIssuer: "microsoftonline.com"})
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t", newest.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: signWith, KeyID: newest.KeyID}}, options)
	if err != nil {
		return nil, fmt.Errorf("signer of key %s: %w", newest.KeyID, err)
	}
	ring.signer = signer
	return ring, nil
}
