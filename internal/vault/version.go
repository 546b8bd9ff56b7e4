package vault

import (
	"crypto/rand"
	"encoding/hex"
)

// newVersion is a fresh version id: 32 lower-case hex digits.
func newVersion() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails: it ends the program instead
	return hex.EncodeToString(b[:])
}
