package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/kustos-io/kustos/internal/barrier"
)

// Kind is what the keyring calls this seal.
const Kind = "pkcs11"

const (
	blobVersion = 1
	ivSize      = 12
	label       = "kustos pkcs11 seal v1\x00"
	maxPIN      = 256

	// PINVariable names a file with the PIN when the address does not.
	PINVariable = "KUSTOS_PKCS11_PIN_FILE"
)

// Seal wraps with a key in a token.
type Seal struct {
	address Address
	mu      sync.Mutex // a session does one thing at a time
	session *session
	key     ulong
}

var _ barrier.Seal = (*Seal)(nil)

// Open logs in to the token and finds the key; a missing key is an error.
func Open(a Address) (*Seal, error) { return open(a, false) }

// Create is Open, but makes the key when there is none: for the first start of
// an instance, and for a change of seals.
func Create(a Address) (*Seal, error) { return open(a, true) }

func open(a Address, create bool) (*Seal, error) {
	pin, err := readPIN(a)
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	m, err := load(a.Module)
	if err != nil {
		return nil, err
	}
	slot, err := m.slotOf(a.Token)
	if err != nil {
		return nil, err
	}
	s, err := m.open(slot, pin)
	if err != nil {
		return nil, fmt.Errorf("token %q: %w", a.Token, err)
	}
	key, err := s.keyOf(a.Object, create)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("token %q: %w", a.Token, err)
	}
	return &Seal{address: a, session: s, key: key}, nil
}

func (s *session) keyOf(label string, create bool) (ulong, error) {
	found, err := s.find(label)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return 0, fmt.Errorf("more than one AES key is labelled %q", label)
	case !create:
		return 0, fmt.Errorf("no AES key is labelled %q: without it the data directory cannot be opened", label)
	}
	return s.generate(label)
}

func readPIN(a Address) ([]byte, error) {
	path := a.PINFile
	if path == "" {
		path = os.Getenv(PINVariable)
	}
	if path == "" {
		return nil, fmt.Errorf("no PIN: name a file with pin-source=file:PATH or in $%s", PINVariable)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("PIN file: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("PIN file %s has mode %#o: others can read it; set it to 0600", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("PIN file: %w", err)
	}
	pin := bytes.TrimRight(data, "\r\n")
	if len(pin) == 0 || len(pin) > maxPIN {
		return nil, fmt.Errorf("PIN file %s holds no PIN", path)
	}
	return pin, nil
}

// Describe is the address, which holds no secret.
func (s *Seal) Describe() string { return s.address.String() }

// Close ends the session.
func (s *Seal) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}

// errClosed is returned after Close.
var errClosed = errors.New("the session with the token is closed")

// Wrap lets the token encrypt key: version byte | nonce | ciphertext | tag.
func (s *Seal) Wrap(_ context.Context, key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return nil, errClosed
	}
	iv := make([]byte, ivSize)
	_, _ = rand.Read(iv)
	sealed, err := s.session.gcm(true, s.key, iv, []byte(label), key)
	if err != nil {
		return nil, fmt.Errorf("wrap with %s: %w", s.Describe(), err)
	}
	return append(append([]byte{blobVersion}, iv...), sealed...), nil
}

// Unwrap reverses Wrap; barrier.ErrWrongSeal when the token's key is another.
func (s *Seal) Unwrap(_ context.Context, blob []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.session == nil:
		return nil, errClosed
	case len(blob) == 0 || blob[0] == 0 || blob[0] == blobVersion && len(blob) <= 1+ivSize:
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), barrier.ErrWrongSeal)
	case blob[0] > blobVersion:
		return nil, fmt.Errorf("root key has wrap format %d, this binary knows up to %d: %w", blob[0], blobVersion, barrier.ErrNewerFormat)
	}
	key, err := s.session.gcm(false, s.key, bytes.Clone(blob[1:1+ivSize]), []byte(label), bytes.Clone(blob[1+ivSize:]))
	var rv returnValue
	if errors.As(err, &rv) && (rv == 0x40 || rv == 0x41 || rv == 0x6 || rv == 0x5) { // how tokens say that a tag is wrong
		return nil, fmt.Errorf("unwrap with %s: %w: %w", s.Describe(), barrier.ErrWrongSeal, err)
	}
	if err != nil {
		return nil, fmt.Errorf("unwrap with %s: %w", s.Describe(), err)
	}
	return key, nil
}
