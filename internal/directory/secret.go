package directory

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const redacted = "REDACTED"

// Secret is a secret in clear. Every way of printing it says REDACTED; only
// Reveal gives the text.
type Secret string

// Reveal returns the text. The caller must not log it or put it into an error.
func (s Secret) Reveal() string { return string(s) }

// String is "REDACTED".
func (s Secret) String() string { return redacted }

// Format writes "REDACTED" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON is "REDACTED".
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue is "REDACTED".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// newSecret makes a secret of 32 random bytes in URL-safe text. It begins with
// a letter or digit so that command lines do not take it for an option.
func newSecret() Secret {
	for {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails: it ends the program instead
		text := base64.RawURLEncoding.EncodeToString(b[:])
		if !strings.ContainsAny(text[:1], "-_") {
			return Secret(text)
		}
	}
}

// secretHash keeps a secret as a salted hash. The secrets are 32 random bytes,
// so one HMAC is enough: there is no dictionary to walk through.
type secretHash struct {
	Salt []byte `json:"salt"`
	Hash []byte `json:"hash"`
}

func hashSecret(s Secret) secretHash {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt)
	return secretHash{Salt: salt, Hash: secretMAC(salt, string(s))}
}

func (h secretHash) matches(text string) bool {
	return len(h.Hash) > 0 && hmac.Equal(h.Hash, secretMAC(h.Salt, text))
}

func secretMAC(salt []byte, text string) []byte {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
