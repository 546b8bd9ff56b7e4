package authz

// TokenErrorKind says which check a bearer token failed.
type TokenErrorKind string

// The kinds, in the order of the checks.
const (
	TokenMissing     TokenErrorKind = "Missing"   // no token at all
	TokenMalformed   TokenErrorKind = "Malformed" // not a JWT of ours by its form: parts, encoding, algorithm, claims
	TokenIssuer      TokenErrorKind = "Issuer"    // another issuer or another tenant
	TokenSignature   TokenErrorKind = "Signature" // unknown key, or the signature does not fit
	TokenAudience    TokenErrorKind = "Audience"
	TokenExpired     TokenErrorKind = "Expired"
	TokenNotYetValid TokenErrorKind = "NotYetValid"
)

// TokenError is why a token verifier turned a caller away. It lives here, not
// with the issuer, so that every plane can answer 401 in its own shape without
// importing the directory. It must never hold the token.
type TokenError struct {
	Kind TokenErrorKind
	// Found and Expected are the two issuers, audiences or times (RFC 3339);
	// several expected audiences are separated by ", ". Empty for other kinds.
	Found    string
	Expected string
}

// Error says what was refused, for the log.
func (e *TokenError) Error() string {
	switch e.Kind {
	case TokenMissing:
		return "no access token"
	case TokenMalformed:
		return "access token is malformed"
	case TokenSignature:
		return "access token is not signed by this tenant"
	case TokenExpired:
		return "access token expired at " + e.Found
	case TokenNotYetValid:
		return "access token is not valid before " + e.Found
	case TokenIssuer:
		return "access token has issuer " + e.Found + ", not " + e.Expected
	default:
		return "access token has audience " + e.Found + ", not " + e.Expected
	}
}
