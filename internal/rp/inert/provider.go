package inert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/wire"
)

const (
	bucket = "inert.resources" // lower-case namespace, '|', the id's key
	// Header marks every response; Tag every resource in a list.
	Header = "x-kustos-inert"
	Tag    = "kustos-inert"
	member = "kustosInert"
)

// Front is the front door, by which a provider finds what its resources extend.
type Front interface {
	provider.Dispatcher
	Providers() []provider.Provider
}

// Config is what a provider needs; Now has a default.
type Config struct {
	Store     store.Store
	Namespace string
	// Front may be nil only where nothing is extended: extensions are refused then.
	Front Front
	Now   func() time.Time
}

// New returns the provider of one namespace.
func New(cfg Config) provider.Provider {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &rp{cfg}
}

type rp struct{ Config }

// record is a resource as it was written.
type record struct {
	ID               string
	Body             map[string]json.RawMessage
	APIVersion       string
	Created, Changed time.Time
}

func (p *rp) Namespace() string { return p.Config.Namespace }

func prefix(namespace string) string { return strings.ToLower(namespace) + "|" }

func (p *rp) key(id ids.ID) string { return prefix(p.Config.Namespace) + id.Key() }

// Namespaces lists the namespaces of which a store holds records: a server must
// not start on them without their providers.
func Namespaces(ctx context.Context, s store.Store) ([]string, error) {
	var found []string
	err := s.View(ctx, func(tx store.Tx) error {
		for e, err := range tx.Scan(bucket, "", "") {
			if err != nil {
				return err
			}
			if ns, _, _ := strings.Cut(e.Key, "|"); !slices.Contains(found, ns) {
				found = append(found, ns)
			}
		}
		return nil
	})
	return found, err
}

// oldest is a version older than every client's.
const oldest = "2000-01-01"

func (p *rp) typ(path string) provider.ResourceType {
	return provider.ResourceType{Type: path, APIVersions: []string{oldest}, Capabilities: "SupportsTags, SupportsLocation", Replaced: true, Tracked: !strings.Contains(path, "/")}
}

// AnyType makes every path of types one that is served.
func (p *rp) AnyType(path string) (provider.ResourceType, bool) { return p.typ(path), true }

// Types lists the types of which there are resources, each with the api-versions
// they were written with.
func (p *rp) Types() []provider.ResourceType {
	all, err := p.records(context.Background(), "", "")
	if err != nil {
		return nil
	}
	var types []provider.ResourceType
	for _, r := range all {
		id, err := ids.Parse(r.ID)
		if err != nil {
			continue
		}
		i := slices.IndexFunc(types, func(t provider.ResourceType) bool { return strings.EqualFold(t.Type, id.TypePath()) })
		if i < 0 {
			types = append(types, p.typ(id.TypePath()))
			i = len(types) - 1
		}
		if !slices.Contains(types[i].APIVersions, r.APIVersion) {
			types[i].APIVersions = append(types[i].APIVersions, r.APIVersion)
			slices.SortFunc(types[i].APIVersions, func(a, b string) int { return strings.Compare(b, a) })
		}
	}
	return types
}

// records lists the resources of a subscription or a group, "" for all.
func (p *rp) records(ctx context.Context, subscription, group string) ([]record, error) {
	under := ids.ID{Subscription: subscription, ResourceGroup: group}
	at := prefix(p.Config.Namespace)
	if subscription != "" {
		at += under.Key() + "/"
	}
	var all []record
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		all, err = store.ListJSON[record](tx, bucket, at)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list inert resources: %w", err)
	}
	return all, nil
}

