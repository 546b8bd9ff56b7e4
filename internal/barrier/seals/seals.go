package seals

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/barrier/passphrase"
	"github.com/kustos-io/kustos/internal/barrier/pkcs11"
	"github.com/kustos-io/kustos/internal/barrier/vaultseal"
)

// PassphraseVariable names a file with the passphrase.
const PassphraseVariable = "KUSTOS_PASSPHRASE_FILE"

// Seal is a seal that holds something to be wiped.
type Seal interface {
	barrier.Seal
	Close()
}

// Request is a seal to be opened or made.
type Request struct {
	// Spec is KIND:REST, in full.
	Spec string
	// Instance is the GUID of the instance.
	Instance string
	// Secret is the passphrase when it is known already, as it is when an
	// operator hands it over; it is taken over and wiped. nil reads it from where
	// Spec and the environment say.
	Secret []byte
}

// Open opens the seal of data that there is.
func Open(_ context.Context, r Request) (Seal, error) { return r.make(false) }

// Create opens the seal, or makes it when it is not there.
func Create(_ context.Context, r Request) (Seal, error) { return r.make(true) }

// NeedsSecret reports whether an operator has to hand over a secret.
func NeedsSecret(spec string) bool { return kindOf(spec) == passphrase.Kind }

func kindOf(spec string) string { kind, _, _ := strings.Cut(spec, ":"); return kind }

func (r Request) make(create bool) (Seal, error) {
	_, rest, _ := strings.Cut(r.Spec, ":")
	switch kind := kindOf(r.Spec); kind {
	case barrier.KindFile:
		return r.file(rest, create)
	case passphrase.Kind:
		return r.passphrase(rest, create)
	case pkcs11.Kind:
		address, err := pkcs11.Parse(r.Spec)
		if err != nil {
			return nil, err
		}
		if create {
			return closer(pkcs11.Create(address))
		}
		return closer(pkcs11.Open(address))
	case vaultseal.Kind:
		return elsewhere(rest)
	default:
		return nil, fmt.Errorf("a seal of kind %q is not known; file, passphrase, pkcs11 and vault are", kind)
	}
}

// closer keeps a nil pointer from becoming a non-nil interface.
func closer[T Seal](s T, err error) (Seal, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (r Request) file(path string, create bool) (Seal, error) {
	if !create {
		return closer(barrier.OpenFileSeal(path))
	}
	s, err := barrier.CreateFileSealFor(path, r.Instance)
	if errors.Is(err, fs.ErrExist) { // an earlier try was cut off before the keyring named it
		s, err = barrier.OpenFileSeal(path)
	}
	return closer(s, err)
}

func (r Request) passphrase(rest string, create bool) (Seal, error) {
	secret := r.Secret
	if secret == nil {
		src := passphrase.Source{FD: -1, File: os.Getenv(PassphraseVariable), Confirm: create}
		if text, ok := strings.CutPrefix(rest, "fd="); ok {
			fd, err := strconv.Atoi(text)
			if err != nil || fd < 0 {
				return nil, fmt.Errorf("--seal passphrase:%s: fd=N wants the number of an open descriptor", rest)
			}
			src.FD = fd
		} else if rest != "" {
			return nil, errors.New("--seal passphrase takes nothing but fd=N: a passphrase never stands in an argument")
		}
		var err error
		if secret, err = passphrase.Read(src); err != nil {
			return nil, err
		}
	}
	return closer(passphrase.New(secret, passphrase.DefaultParams()))
}

// vaultCloser is a seal whose key is elsewhere: there is nothing to wipe.
type vaultCloser struct{ *vaultseal.Seal }

func (vaultCloser) Close() {}

// elsewhere signs in with what the environment offers: AZURE_CLIENT_ID and its
// companions, a workload identity, a managed identity, az.
func elsewhere(key string) (Seal, error) {
	if _, _, _, err := vaultseal.Parse(key); err != nil {
		return nil, err
	}
	credential, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return nil, fmt.Errorf("credential for the seal's vault: %w", err)
	}
	s, err := vaultseal.New(vaultseal.Config{Key: key, Credential: credential})
	if err != nil {
		return nil, err
	}
	return vaultCloser{s}, nil
}
