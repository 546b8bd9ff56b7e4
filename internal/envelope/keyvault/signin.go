package keyvault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/kustos-io/kustos/internal/envelope"
)

const (
	// exchangeAudience is what an identity's token names when an application
	// shows it instead of a secret.
	exchangeAudience = "api://AzureADTokenExchange"
	signInHost       = "https://login.microsoftonline.com/"
	assertionType    = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// signInPipeline sends token requests: through the same connections as the
// requests to vaults, but never with what those carry. The libraries that sign
// in keep tokens, read the environment and look tenants up; this does not.
func (v *Vaults) signInPipeline() runtime.Pipeline {
	return runtime.NewPipeline("kustos", "", runtime.PipelineOptions{}, &policy.ClientOptions{
		Transport: answers{v.client},
		Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second, TryTimeout: v.timeout / 2},
		Telemetry: policy.TelemetryOptions{ApplicationID: "kustos"},
	})
}

// federatedCredential is an application that trusts a cluster's identity, in
// the tenant of the vault. Nothing of a sign-in is kept: each request to the
// vault is preceded by a new one, so that a link that was taken away, in either
// tenant, is noticed by the next probe.
type federatedCredential struct {
	tokens   Tokens
	identity envelope.Identity
	pipeline runtime.Pipeline
}

// GetToken signs in for the vaults' resource. Errors: challengeError,
// signInRefusal when the tenant refuses, tokenError otherwise.
func (c *federatedCredential) GetToken(ctx context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if c.identity.VaultTenantID == "" {
		return azcore.AccessToken{}, &tokenError{errors.New("the tenant of the vault is not known")}
	}
	if err := admitChallenge(o, c.identity.VaultTenantID); err != nil {
		return azcore.AccessToken{}, err
	}
	assertion, _, err := c.tokens.IdentityToken(ctx, c.identity.ObjectID, exchangeAudience)
	if err != nil {
		return azcore.AccessToken{}, &tokenError{err}
	}
	token, err := c.exchange(ctx, assertion)
	if err != nil {
		var refused *signInRefusal
		if errors.As(err, &refused) {
			return azcore.AccessToken{}, refused
		}
		return azcore.AccessToken{}, &tokenError{err}
	}
	return azcore.AccessToken{Token: token}, nil // expired at once, as that of credential
}

// exchange shows the assertion to the vault's tenant.
func (c *federatedCredential) exchange(ctx context.Context, assertion string) (token string, err error) {
	req, err := runtime.NewRequest(ctx, http.MethodPost, signInHost+url.PathEscape(c.identity.VaultTenantID)+"/oauth2/v2.0/token")
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.identity.FederatedClientID}, "scope": {Resource + "/.default"},
		"client_assertion_type": {assertionType}, "client_assertion": {assertion}}.Encode()
	if err := req.SetBody(streaming.NopCloser(strings.NewReader(form)), "application/x-www-form-urlencoded"); err != nil {
		return "", err
	}
	res, err := c.pipeline.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	var body struct {
		Token       string `json:"access_token"`
		Codes       []int  `json:"error_codes"`
		Description string `json:"error_description"`
	}
	err = json.Unmarshal(data, &body)
	switch {
	case res.StatusCode == http.StatusOK && err == nil && body.Token != "":
		return body.Token, nil
	case err == nil && slices.Contains([]int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, res.StatusCode) && len(body.Codes) > 0 && !slices.Contains(body.Codes, outsideTime):
		return "", &signInRefusal{c.identity, firstSentence(body.Description, body.Codes[0])}
	}
	// No vault's answer: a *azcore.ResponseError would be read as one.
	return "", fmt.Errorf("the sign-in of tenant %s answered %d", c.identity.VaultTenantID, res.StatusCode)
}

// outsideTime says that the assertion is expired or not yet valid: it was
// signed a moment ago, so a clock is off, and nobody took anything away.
const outsideTime = 700024

// firstSentence is what a refusal says, without the ids of the request.
func firstSentence(description string, code int) string {
	text, _, found := strings.Cut(description, ". ")
	if !found || !strings.HasPrefix(text, "AADSTS") || len(text) > 300 {
		return fmt.Sprintf("AADSTS%d", code)
	}
	return text
}

// signInRefusal is the definite refusal of the vault's tenant to let the
// application in.
type signInRefusal struct {
	identity envelope.Identity
	why      string
}

func (e *signInRefusal) Error() string {
	return "tenant " + e.identity.VaultTenantID + " does not let application " + e.identity.FederatedClientID + " sign in: " + e.why
}

// NonRetriable keeps the SDK from asking again.
func (*signInRefusal) NonRetriable() {}
