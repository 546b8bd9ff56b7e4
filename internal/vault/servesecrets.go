package vault

import "github.com/kustos-io/kustos/internal/azerr"

func (s *Service) serveSetSecret(c *call) (any, error) {
	var body struct {
		Value       *string           `json:"value"`
		ContentType string            `json:"contentType"`
		Attributes  *AttributeChange  `json:"attributes"`
		Tags        map[string]string `json:"tags"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if body.Value == nil {
		return nil, azerr.BadParameter("Property 'value' is required.", "")
	}
	f, err := s.setSecret(c.ctx, c.vault, c.name, SecretSpec{Value: Secret(*body.Value), ContentType: body.ContentType,
		Attributes: body.Attributes, Tags: body.Tags})
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(c.ctx, "secret set", "vault", c.vault.Name, "secret", f.Object.Name)
	return secretBundle{Value: body.Value, secretItem: c.secretItem(f, f.Version.ID)}, nil
}

func (s *Service) serveGetSecret(c *call) (any, error) {
	f, secret, err := s.getSecret(c.ctx, c.vault, c.name, c.version)
	if err != nil {
		return nil, err
	}
	value := secret.Reveal()
	return secretBundle{Value: &value, secretItem: c.secretItem(f, f.Version.ID)}, nil
}

// secretAnswer is the bundle of a result without its value.
func (c *call) secretAnswer(f found[SecretVersion], err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return secretBundle{secretItem: c.secretItem(f, f.Version.ID)}, nil
}

func (s *Service) serveListSecrets(c *call) (any, error) { return s.listSecrets(c, false) }

func (s *Service) serveListDeletedSecrets(c *call) (any, error) { return s.listSecrets(c, true) }

func (s *Service) listSecrets(c *call, deleted bool) (any, error) {
	return serveList(c, func(after string, limit int) ([]found[SecretVersion], bool, error) {
		return listObjects[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, deleted, after, limit)
	}, func(f found[SecretVersion]) secretItem { return c.secretItem(f, "") }, objectName[SecretVersion])
}

func (s *Service) serveListSecretVersions(c *call) (any, error) {
	return serveList(c, func(after string, limit int) ([]found[SecretVersion], bool, error) {
		return listVersions[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, c.name, after, limit)
	}, func(f found[SecretVersion]) secretItem { return c.secretItem(f, f.Version.ID) },
		func(f found[SecretVersion]) string { return f.Version.ID })
}

func (s *Service) serveUpdateSecret(c *call) (any, error) {
	var body struct {
		ContentType *string           `json:"contentType"`
		Attributes  *AttributeChange  `json:"attributes"`
		Tags        map[string]string `json:"tags"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	return c.secretAnswer(s.updateSecret(c.ctx, c.vault, c.name, c.version, SecretChange{ContentType: body.ContentType, Attributes: body.Attributes, Tags: body.Tags}))
}

func (s *Service) serveDeleteSecret(c *call) (any, error) {
	f, err := deleteObject[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, c.name)
	if err == nil {
		s.Log.InfoContext(c.ctx, "secret deleted", "vault", c.vault.Name, "secret", f.Object.Name)
	}
	return c.secretAnswer(f, err)
}

func (s *Service) serveGetDeletedSecret(c *call) (any, error) {
	return c.secretAnswer(getDeleted[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, c.name))
}

func (s *Service) serveRecoverSecret(c *call) (any, error) {
	return c.secretAnswer(recoverObject[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, c.name))
}

func (s *Service) servePurgeSecret(c *call) (any, error) {
	if err := s.purgeObject(c.ctx, shelfOf(areaSecrets), c.vault, c.name); err != nil {
		return nil, err
	}
	s.Log.InfoContext(c.ctx, "secret purged", "vault", c.vault.Name, "secret", c.name)
	return nil, nil
}

func (s *Service) serveBackupSecret(c *call) (any, error) {
	blob, err := backup[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, c.name)
	if err != nil {
		return nil, err
	}
	return valueBody{Value: blob}, nil
}

func (s *Service) serveRestoreSecret(c *call) (any, error) {
	blob, err := c.blob()
	if err != nil {
		return nil, err
	}
	return c.secretAnswer(restore[SecretVersion](c.ctx, s, shelfOf(areaSecrets), c.vault, blob))
}
