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
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const signingKeyBits = 2048

// signingKeyRecord is a token signing key as stored. The store's seal is what
// keeps the private part from the disk.
type signingKeyRecord struct {
	// KeyID is the base64url SHA-1 thumbprint of the certificate, as Entra's are.
	KeyID string `json:"keyId"`
	// PKCS8 is the private part; a retired key has none.
	PKCS8       []byte    `json:"pkcs8,omitempty"`
	Certificate []byte    `json:"certificate"`
	Created     time.Time `json:"created"`
	// Retired is when the key ceased to sign; zero for the key that signs.
	Retired time.Time `json:"retired,omitzero"`
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

// keyring is an immutable set of keys: one signs, all verify.
type keyring struct {
	signer  jose.Signer
	signing string    // key id of the key that signs
	created time.Time // of the key that signs
	public  map[string]*rsa.PublicKey
	webKeys []webKey // the newest first
	// expiry is when the first retired key can be deleted; zero when there is none.
	expiry   time.Time
	verified verifiedTokens // under public
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
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b signingKeyRecord) int { return b.Created.Compare(a.Created) })
	ring := &keyring{public: map[string]*rsa.PublicKey{}}
	for _, r := range records {
		certificate, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return nil, fmt.Errorf("signing key %s: %w", r.KeyID, err)
		}
		public, ok := certificate.PublicKey.(*rsa.PublicKey)
		if !ok {
			return nil, fmt.Errorf("signing key %s is not RSA", r.KeyID)
		}
		ring.public[r.KeyID] = public
		b64 := base64.RawURLEncoding.EncodeToString
		ring.webKeys = append(ring.webKeys, webKey{KeyType: "RSA", Use: "sig", KeyID: r.KeyID, Thumbprint: r.KeyID,
			Modulus: b64(public.N.Bytes()), Exponent: b64(big.NewInt(int64(public.E)).Bytes()),
			Chain: []string{base64.StdEncoding.EncodeToString(r.Certificate)}, CloudIssuer: "microsoftonline.com"})
		if !r.Retired.IsZero() {
			if end := r.expiry(); ring.expiry.IsZero() || end.Before(ring.expiry) {
				ring.expiry = end
			}
			continue
		}
		if ring.signer != nil {
			return nil, errors.New("two signing keys in the store")
		}
		if ring.signer, err = newSigner(r); err != nil {
			return nil, err
		}
		ring.signing, ring.created = r.KeyID, r.Created
	}
	if ring.signer == nil {
		return nil, errors.New("no signing key in the store")
	}
	return ring, nil
}

func newSigner(r signingKeyRecord) (jose.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(r.PKCS8)
	if err != nil {
		return nil, fmt.Errorf("signing key %s: not a private key", r.KeyID) // the cause could quote the key
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key %s is not RSA", r.KeyID)
	}
	options := (&jose.SignerOptions{}).WithType("JWT").WithHeader("x5t", r.KeyID)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: r.KeyID}}, options)
	if err != nil {
		return nil, fmt.Errorf("signer of key %s: %w", r.KeyID, err)
	}
	return signer, nil
}
