package directory

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/wire"
)

// signInError is a refusal of the sign-in endpoints. There is one constructor
// per AADSTS code, so that code, OAuth error and status never drift apart.
type signInError struct {
	status int
	oauth  string
	code   int
	text   string
}

func (e *signInError) Error() string { return fmt.Sprintf("AADSTS%d: %s", e.code, e.text) }

func errTenantNotFound(tenant string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 90002,
		fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", tenant)}
}

// errDocumentTenant is errTenantNotFound in the word of the discovery documents.
func errDocumentTenant(tenant string) *signInError {
	e := errTenantNotFound(tenant)
	e.oauth = "invalid_tenant"
	return e
}

func errTenantNeeded() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 50059,
		"No tenant-identifying information found in either the request or implied by any provided credentials."}
}

func errParameterMissing(name string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", name)}
}

func errBodyMalformed() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 9002313, "Invalid request. Request is malformed or invalid."}
}

func errMethod(method string) *signInError {
	return &signInError{http.StatusMethodNotAllowed, "invalid_request", 900561, fmt.Sprintf("The endpoint only accepts POST requests. Received a %s request.", method)}
}

func errClientNotFound(clientID, tenant string) *signInError {
	return &signInError{http.StatusBadRequest, "unauthorized_client", 700016,
		fmt.Sprintf("Application with identifier '%s' was not found in the directory '%s'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", clientID, tenant)}
}

func errPrincipalMissing(clientID, tenant string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 7000229,
		fmt.Sprintf("The client application %s is missing service principal in the tenant %s. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119", clientID, tenant)}
}

func errSecretWrong(clientID string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 7000215,
		fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", clientID)}
}

func errSecretExpired(clientID string) *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 7000222, fmt.Sprintf("The provided client secret keys for app '%s' are expired.", clientID)}
}

func errSecretMissing() *signInError {
	return &signInError{http.StatusUnauthorized, "invalid_client", 7000216, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."}
}

func errGrantUnknown(grant string) *signInError {
	return &signInError{http.StatusBadRequest, "unsupported_grant_type", 70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", grant)}
}

func errGrantNotSupported(grant string) *signInError {
	return &signInError{http.StatusBadRequest, "unsupported_grant_type", 70003,
		fmt.Sprintf("The app requested an unsupported grant type '%s'. This directory does not have it.", grant)}
}

func errGrantV2Only(grant string) *signInError {
	return &signInError{http.StatusBadRequest, "unsupported_grant_type", 70003,
		fmt.Sprintf("The app requested an unsupported grant type '%s'. People sign in at the v2.0 endpoint, 'oauth2/v2.0/token'.", grant)}
}

func errEndpointV2Only(name string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 900432, fmt.Sprintf("People sign in at the v2.0 endpoint, 'oauth2/v2.0/%s'.", name)}
}

func errScopeNotDefault(scope string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_scope", 1002012,
		fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", scope)}
}

func errScopeTwoResources(scope string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_request", 28000,
		fmt.Sprintf("Provided value for the input parameter scope is not valid because it contains more than one resource. Scope %s is not valid.", scope)}
}

func errResourceNotFound(resource, tenant string) *signInError {
	return &signInError{http.StatusBadRequest, "invalid_resource", 500011,
		fmt.Sprintf("The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", resource, tenant)}
}

func errInstanceUnknown() *signInError {
	return &signInError{http.StatusBadRequest, "invalid_instance", 50049, "Unknown or invalid instance."}
}

func errNoSuchEndpoint() *signInError {
	return &signInError{http.StatusNotFound, "invalid_request", 900432, "There is no such endpoint."}
}

func errServer() *signInError {
	return &signInError{http.StatusServiceUnavailable, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again."}
}

// signInErrorBody is Entra's error document.
type signInErrorBody struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri"`
}

func (e *signInError) body(now time.Time, info wire.Request) signInErrorBody {
	at := now.UTC().Format("2006-01-02 15:04:05Z")
	return signInErrorBody{
		Error:       e.oauth,
		Description: fmt.Sprintf("%s Trace ID: %s Correlation ID: %s Timestamp: %s", e.Error(), info.ID, info.CorrelationID, at),
		Codes:       []int{e.code}, Timestamp: at, TraceID: info.ID, CorrelationID: info.CorrelationID,
		URI: fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", e.code),
	}
}

// quoted brings caller's text into a message: one line, of bounded length.
func quoted(text string) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
	if runes := []rune(clean); len(runes) > 200 {
		clean = string(runes[:200]) + "…"
	}
	return clean
}
