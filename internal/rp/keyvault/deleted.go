package keyvault

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/vault"
)

func (p *rp) listDeleted(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	vaults, err := p.Vault.DeletedVaults(ctx, req.ID.Subscription)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(req, vaults, func(v *vault.Vault) string { return strings.ToLower(v.Name) })
	if err != nil {
		return nil, err
	}
	out := make([]deletedResource, len(page))
	for i := range page {
		out[i] = deleted(&page[i])
	}
	return ok(list{Value: out, NextLink: next}), nil
}

// place is the location, in its normal form, and the vault's name of a
// locations/deletedVaults id.
func place(req *provider.Request) (location, name string) {
	names := req.ID.Names()
	return string(ids.ParseLocation(names[0])), names[1]
}

func (p *rp) getDeleted(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	location, name := place(req)
	v, err := p.Vault.DeletedVault(ctx, req.ID.Subscription, location, name)
	if err != nil {
		return nil, err
	}
	return ok(deleted(&v)), nil
}

// purgeDeleted removes the vault before it answers; the 202 with a Location is
// the shape clients expect, and the first poll finds it done.
func (p *rp) purgeDeleted(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	location, name := place(req)
	incarnation, err := p.Vault.Purge(ctx, req.ID.Subscription, location, name, req.Principal)
	if err != nil {
		return nil, err
	}
	p.Log.InfoContext(ctx, "vault purged", "vault", name, "principal", req.Principal.ObjectID)
	token := base64.RawURLEncoding.EncodeToString([]byte(strings.ToLower(name) + "/" + incarnation))
	h := http.Header{}
	h.Set("Location", req.BaseURL+"/subscriptions/"+req.ID.Subscription+"/providers/"+namespace+"/locations/"+location+"/operationResults/"+token+"?api-version="+req.APIVersion)
	h.Set("Retry-After", "1")
	return &provider.Response{Status: http.StatusAccepted, Header: h}, nil
}

// operationResult answers the poll of a purge from the state itself: 200 with
// no body once that vault is gone.
func (p *rp) operationResult(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	token, err := base64.RawURLEncoding.DecodeString(req.ID.Name())
	name, incarnation, found := strings.Cut(string(token), "/")
	if err != nil || !found || len(incarnation) != 32 {
		return nil, azerr.ResourceNotFound(namespace+"/locations/"+req.ID.Names()[0]+"/operationResults/"+req.ID.Name(), "")
	}
	there, err := p.Vault.Exists(ctx, name, incarnation)
	if err != nil {
		return nil, err
	}
	if there {
		return &provider.Response{Status: http.StatusAccepted}, nil
	}
	return &provider.Response{Status: http.StatusOK}, nil
}
