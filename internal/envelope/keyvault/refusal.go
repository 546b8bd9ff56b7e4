package keyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/envelope"
)

// The codes of customer-managed keys that a vault's answer can mean.
const (
	codeInvalid  = "InvalidKeyVaultProperties"
	codeVault    = "KeyVaultNotFound"
	codeKey      = "KeyNotFound"
	codeIdentity = "IdentityDoesNotHaveAccessToKeyVault"
)

// refusal tells a definitive answer (*envelope.RevokedError) from trouble
// (ErrUnavailable) and from anything else. version is the one that was asked
// for, "" for the newest.
func (v *Vaults) refusal(op string, kek envelope.KEK, version string, err error) error {
	if errors.Is(err, envelope.ErrRevoked) || errors.Is(err, envelope.ErrUnavailable) {
		return err
	}
	key := fmt.Sprintf("key '%s'", kek.KeyName)
	if version != "" {
		key += " version " + version
	}
	revoked := func(code, why string) error {
		return &envelope.RevokedError{Code: code, VaultURI: kek.VaultURI, Reason: why, Cause: err}
	}
	var response *azcore.ResponseError
	var challenge *challengeError
	var signIn *signInRefusal
	switch {
	case errors.Is(err, directory.ErrNotFound):
		return revoked(codeIdentity, "the identity that reached "+key+" in vault "+kek.VaultURI+" does not exist any more")
	case errors.As(err, &challenge):
		return revoked(codeIdentity, "vault "+kek.VaultURI+" does not accept the cluster's identity: "+challenge.why)
	case errors.As(err, &signIn):
		return revoked(codeIdentity, key+" in vault "+kek.VaultURI+" is out of reach: "+signIn.Error())
	case !errors.As(err, &response):
		return fmt.Errorf("%s of %s in vault %s: %w: %w", op, key, kek.VaultURI, envelope.ErrUnavailable, err)
	}
	inner, message := innerCode(response)
	switch s := response.StatusCode; {
	case s == http.StatusUnauthorized && strings.HasPrefix(message, outOfTime):
		// The token was signed a moment ago: a clock is off, and nobody took anything away.
		return fmt.Errorf("%s of %s in vault %s: %w: the clocks differ: %w", op, key, kek.VaultURI, envelope.ErrUnavailable, err)
	case s == http.StatusUnauthorized && !noChallenge(response):
		return revoked(codeIdentity, "vault "+kek.VaultURI+" does not accept the cluster's identity")
	case s == http.StatusForbidden && inner == "KeyDisabled":
		return revoked(codeIdentity, key+" in vault "+kek.VaultURI+" is disabled")
	case s == http.StatusForbidden && inner == "KeyOperationForbidden":
		return revoked(codeInvalid, key+" in vault "+kek.VaultURI+" does not permit "+op+": it is not among its operations")
	case s == http.StatusForbidden && (inner == "KeyExpired" || strings.Contains(message, "expired key")):
		return revoked(codeInvalid, key+" in vault "+kek.VaultURI+" has expired")
	case s == http.StatusForbidden && (inner == "KeyNotYetValid" || strings.Contains(message, "not yet valid")):
		return revoked(codeInvalid, key+" in vault "+kek.VaultURI+" is not valid yet")
	case s == http.StatusForbidden && (inner == "ForbiddenByFirewall" || inner == "ForbiddenByConnection"):
		return revoked(codeIdentity, "the firewall of vault "+kek.VaultURI+" refuses the cluster")
	case s == http.StatusForbidden:
		return revoked(codeIdentity, "the cluster's identity may not "+op+" with "+key+" in vault "+kek.VaultURI)
	case s == http.StatusNotFound && response.ErrorCode == codeKey:
		return revoked(codeKey, key+" does not exist in vault "+kek.VaultURI)
	case s == http.StatusNotFound, s == http.StatusGone, s == http.StatusMisdirectedRequest:
		return revoked(codeVault, "vault "+kek.VaultURI+" does not exist")
	case s == http.StatusConflict:
		return revoked(codeKey, key+" in vault "+kek.VaultURI+" is being deleted")
	case s == http.StatusBadRequest:
		return fmt.Errorf("%s of %s in vault %s: %w", op, key, kek.VaultURI, err)
	}
	return fmt.Errorf("%s of %s in vault %s: %w: %w", op, key, kek.VaultURI, envelope.ErrUnavailable, err)
}

// noChallenge reports a 401 that no vault gives: theirs always says how to sign
// in. Something in between answers.
func noChallenge(response *azcore.ResponseError) bool {
	return response.StatusCode == http.StatusUnauthorized && (response.RawResponse == nil || response.RawResponse.Header.Get("WWW-Authenticate") == "")
}

// outOfTime begins the message about a token that is expired or not yet valid.
const outOfTime = "AKV10021:"

// innerCode is error.innererror.code and error.message of a vault's refusal.
func innerCode(response *azcore.ResponseError) (code, message string) {
	if response.RawResponse == nil {
		return "", ""
	}
	data, err := runtime.Payload(response.RawResponse)
	if err != nil {
		return "", ""
	}
	var body struct {
		Error struct {
			Message string `json:"message"`
			Inner   struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	_ = json.Unmarshal(data, &body) // an answer that is no JSON has no inner code
	return body.Error.Inner.Code, body.Error.Message
}
