package directory

import (
	"fmt"
	"net/http"
	"time"
)

// Refusals of client assertions.

func errAssertionType(got string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 50027,
		fmt.Sprintf("The client_assertion_type '%s' is not supported; it must be '%s'.", got, assertionTypeJWT)}
}

func errAssertionMalformed(why string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 50027, "JWT token is invalid or malformed: " + why + "."}
}

func errCertificateUnknown(thumbprint string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700027,
		fmt.Sprintf("The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s'].", thumbprint)}
}

func errCertificateTime(thumbprint string, start, end time.Time) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700027,
		fmt.Sprintf("The certificate with identifier used to sign the client assertion is expired or not yet valid on application. [Reason - The key was expired., Thumbprint of key used by client: '%s', Found key 'Start=%s, End=%s'].",
			thumbprint, start.UTC().Format(signInTime), end.UTC().Format(signInTime))}
}

func errAssertionSignature(thumbprint string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700027,
		fmt.Sprintf("Client assertion failed signature validation. [Reason - The provided signature value did not match the expected signature value., Thumbprint of key used by client: '%s'].", thumbprint)}
}

func errAssertionSubject() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700021, "Client assertion application identifier doesn't match 'client_id' parameter."}
}

func errAssertionAudience() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials."}
}

// signInTime is how times stand in the texts of the sign-in endpoints.
const signInTime = "2006-01-02T15:04:05.0000000Z"

func errAssertionTime(now, start, end time.Time) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700024,
		fmt.Sprintf("Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry time of assertion %s.",
			now.UTC().Format(signInTime), start.UTC().Format(signInTime), end.UTC().Format(signInTime))}
}

func errAssertionTooLong() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700024,
		fmt.Sprintf("Client assertion is not within its valid time range. It may be valid for %d hours at most.", int(maxAssertionLifetime/time.Hour))}
}

func errAssertionReplayed() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 50027, "JWT token is invalid or malformed: its jti came before in another assertion."}
}

func errFederatedIssuer(issuer string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700211, fmt.Sprintf("No matching federated identity record found for presented assertion issuer '%s'.", issuer)}
}

func errFederatedSignature() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 50013, "Assertion failed signature validation. [Reason - The key was not found, or the signature does not match.]"}
}

func errFederatedSubject(subject string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700213, fmt.Sprintf("No matching federated identity record found for presented assertion subject '%s'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.", subject)}
}

func errFederatedAudience() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700212, "No matching federated identity record found for presented assertion audience. Check your federated identity credential Subject, Audience and Issuer against the presented assertion."}
}
