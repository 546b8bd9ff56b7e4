package keyvault

import (
	"context"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/vault"
)

type secretBody struct {
	Tags       map[string]string `json:"tags"`
	Properties *struct {
		Value       *string                `json:"value"`
		ContentType *string                `json:"contentType"`
		Attributes  *vault.AttributeChange `json:"attributes"`
	} `json:"properties"`
}

type secretProperties struct {
	Attributes           keyAttributes `json:"attributes"`
	ContentType          string        `json:"contentType,omitempty"`
	SecretURI            string        `json:"secretUri"`
	SecretURIWithVersion string        `json:"secretUriWithVersion"`
}

func secretResource(s vault.SecretView) childResource {
	return childResource{ID: s.Vault.ResourceID + "/secrets/" + s.Name, Name: s.Name, Type: namespace + "/vaults/secrets", Location: s.Vault.Location, Tags: s.Tags,
		Properties: secretProperties{Attributes: attributes(s.Attributes), ContentType: s.ContentType, SecretURI: s.URI, SecretURIWithVersion: s.URIWithVersion}}
}

func (b *secretBody) spec() vault.SecretSpec {
	in := b.Properties
	spec := vault.SecretSpec{Value: vault.Secret(*in.Value), Attributes: in.Attributes, Tags: b.Tags}
	if in.ContentType != nil {
		spec.ContentType = *in.ContentType
	}
	return spec
}

// putSecret writes a new version; the answer never has the value.
func (p *rp) putSecret(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body secretBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if body.Properties == nil || body.Properties.Value == nil {
		return nil, azerr.VaultMissingProperty("properties.value")
	}
	return p.setSecret(ctx, req, &body)
}

func (p *rp) setSecret(ctx context.Context, req *provider.Request, body *secretBody) (*provider.Response, error) {
	s, err := p.Vault.SetSecret(ctx, vaultOf(req.ID), req.ID.Name(), body.spec(), req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	p.Log.InfoContext(ctx, "secret set", "vault", s.Vault.Name, "secret", s.Name, "principal", req.Principal.ObjectID)
	return ok(secretResource(s)), nil
}

// patchSecret changes the newest version; a value makes a new one.
func (p *rp) patchSecret(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body secretBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if _, err := p.Vault.SecretView(ctx, vaultOf(req.ID), req.ID.Name(), req.Principal); err != nil {
		return nil, childError(req, err)
	}
	if body.Properties != nil && body.Properties.Value != nil {
		return p.setSecret(ctx, req, &body)
	}
	change := vault.SecretChange{Tags: body.Tags}
	if body.Properties != nil {
		change.ContentType, change.Attributes = body.Properties.ContentType, body.Properties.Attributes
	}
	s, err := p.Vault.UpdateSecret(ctx, vaultOf(req.ID), req.ID.Name(), change, req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	return ok(secretResource(s)), nil
}

func (p *rp) getSecret(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	s, err := p.Vault.SecretView(ctx, vaultOf(req.ID), req.ID.Name(), req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	return ok(secretResource(s)), nil
}

func (p *rp) listSecrets(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	secrets, err := p.Vault.Secrets(ctx, vaultOf(req.ID), req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	page, next, err := paged(req, secrets, func(s *vault.SecretView) string { return strings.ToLower(s.Name) })
	if err != nil {
		return nil, err
	}
	out := make([]childResource, len(page))
	for i, s := range page {
		out[i] = secretResource(s)
	}
	return ok(list{Value: out, NextLink: next}), nil
}
