package directory

import (
	"crypto/sha256"
	"sync"
)

// verifiedMax bounds the tokens that are remembered.
const verifiedMax = 4096

// verifiedTokens remembers by their hashes the tokens whose signature, issuer
// and tenant were good under one keyring; it lives and ends with it. Audience
// and times are checked on every use. The tokens themselves are not kept.
type verifiedTokens struct {
	mu     sync.RWMutex
	claims map[[sha256.Size]byte]claims
}

func (v *verifiedTokens) get(token string) (c claims, ok bool) {
	sum := sha256.Sum256([]byte(token))
	v.mu.RLock()
	defer v.mu.RUnlock()
	c, ok = v.claims[sum]
	return c, ok
}

func (v *verifiedTokens) put(token string, c claims) {
	sum := sha256.Sum256([]byte(token))
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.claims == nil || len(v.claims) >= verifiedMax {
		v.claims = map[[sha256.Size]byte]claims{}
	}
	v.claims[sum] = c
}
