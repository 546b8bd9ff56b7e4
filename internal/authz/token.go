package authz

import "fmt"

// TokenErrorKind says what is wrong with a bearer token.
type TokenErrorKind string

// The kinds, in the order in which they are checked.
const (
	TokenMissing     TokenErrorKind = "missing"
	TokenMalformed   TokenErrorKind = "malformed"
	TokenSignature   TokenErrorKind = "signature"
	TokenIssuer      TokenErrorKind = "issuer"
	TokenAudience    TokenErrorKind = "audience"
	TokenExpired     TokenErrorKind = "expired"
	TokenNotYetValid TokenErrorKind = "not yet valid"
)

// TokenError is why a token verifier turned a caller away. It lives here, not
// with the issuer, so that a plane can answer 401 in its own shape without
// importing the directory. It must never hold the token.
type TokenError struct {
	Kind TokenErrorKind
	// Found and Expected are the two values that do not agree: audiences,
	// issuers (URLs), or times in RFC 3339. They may be empty.
	Found, Expected string
}

func (e *TokenError) Error() string {
	if e.Found == "" && e.Expected == "" {
		return fmt.Sprintf("token is refused: %s", e.Kind)
	}
	return fmt.Sprintf("token is refused: %s: found %q, expected %q", e.Kind, e.Found, e.Expected)
}
