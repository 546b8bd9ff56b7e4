package keyvault

import (
	"context"
	"errors"
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/faults"
)

// algorithm is the one wrap algorithm used: SHA-1 OAEP and PKCS #1 v1.5 are
// offered by vaults and not wanted here.
const algorithm = azkeys.EncryptionAlgorithmRSAOAEP256

// wrapper is the KeyWrapper of one customer's KEK.
type wrapper struct {
	vaults  *Vaults
	kek     envelope.KEK
	cluster string // on whose behalf, "" when not known
}

// ForCluster binds the wrapper to a cluster, for fault rules that name one.
func (w *wrapper) ForCluster(id string) envelope.KeyWrapper {
	return &wrapper{w.vaults, w.kek, id}
}

// Wrap wraps key with the pinned version, or with the newest one, and tells
// which it was.
func (w *wrapper) Wrap(ctx context.Context, key []byte) (envelope.Wrapped, error) {
	ctx, cancel := context.WithTimeout(faults.WithCluster(ctx, w.cluster), w.vaults.timeout)
	defer cancel()
	client, err := w.vaults.dial(w.kek)
	if err != nil {
		return envelope.Wrapped{}, err
	}
	ctx = withCarried(ctx, &carried{send: key})
	res, err := client.WrapKey(ctx, w.kek.KeyName, w.kek.KeyVersion, azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: placeholder(key)}, nil)
	if err != nil {
		return envelope.Wrapped{}, w.vaults.refusal("wrapKey", w.kek, w.kek.KeyVersion, err)
	}
	version, err := versionOf(res.KID, w.kek.KeyVersion)
	if err != nil {
		return envelope.Wrapped{}, err
	}
	if len(res.Result) == 0 {
		return envelope.Wrapped{}, errors.New("the vault answered wrapKey without a result")
	}
	return envelope.Wrapped{KEK: w.kek, KeyVersion: version, Algorithm: string(algorithm), Ciphertext: res.Result}, nil
}

// versionOf takes the version out of the key id of an answer; pinned is "" or
// the version it must be.
func versionOf(kid *azkeys.ID, pinned string) (string, error) {
	if kid == nil || kid.Version() == "" {
		return "", errors.New("the vault did not say which key version it used")
	}
	if pinned != "" && kid.Version() != pinned {
		return "", fmt.Errorf("the vault used key version %s, not the pinned %s", kid.Version(), pinned)
	}
	return kid.Version(), nil
}

// Unwrap reverses Wrap with the version that wrapped.
func (w *wrapper) Unwrap(ctx context.Context, wrapped envelope.Wrapped) ([]byte, error) {
	if wrapped.Algorithm != string(algorithm) || wrapped.KeyVersion == "" {
		return nil, fmt.Errorf("a key wrapped by %q with version %q cannot be unwrapped here", wrapped.Algorithm, wrapped.KeyVersion)
	}
	ctx, cancel := context.WithTimeout(faults.WithCluster(ctx, w.cluster), w.vaults.timeout)
	defer cancel()
	client, err := w.vaults.dial(w.kek)
	if err != nil {
		return nil, err
	}
	c := &carried{}
	ctx = withCarried(ctx, c)
	res, err := client.UnwrapKey(ctx, w.kek.KeyName, wrapped.KeyVersion, azkeys.KeyOperationParameters{Algorithm: to.Ptr(algorithm), Value: wrapped.Ciphertext}, nil)
	if err != nil {
		clear(c.got)
		return nil, w.vaults.refusal("unwrapKey", w.kek, wrapped.KeyVersion, err)
	}
	if len(res.Result) == 0 {
		return nil, errors.New("the vault answered unwrapKey without a result")
	}
	if _, err := versionOf(res.KID, wrapped.KeyVersion); err != nil {
		clear(c.got)
		clear(res.Result)
		return nil, fmt.Errorf("%w: %w", envelope.ErrUnavailable, err) // a confused answer is no refusal
	}
	if c.got != nil {
		return c.got, nil
	}
	return res.Result, nil
}
