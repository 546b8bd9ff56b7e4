package keyvault

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/vault"
)

// write reads the body of a PUT.
func write(req *provider.Request) (vault.Write, error) {
	var body vaultBody
	if err := decode(req, &body); err != nil {
		return vault.Write{}, err
	}
	if body.Properties == nil {
		return vault.Write{}, azerr.VaultMissingProperty("properties")
	}
	return vault.Write{ID: req.ID, APIVersion: req.Shape, Location: body.Location, Tags: body.Tags, Input: *body.Properties, By: req.Principal}, nil
}

func (p *rp) putVault(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	w, err := write(req)
	if err != nil {
		return nil, err
	}
	v, created, err := p.Vault.Put(ctx, w)
	if err != nil {
		return nil, err
	}
	p.Log.InfoContext(ctx, "vault written", "vault", v.Name, "created", created, "principal", req.Principal.ObjectID)
	return ok(p.resource(&v, req.Shape)), nil
}

// Preflight says whether a PUT of a vault would be refused. Sub-resources are
// not looked at: their vault may be made by the same deployment.
func (p *rp) Preflight(ctx context.Context, req *provider.Request) error {
	if req.Method != http.MethodPut || !strings.EqualFold(req.ID.TypePath(), "vaults") {
		return nil
	}
	w, err := write(req)
	if err != nil {
		return err
	}
	return p.Vault.Check(ctx, w)
}

func (p *rp) patchVault(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body vaultBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if body.Properties == nil {
		body.Properties = &vault.Input{}
	}
	v, err := p.Vault.Patch(ctx, req.ID, body.Tags, *body.Properties, req.Principal)
	if err != nil {
		return nil, err
	}
	return ok(p.resource(&v, req.Shape)), nil
}

func (p *rp) getVault(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	v, err := p.Vault.Get(ctx, req.ID)
	if err != nil {
		return nil, err
	}
	return ok(p.resource(&v, req.Shape)), nil
}

func (p *rp) deleteVault(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	existed, err := p.Vault.Delete(ctx, req.ID, req.Principal)
	if err != nil {
		return nil, err
	}
	if !existed {
		return &provider.Response{Status: http.StatusNoContent}, nil
	}
	p.Log.InfoContext(ctx, "vault deleted", "vault", req.ID.Name(), "principal", req.Principal.ObjectID)
	return &provider.Response{Status: http.StatusOK}, nil
}

func (p *rp) listVaults(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	vaults, err := p.Vault.List(ctx, req.ID.Subscription, req.ID.ResourceGroup)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(req, vaults, func(v *vault.Vault) string { return strings.ToLower(v.Name) })
	if err != nil {
		return nil, err
	}
	out := make([]any, len(page))
	for i := range page {
		if req.APIVersion == "2015-11-01" { // the plain resource list of armkeyvault: no properties
			out[i] = p.listed(&page[i])
			continue
		}
		out[i] = p.resource(&page[i], req.Shape)
	}
	return ok(list{Value: out, NextLink: next}), nil
}

// paged cuts a list that is sorted by key to the page that $top and $skiptoken
// ask for and makes the absolute link to the next one.
func paged[T any](req *provider.Request, all []T, key func(*T) string) (page []T, next string, err error) {
	if token := req.Query.Get("$skiptoken"); token != "" {
		after, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil {
			return nil, "", azerr.InvalidQueryParameter("$skiptoken", token, "it is not a token of this server")
		}
		for len(all) > 0 && key(&all[0]) <= string(after) {
			all = all[1:]
		}
	}
	top := req.Query.Get("$top")
	if top == "" {
		return all, "", nil
	}
	n, err := strconv.Atoi(top)
	if err != nil || n < 1 {
		return nil, "", azerr.InvalidQueryParameter("$top", top, "a positive number is needed")
	}
	if n >= len(all) {
		return all, "", nil
	}
	q := url.Values{}
	for k, v := range req.Query {
		q[k] = v
	}
	q.Set("api-version", req.APIVersion)
	q.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(key(&all[n-1]))))
	return all[:n], req.BaseURL + req.ID.String() + "?" + q.Encode(), nil
}

// putPolicies serves accessPolicies/{add|replace|remove}, as a call of its own
// and as a resource of a template.
func (p *rp) putPolicies(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body policyBody
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if body.Properties == nil {
		return nil, azerr.VaultMissingProperty("properties")
	}
	id, _ := req.ID.ParentResource()
	v, err := p.Vault.ChangePolicies(ctx, id, vault.PolicyChange(req.ID.Name()), body.Properties.AccessPolicies, req.Principal)
	if err != nil {
		return nil, childError(req, err)
	}
	p.Log.InfoContext(ctx, "access policies changed", "vault", v.Name, "operation", req.ID.Name(), "principal", req.Principal.ObjectID)
	return ok(policyResource{ID: v.ResourceID + "/accessPolicies/", Type: namespace + "/vaults/accessPolicies",
		Properties: policyProperties{AccessPolicies: v.AccessPolicies}}), nil
}

func (p *rp) checkName(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var body struct {
		Name string `json:"name"`
		Type string `json:"type"`
	}
	if err := decode(req, &body); err != nil {
		return nil, err
	}
	if !strings.EqualFold(body.Type, namespace+"/vaults") {
		return nil, azerr.VaultInvalidValue("type")
	}
	reason, message, err := p.Vault.CheckName(ctx, body.Name)
	if err != nil {
		return nil, err
	}
	return ok(struct {
		NameAvailable bool   `json:"nameAvailable"`
		Reason        string `json:"reason,omitempty"`
		Message       string `json:"message,omitempty"`
	}{reason == "", reason, message}), nil
}
