package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/store"
)

const (
	caBucket   = "server.ca"
	caKey      = "current"
	caLifetime = 10 * 365 * 24 * time.Hour
	// leafLifetime stays under the 397 days that clients accept; leaves live in memory only.
	leafLifetime = 90 * 24 * time.Hour
	backdate     = time.Hour // tolerates a client clock that is a little behind
	leafCacheMax = 4096
)

// CA is the local certificate authority. Its key is in the sealed store; its
// certificate is constrained by name to the served suffixes and loopback, so a
// stolen key cannot speak for any other host.
type CA struct {
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	now    func() time.Time
	mu     sync.Mutex
	leaves map[string]*tls.Certificate
}

type caRecord struct {
	Certificate []byte // DER
	Key         []byte // PKCS#8 DER
}

// OpenCA loads the CA from the store, or makes it at the first start.
func OpenCA(ctx context.Context, st store.Store, now func() time.Time) (*CA, error) {
	var rec caRecord
	err := st.Update(ctx, func(tx store.Tx) error {
		var err error
		rec, err = store.GetJSON[caRecord](tx, caBucket, caKey)
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if rec, err = newCA(now()); err != nil {
			return err
		}
		return store.PutJSON(tx, caBucket, caKey, rec)
	})
	if err != nil {
		return nil, fmt.Errorf("open local ca: %w", err)
	}
	cert, err := x509.ParseCertificate(rec.Certificate)
	if err != nil {
		return nil, fmt.Errorf("parse local ca: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(rec.Key)
	if err != nil {
		return nil, errors.New("parse local ca key: not a PKCS#8 key")
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("parse local ca key: not an ECDSA key")
	}
	return &CA{cert: cert, key: ec, now: now, leaves: map[string]*tls.Certificate{}}, nil
}

func newCA(now time.Time) (caRecord, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return caRecord{}, err
	}
	serial, err := newSerial()
	if err != nil {
		return caRecord{}, err
	}
	tmpl := &x509.Certificate{
		SerialNumber:                serial,
		Subject:                     pkix.Name{CommonName: "Kustos local CA " + serial.Text(16)[:8], Organization: []string{"Kustos"}},
		NotBefore:                   now.Add(-backdate),
		NotAfter:                    now.Add(caLifetime),
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid:       true,
		IsCA:                        true,
		MaxPathLenZero:              true,
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         caConstraints(),
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
			{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		return caRecord{}, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return caRecord{}, err
	}
	return caRecord{Certificate: der, Key: pkcs8}, nil
}

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
}

// PEM is the CA certificate for clients' trust stores.
func (ca *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

// Pool trusts this CA alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Leaf returns a certificate for host (a DNS name or a loopback address),
// minted on first use and cached in memory.
func (ca *CA) Leaf(host string) (*tls.Certificate, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if leaf, ok := ca.leaves[host]; ok && ca.now().Add(24*time.Hour).Before(leaf.Leaf.NotAfter) {
		return leaf, nil
	}
	leaf, err := ca.mint(host)
	if err != nil {
		return nil, fmt.Errorf("mint certificate for %q: %w", host, err)
	}
	if len(ca.leaves) >= leafCacheMax {
		clear(ca.leaves)
	}
	ca.leaves[host] = leaf
	return leaf, nil
}

func (ca *CA) mint(host string) (*tls.Certificate, error) {
	if ca.key == nil {
		return nil, errors.New("the server is sealed")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	now := ca.now()
	tmpl := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: host},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(leafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: parsed}, nil
}
