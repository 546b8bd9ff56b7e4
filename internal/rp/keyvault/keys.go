package keyvault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/vault"
)

type keyBody struct {
	Tags       map[string]string `json:"tags"`
	Properties *struct {
		Kty            string                 `json:"kty"`
		KeyOps         []string               `json:"keyOps"`
		KeySize        int                    `json:"keySize"`
		CurveName      string                 `json:"curveName"`
		Attributes     *vault.AttributeChange `json:"attributes"`
		RotationPolicy json.RawMessage        `json:"rotationPolicy"`
		ReleasePolicy  json.RawMessage        `json:"release_policy"`
	} `json:"properties"`
}

type childResource struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags,omitempty"`
	Properties any               `json:"properties"`
}

type keyProperties struct {
	Attributes        keyAttributes `json:"attributes"`
	Kty               string        `json:"kty,omitempty"`
	KeyOps            []string      `json:"keyOps,omitempty"`
	KeySize           int           `json:"keySize,omitempty"`
	CurveName         string        `json:"curveName,omitempty"`
	KeyURI            string        `json:"keyUri"`
	KeyURIWithVersion string        `json:"keyUriWithVersion,omitempty"`
	RotationPolicy    any           `json:"rotationPolicy,omitempty"`
}

type keyAttributes struct {
	Enabled       bool   `json:"enabled"`
	NotBefore     *int64 `json:"nbf,omitempty"`
	Expires       *int64 `json:"exp,omitempty"`
	Created       int64  `json:"created"`
	Updated       int64  `json:"updated"`
	RecoveryLevel string `json:"recoveryLevel,omitempty"`
	Exportable    *bool  `json:"exportable,omitempty"`
}

func attributes(a vault.Attributes) keyAttributes {
	return keyAttributes{Enabled: a.Enabled, NotBefore: a.NotBefore, Expires: a.Expires, Created: a.Created, Updated: a.Updated}
}

// keyResource is a key, or one of its versions.
func keyResource(k vault.KeyView, version bool, shape string) childResource {
	attrs := attributes(k.Attributes)
	attrs.RecoveryLevel, _ = k.Vault.RecoveryLevel()
	if shape >= "2021-10-01" {
		attrs.Exportable = new(bool)
	}
	out := childResource{ID: k.Vault.ResourceID + "/keys/" + k.Name, Name: k.Name, Type: namespace + "/vaults/keys", Location: k.Vault.Location, Tags: k.Tags,
		Properties: keyProperties{Attributes: attrs, Kty: k.Type, KeyOps: k.Ops, KeySize: k.Bits, CurveName: k.Curve,
			KeyURI: k.URI, KeyURIWithVersion: k.URIWithVersion, RotationPolicy: k.Rotation}}
	if version {
		out.ID, out.Name, out.Type = out.ID+"/versions/"+k.Version, k.Version, out.Type+"/versions"
	}
	return out
}

// listedKey is a key or a version in a list: without type and material.
func listedKey(k vault.KeyView, version bool, shape string) childResource {
	out := keyResource(k, version, shape)
	full := out.Properties.(keyProperties)
	short := keyProperties{Attributes: full.Attributes, KeyURI: full.KeyURI}
	if version {
		short.KeyURIWithVersion = full.KeyURIWithVersion
	}
	out.Properties = short
	return out
}

// vaultOf is the id of the vault above a sub-resource.
func vaultOf(id ids.ID) ids.ID {
	id.Segments = id.Segments[:1]
	return id
}

// childError turns an error of the domain into ARM's form: no inner code, and
// ARM's own text for what is not there, be it the child or its vault.
func childError(req *provider.Request, err error) error {
	var e *azerr.Error
	switch {
	case err == nil || !errors.As(err, &e):
		return err
	case e.Code == "ResourceNotFound":
		verb := map[string]string{http.MethodGet: "read", http.MethodDelete: "delete"}[req.Method]
		return azerr.ParentResourceNotFound(cmp.Or(verb, "write"), req.ID.Type(), vaultOf(req.ID).String())
	case e.Code == "KeyNotFound" || e.Code == "SecretNotFound":
		path := namespace
		for _, s := range req.ID.Segments {
			path += "/" + s.Type
			if s.Name != "" {
				path += "/" + s.Name
			}
		}
		return azerr.ResourceNotFound(path, req.ID.ResourceGroup)
	case e.Inner != "":
		plain := *e
		plain.Inner = ""
		return &plain
	}
	return err
}

// putKey makes a key when there is none; an existing one stays as it is.
func (p *rp) putKey(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body keyBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if body.Properties == nil {
		return nil, azerr.VaultMissingProperty("properties")
	}
	in := body.Properties
	if len(in.ReleasePolicy) > 0 && string(in.ReleasePolicy) != "null" {
		return nil, azerr.VaultNotOffered("Release policies and exportable keys")
	}
	var rotation *vault.RotationPolicy
	if len(in.RotationPolicy) > 0 && string(in.RotationPolicy) != "null" {
		var err error
		if rotation, err = vault.ParseRotationPolicy(in.RotationPolicy); err != nil {
			return nil, childError(req, err)
		}
	}
	k, err := p.Vault.EnsureKey(ctx, vaultOf(req.ID), req.ID.Name(), vault.KeySpec{Type: in.Kty, Size: in.KeySize, Curve: in.CurveName,
		Ops: in.KeyOps, Attributes: in.Attributes, Tags: body.Tags}, rotation, req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	p.Log.InfoContext(ctx, "key ensured", "vault", k.Vault.Name, "key", k.Name, "key_version", k.Version, "principal", req.Principal.ObjectID)
	return ok(keyResource(k, false, req.Shape)), nil
}

func (p *rp) getKey(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	names := req.ID.Names()
	version := ""
	if len(names) == 3 {
		version = names[2]
	}
	k, err := p.Vault.Key(ctx, vaultOf(req.ID), names[1], version, req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	return ok(keyResource(k, version != "", req.Shape)), nil
}

func (p *rp) listKeys(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	keys, err := p.Vault.Keys(ctx, vaultOf(req.ID), req.Principal)
	return p.keyList(req, keys, err, false)
}

func (p *rp) listKeyVersions(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	keys, err := p.Vault.KeyVersions(ctx, vaultOf(req.ID), req.ID.Names()[1], req.Principal)
	return p.keyList(req, keys, err, true)
}

func (p *rp) keyList(req *provider.Request, keys []vault.KeyView, err error, versions bool) (*provider.Response, error) {
	if err != nil {
		return nil, childError(req, err)
	}
	out := make([]childResource, len(keys))
	for i, k := range keys {
		out[i] = listedKey(k, versions, req.Shape)
	}
	return &provider.Response{Status: http.StatusOK, Body: list{Value: out}}, nil
}
