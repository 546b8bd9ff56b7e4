package azerr

import (
	"fmt"
	"net/http"
)

// The 401s of ARM. Each carries WWW-Authenticate with the authority of tenant,
// from which clients learn where to get a token.

// AuthenticationFailed: the request has no bearer token.
func AuthenticationFailed(tenant string) *Error {
	return unauthorized(tenant, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
}

// InvalidAuthenticationToken: the token does not parse, its signature is not
// ours, or it is not valid yet.
func InvalidAuthenticationToken(tenant string) *Error {
	return unauthorized(tenant, "InvalidAuthenticationToken", "The access token is invalid.")
}

// ExpiredAuthenticationToken: expired and now are printed as given.
func ExpiredAuthenticationToken(tenant, expired, now string) *Error {
	return unauthorized(tenant, "ExpiredAuthenticationToken", fmt.Sprintf("The access token expiry UTC time '%s' is earlier than current UTC time '%s'.", expired, now))
}

// InvalidAuthenticationTokenTenant: the token is of another tenant.
func InvalidAuthenticationTokenTenant(tenant, issuer string) *Error {
	return unauthorized(tenant, "InvalidAuthenticationTokenTenant", fmt.Sprintf("The access token is from the wrong issuer '%s'. It must match the tenant 'https://sts.windows.net/%s/' associated with this subscription. Please use the authority (URL) '%s' to get the token.", issuer, tenant, authority(tenant)))
}

// InvalidAuthenticationTokenAudience: the token is for another service.
func InvalidAuthenticationTokenAudience(tenant, audience, allowed string) *Error {
	return unauthorized(tenant, "InvalidAuthenticationTokenAudience", fmt.Sprintf("The access token has been obtained for wrong audience or resource '%s'. It should exactly match with one of the allowed audiences %s.", audience, allowed))
}

func authority(tenant string) string { return "https://login.microsoftonline.com/" + tenant }

func unauthorized(tenant, code, message string) *Error {
	challenge := fmt.Sprintf(`Bearer authorization_uri="%s", error="invalid_token", error_description="%s"`, authority(tenant), challengeText(message))
	return &Error{Status: http.StatusUnauthorized, Code: code, Message: message, Header: http.Header{"Www-Authenticate": {challenge}}}
}

// challengeText keeps a quoted string of the header whole: what a token said
// (its audience, its issuer) is part of the message.
func challengeText(message string) string {
	out := make([]rune, 0, len(message))
	for _, r := range message {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\'')
		case r < ' ' || r > '~':
			out = append(out, ' ')
		default:
			out = append(out, r)
		}
	}
	return string(out)
}
