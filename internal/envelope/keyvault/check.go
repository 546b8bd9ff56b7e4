package keyvault

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Facts is what a vault tells of a key to somebody with the get permission.
type Facts struct {
	Version            string
	Type               string // RSA, RSA-HSM, EC …
	Bits               int    // of the RSA modulus, 0 for other types
	Enabled            bool
	NotBefore, Expires time.Time // zero when not set
	CanWrap, CanUnwrap bool
	RecoveryLevel      string // both protections of the vault can be read off it
}

// Key reads the key of a KEK, the pinned version or the newest, as its
// identity. Errors: *envelope.RevokedError when the vault refuses (its Code is
// one of the eight CMK codes), ErrUnavailable when there was no verdict.
func (v *Vaults) Key(ctx context.Context, kek envelope.KEK) (Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	client, err := v.dial(kek)
	if err != nil {
		return Facts{}, invalid(kek, "the address is refused", err)
	}
	res, err := client.GetKey(ctx, kek.KeyName, kek.KeyVersion, nil)
	if err != nil {
		return Facts{}, v.checkRefusal("get", kek, err)
	}
	if res.Key == nil || res.Key.Kty == nil || res.Attributes == nil {
		return Facts{}, invalid(kek, "the answer is not a key", nil)
	}
	version, err := versionOf(res.Key.KID, kek.KeyVersion)
	if err != nil {
		return Facts{}, invalid(kek, "the answer is not the key asked for", err)
	}
	return facts(version, res.Key, res.Attributes), nil
}

func facts(version string, key *azkeys.JSONWebKey, a *azkeys.KeyAttributes) Facts {
	f := Facts{Version: version, Type: string(*key.Kty), Enabled: a.Enabled == nil || *a.Enabled}
	if *key.Kty == azkeys.KeyTypeRSA || *key.Kty == azkeys.KeyTypeRSAHSM {
		f.Bits = len(bytes.TrimLeft(key.N, "\x00")) * 8
	}
	if a.NotBefore != nil {
		f.NotBefore = *a.NotBefore
	}
	if a.Expires != nil {
		f.Expires = *a.Expires
	}
	if a.RecoveryLevel != nil {
		f.RecoveryLevel = *a.RecoveryLevel
	}
	can := func(op azkeys.KeyOperation) bool {
		return slices.ContainsFunc(key.KeyOps, func(k *azkeys.KeyOperation) bool { return k != nil && *k == op })
	}
	f.CanWrap, f.CanUnwrap = can(azkeys.KeyOperationWrapKey), can(azkeys.KeyOperationUnwrapKey)
	return f
}

// Probe wraps a random value, unwraps it and compares: it proves both
// permissions. Errors as for Key.
func (v *Vaults) Probe(ctx context.Context, kek envelope.KEK) error {
	w := &wrapper{vaults: v, kek: kek}
	probe := make([]byte, 32)
	_, _ = rand.Read(probe) // crypto/rand.Read never fails: it ends the program instead
	wrapped, err := w.Wrap(ctx, probe)
	if err != nil {
		return v.checkRefusal("wrapKey", kek, err)
	}
	back, err := w.Unwrap(ctx, wrapped)
	if err != nil {
		return v.checkRefusal("unwrapKey", kek, err)
	}
	if !bytes.Equal(back, probe) {
		return invalid(kek, "the vault unwrapped something else than it wrapped", nil)
	}
	return nil
}

// checkRefusal reads an answer more strictly than refusal does: nothing rests
// on the key yet, so an address that behaves like no vault is no vault.
func (v *Vaults) checkRefusal(op string, kek envelope.KEK, err error) error {
	var response *azcore.ResponseError
	var dns *net.DNSError
	var link *url.Error
	var token *tokenError
	switch {
	case errors.Is(err, envelope.ErrRevoked):
		return err
	case errors.As(err, &dns) && dns.IsNotFound:
		return &envelope.RevokedError{Code: codeVault, VaultURI: kek.VaultURI, Reason: "the vault's name does not exist", Cause: err}
	case errors.As(err, &response) && response.StatusCode >= 300 && response.StatusCode < 400:
		return invalid(kek, "the address redirects", err)
	case errors.As(err, &response) && noChallenge(response):
		return invalid(kek, "the address does not behave like a vault", err)
	case errors.As(err, &response) && response.StatusCode == 400:
		return invalid(kek, "the vault does not take the request", err)
	}
	err = v.refusal(op, kek, kek.KeyVersion, err)
	if errors.Is(err, envelope.ErrUnavailable) && !errors.As(err, &response) && !errors.As(err, &link) && !errors.As(err, &token) && ctxErr(err) == nil {
		return invalid(kek, "the address does not behave like a vault", err)
	}
	return err
}

// ctxErr is the context's error inside err, nil when there is none.
func ctxErr(err error) error {
	for _, e := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return e
		}
	}
	return nil
}

func invalid(kek envelope.KEK, why string, cause error) error {
	return &envelope.RevokedError{Code: codeInvalid, VaultURI: kek.VaultURI, Reason: fmt.Sprintf("key '%s' in vault %s cannot be used: %s", kek.KeyName, kek.VaultURI, why), Cause: cause}
}
