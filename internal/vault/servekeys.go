package vault

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/azerr"
)

// keySettings is what creating, importing and updating a key have in common.
type keySettings struct {
	Attributes    *AttributeChange  `json:"attributes"`
	Tags          map[string]string `json:"tags"`
	ReleasePolicy json.RawMessage   `json:"release_policy"`
}

// decodeKey reads a body with the settings in it.
func (c *call) decodeKey(body any, settings *keySettings) error {
	if err := c.decode(body); err != nil {
		return err
	}
	return c.noExport(settings)
}

func (s *Service) serveCreateKey(c *call) (any, error) {
	var body struct {
		Kty            string   `json:"kty"`
		KeySize        int      `json:"key_size"`
		PublicExponent *int64   `json:"public_exponent"`
		KeyOps         []string `json:"key_ops"`
		Crv            string   `json:"crv"`
		keySettings
	}
	if err := c.decodeKey(&body, &body.keySettings); err != nil {
		return nil, err
	}
	if body.PublicExponent != nil && *body.PublicExponent != 65537 {
		return nil, azerr.BadParameter("The public exponent of a key in a vault is 65537; another is offered by Managed HSM only.", "")
	}
	f, err := s.createKey(c.ctx, c.vault, c.name, KeySpec{Type: body.Kty, Size: body.KeySize, Curve: body.Crv, Ops: body.KeyOps,
		Attributes: body.Attributes, Tags: body.Tags}, nil)
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(c.ctx, "key created", "vault", c.vault.Name, "key", f.Object.Name, "key_version", f.Version.ID)
	return c.keyBundle(f), nil
}

// noExport refuses exportable keys and their release policies: in the service's
// words where the service refuses them too, by name where it would not.
func (c *call) noExport(k *keySettings) error {
	exportable := k.Attributes != nil && k.Attributes.Exportable != nil && *k.Attributes.Exportable
	released := len(k.ReleasePolicy) > 0 && string(k.ReleasePolicy) != "null"
	switch {
	case exportable && (!c.vault.SKU.Premium() || c.api.level < level73):
		return azerr.ExportableNeedsPremium()
	case exportable && !released:
		return azerr.ExportableNeedsPolicy()
	case exportable:
		return azerr.VaultOperationNotOffered("Exportable keys and release policies")
	case released:
		return azerr.PolicyNeedsExportable()
	}
	return nil
}

func (s *Service) serveImportKey(c *call) (any, error) {
	var body struct {
		Key *jwkBody `json:"key"`
		HSM bool     `json:"Hsm"`
		keySettings
	}
	if err := c.decodeKey(&body, &body.keySettings); err != nil {
		return nil, err
	}
	if body.Key == nil {
		return nil, azerr.BadParameter("Property 'key' is required.", "")
	}
	jwk, err := body.Key.decode()
	if err != nil {
		return nil, err
	}
	f, err := s.importKey(c.ctx, c.vault, c.name, jwk, body.HSM, KeySpec{Attributes: body.Attributes, Tags: body.Tags})
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(c.ctx, "key imported", "vault", c.vault.Name, "key", f.Object.Name, "key_version", f.Version.ID)
	return c.keyBundle(f), nil
}

func (s *Service) serveGetKey(c *call) (any, error) {
	return c.keyAnswer(getVersion[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, c.name, c.version))
}

// keyAnswer is the bundle of a result.
func (c *call) keyAnswer(f found[KeyVersion], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return c.keyBundle(f), nil
}

func (s *Service) serveListKeys(c *call) (any, error) { return s.listKeys(c, false) }

func (s *Service) serveListDeletedKeys(c *call) (any, error) { return s.listKeys(c, true) }

func (s *Service) listKeys(c *call, deleted bool) (any, error) {
	return serveList(c, func(after string, limit int) ([]found[KeyVersion], bool, error) {
		return listObjects[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, deleted, after, limit)
	}, func(f found[KeyVersion]) keyItem { return c.keyItem(f, "") }, objectName[KeyVersion])
}

func objectName[T any](f found[T]) string { return strings.ToLower(f.Object.Name) }

func (s *Service) serveListKeyVersions(c *call) (any, error) {
	return serveList(c, func(after string, limit int) ([]found[KeyVersion], bool, error) {
		return listVersions[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, c.name, after, limit)
	}, func(f found[KeyVersion]) keyItem { return c.keyItem(f, f.Version.ID) },
		func(f found[KeyVersion]) string { return f.Version.ID })
}

func (s *Service) serveUpdateKey(c *call) (any, error) {
	var body struct {
		KeyOps []string `json:"key_ops"`
		keySettings
	}
	if err := c.decodeKey(&body, &body.keySettings); err != nil {
		return nil, err
	}
	return c.keyAnswer(s.updateKey(c.ctx, c.vault, c.name, c.version, keyChange{Ops: body.KeyOps, Attributes: body.Attributes, Tags: body.Tags}))
}

func (s *Service) serveRotateKey(c *call) (any, error) {
	return c.keyAnswer(s.rotateKey(c.ctx, c.vault, c.name))
}

func (s *Service) serveDeleteKey(c *call) (any, error) {
	f, err := deleteObject[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, c.name)
	if err == nil {
		s.Log.InfoContext(c.ctx, "key deleted", "vault", c.vault.Name, "key", f.Object.Name)
	}
	return c.keyAnswer(f, err)
}

func (s *Service) serveGetDeletedKey(c *call) (any, error) {
	return c.keyAnswer(getDeleted[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, c.name))
}

func (s *Service) serveRecoverKey(c *call) (any, error) {
	return c.keyAnswer(recoverObject[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, c.name))
}

func (s *Service) servePurgeKey(c *call) (any, error) {
	if err := s.purgeObject(c.ctx, shelfOf(areaKeys), c.vault, c.name); err != nil {
		return nil, err
	}
	s.Log.InfoContext(c.ctx, "key purged", "vault", c.vault.Name, "key", c.name)
	return nil, nil
}

// valueBody is {"value": bytes}: a backup or the result of an operation.
type valueBody struct {
	Kid   string `json:"kid,omitempty"`
	Value binary `json:"value"`
}

// json is the body in a buffer of its own, for the handler to wipe: the value
// may be a key, and the encoder's buffers live on in its pool.
func (b valueBody) json() json.RawMessage {
	const valueName = `"value":"`
	var kid []byte
	if b.Kid != "" {
		kid = strconv.AppendQuote([]byte(`"kid":`), b.Kid) // an address of ASCII letters: quoted as JSON does
		kid = append(kid, ',')
	}
	out := make([]byte, 0, len("{")+len(kid)+len(valueName)+base64.RawURLEncoding.EncodedLen(len(b.Value))+len(`"}`))
	out = append(append(append(out, '{'), kid...), valueName...)
	out = base64.RawURLEncoding.AppendEncode(out, b.Value)
	return append(out, `"}`...)
}

func (s *Service) serveBackupKey(c *call) (any, error) {
	blob, err := backup[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, c.name)
	if err != nil {
		return nil, err
	}
	return valueBody{Value: blob}, nil
}

// blob reads the body of a restore.
func (c *call) blob() ([]byte, error) {
	var body struct {
		Value *string `json:"value"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return decodeBinary("value", body.Value)
}

func (s *Service) serveRestoreKey(c *call) (any, error) {
	blob, err := c.blob()
	if err != nil {
		return nil, err
	}
	return c.keyAnswer(restore[KeyVersion](c.ctx, s, shelfOf(areaKeys), c.vault, blob))
}
