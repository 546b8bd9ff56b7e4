package directory

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/kustos-io/kustos/internal/store"
)

// assertionAlgorithms are what a client may sign with; "none" and the keyed
// hashes cannot come in.
func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
}

// maxAssertionLifetime bounds how long a used jti must be remembered. Client
// libraries sign for ten minutes.
const maxAssertionLifetime = 24 * time.Hour

// clientAssertion is a JWT that a client signed, or that another issuer signed
// for it; nothing of it is verified yet.
type clientAssertion struct {
	signed *jose.JSONWebSignature
	// keyID, sha1 and sha256 are the header's kid, x5t and x5t#S256.
	keyID, sha1, sha256 string
	claims              assertionClaims
}

type assertionClaims struct {
	Issuer    string      `json:"iss"`
	Subject   string      `json:"sub"`
	Audience  oneOrMany   `json:"aud"`
	Expires   numericDate `json:"exp"`
	NotBefore numericDate `json:"nbf"`
	IssuedAt  numericDate `json:"iat"`
	ID        string      `json:"jti"`
}

// oneOrMany is a JWT audience: one text or a list.
type oneOrMany []string

// UnmarshalJSON reads both forms.
func (o *oneOrMany) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*o = oneOrMany{text}
		return nil
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return errors.New("neither a text nor a list")
	}
	*o = list
	return nil
}

// numericDate is a JWT time in seconds, zero when absent. MSAL for Python
// writes it with a fraction.
type numericDate struct{ time.Time }

// UnmarshalJSON reads a number of seconds.
func (n *numericDate) UnmarshalJSON(data []byte) error {
	var seconds float64
	if err := json.Unmarshal(data, &seconds); err != nil || seconds < 0 || seconds > 1<<40 {
		return errors.New("not a time")
	}
	whole, fraction := math.Modf(seconds)
	n.Time = time.Unix(int64(whole), int64(fraction*1e9)).UTC()
	return nil
}

// parseAssertion reads the form and verifies nothing.
func parseAssertion(text string) (clientAssertion, error) {
	if !wellFormed(text) {
		return clientAssertion{}, errAssertionMalformed("it is not a compact JWS")
	}
	signed, err := jose.ParseSignedCompact(text, assertionAlgorithms())
	if err != nil || len(signed.Signatures) != 1 {
		return clientAssertion{}, errAssertionMalformed("it is not a JWS of RS256 or PS256")
	}
	header := signed.Signatures[0].Protected
	a := clientAssertion{signed: signed, keyID: header.KeyID}
	a.sha1, _ = header.ExtraHeaders["x5t"].(string)
	a.sha256, _ = header.ExtraHeaders["x5t#S256"].(string)
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &a.claims); err != nil {
		return clientAssertion{}, errAssertionMalformed("its claims cannot be read")
	}
	return a, nil
}

// verifiedBy reports whether the signature is public's.
func (a clientAssertion) verifiedBy(public *rsa.PublicKey) bool {
	_, err := a.signed.Verify(public)
	return err == nil
}

// checkTime accepts an assertion that is valid now and not for longer than
// maxAssertionLifetime.
func (a clientAssertion) checkTime(now time.Time) error {
	c := a.claims
	switch {
	case c.Expires.IsZero():
		return errAssertionMalformed("it has no exp claim")
	case !now.Before(c.Expires.Add(verifySkew)),
		!c.NotBefore.IsZero() && now.Before(c.NotBefore.Add(-clockSkew)),
		!c.IssuedAt.IsZero() && now.Before(c.IssuedAt.Add(-clockSkew)):
		return errAssertionTime(now, c.NotBefore.Time, c.Expires.Time)
	}
	return nil
}

// assertionUse is what is remembered of a client's own assertion.
type assertionUse struct {
	// key is made of the client and the jti, so that neither stands in the store.
	key  string
	Hash []byte    `json:"hash"` // of the whole assertion
	End  time.Time `json:"end"`
}

