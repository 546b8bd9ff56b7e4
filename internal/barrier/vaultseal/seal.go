package vaultseal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/barrier"
)

// Kind is what the keyring calls this seal.
const Kind = "vault"

const (
	blobVersion = 1
	label       = "kustos vault seal v1\x00"
	algorithm   = azkeys.EncryptionAlgorithmRSAOAEP256
	timeout     = 30 * time.Second
	maxText     = 256
)

// Config is what a Seal is made of.
type Config struct {
	// Key is https://HOST/keys/NAME or https://HOST/keys/NAME/VERSION. Without a
	// version the newest one wraps; what was wrapped is unwrapped by the version
	// that did it.
	Key        string
	Credential azcore.TokenCredential
	// Client sends the requests; nil is one with the system's roots and proxy
	// that follows no redirect.
	Client *http.Client
}

// Seal wraps with a key in a vault.
type Seal struct {
	client        *azkeys.Client
	text          string // as configured
	name, version string
}

var _ barrier.Seal = (*Seal)(nil)

// Parse splits a key's address and refuses anything that is not one.
func Parse(key string) (vault, name, version string, err error) {
	u, err := url.Parse(key)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", "", "", fmt.Errorf("%q is not https://HOST/keys/NAME[/VERSION]", key)
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 || len(parts) > 3 || parts[0] != "keys" || parts[1] == "" || len(parts[1]) > maxText {
		return "", "", "", fmt.Errorf("%q is not https://HOST/keys/NAME[/VERSION]", key)
	}
	if len(parts) == 3 {
		version = parts[2]
	}
	return "https://" + u.Host, parts[1], version, nil
}

// New makes a seal; it asks the vault nothing.
func New(cfg Config) (*Seal, error) {
	vault, name, version, err := Parse(cfg.Key)
	if err != nil {
		return nil, err
	}
	client := cfg.Client
	if client == nil {
		client = &http.Client{Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	keys, err := azkeys.NewClient(vault, cfg.Credential, &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: client,
		Retry: policy.RetryOptions{MaxRetries: 4, RetryDelay: 500 * time.Millisecond, MaxRetryDelay: 5 * time.Second}}})
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", vault, err)
	}
	return &Seal{client: keys, text: cfg.Key, name: name, version: version}, nil
}

// Describe is "vault:" and the key's address.
func (s *Seal) Describe() string { return Kind + ":" + s.text }

// Wrap seals key under a random key and lets the vault wrap that one:
// version byte | length, u16, and text of the key version | length, u16, and
// bytes of the wrapped random key | sealed key.
func (s *Seal) Wrap(ctx context.Context, key []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	inner := aead.NewKey()
	defer inner.Wipe()
	var res azkeys.WrapKeyResponse
	err := inner.Reveal(func(raw []byte) (err error) {
		res, err = s.client.WrapKey(ctx, s.name, s.version, azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: raw}, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("wrap with %s: %w", s.Describe(), short(err))
	}
	if res.KID == nil || res.KID.Version() == "" || len(res.Result) == 0 || len(res.Result) > 1<<12 || len(res.KID.Version()) > maxText {
		return nil, fmt.Errorf("wrap with %s: the answer is not one", s.Describe())
	}
	head := field(field([]byte{blobVersion}, []byte(res.KID.Version())), res.Result)
	sealed, err := inner.Seal(append([]byte(label), head...), key)
	if err != nil {
		return nil, err
	}
	return append(head, sealed...), nil
}

// Unwrap reverses Wrap. A refusal of the vault is an error that says which; a
// blob of another seal is barrier.ErrWrongSeal.
func (s *Seal) Unwrap(ctx context.Context, blob []byte) ([]byte, error) {
	if len(blob) == 0 || blob[0] == 0 {
		return nil, barrier.ErrWrongSeal
	}
	if blob[0] > blobVersion {
		return nil, fmt.Errorf("root key has wrap format %d, this binary knows up to %d: %w", blob[0], blobVersion, barrier.ErrNewerFormat)
	}
	version, rest, ok := cutField(blob[1:])
	wrapped, sealed, ok2 := cutField(rest)
	if !ok || !ok2 || len(version) == 0 {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), barrier.ErrWrongSeal)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	res, err := s.client.UnwrapKey(ctx, s.name, string(version), azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: bytes.Clone(wrapped)}, nil)
	if err != nil {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), short(err))
	}
	defer clear(res.Result)
	inner, err := aead.KeyFrom(res.Result)
	if err != nil {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), barrier.ErrWrongSeal)
	}
	defer inner.Wipe()
	key, err := inner.Open(append([]byte(label), blob[:len(blob)-len(sealed)]...), sealed)
	if err != nil {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), barrier.ErrWrongSeal)
	}
	return key, nil
}

// short keeps the status and code of a vault's refusal and drops the dump of
// the whole answer that the client library prints.
func short(err error) error {
	var refused *azcore.ResponseError
	if errors.As(err, &refused) {
		return fmt.Errorf("the vault answered %d %s", refused.StatusCode, refused.ErrorCode)
	}
	return err
}

func field(to, data []byte) []byte {
	return append(binary.BigEndian.AppendUint16(to, uint16(len(data))), data...)
}

func cutField(data []byte) (value, rest []byte, ok bool) {
	if len(data) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(data))
	if len(data) < 2+n {
		return nil, nil, false
	}
	return data[2 : 2+n], data[2+n:], true
}
