package managedidentity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
)

type systemIdentity struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Type       string     `json:"type"`
	Location   string     `json:"location"`
	Properties properties `json:"properties"`
}

// getSystemAssigned serves {resource}/providers/Microsoft.ManagedIdentity/identities/default:
// the system-assigned identity of a resource.
func (p *rp) getSystemAssigned(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	all, err := p.systemAssigned(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 || !strings.EqualFold(req.ID.Name(), "default") {
		return nil, provider.NotFound(req.ID)
	}
	return &provider.Response{Status: http.StatusOK, Body: all[0]}, nil
}

// listSystemAssigned is the same as a list of none or one.
func (p *rp) listSystemAssigned(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	all, err := p.systemAssigned(ctx, req)
	if err != nil {
		return nil, err
	}
	return &provider.Response{Status: http.StatusOK, Body: map[string][]systemIdentity{"value": all}}, nil
}

func (p *rp) systemAssigned(ctx context.Context, req *provider.Request) ([]systemIdentity, error) {
	none := []systemIdentity{}
	if req.ID.Parent == nil || strings.EqualFold(req.ID.Parent.Namespace, namespace) {
		return none, nil
	}
	owner := *req.ID.Parent
	found, err := p.Identities.IdentityOf(ctx, owner.String())
	if errors.Is(err, directory.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return nil, err
	}
	location, err := p.location(ctx, req, owner)
	if err != nil {
		return nil, err
	}
	return []systemIdentity{{found.ResourceID + "/providers/" + namespace + "/identities/default", "default", namespace + "/identities", location,
		properties{found.TenantID, found.ObjectID, found.ClientID}}}, nil
}

// location asks where a resource is.
func (p *rp) location(ctx context.Context, req *provider.Request, owner ids.ID) (string, error) {
	resp, err := p.Front.Dispatch(ctx, &provider.Request{Method: http.MethodGet, ID: owner, APIVersion: provider.NewestVersion(p.Front.Providers(), owner),
		BaseURL: req.BaseURL, CorrelationID: req.CorrelationID, Principal: authz.Principal{FirstParty: namespace, Name: namespace}})
	if err != nil {
		return "", err
	}
	data, err := resp.JSON()
	if err != nil {
		return "", err
	}
	var resource struct {
		Location string `json:"location"`
	}
	if err := json.Unmarshal(data, &resource); err != nil {
		return "", fmt.Errorf("read location of %s: %w", owner, err)
	}
	return string(ids.ParseLocation(resource.Location)), nil
}