// checkAssertion verifies an assertion for app: signed with a certificate of
// it, or, when the issuer is not the client itself, one that a federated
// credential of it admits.
func (d *Directory) checkAssertion(app application, text Secret) (*assertionUse, error) {
	a, err := parseAssertion(text.Reveal())
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(a.claims.Issuer, app.AppID) {
		return nil, d.checkFederated(app, a)
	}
	if err := d.checkCertificateAssertion(app, a); err != nil {
		return nil, err
	}
	id := sha256.Sum256([]byte(app.AppID + "\x00" + a.claims.ID))
	hash := sha256.Sum256([]byte(text.Reveal()))
	return &assertionUse{key: hex.EncodeToString(id[:]), Hash: hash[:], End: a.claims.Expires.Add(verifySkew)}, nil
}

func (d *Directory) checkCertificateAssertion(app application, a clientAssertion) error {
	now := d.now()
	cert, err := findCertificate(app, a, now)
	if err != nil {
		return err
	}
	public, err := cert.publicKey()
	if err != nil {
		return err
	}
	if !a.verifiedBy(public) {
		return errAssertionSignature(quoted(cert.thumbprint()))
	}
	// What follows is said to somebody who holds the key.
	c := a.claims
	switch {
	case !strings.EqualFold(c.Subject, app.AppID):
		return errAssertionSubject()
	case len(c.Audience) != 1 || !d.isTokenEndpoint(c.Audience[0]):
		return errAssertionAudience()
	case c.ID == "" || len(c.ID) > 256:
		return errAssertionMalformed("it has no jti claim, or a very long one")
	}
	if err := a.checkTime(now); err != nil {
		return err
	}
	if c.Expires.Sub(now) > maxAssertionLifetime {
		return errAssertionTooLong()
	}
	return nil
}

// isTokenEndpoint accepts what a client may take for the name of this tenant's
// token service: a token endpoint on one of our hosts, or the issuer.
func (d *Directory) isTokenEndpoint(audience string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(audience), "https://")
	if !ok {
		return false
	}
	host, path, _ := strings.Cut(rest, "/")
	tenant, path, _ := strings.Cut(path, "/")
	return slices.Contains(loginAliases(), host) && d.checkTenant(tenant, false) == nil &&
		slices.Contains([]string{"oauth2/v2.0/token", "oauth2/token", "v2.0", ""}, path)
}

// remember refuses an assertion whose jti came before in another assertion.
// The very same one may come again within its lifetime: client libraries keep
// it and use it for every token of some ten minutes.
func (d *Directory) remember(ctx context.Context, use *assertionUse) error {
	if use == nil {
		return nil
	}
	seen := func(tx store.Tx) (bool, error) {
		old, err := store.GetJSON[assertionUse](tx, bucketAssertions, use.key)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		case !slices.Equal(old.Hash, use.Hash) && d.now().Before(old.End):
			return false, errAssertionReplayed()
		}
		return slices.Equal(old.Hash, use.Hash), nil
	}
	known := false
	err := d.store.View(ctx, func(tx store.Tx) (err error) {
		known, err = seen(tx)
		return err
	})
	if err != nil || known {
		return err
	}
	return d.store.Update(ctx, func(tx store.Tx) error {
		if known, err := seen(tx); err != nil || known {
			return err
		}
		return store.PutJSON(tx, bucketAssertions, use.key, *use)
	})
}

// forgetAssertions removes what is remembered of assertions that are over.
func (d *Directory) forgetAssertions(ctx context.Context) error {
	return d.forget(ctx, bucketAssertions, func(value []byte) (bool, error) {
		var use assertionUse
		err := json.Unmarshal(value, &use)
		return !d.now().Before(use.End), err
	})
}

// forget deletes the records of a bucket that over says are over.
func (d *Directory) forget(ctx context.Context, bucket string, over func(value []byte) (bool, error)) error {
	find := func(tx store.Tx) (keys []string, err error) {
		for e, err := range tx.Scan(bucket, "", "") {
			if err != nil {
				return nil, err
			}
			done, err := over(e.Value)
			if err != nil {
				return nil, fmt.Errorf("decode %s/%s: %w", bucket, e.Key, err)
			}
			if done {
				keys = append(keys, e.Key)
			}
		}
		return keys, nil
	}
	var keys []string
	err := d.store.View(ctx, func(tx store.Tx) (err error) {
		keys, err = find(tx)
		return err
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	return d.store.Update(ctx, func(tx store.Tx) error {
		keys, err := find(tx)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if err := tx.Delete(bucket, k); err != nil {
				return err
			}
		}
		return nil
	})
}
