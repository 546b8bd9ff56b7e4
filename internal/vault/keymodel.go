package vault

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/azerr"
)

// KeyVersion is one version without its private part, which is stored apart.
type KeyVersion struct {
	ID   string // 32 lower-case hex digits
	Kind keyKind
	// N, E are big-endian numbers of an RSA key; X, Y are coordinates of an EC
	// key in the length of the curve.
	N, E, X, Y []byte
	Ops        []string
	Attributes Attributes
	Tags       map[string]string
	// Notified is when the near-expiry action of the rotation policy ran.
	Notified *time.Time
}

// Attributes are the management attributes of a version of a key or a secret.
// Times are Unix seconds.
type Attributes struct {
	Enabled   bool
	NotBefore *int64
	Expires   *int64
	Created   int64
	Updated   int64
}

// AttributeChange is what a client says about attributes; nil is nothing.
type AttributeChange struct {
	Enabled    *bool  `json:"enabled"`
	NotBefore  *int64 `json:"nbf"`
	Expires    *int64 `json:"exp"`
	Exportable *bool  `json:"exportable"`
}

func (c *AttributeChange) apply(a *Attributes) error {
	if c == nil {
		return nil
	}
	if c.Exportable != nil && *c.Exportable {
		return azerr.BadParameter("Exportable keys are not offered by this server.", "")
	}
	if c.Enabled != nil {
		a.Enabled = *c.Enabled
	}
	for _, t := range []*int64{c.NotBefore, c.Expires} {
		if t != nil && (*t < 0 || *t > maxUnixTime) {
			return azerr.BadParameter("Property 'attributes' holds a time that is no count of seconds since 1970.", "")
		}
	}
	if c.NotBefore != nil {
		a.NotBefore = c.NotBefore
	}
	if c.Expires != nil {
		a.Expires = c.Expires
	}
	return nil
}

const maxUnixTime = 253402300799 // the end of the year 9999

func newAttributes(now time.Time, c *AttributeChange) (Attributes, error) {
	a := Attributes{Enabled: true, Created: now.Unix(), Updated: now.Unix()}
	err := c.apply(&a)
	return a, err
}

func checkObjectTags(tags map[string]string) error {
	if len(tags) > 15 {
		return azerr.BadParameter(fmt.Sprintf("Property 'tags' has %d entries; at most 15 are allowed.", len(tags)), "")
	}
	for k, v := range tags {
		if len(k) == 0 || len([]rune(k)) > 256 || len([]rune(v)) > 256 {
			return azerr.BadParameter("Property 'tags' has a name or a value that is longer than 256 characters.", "")
		}
	}
	return nil
}

// validObjectName reports whether name may name a key or a secret.
func validObjectName(name string) bool {
	if len(name) < 1 || len(name) > 127 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// The operations a key can list in key_ops.
const (
	opEncrypt = "encrypt"
	opDecrypt = "decrypt"
	opSign    = "sign"
	opVerify  = "verify"
	opWrap    = "wrapKey"
	opUnwrap  = "unwrapKey"
)

// defaultOps is what a key of the kind gets when the client names nothing, in
// the service's order.
func defaultOps(k keyKind) []string {
	if k.ec() {
		return []string{opSign, opVerify}
	}
	return []string{opEncrypt, opDecrypt, opSign, opVerify, opWrap, opUnwrap}
}

// checkOps returns key_ops in the service's spelling and in the client's order.
func checkOps(k keyKind, ops []string) ([]string, error) {
	out := make([]string, 0, len(ops))
	for _, op := range ops {
		allowed := defaultOps(k)
		i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, op) })
		if i < 0 {
			return nil, azerr.BadParameter(fmt.Sprintf("Property 'key_ops' has the value '%s', which a key of type %s cannot have.", op, k.Type), "")
		}
		out = append(out, allowed[i])
	}
	return out, nil
}
