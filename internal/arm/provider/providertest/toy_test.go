package providertest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/provider/providertest"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// toys is the provider of docs/providers.md: one type, boxes, whose deletion
// is a long-running operation.
type toys struct {
	store store.Store
	ops   *operations.Manager
}

const (
	toyNamespace = "Contoso.Toys"
	boxBucket    = "toys.boxes"
)

type box struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`
}

func newToys(_ *testing.T, h *providertest.House) provider.Provider {
	p := &toys{h.Store, h.Operations}
	h.Operations.Handle("BoxDelete", p.runDelete)
	return p
}

func (p *toys) Namespace() string { return toyNamespace }

func (p *toys) Types() []provider.ResourceType {
	return []provider.ResourceType{{Type: "boxes", APIVersions: []string{"2024-01-01", "2022-06-01-preview"},
		Locations: []string{"West Europe", "East US"}, Tracked: true, Capabilities: "SupportsTags, SupportsLocation"}}
}

func (p *toys) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	switch {
	case req.ID.IsCollection() && req.Method == http.MethodGet:
		boxes, err := p.boxes(ctx, req.ID.Subscription, req.ID.ResourceGroup)
		return &provider.Response{Status: http.StatusOK, Body: map[string]any{"value": boxes}}, err
	case req.Method == http.MethodGet:
		var b box
		err := p.store.View(ctx, func(tx store.Tx) (err error) {
			b, err = find(tx, req.ID)
			return err
		})
		return &provider.Response{Status: http.StatusOK, Body: b}, err
	case req.Method == http.MethodPut:
		return p.put(ctx, req)
	case req.Method == http.MethodPatch:
		return p.patch(ctx, req)
	case req.Method == http.MethodDelete:
		return p.delete(ctx, req)
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

func find(tx store.Tx, id ids.ID) (box, error) {
	b, err := store.GetJSON[box](tx, boxBucket, id.Key())
	if errors.Is(err, store.ErrNotFound) {
		return b, provider.NotFound(id)
	}
	return b, err
}

func (p *toys) put(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var b box
	if err := json.Unmarshal(req.Body, &b); err != nil {
		return nil, azerr.InvalidRequestContent("The content is not a box").Because(err)
	}
	l := ids.ParseLocation(b.Location)
	switch {
	case b.Location == "":
		return nil, azerr.LocationRequired()
	case l != "westeurope" && l != "eastus":
		return nil, azerr.LocationNotAvailableForResourceType(b.Location, toyNamespace+"/boxes", p.Types()[0].Locations)
	}
	b.ID, b.Name, b.Type, b.Location = req.ID.String(), req.ID.Name(), toyNamespace+"/boxes", string(l)
	status := http.StatusOK
	err := p.store.Update(ctx, func(tx store.Tx) error {
		old, err := store.GetJSON[box](tx, boxBucket, req.ID.Key())
		switch {
		case errors.Is(err, store.ErrNotFound):
			status = http.StatusCreated
		case err != nil:
			return err
		case old.Location != b.Location:
			return azerr.InvalidResourceLocation(old.Name, old.Location, req.ID.ResourceGroup, b.Location)
		default:
			b.ID, b.Name = old.ID, old.Name
		}
		return store.PutJSON(tx, boxBucket, req.ID.Key(), b)
	})
	return &provider.Response{Status: status, Body: b}, err
}

func (p *toys) patch(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var change struct {
		Tags *map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(req.Body, &change); err != nil {
		return nil, azerr.InvalidRequestContent("The content is not a box").Because(err)
	}
	var b box
	err := p.store.Update(ctx, func(tx store.Tx) (err error) {
		if b, err = find(tx, req.ID); err != nil {
			return err
		}
		if change.Tags != nil {
			b.Tags = *change.Tags
		}
		return store.PutJSON(tx, boxBucket, req.ID.Key(), b)
	})
	return &provider.Response{Status: http.StatusOK, Body: b}, err
}

func (p *toys) delete(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	resp := &provider.Response{Status: http.StatusAccepted}
	err := p.store.Update(ctx, func(tx store.Tx) error {
		if _, err := tx.Get(boxBucket, req.ID.Key()); errors.Is(err, store.ErrNotFound) {
			resp.Status = http.StatusNoContent
			return nil
		}
		payload, err := json.Marshal(req.ID.Key())
		if err == nil {
			resp.OperationID, err = p.ops.Start(tx, operations.Operation{Kind: "BoxDelete", Provider: toyNamespace, ResourceID: req.ID.String(), Payload: payload})
		}
		return err
	})
	if err == nil && resp.OperationID != "" {
		p.ops.Launch(resp.OperationID)
	}
	return resp, err
}

func (p *toys) runDelete(ctx context.Context, op *operations.Operation) (any, error) {
	var key string
	if err := json.Unmarshal(op.Payload, &key); err != nil {
		return nil, err
	}
	return nil, p.store.Update(ctx, func(tx store.Tx) error {
		if err := tx.Delete(boxBucket, key); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		return nil
	})
}

func (p *toys) boxes(ctx context.Context, subscription, group string) ([]box, error) {
	scope := ids.ID{Subscription: subscription, ResourceGroup: group}.Key()
	boxes := []box{}
	err := p.store.View(ctx, func(tx store.Tx) error {
		all, err := store.ListJSON[box](tx, boxBucket, scope+"/")
		boxes = append(boxes, all...)
		return err
	})
	return boxes, err
}

func (p *toys) Resources(ctx context.Context, subscription, group string) ([]provider.Resource, error) {
	boxes, err := p.boxes(ctx, subscription, group)
	if err != nil {
		return nil, err
	}
	var out []provider.Resource
	for _, b := range boxes {
		id, err := ids.Parse(b.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, provider.Resource{ID: id, IDText: b.ID, Name: b.Name, Type: b.Type, Location: b.Location, Tags: b.Tags, APIVersion: "2024-01-01"})
	}
	return out, nil
}

func TestToys(t *testing.T) {
	t.Parallel()
	providertest.Run(t, providertest.Suite{New: newToys, Type: "boxes", APIVersion: "2024-01-01", Body: json.RawMessage(`{"location":"westeurope"}`)})
}

// The toy's ids are lower-cased only for its keys.
func TestToyKeepsCase(t *testing.T) {
	t.Parallel()
	h := providertest.NewHouse(t, nil, newToys)
	id := ids.ID{Subscription: providertest.SubscriptionID, ResourceGroup: providertest.Group, Namespace: toyNamespace, Segments: []ids.Segment{{Type: "boxes", Name: "MyBox"}}}
	resp, err := h.Front.Dispatch(t.Context(), &provider.Request{Method: "PUT", ID: id, APIVersion: "2024-01-01", Body: json.RawMessage(`{"location":"East US"}`), Principal: providertest.Owner()})
	if err != nil {
		t.Fatal(err)
	}
	data, err := resp.JSON()
	if err != nil || !strings.Contains(string(data), "/boxes/MyBox") {
		t.Errorf("%s, %v", data, err)
	}
}
