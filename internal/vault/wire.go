package vault

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// binary is a byte string in JSON: base64url without padding; padding is
// accepted.
type binary []byte

// MarshalText is base64url.
func (b binary) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

// decodeBinary reads a property that must be there; absent text gives the
// service's message too.
func decodeBinary(property string, text *string) ([]byte, error) {
	if text == nil {
		return nil, azerr.NotBase64URL(property)
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(*text, "="))
	if err != nil {
		return nil, azerr.NotBase64URL(property)
	}
	return b, nil
}

// jwkBody is a key as a client sends it.
type jwkBody struct {
	Kty    string   `json:"kty"`
	Crv    string   `json:"crv"`
	KeyOps []string `json:"key_ops"`
	N      *string  `json:"n"`
	E      *string  `json:"e"`
	D      *string  `json:"d"`
	P      *string  `json:"p"`
	Q      *string  `json:"q"`
	DP     *string  `json:"dp"`
	DQ     *string  `json:"dq"`
	QI     *string  `json:"qi"`
	X      *string  `json:"x"`
	Y      *string  `json:"y"`
	K      *string  `json:"k"`
	KeyHSM *string  `json:"key_hsm"`
}

func (b *jwkBody) decode() (*jsonWebKey, error) {
	out := &jsonWebKey{Kty: b.Kty, Crv: b.Crv, Ops: b.KeyOps}
	for _, m := range []struct {
		name string
		text *string
		to   *[]byte
	}{{"n", b.N, &out.N}, {"e", b.E, &out.E}, {"d", b.D, &out.D}, {"p", b.P, &out.P}, {"q", b.Q, &out.Q}, {"dp", b.DP, &out.DP},
		{"dq", b.DQ, &out.DQ}, {"qi", b.QI, &out.QI}, {"x", b.X, &out.X}, {"y", b.Y, &out.Y}, {"k", b.K, &out.K}, {"key_hsm", b.KeyHSM, &out.T}} {
		if m.text == nil {
			continue
		}
		value, err := decodeBinary("key."+m.name, m.text)
		if err != nil {
			out.wipe()
			return nil, err
		}
		*m.to = value
	}
	return out, nil
}

type attributesBody struct {
	Enabled         bool   `json:"enabled"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created"`
	Updated         int64  `json:"updated"`
	RecoveryLevel   string `json:"recoveryLevel"`
	RecoverableDays *int   `json:"recoverableDays,omitempty"`
	Exportable      *bool  `json:"exportable,omitempty"`
	HSMPlatform     string `json:"hsmPlatform,omitempty"`
}

// attributesOf shapes attributes for a version of the API.
func attributesOf(v *Vault, a Attributes, api apiVersion) attributesBody {
	level, days := v.RecoveryLevel()
	out := attributesBody{Enabled: a.Enabled, NotBefore: a.NotBefore, Expires: a.Expires, Created: a.Created, Updated: a.Updated, RecoveryLevel: level}
	if api.level >= level71 {
		out.RecoverableDays = &days
	}
	return out
}

func keyAttributes(v *Vault, kv *KeyVersion, api apiVersion) attributesBody {
	out := attributesOf(v, kv.Attributes, api)
	if api.level >= level73 {
		out.Exportable = new(bool)
	}
	if api.level >= level75 && kv.Kind.hsm() {
		out.HSMPlatform = "0" // a software key, whatever its type says
	}
	return out
}

type publicJWK struct {
	Kid    string   `json:"kid"`
	Kty    string   `json:"kty"`
	KeyOps []string `json:"key_ops"`
	N      binary   `json:"n,omitempty"`
	E      binary   `json:"e,omitempty"`
	Crv    string   `json:"crv,omitempty"`
	X      binary   `json:"x,omitempty"`
	Y      binary   `json:"y,omitempty"`
}

// deletion is what a soft-deleted object adds to its bundle or list item.
type deletion struct {
	RecoveryID         string `json:"recoveryId,omitempty"`
	DeletedDate        int64  `json:"deletedDate,omitempty"`
	ScheduledPurgeDate int64  `json:"scheduledPurgeDate,omitempty"`
}

func deletionOf(base string, sh shelf, o *Object) deletion {
	if o.Deleted == nil {
		return deletion{}
	}
	return deletion{base + "/deleted" + string(sh.area) + "/" + o.Name, o.Deleted.At.Unix(), o.Deleted.PurgeAt.Unix()}
}

type keyBundle struct {
	Key        publicJWK         `json:"key"`
	Attributes attributesBody    `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
	deletion
}

type keyItem struct {
	Kid        string            `json:"kid"`
	Attributes attributesBody    `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
	deletion
}

func (c *call) keyBundle(f found[KeyVersion]) keyBundle {
	kv := &f.Version
	c.event.Version = kv.ID
	return keyBundle{
		Key: publicJWK{Kid: c.objectID(areaKeys, f.Object.Name, kv.ID), Kty: kv.Kind.Type, KeyOps: kv.Ops, N: kv.N, E: kv.E,
			Crv: kv.Kind.Curve, X: kv.X, Y: kv.Y},
		Attributes: keyAttributes(&f.Vault, kv, c.api), Tags: kv.Tags, deletion: deletionOf(c.base, shelfOf(areaKeys), &f.Object),
	}
}

func (c *call) keyItem(f found[KeyVersion], version string) keyItem {
	return keyItem{Kid: c.objectID(areaKeys, f.Object.Name, version), Attributes: keyAttributes(&f.Vault, &f.Version, c.api),
		Tags: f.Version.Tags, deletion: deletionOf(c.base, shelfOf(areaKeys), &f.Object)}
}

type secretBundle struct {
	Value *string `json:"value,omitempty"`
	secretItem
}

type secretItem struct {
	ID          string            `json:"id"`
	ContentType string            `json:"contentType,omitempty"`
	Attributes  attributesBody    `json:"attributes"`
	Tags        map[string]string `json:"tags,omitempty"`
	deletion
}

func (c *call) secretItem(f found[SecretVersion], version string) secretItem {
	return secretItem{ID: c.objectID(areaSecrets, f.Object.Name, version), ContentType: f.Version.ContentType,
		Attributes: attributesOf(&f.Vault, f.Version.Attributes, c.api), Tags: f.Version.Tags,
		deletion: deletionOf(c.base, shelfOf(areaSecrets), &f.Object)}
}

// objectID is the identifier of an object, versionless when version is empty.
func (c *call) objectID(a area, name, version string) string {
	id := c.base + "/" + string(a) + "/" + name
	if version != "" {
		id += "/" + version
	}
	return id
}

// decode reads the body of a call that needs one.
func (c *call) decode(into any) error {
	body, err := c.body()
	if err != nil {
		return err
	}
	if len(body) == 0 {
		return azerr.BadParameter("The request has no body.", "")
	}
	defer clear(body)
	if err := json.Unmarshal(body, into); err != nil {
		return azerr.BadParameter("The request body is not valid: "+jsonProblem(err), "")
	}
	return nil
}

// jsonProblem says where a body is wrong without quoting it: it may hold a
// secret.
func jsonProblem(err error) string {
	switch e := err.(type) {
	case *json.SyntaxError:
		return fmt.Sprintf("malformed JSON at byte %d.", e.Offset)
	case *json.UnmarshalTypeError:
		return fmt.Sprintf("property '%s' has the wrong type.", e.Field)
	}
	return "malformed JSON."
}
