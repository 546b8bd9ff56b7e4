package resources

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

type tagsResource struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Properties tagsProperties `json:"properties"`
}

type tagsProperties struct {
	Tags map[string]string `json:"tags"`
}

// tags serves {scope}/providers/Microsoft.Resources/tags/default: the tags of
// a subscription, a group, or a resource, as one resource of their own.
func (p *Provider) tags(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if !strings.EqualFold(req.ID.Name(), "default") {
		return nil, provider.NotFound(req.ID)
	}
	at := req.ID.Scope()
	change, err := tagChange(req)
	if err != nil {
		return nil, err
	}
	var tags map[string]string
	switch {
	case at.Namespace != "":
		tags, err = p.resourceTags(ctx, req, at, change)
	case at.ResourceGroup != "":
		tags, err = p.groupTags(ctx, at, change)
	case at.Subscription != "":
		tags, err = p.subscriptionTags(ctx, at, change)
	default:
		return nil, azerr.OperationNotSupported("tags", "tenants")
	}
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", at, err)
	}
	if req.Method == http.MethodDelete {
		return &provider.Response{Status: http.StatusOK}, nil
	}
	if tags == nil {
		tags = map[string]string{}
	}
	id := at.String() + "/providers/Microsoft.Resources/tags/default"
	return provider.OK(tagsResource{ID: id, Name: "default", Type: namespace + "/tags", Properties: tagsProperties{tags}})
}

// tagChange is what a request does to the tags that are there; nil for a GET.
func tagChange(req *provider.Request) (tagsChange, error) {
	if req.Method == http.MethodGet {
		return nil, nil
	}
	if req.Method == http.MethodDelete {
		return func(map[string]string) (map[string]string, error) { return map[string]string{}, nil }, nil
	}
	var body struct {
		Operation  string `json:"operation"`
		Properties struct {
			Tags json.RawMessage `json:"tags"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(req.Body, &body); err != nil {
		return nil, azerr.InvalidRequestContent("A tags resource is expected").Because(err)
	}
	if len(body.Properties.Tags) == 0 {
		return nil, azerr.InvalidRequestContent("The member 'properties.tags' is required")
	}
	given, err := provider.ParseTags(body.Properties.Tags)
	if err != nil {
		return nil, err
	}
	operation := strings.ToLower(body.Operation)
	if req.Method == http.MethodPut {
		operation = "replace"
	}
	switch operation {
	case "replace":
		return func(map[string]string) (map[string]string, error) { return given, nil }, nil
	case "merge", "delete":
		return func(have map[string]string) (map[string]string, error) {
			return mergeTags(have, given, operation == "delete")
		}, nil
	}
	return nil, azerr.InvalidRequestContent("The operation must be 'Merge', 'Replace' or 'Delete'. Path 'operation'")
}

// mergeTags adds given to have or removes it: a tag is removed when its name
// and its value agree.
func mergeTags(have, given map[string]string, remove bool) (map[string]string, error) {
	out := map[string]string{}
	for name, value := range have {
		gone := false
		for other, v := range given {
			if strings.EqualFold(name, other) && (!remove || v == value) {
				gone = true
			}
		}
		if !gone {
			out[name] = value
		}
	}
	if !remove {
		for name, value := range given {
			out[name] = value
		}
	}
	if len(out) > provider.MaxTags {
		return nil, azerr.TooManyTags(len(out), provider.MaxTags)
	}
	return out, nil
}

type tagsChange = func(map[string]string) (map[string]string, error)

// update runs work in a transaction that writes only when there is a change.
func (p *Provider) update(ctx context.Context, change tagsChange, work func(store.Tx) error) error {
	if change == nil {
		return p.Store.View(ctx, work)
	}
	return p.Store.Update(ctx, work)
}

func (p *Provider) groupTags(ctx context.Context, at ids.ID, change tagsChange) (map[string]string, error) {
	var tags map[string]string
	err := p.update(ctx, change, func(tx store.Tx) error {
		g, err := scope.FindGroup(tx, at.Subscription, at.ResourceGroup)
		if errors.Is(err, scope.ErrNoGroup) {
			return azerr.ResourceGroupNotFound(at.ResourceGroup)
		}
		tags = g.Tags
		if err != nil || change == nil {
			return err
		}
		if tags, err = change(g.Tags); err != nil {
			return err
		}
		g.Tags, g.Changed = tags, p.Now().UTC()
		return scope.PutGroup(tx, g)
	})
	return tags, err
}

func (p *Provider) subscriptionTags(ctx context.Context, at ids.ID, change tagsChange) (map[string]string, error) {
	var tags map[string]string
	err := p.update(ctx, change, func(tx store.Tx) error {
		s, err := scope.FindSubscription(tx, at.Subscription)
		if errors.Is(err, scope.ErrNoSubscription) {
			return azerr.SubscriptionNotFound(at.Subscription)
		}
		tags = s.Tags
		if err != nil || change == nil {
			return err
		}
		if tags, err = change(s.Tags); err != nil {
			return err
		}
		s.Tags = tags
		return scope.PutSubscription(tx, s)
	})
	return tags, err
}

// resourceTags reads and patches a resource through the front door. Its caller
// was allowed the tags, and needs no right to the resource itself; the change
// is in the caller's name.
func (p *Provider) resourceTags(ctx context.Context, req *provider.Request, at ids.ID, change tagsChange) (map[string]string, error) {
	typ, ok := provider.FindType(p.Registry.Providers(), at)
	switch {
	case !ok:
		return nil, provider.NotFound(at)
	case !typ.Tracked: // the patch would change nothing and be answered as done
		return nil, azerr.OperationNotSupported("tags", at.Type())
	}
	inner := provider.Request{Method: http.MethodGet, ID: at, APIVersion: provider.NewestStable(typ.APIVersions), Principal: req.Principal, BaseURL: req.BaseURL, CorrelationID: req.CorrelationID}
	inner.Principal.FirstParty = namespace
	resp, err := p.Dispatcher.Dispatch(ctx, &inner)
	if err != nil {
		return nil, err
	}
	data, err := resp.JSON()
	if err != nil {
		return nil, err
	}
	var have struct {
		Tags map[string]string `json:"tags"`
	}
	if err := json.Unmarshal(data, &have); err != nil {
		return nil, fmt.Errorf("decode resource: %w", err)
	}
	if change == nil {
		return have.Tags, nil
	}
	tags, err := change(have.Tags)
	if err != nil {
		return nil, err
	}
	inner.Method = http.MethodPatch
	if inner.Body, err = json.Marshal(map[string]any{"tags": tags}); err != nil {
		return nil, err
	}
	if resp, err = p.Dispatcher.Dispatch(ctx, &inner); err != nil || resp.OperationID == "" {
		return tags, err
	}
	op, err := p.Operations.Wait(ctx, resp.OperationID)
	if err == nil && op.Error != nil {
		err = op.Error
	}
	return tags, err
}