// Resources lists the top-level resources, the extensions of others included:
// the deletion of a group takes them along.
func (p *rp) Resources(ctx context.Context, subscription, group string) ([]provider.Resource, error) {
	all, err := p.records(ctx, subscription, group)
	if err != nil {
		return nil, err
	}
	var out []provider.Resource
	for _, r := range all {
		id, err := ids.Parse(r.ID)
		if err != nil {
			return nil, err
		}
		if len(id.Segments) != 1 || id.ResourceGroup == "" {
			continue
		}
		res := provider.Resource{ID: id, IDText: r.ID, Name: id.Name(), Type: id.Type(), APIVersion: r.APIVersion, SKU: r.Body["sku"], Identity: r.Body["identity"],
			ProvisioningState: "Succeeded", CreatedTime: wire.Time(r.Created), ChangedTime: wire.Time(r.Changed), Tags: map[string]string{}}
		_ = json.Unmarshal(r.Body["location"], &res.Location)
		_ = json.Unmarshal(r.Body["kind"], &res.Kind)
		_ = json.Unmarshal(r.Body["tags"], &res.Tags)
		if res.Tags == nil {
			res.Tags = map[string]string{}
		}
		res.Tags[Tag] = "true"
		out = append(out, res)
	}
	return out, nil
}

// Handle serves one request.
func (p *rp) Handle(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	if req.Action != "" || len(req.ID.Segments) == 0 {
		return nil, marked(azerr.OperationNotSupported(req.Action, req.ID.Type()))
	}
	resp, err := p.serve(ctx, req)
	if err != nil {
		return nil, marked(err)
	}
	resp.Header = http.Header{}
	resp.Header.Set(Header, "true")
	return resp, nil
}

// marked puts the header on a refusal too.
func marked(err error) error {
	e := *azerr.From(err)
	e.Header = e.Header.Clone()
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Set(Header, "true")
	return &e
}

func (p *rp) serve(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	switch {
	case req.Method == http.MethodGet && req.ID.IsCollection():
		return p.list(ctx, req)
	case req.Method == http.MethodGet:
		return p.get(ctx, req)
	case req.Method == http.MethodPut, req.Method == http.MethodPatch:
		return p.write(ctx, req)
	case req.Method == http.MethodDelete:
		return p.delete(ctx, req)
	}
	return nil, azerr.MethodNotAllowed(req.Method, req.ID.Type())
}

// shown is a resource as answered: what was written, and what a record has of itself.
func shown(r record, inList bool) (map[string]any, error) {
	id, err := ids.Parse(r.ID)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for k, v := range r.Body {
		out[k] = v
	}
	properties := map[string]json.RawMessage{}
	if raw, ok := r.Body["properties"]; ok {
		if err := json.Unmarshal(raw, &properties); err != nil || properties == nil {
			properties = map[string]json.RawMessage{}
		}
	}
	properties["provisioningState"] = json.RawMessage(`"Succeeded"`)
	out["id"], out["name"], out["type"], out["properties"], out[member] = r.ID, id.Name(), id.Type(), properties, true
	if inList {
		tags := map[string]string{}
		_ = json.Unmarshal(r.Body["tags"], &tags)
		if tags == nil {
			tags = map[string]string{}
		}
		tags[Tag] = "true"
		out["tags"] = tags
	}
	return out, nil
}

func (p *rp) find(tx store.Tx, id ids.ID) (record, error) {
	r, err := store.GetJSON[record](tx, bucket, p.key(id))
	if errors.Is(err, store.ErrNotFound) {
		return r, provider.NotFound(id)
	}
	return r, err
}

