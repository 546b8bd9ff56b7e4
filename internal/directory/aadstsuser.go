package directory

import (
	"fmt"
	"net/http"
)

// Refusals of the grants of people.

func errPasswordWrong() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 50126, "Error validating credentials due to invalid username or password."}
}

func errUserDisabled() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 50057, "The user account is disabled."}
}

func errUserLocked() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 50053, "The account is locked, you've tried to sign in too many times with an incorrect user ID or password."}
}

func errClientIsPublic() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 700025, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."}
}

func errClientProofMissing() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
}

func errScopeNarrow(scope string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_scope", 70011,
		fmt.Sprintf("The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope %s is not valid; ask for '{resource}/.default' or '{resource}/user_impersonation'.", scope)}
}

func errRefreshUnknown() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 70000, "Provided grant is invalid or malformed."}
}

func errRefreshExpired() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 700082, "The refresh token has expired due to inactivity."}
}

func errRefreshClient() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 700007, "The refresh token was issued to another client."}
}

func errRefreshRevoked() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 50173, "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password."}
}

func errGrantRevoked() *signInError { return errRefreshRevoked() }

func errDevicePending() *signInError {
	return &signInError{http.StatusBadRequest, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."}
}

func errSlowDown() *signInError {
	return &signInError{http.StatusBadRequest, "slow_down", 70016, "OAuth 2.0 device flow error. The client polls too fast. Wait five seconds longer between two requests."}
}

func errDeviceExpired() *signInError {
	return &signInError{http.StatusBadRequest, "expired_token", 70020, "The provided value for the input parameter 'device_code' is not valid. This device code has expired."}
}

func errDeviceUnknown() *signInError {
	return &signInError{http.StatusBadRequest, "bad_verification_code", 70019, "The provided value for the input parameter 'device_code' is not valid. No such code waits for this client."}
}

func errDeviceDeclined() *signInError {
	return &signInError{http.StatusBadRequest, "authorization_declined", 70018, "The user declined to sign in."}
}

func errBusy() *signInError {
	return &signInError{http.StatusServiceUnavailable, "temporarily_unavailable", 90033, "A transient error has occurred: too many sign-ins are under way. Please try again."}
}

func errCodeUnknown() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 70008, "The provided authorization code or refresh token has expired due to inactivity, or never was. Send a new interactive authorization request for this user and resource."}
}

func errCodeRedeemed() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."}
}

func errCodeVerifier() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request."}
}

func errCodeRedirect() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_grant", 500112, "The reply address does not match the reply address provided when requesting Authorization code."}
}

func errRedirectUnknown(uri, clientID string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_client", 50011,
		fmt.Sprintf("The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application '%s'.", uri, clientID)}
}

func errPKCEMissing() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 9002325, "Proof Key for Code Exchange is required for cross-origin authorization code redemption: send 'code_challenge' with 'code_challenge_method' S256."}
}

func errResponseType(got string) *signInError {
	return &signInError{http.StatusBadRequest, "unsupported_response_type", 700054, fmt.Sprintf("response_type '%s' is not enabled for the application; use 'code'.", got)}
}

func errResponseMode(got string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 90013, fmt.Sprintf("Invalid input received from the user: the response_mode '%s' is not supported.", got)}
}

func errLoginRequired() *signInError {
	return &signInError{http.StatusBadRequest, "login_required", 50058, "A silent sign-in request was sent but no user is signed in."}
}

func errSignInDeclined() *signInError {
	return &signInError{http.StatusBadRequest, "access_denied", 65004, "User declined to consent to access the app."}
}

func errPageOver() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 50133, "The sign-in page is too old, or does not belong to this browser. Begin again."}
}
