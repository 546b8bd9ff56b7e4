package managedidentity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const bucket = "managedidentity.identities"

// record is an identity as stored. The directory has the secret.
type record struct {
	Subscription, Group, Name    string
	Location                     ids.Location
	Tags                         map[string]string
	ObjectID, ClientID, TenantID string
	Created, Changed             time.Time
}

func (r record) id() ids.ID {
	return ids.ID{Subscription: r.Subscription, ResourceGroup: r.Group, Namespace: namespace, Segments: []ids.Segment{{Type: typeName, Name: r.Name}}}
}

// prefix is the beginning of the keys of a group, or of a subscription.
func prefix(subscription, group string) string {
	p := strings.ToLower(subscription) + "/"
	if group != "" {
		p += strings.ToLower(group) + "/"
	}
	return p
}

func key(id ids.ID) string {
	return prefix(id.Subscription, id.ResourceGroup) + strings.ToLower(id.Name())
}

// find returns the identity that id names, or ResourceNotFound.
func find(tx store.Tx, id ids.ID) (record, error) {
	r, err := store.GetJSON[record](tx, bucket, key(id))
	if errors.Is(err, store.ErrNotFound) {
		return r, provider.NotFound(id)
	}
	return r, err
}

type resource struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties properties        `json:"properties"`
}

type properties struct {
	TenantID    string `json:"tenantId"`
	PrincipalID string `json:"principalId"`
	ClientID    string `json:"clientId"`
}

func wire(r record) resource {
	tags := r.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return resource{ID: r.id().String(), Name: r.Name, Type: namespace + "/" + typeName, Location: string(r.Location), Tags: tags,
		Properties: properties{TenantID: r.TenantID, PrincipalID: r.ObjectID, ClientID: r.ClientID}}
}

func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// body is a PUT or PATCH. Properties are read-only and ignored, because clients
// send back what they read.
type body struct {
	Location string             `json:"location"`
	Tags     *map[string]string `json:"tags"`
}

func decode(req *provider.Request) (body, error) {
	var b body
	err := json.Unmarshal(req.Body, &b)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return b, azerr.InvalidRequestContent(fmt.Sprintf("A value of the kind '%s' is not expected. Path '%s'", mismatch.Value, mismatch.Field)).Because(err)
	}
	if err != nil {
		return b, azerr.InvalidRequestContent("The content is not an identity").Because(err)
	}
	return b, nil
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`)

// read checks what can be known of a PUT by itself.
func (p *rp) read(req *provider.Request) (body, ids.Location, error) {
	if !validName.MatchString(req.ID.Name()) {
		return body{}, "", azerr.InvalidIdentityName(req.ID.Name())
	}
	b, err := decode(req)
	if err != nil {
		return b, "", err
	}
	if b.Location == "" {
		return b, "", azerr.LocationRequired()
	}
	l := ids.ParseLocation(b.Location)
	if !l.Known() {
		return b, l, azerr.LocationNotAvailableForResourceType(b.Location, namespace+"/"+typeName, p.Types()[0].Locations)
	}
	return b, l, nil
}

// Preflight says whether a PUT of an identity would be refused. What an
// identity has below it is not looked at: the identity may be made by the same
// deployment.
func (p *rp) Preflight(_ context.Context, req *provider.Request) error {
	if req.Method != http.MethodPut || !strings.EqualFold(req.ID.TypePath(), typeName) {
		return nil
	}
	_, _, err := p.read(req)
	return err
}

func (p *rp) put(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	b, l, err := p.read(req)
	if err != nil {
		return nil, err
	}
	var r record
	status := http.StatusOK
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		r, err = store.GetJSON[record](tx, bucket, key(req.ID))
		switch {
		case errors.Is(err, store.ErrNotFound):
			status = http.StatusCreated
			if r, err = p.create(ctx, tx, req.ID, l); err != nil {
				return err
			}
		case err != nil:
			return err
		case r.Location != l:
			return azerr.InvalidResourceLocation(r.Name, string(r.Location), r.Group, string(l))
		}
		r.Tags, r.Changed = nil, p.Now().UTC()
		if b.Tags != nil {
			r.Tags = *b.Tags
		}
		return store.PutJSON(tx, bucket, key(req.ID), r)
	})
	if err != nil {
		return nil, fmt.Errorf("store identity: %w", err)
	}
	return &provider.Response{Status: status, Body: wire(r)}, nil
}

// create makes the service principal and the record that names it.
func (p *rp) create(ctx context.Context, tx store.Tx, id ids.ID, l ids.Location) (record, error) {
	r := record{Subscription: strings.ToLower(id.Subscription), Group: id.ResourceGroup, Name: id.Name(), Location: l, Created: p.Now().UTC()}
	made, err := p.Identities.CreateIdentity(ctx, tx, r.Name, r.id().String())
	if err != nil {
		return record{}, err
	}
	r.ObjectID, r.ClientID, r.TenantID = made.ObjectID, made.ClientID, made.TenantID
	return r, nil
}

func (p *rp) patch(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	b, err := decode(req)
	if err != nil {
		return nil, err
	}
	var r record
	err = p.Store.Update(ctx, func(tx store.Tx) error {
		if r, err = find(tx, req.ID); err != nil {
			return err
		}
		if b.Location != "" && ids.ParseLocation(b.Location) != r.Location {
			return azerr.InvalidResourceLocation(r.Name, string(r.Location), r.Group, b.Location)
		}
		if b.Tags != nil {
			r.Tags = *b.Tags
		}
		r.Changed = p.Now().UTC()
		return store.PutJSON(tx, bucket, key(req.ID), r)
	})
	if err != nil {
		return nil, fmt.Errorf("store identity: %w", err)
	}
	return &provider.Response{Status: http.StatusOK, Body: wire(r)}, nil
}

func (p *rp) get(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var r record
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		r, err = find(tx, req.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read identity: %w", err)
	}
	return &provider.Response{Status: http.StatusOK, Body: wire(r)}, nil
}

func (p *rp) list(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	records, err := p.records(ctx, req.ID.Subscription, req.ID.ResourceGroup)
	if err != nil {
		return nil, err
	}
	out := []resource{}
	for _, r := range records {
		out = append(out, wire(r))
	}
	return &provider.Response{Status: http.StatusOK, Body: map[string][]resource{"value": out}}, nil
}

func (p *rp) delete(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	status := http.StatusOK
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		r, err := store.GetJSON[record](tx, bucket, key(req.ID))
		if errors.Is(err, store.ErrNotFound) {
			status = http.StatusNoContent
			return nil
		}
		if err != nil {
			return err
		}
		if err := p.Identities.DeleteIdentity(ctx, tx, r.ObjectID); err != nil && !errors.Is(err, directory.ErrNotFound) {
			return err
		}
		if p.Assignments != nil {
			if err := p.Assignments.RemoveScope(tx, r.id().String()); err != nil {
				return err
			}
		}
		return tx.Delete(bucket, key(req.ID))
	})
	if err != nil {
		return nil, fmt.Errorf("delete identity: %w", err)
	}
	return &provider.Response{Status: status}, nil
}