func (p *rp) get(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var r record
	err := p.Store.View(ctx, func(tx store.Tx) (err error) {
		r, err = p.find(tx, req.ID)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read inert resource: %w", err)
	}
	body, err := shown(r, false)
	return &provider.Response{Status: http.StatusOK, Body: body}, err
}

func (p *rp) list(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	all, err := p.records(ctx, req.ID.Subscription, req.ID.ResourceGroup)
	if err != nil {
		return nil, err
	}
	value := []map[string]any{}
	for _, r := range all {
		id, err := ids.Parse(r.ID)
		if err != nil {
			return nil, err
		}
		if !inCollection(req.ID, id) {
			continue
		}
		body, err := shown(r, true)
		if err != nil {
			return nil, err
		}
		value = append(value, body)
	}
	return &provider.Response{Status: http.StatusOK, Body: map[string]any{"value": value}}, nil
}

// inCollection reports whether a resource belongs to a list: of its group, or,
// for a list at the subscription, of any group in it.
func inCollection(collection, id ids.ID) bool {
	if (collection.Parent == nil) != (id.Parent == nil) || !strings.EqualFold(collection.TypePath(), id.TypePath()) {
		return false
	}
	if collection.Parent != nil && collection.Parent.Key() != id.Parent.Key() {
		return false
	}
	for i := range len(collection.Segments) - 1 {
		if !strings.EqualFold(collection.Segments[i].Name, id.Segments[i].Name) {
			return false
		}
	}
	return true
}

func (p *rp) write(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(req.Body, &given); err != nil {
		return nil, azerr.InvalidRequestContent("An object is expected").Because(err)
	}
	if l, ok := given["location"]; ok {
		var text string
		if err := json.Unmarshal(l, &text); err != nil {
			return nil, azerr.InvalidRequestContent("The location must be a text. Path 'location'").Because(err)
		}
		if at := ids.ParseLocation(text); !at.Known() && at != "global" {
			return nil, azerr.LocationNotAvailableForResourceType(text, req.ID.Type(), nil)
		}
	}
	for _, name := range []string{"id", "name", "type", "apiVersion", "systemData", member} {
		delete(given, name)
	}
	if err := p.checkExtended(ctx, req); err != nil {
		return nil, err
	}
	status := http.StatusOK
	var r record
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		if parent, ok := req.ID.ParentResource(); ok {
			if _, err := tx.Get(bucket, p.key(parent)); errors.Is(err, store.ErrNotFound) {
				return azerr.ParentResourceNotFound("write", req.ID.Type(), parent.String())
			} else if err != nil {
				return err
			}
		}
		now := p.Now().UTC()
		var err error
		r, err = p.find(tx, req.ID)
		missing := azerr.From(err) != nil && azerr.From(err).Code == "ResourceNotFound"
		switch {
		case missing && req.Method == http.MethodPut:
			status = http.StatusCreated
			r = record{ID: req.ID.String(), Created: now}
		case err != nil:
			return err
		}
		if req.Method == http.MethodPatch {
			if given, err = merged(r.Body, given); err != nil {
				return err
			}
		}
		if was, is := location(r.Body), location(given); was != "" && is != "" && was != is {
			return azerr.InvalidResourceLocation(req.ID.Name(), string(was), req.ID.ResourceGroup, string(is))
		}
		r.Body, r.APIVersion, r.Changed = given, req.APIVersion, now
		return store.PutJSON(tx, bucket, p.key(req.ID), r)
	})
	if err != nil {
		return nil, fmt.Errorf("store inert resource: %w", err)
	}
	body, err := shown(r, false)
	return &provider.Response{Status: status, Body: body}, err
}

func location(body map[string]json.RawMessage) ids.Location {
	var text string
	_ = json.Unmarshal(body["location"], &text)
	return ids.ParseLocation(text)
}

func merged(old, patch map[string]json.RawMessage) (out map[string]json.RawMessage, err error) {
	a, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(patch)
	if err != nil {
		return nil, err
	}
	if a, err = provider.MergePatch(a, b); err != nil {
		return nil, err
	}
	if tags, ok := patch["tags"]; ok { // tags are replaced as a whole
		if err = json.Unmarshal(a, &out); err == nil {
			out["tags"] = tags
		}
		return out, err
	}
	err = json.Unmarshal(a, &out)
	return out, err
}

// delete removes a resource and everything below it.
func (p *rp) delete(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	status := http.StatusNoContent
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		var keys []string
		if _, err := tx.Get(bucket, p.key(req.ID)); err == nil {
			keys = append(keys, p.key(req.ID))
		}
		for e, err := range tx.Scan(bucket, p.key(req.ID)+"/", "") {
			if err != nil {
				return err
			}
			keys = append(keys, e.Key)
		}
		for _, k := range keys {
			status = http.StatusOK
			if err := tx.Delete(bucket, k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("delete inert resource: %w", err)
	}
	return &provider.Response{Status: status}, nil
}
