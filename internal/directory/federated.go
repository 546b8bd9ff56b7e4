package directory

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// exchangeAudience is what a token for a federated credential names.
const exchangeAudience = "api://AzureADTokenExchange"

const (
	maxFederated   = 20       // Graph's limit for one application
	maxKeySetBytes = 32 << 10 // of an issuer
	maxKeySetKeys  = 32
)

// federated is a federated identity credential: whose tokens an application
// may show instead of a secret.
type federated struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	Audiences   []string `json:"audiences"`
	Description string   `json:"description,omitempty"`
	// KeySet is the issuer's JWKS when the issuer is no tenant of this server. It
	// was given with the credential: nothing is ever fetched.
	KeySet json.RawMessage `json:"keySet,omitempty"`
}

// issuer2 is the issuer of v2.0 tokens.
func issuer2(tenantID string) string { return "https://" + loginHost + "/" + tenantID + "/v2.0" }

// parseKeySet reads a JWKS of public RSA keys, each with its own kid.
func parseKeySet(data []byte) (map[string]*rsa.PublicKey, error) {
	if len(data) > maxKeySetBytes {
		return nil, fmt.Errorf("it is longer than %d bytes", maxKeySetBytes)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil || len(set.Keys) == 0 || len(set.Keys) > maxKeySetKeys {
		return nil, fmt.Errorf("it is not an object with 1 to %d 'keys'", maxKeySetKeys)
	}
	out := map[string]*rsa.PublicKey{}
	for _, raw := range set.Keys {
		var jwk jose.JSONWebKey
		if err := jwk.UnmarshalJSON(raw); err != nil {
			return nil, errors.New("one of its keys cannot be read") // the cause could quote it
		}
		public, ok := jwk.Key.(*rsa.PublicKey)
		switch {
		case !ok:
			return nil, errors.New("one of its keys is not a public RSA key")
		case public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits:
			return nil, fmt.Errorf("one of its keys has %d bits and not %d to %d", public.N.BitLen(), minRSABits, maxRSABits)
		case jwk.KeyID == "" || out[jwk.KeyID] != nil:
			return nil, errors.New("one of its keys has no 'kid' of its own")
		}
		out[jwk.KeyID] = public
	}
	return out, nil
}

// issuerKeys are the keys of the issuer of f; none when it was a tenant of this
// server that is gone.
func (d *Directory) issuerKeys(f federated) (map[string]*rsa.PublicKey, error) {
	if keys, ok := d.issuedHere(f.Issuer); ok {
		return keys, nil
	}
	if f.KeySet == nil {
		return nil, nil
	}
	return parseKeySet(f.KeySet)
}

// checkFederated accepts a token that one of the application's federated
// credentials admits: by issuer, then signature, then subject and audience,
// all compared exactly.
func (d *Directory) checkFederated(app application, a clientAssertion) error {
	c := a.claims
	known, verified, subject := false, false, false
	for _, f := range app.Federated {
		if f.Issuer != c.Issuer {
			continue
		}
		known = true
		keys, err := d.issuerKeys(f)
		if err != nil {
			return fmt.Errorf("key set of federated credential %s: %w", f.ID, err)
		}
		if public := keys[a.keyID]; public == nil || !a.verifiedBy(public) {
			continue
		}
		verified = true
		if f.Subject != c.Subject {
			continue
		}
		subject = true
		if slices.ContainsFunc(c.Audience, func(aud string) bool { return slices.Contains(f.Audiences, aud) }) {
			return a.checkTime(d.now())
		}
	}
	switch {
	case !known:
		return errFederatedIssuer(quoted(c.Issuer))
	case !verified:
		return errFederatedSignature()
	case !subject:
		return errFederatedSubject(quoted(c.Subject))
	default:
		return errFederatedAudience()
	}
}

// isNull reports whether raw is absent or JSON's null.
func isNull(raw json.RawMessage) bool {
	trimmed := bytes.TrimSpace(raw)
	return len(trimmed) == 0 || string(trimmed) == "null"
}
