package managedidentity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// federatedResource is a federated identity credential. kustosKeySet is an
// addition to Azure's: the key set of an issuer elsewhere, which Azure fetches.
type federatedResource struct {
	ID         string              `json:"id"`
	Name       string              `json:"name"`
	Type       string              `json:"type"`
	Properties federatedProperties `json:"properties"`
}

type federatedProperties struct {
	Issuer    string          `json:"issuer"`
	Subject   string          `json:"subject"`
	Audiences []string        `json:"audiences"`
	KeySet    json.RawMessage `json:"kustosKeySet,omitempty"`
}

func wireFederated(identity ids.ID, c directory.IdentityCredential) federatedResource {
	return federatedResource{ID: identity.Child("federatedIdentityCredentials", c.Name).String(), Name: c.Name, Type: namespace + "/" + federatedType,
		Properties: federatedProperties{c.Issuer, c.Subject, c.Audiences, c.KeySet}}
}

func validCredentialName() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,119}$`)
}

// parent finds the identity that a credential belongs to.
func parent(tx store.Tx, req *provider.Request) (record, error) {
	id := req.ID
	id.Segments = id.Segments[:1]
	r, err := store.GetJSON[record](tx, bucket, key(id))
	if errors.Is(err, store.ErrNotFound) {
		verb := "read"
		if req.Method == http.MethodPut {
			verb = "write"
		}
		return r, azerr.ParentResourceNotFound(verb, namespace+"/"+federatedType, id.String())
	}
	return r, err
}

func (p *rp) putFederated(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if !validCredentialName().MatchString(req.ID.Name()) {
		return nil, azerr.InvalidFederatedCredentialName(req.ID.Name())
	}
	var b struct {
		Properties *struct {
			Issuer, Subject string
			Audiences       []string
			KustosKeySet    json.RawMessage
		}
	}
	if err := json.Unmarshal(req.Body, &b); err != nil {
		return nil, azerr.InvalidRequestContent("A federated identity credential is expected").Because(err)
	}
	if b.Properties == nil {
		return nil, azerr.InvalidRequestContent("The member 'properties' is required")
	}
	c := directory.IdentityCredential{Name: req.ID.Name(), Issuer: b.Properties.Issuer, Subject: b.Properties.Subject, Audiences: b.Properties.Audiences, KeySet: b.Properties.KustosKeySet}
	if string(c.KeySet) == "null" {
		c.KeySet = nil
	}
	var r record
	status := http.StatusOK
	err := p.Store.Update(ctx, func(tx store.Tx) (err error) {
		if r, err = parent(tx, req); err != nil {
			return err
		}
		created, err := p.Identities.PutIdentityCredential(tx, r.ObjectID, c)
		if created {
			status = http.StatusCreated
		}
		return err
	})
	var wrong *directory.CredentialError
	switch {
	case errors.As(err, &wrong):
		return nil, azerr.InvalidFederatedCredential(wrong.Error())
	case errors.Is(err, directory.ErrTooManyCredentials):
		return nil, azerr.TooManyFederatedCredentials(20)
	case err != nil:
		return nil, fmt.Errorf("store federated credential: %w", err)
	}
	return &provider.Response{Status: status, Body: wireFederated(r.id(), c)}, nil
}

// credentials are those of the request's identity.
func (p *rp) credentials(ctx context.Context, req *provider.Request) (r record, all []directory.IdentityCredential, err error) {
	err = p.Store.View(ctx, func(tx store.Tx) error {
		if r, err = parent(tx, req); err != nil {
			return err
		}
		all, err = p.Identities.IdentityCredentials(tx, r.ObjectID)
		return err
	})
	if err != nil {
		err = fmt.Errorf("read federated credentials: %w", err)
	}
	return r, all, err
}

func (p *rp) getFederated(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	r, all, err := p.credentials(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		if strings.EqualFold(c.Name, req.ID.Name()) {
			return &provider.Response{Status: http.StatusOK, Body: wireFederated(r.id(), c)}, nil
		}
	}
	return nil, provider.NotFound(req.ID)
}

func (p *rp) listFederated(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	r, all, err := p.credentials(ctx, req)
	if err != nil {
		return nil, err
	}
	out := []federatedResource{}
	for _, c := range all {
		out = append(out, wireFederated(r.id(), c))
	}
	page, err := provider.ParsePage(req)
	if err != nil {
		return nil, err
	}
	body := struct {
		Value    []federatedResource `json:"value"`
		NextLink string              `json:"nextLink,omitempty"`
	}{}
	body.Value, body.NextLink = provider.Paged(req, page, out)
	return &provider.Response{Status: http.StatusOK, Body: body}, nil
}

func (p *rp) deleteFederated(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	status := http.StatusOK
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		r, err := parent(tx, req)
		if err != nil {
			return err
		}
		err = p.Identities.DeleteIdentityCredential(tx, r.ObjectID, req.ID.Name())
		if errors.Is(err, directory.ErrNotFound) {
			status = http.StatusNoContent
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("delete federated credential: %w", err)
	}
	return &provider.Response{Status: status}, nil
}
