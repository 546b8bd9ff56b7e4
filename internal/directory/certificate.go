package directory

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

const (
	// maxCertificates bounds the certificates of one application.
	maxCertificates = 50
	minRSABits      = 2048
	maxRSABits      = 8192
)

// certificate is a credential of which only the public part is known here.
type certificate struct {
	KeyID       string    `json:"keyId"`
	DisplayName string    `json:"displayName,omitempty"`
	DER         []byte    `json:"der"`
	Start       time.Time `json:"start"`
	End         time.Time `json:"end"`
}

// thumbprint is the SHA-1 of the certificate in upper-case hexadecimal, which
// is how people and Graph name it. It identifies and protects nothing.
func (c certificate) thumbprint() string {
	sum := sha1.Sum(c.DER)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func (c certificate) publicKey() (*rsa.PublicKey, error) {
	parsed, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", c.KeyID, err)
	}
	public, ok := parsed.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("certificate %s is not RSA", c.KeyID)
	}
	return public, nil
}

// named reports whether the assertion's header names this certificate: every
// thumbprint that is there must be its own.
func (c certificate) named(a clientAssertion) bool {
	short, long := sha1.Sum(c.DER), sha256.Sum256(c.DER)
	return (a.sha1 != "" || a.sha256 != "") && (a.sha1 == "" || isThumbprint(a.sha1, short[:])) && (a.sha256 == "" || isThumbprint(a.sha256, long[:]))
}

// isThumbprint compares a header's thumbprint. The standard says base64url;
// MSAL for Go writes ordinary base64 with padding.
func isThumbprint(text string, sum []byte) bool {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	got, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	return err == nil && subtle.ConstantTimeCompare(got, sum) == 1
}

// findCertificate is the certificate that an assertion's header names, valid now.
func findCertificate(app application, a clientAssertion, now time.Time) (certificate, error) {
	name := quoted(a.sha256)
	if a.sha1 != "" {
		name = quoted(a.sha1)
	}
	if name == "" {
		return certificate{}, errAssertionMalformed("its header has neither x5t nor x5t#S256")
	}
	for _, c := range app.Certificates {
		if !c.named(a) {
			continue
		}
		if now.Before(c.Start) || !now.Before(c.End) {
			return certificate{}, errCertificateTime(c.thumbprint(), c.Start, c.End)
		}
		return c, nil
	}
	return certificate{}, errCertificateUnknown(name)
}

// graphKey is a keyCredential; as in Graph, the certificate itself is not given back.
type graphKey struct {
	CustomKeyIdentifier string  `json:"customKeyIdentifier"`
	DisplayName         *string `json:"displayName"`
	EndDateTime         string  `json:"endDateTime"`
	Key                 *string `json:"key"`
	KeyID               string  `json:"keyId"`
	StartDateTime       string  `json:"startDateTime"`
	Type                string  `json:"type"`
	Usage               string  `json:"usage"`
}

func (c certificate) graph() graphKey {
	g := graphKey{CustomKeyIdentifier: c.thumbprint(), EndDateTime: graphTime(c.End), KeyID: c.KeyID, StartDateTime: graphTime(c.Start), Type: certificateType, Usage: "Verify"}
	if c.DisplayName != "" {
		g.DisplayName = &c.DisplayName
	}
	return g
}

const certificateType = "AsymmetricX509Cert"

// certificatesFrom reads a keyCredentials collection, which replaces the old
// one. An entry without a certificate keeps the old one of its keyId: that is
// what a client sends back that has read it.
func certificatesFrom(list []graphBody, old []certificate) ([]certificate, error) {
	if len(list) > maxCertificates {
		return nil, azerr.GraphBadRequest("The application would have more key credentials than it may have.")
	}
	var out []certificate
	for _, entry := range list {
		c, err := certificateFrom(entry, old)
		if err != nil {
			return nil, err
		}
		for _, other := range out {
			if strings.EqualFold(other.KeyID, c.KeyID) {
				return nil, azerr.GraphBadRequest("Two key credentials have the same keyId.")
			}
		}
		out = append(out, c)
	}
	return out, nil
}

func certificateFrom(entry graphBody, old []certificate) (certificate, error) {
	var (
		c                           certificate
		text, typ, usage, odata, id string
	)
	err := errors.Join(entry.take("@odata.type", &odata), entry.take("key", &text), entry.take("type", &typ), entry.take("usage", &usage),
		entry.take("keyId", &c.KeyID), entry.take("displayName", &c.DisplayName), entry.take("startDateTime", &c.Start), entry.take("endDateTime", &c.End),
		entry.take("customKeyIdentifier", &id), entry.finish("keyCredential"))
	if err != nil {
		return certificate{}, err
	}
	switch {
	case typ != "" && typ != certificateType:
		return certificate{}, azerr.GraphNotSupported(fmt.Sprintf("The key credential type '%s'", quoted(typ)))
	case usage != "" && usage != "Verify":
		return certificate{}, azerr.GraphNotSupported(fmt.Sprintf("The key credential usage '%s'", quoted(usage)))
	case c.KeyID != "" && !ids.IsGUID(c.KeyID):
		return certificate{}, azerr.GraphBadRequest("The property 'keyId' of resource 'keyCredential' must be a GUID.")
	case utf8.RuneCountInString(c.DisplayName) > maxDisplayName:
		return certificate{}, azerr.GraphBadRequest("The property 'displayName' of resource 'keyCredential' is longer than 256 characters.")
	}
	if text == "" {
		for _, o := range old {
			if strings.EqualFold(o.KeyID, c.KeyID) {
				return o, nil
			}
		}
		return certificate{}, azerr.GraphBadRequest("A value is required for property 'key' of resource 'keyCredential'.")
	}
	parsed, err := certificateOf(text)
	if err != nil {
		return certificate{}, azerr.GraphBadRequest("Key credential is invalid: " + err.Error() + ".")
	}
	c.DER = parsed.Raw
	if c.KeyID == "" {
		c.KeyID = ids.NewGUID()
	}
	if c.Start.IsZero() {
		c.Start = parsed.NotBefore
	}
	if c.End.IsZero() {
		c.End = parsed.NotAfter
	}
	c.Start, c.End = c.Start.UTC(), c.End.UTC()
	switch {
	case c.End.After(parsed.NotAfter):
		return certificate{}, azerr.GraphBadRequest("Key credential end date is invalid.")
	case !c.End.After(c.Start):
		return certificate{}, azerr.GraphBadRequest("Key credential start date is invalid.")
	}
	return c, nil
}

// certificateOf decodes the base64 of a DER or PEM certificate. The errors
// hold nothing of the text: people paste private keys by mistake.
func certificateOf(text string) (*x509.Certificate, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("it is not base64")
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		block, _ := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("it is not a certificate")
		}
		data = block.Bytes
	}
	parsed, err := x509.ParseCertificate(data)
	if err != nil {
		return nil, errors.New("it is not a certificate")
	}
	public, ok := parsed.PublicKey.(*rsa.PublicKey)
	switch {
	case !ok:
		return nil, errors.New("its key is not RSA")
	case public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits:
		return nil, fmt.Errorf("its key has %d bits and not %d to %d", public.N.BitLen(), minRSABits, maxRSABits)
	}
	return parsed, nil
}
