package vault

import "github.com/kustos-io/kustos/internal/azerr"

// transformRoute serves encrypt, decrypt, wrapKey, unwrapKey and sign.
func transformRoute(op string) func(*Service, *call) (any, error) {
	return func(s *Service, c *call) (any, error) {
		var body struct {
			Alg   string  `json:"alg"`
			Value *string `json:"value"`
		}
		if err := c.decode(&body); err != nil {
			return nil, err
		}
		input, err := decodeBinary("value", body.Value)
		if err != nil {
			return nil, err
		}
		defer clear(input)
		if body.Alg == "" {
			return nil, azerr.BadParameter("Property 'alg' is required.", "")
		}
		c.event.Algorithm = body.Alg
		f, out, err := s.transform(c.ctx, c.vault, c.name, c.version, op, body.Alg, input)
		if err != nil {
			return nil, err
		}
		c.event.Version = f.Version.ID
		return valueBody{Kid: c.objectID(areaKeys, f.Object.Name, f.Version.ID), Value: out}, nil
	}
}

func (s *Service) serveVerify(c *call) (any, error) {
	var body struct {
		Alg    string  `json:"alg"`
		Digest *string `json:"digest"`
		Value  *string `json:"value"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	digest, err := decodeBinary("digest", body.Digest)
	if err != nil {
		return nil, err
	}
	signature, err := decodeBinary("value", body.Value)
	if err != nil {
		return nil, err
	}
	if body.Alg == "" {
		return nil, azerr.BadParameter("Property 'alg' is required.", "")
	}
	c.event.Algorithm = body.Alg
	ok, err := s.verifySignature(c.ctx, c.vault, c.name, c.version, body.Alg, digest, signature)
	if err != nil {
		return nil, err
	}
	return struct {
		Value bool `json:"value"`
	}{ok}, nil
}
