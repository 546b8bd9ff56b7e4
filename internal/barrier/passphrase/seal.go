package passphrase

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/crypto/argon2"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/barrier"
)

// Kind is what the keyring calls this seal.
const Kind = "passphrase"

const (
	blobVersion = 1
	saltSize    = 16
	headSize    = 1 + 4 + 4 + 1 + saltSize
	label       = "kustos passphrase seal v1\x00"
	redacted    = "REDACTED"

	minPassphrase = 12
	maxPassphrase = 4096
	// what a damaged or hostile keyring may make us spend
	maxTime, maxMemory = 64, 4 << 20
)

// Params are the costs of argon2id; memory is in KiB.
type Params struct {
	Time, Memory uint32
	Threads      uint8
}

// DefaultParams take about a quarter of a second and 256 MiB, well above what
// RFC 9106 asks of its second choice.
func DefaultParams() Params { return Params{Time: 3, Memory: 256 << 10, Threads: 4} }

// Seal wraps with a key derived from a passphrase. It prints as REDACTED.
type Seal struct {
	secret []byte
	params Params
}

var _ barrier.Seal = (*Seal)(nil)

// New makes a seal; it takes over the slice and wipes it in Close. Too short a
// passphrase is refused.
func New(secret []byte, params Params) (*Seal, error) {
	if len(secret) < minPassphrase || len(secret) > maxPassphrase {
		clear(secret)
		return nil, fmt.Errorf("a passphrase has %d to %d bytes", minPassphrase, maxPassphrase)
	}
	return &Seal{secret, params}, nil
}

// Describe is the kind alone.
func (s *Seal) Describe() string { return Kind }

// Close wipes the passphrase.
func (s *Seal) Close() { clear(s.secret); s.secret = nil }

func (s *Seal) derive(head []byte) (aead.Key, error) {
	if len(s.secret) == 0 {
		return aead.Key{}, errors.New("the passphrase is wiped")
	}
	p := Params{binary.BigEndian.Uint32(head[1:]), binary.BigEndian.Uint32(head[5:]), head[9]}
	if p.Time < 1 || p.Threads < 1 || p.Time > maxTime || p.Memory > maxMemory {
		return aead.Key{}, fmt.Errorf("the keyring asks for argon2id with time %d, %d KiB, %d threads: out of bounds", p.Time, p.Memory, p.Threads)
	}
	raw := argon2.IDKey(s.secret, head[10:headSize], p.Time, p.Memory, p.Threads, aead.KeySize)
	defer clear(raw)
	return aead.KeyFrom(raw)
}

// Wrap seals key under a key derived with a fresh salt.
func (s *Seal) Wrap(_ context.Context, key []byte) ([]byte, error) {
	head := []byte{blobVersion}
	head = binary.BigEndian.AppendUint32(head, s.params.Time)
	head = binary.BigEndian.AppendUint32(head, s.params.Memory)
	head = append(head, s.params.Threads)
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	head = append(head, salt...)
	derived, err := s.derive(head)
	if err != nil {
		return nil, err
	}
	defer derived.Wipe()
	sealed, err := derived.Seal(append([]byte(label), head...), key)
	if err != nil {
		return nil, err
	}
	return append(head, sealed...), nil
}

// Unwrap reverses Wrap; barrier.ErrWrongSeal for another passphrase.
func (s *Seal) Unwrap(_ context.Context, blob []byte) ([]byte, error) {
	if len(blob) < headSize || blob[0] == 0 {
		return nil, fmt.Errorf("unwrap with a passphrase: %w", barrier.ErrWrongSeal)
	}
	if blob[0] > blobVersion {
		return nil, fmt.Errorf("root key has wrap format %d, this binary knows up to %d: %w", blob[0], blobVersion, barrier.ErrNewerFormat)
	}
	head := bytes.Clone(blob[:headSize])
	derived, err := s.derive(head)
	if err != nil {
		return nil, err
	}
	defer derived.Wipe()
	key, err := derived.Open(append([]byte(label), head...), blob[headSize:])
	if errors.Is(err, aead.ErrAuthentication) {
		return nil, fmt.Errorf("unwrap with a passphrase: %w", barrier.ErrWrongSeal)
	}
	return key, err
}

// Format keeps the passphrase out of logs and errors.
func (*Seal) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue is Format for structured logs.
func (*Seal) LogValue() slog.Value { return slog.StringValue(redacted) }
