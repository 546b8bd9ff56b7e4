package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// Cost of a password's hash: the second of OWASP's equivalent settings. It is
// stored with each hash, so that it can be raised.
const (
	argonTime    = 2
	argonMemory  = 19 << 10 // KiB
	argonThreads = 1
	argonKey     = 32
	// maxHashing bounds the hashes made at once, and so the memory that
	// strangers can make the server use.
	maxHashing = 2
)

// passwordHash keeps a password that a person chose: argon2id with a salt.
type passwordHash struct {
	Salt    []byte `json:"salt"`
	Hash    []byte `json:"hash"`
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"` // KiB
	Threads uint8  `json:"threads"`
}

// hasher makes password hashes, a few at a time.
type hasher struct{ slots chan struct{} }

func newHasher() hasher { return hasher{make(chan struct{}, maxHashing)} }

func (h hasher) hash(ctx context.Context, text string, p passwordHash) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return argon2.IDKey([]byte(text), p.Salt, p.Time, p.Memory, p.Threads, argonKey), nil
}

// newHash hashes a password under a new salt.
func (h hasher) newHash(ctx context.Context, password Secret) (passwordHash, error) {
	p := passwordHash{Salt: make([]byte, 16), Time: argonTime, Memory: argonMemory, Threads: argonThreads}
	_, _ = rand.Read(p.Salt)
	var err error
	p.Hash, err = h.hash(ctx, password.Reveal(), p)
	return p, err
}

// matches takes as long for a hash that is not there (of an unknown user) as
// for one that is, so that names cannot be found by the clock.
func (h hasher) matches(ctx context.Context, p passwordHash, password Secret) (bool, error) {
	known := len(p.Hash) > 0
	if !known {
		p = passwordHash{Salt: make([]byte, 16), Time: argonTime, Memory: argonMemory, Threads: argonThreads}
	}
	got, err := h.hash(ctx, password.Reveal(), p)
	return err == nil && known && subtle.ConstantTimeCompare(got, p.Hash) == 1, err
}

// errWeakPassword is Graph's sentence.
func errWeakPassword() error {
	return &UserError{"The specified password does not comply with password complexity requirements. Please provide a different password."}
}

// checkPasswordRules asks for 8 to 256 characters of at least three of: small
// letters, capital letters, digits, others.
func checkPasswordRules(password Secret) error {
	text := password.Reveal()
	if n := utf8.RuneCountInString(text); n < 8 || n > 256 || !utf8.ValidString(text) {
		return errWeakPassword()
	}
	var kinds [4]int
	for _, r := range text {
		switch {
		case unicode.IsLower(r):
			kinds[0] = 1
		case unicode.IsUpper(r):
			kinds[1] = 1
		case unicode.IsDigit(r):
			kinds[2] = 1
		case unicode.IsControl(r):
			return errWeakPassword()
		default:
			kinds[3] = 1
		}
	}
	if kinds[0]+kinds[1]+kinds[2]+kinds[3] < 3 {
		return errWeakPassword()
	}
	return nil
}
