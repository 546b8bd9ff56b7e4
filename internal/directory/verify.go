package directory

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/kustos-io/kustos/internal/authz"
)

// TokenErrorKind says which check a token failed.
type TokenErrorKind = authz.TokenErrorKind

// The kinds, in the order of the checks.
const (
	Missing     = authz.TokenMissing
	Malformed   = authz.TokenMalformed
	Issuer      = authz.TokenIssuer
	Signature   = authz.TokenSignature
	Audience    = authz.TokenAudience
	Expired     = authz.TokenExpired
	NotYetValid = authz.TokenNotYetValid
)

// TokenError is why a token was refused. It never holds the token.
type TokenError = authz.TokenError

const (
	// maxTokenBytes is far above our own tokens (about 1.5 kB).
	maxTokenBytes = 16 << 10
	// verifySkew is the tolerance for exp and nbf. One clock signs and
	// verifies, so it only has to cover rounding to seconds and its steps.
	verifySkew = 30 * time.Second
)

// Verify checks an access token and returns its holder. The token must be a
// compact JWS of RS256 under a key of this tenant, of this tenant's issuer, for
// one of audiences (compared with and without a final slash), and valid now.
// Any failure is a *TokenError. The token is never logged.
//
// As in Azure, a token stays good until it expires even when its principal is
// deleted meanwhile.
func (d *Directory) Verify(_ context.Context, token string, audiences ...string) (authz.Principal, error) {
	c, err := d.authenticate(token)
	if err != nil {
		return authz.Principal{}, err
	}
	if !audienceMatches(c.Audience, audiences) {
		return authz.Principal{}, &TokenError{Kind: Audience, Found: c.Audience, Expected: strings.Join(audiences, ", ")}
	}
	now := d.now()
	if expires := time.Unix(c.Expires, 0); !now.Before(expires.Add(verifySkew)) {
		return authz.Principal{}, &TokenError{Kind: Expired, Found: expires.UTC().Format(time.RFC3339), Expected: now.UTC().Format(time.RFC3339)}
	}
	if start := time.Unix(c.NotBefore, 0); now.Before(start.Add(-verifySkew)) {
		return authz.Principal{}, &TokenError{Kind: NotYetValid, Found: start.UTC().Format(time.RFC3339), Expected: now.UTC().Format(time.RFC3339)}
	}
	p := authz.Principal{TenantID: c.TenantID, ObjectID: c.ObjectID, AppID: c.AppID, Issuer: c.Issuer, Name: c.AppDisplayName, Identity: c.ManagedIdentity,
		Groups: d.GroupsOf(c.ObjectID)}
	if c.IdentityType == identityTypeUser {
		p.AppID, p.ClientAppID, p.UPN, p.Name = "", c.AppID, c.UPN, c.Name
	}
	return p, nil
}

// authenticate checks form, signature, issuer and tenant.
func (d *Directory) authenticate(token string) (claims, error) {
	if token == "" {
		return claims{}, &TokenError{Kind: Missing}
	}
	ring := d.keys.Load()
	if c, ok := ring.verified.get(token); ok {
		return c, nil
	}
	if !wellFormed(token) {
		return claims{}, &TokenError{Kind: Malformed}
	}
	// The algorithm list is the pin: "none", HS256 and all others fail here.
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(signed.Signatures) != 1 {
		return claims{}, &TokenError{Kind: Malformed}
	}
	public, ok := ring.public[signed.Signatures[0].Protected.KeyID]
	if !ok {
		return claims{}, d.foreign(signed.UnsafePayloadWithoutVerification())
	}
	payload, err := signed.Verify(public)
	if err != nil {
		return claims{}, &TokenError{Kind: Signature}
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil || c.Expires == 0 || c.NotBefore == 0 || c.ObjectID == "" || c.IdentityType == identityTypeUser && c.UPN == "" {
		return claims{}, &TokenError{Kind: Malformed}
	}
	if expected := issuer(d.tenantID); c.Issuer != expected {
		return claims{}, &TokenError{Kind: Issuer, Found: c.Issuer, Expected: expected}
	}
	if c.TenantID != d.tenantID {
		return claims{}, &TokenError{Kind: Issuer, Found: issuer(c.TenantID), Expected: issuer(d.tenantID)}
	}
	ring.verified.put(token, c)
	return c, nil
}

// foreign words the refusal of a token under a key we do not have. Somebody
// who sends a token of another tenant is told so; the claim is not trusted for
// anything else, and quoted only when it has the form of an issuer.
func (d *Directory) foreign(payload []byte) error {
	if tenant := claimedTenant(payload); tenant != "" && tenant != d.tenantID {
		return &TokenError{Kind: Issuer, Found: issuer(tenant), Expected: issuer(d.tenantID)}
	}
	return &TokenError{Kind: Signature}
}

// wellFormed accepts exactly one spelling of each token: three parts of
// unpadded base64url with zero trailing bits. The lenient decoders below would
// take several texts for the same signature.
func wellFormed(token string) bool {
	if len(token) > maxTokenBytes {
		return false
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	strict := base64.RawURLEncoding.Strict()
	for _, part := range parts {
		if part == "" || strings.ContainsAny(part, "\r\n") { // the decoder skips line ends
			return false
		}
		if _, err := strict.DecodeString(part); err != nil {
			return false
		}
	}
	return true
}

func audienceMatches(found string, audiences []string) bool {
	found = strings.TrimSuffix(found, "/")
	if found == "" {
		return false
	}
	for _, a := range audiences {
		if strings.TrimSuffix(a, "/") == found {
			return true
		}
	}
	return false
}
