package resources

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/store"
)

// registration is the document of one provider.
type registration struct {
	ID                 string             `json:"id"`
	Namespace          string             `json:"namespace"`
	RegistrationPolicy string             `json:"registrationPolicy,omitempty"`
	RegistrationState  string             `json:"registrationState,omitempty"`
	ResourceTypes      []registrationType `json:"resourceTypes"`
}

type registrationType struct {
	ResourceType      string   `json:"resourceType"`
	Locations         []string `json:"locations"`
	APIVersions       []string `json:"apiVersions"`
	DefaultAPIVersion string   `json:"defaultApiVersion,omitempty"`
	Capabilities      string   `json:"capabilities"`
}

// namespaceShape is what a registered namespace may look like.
var namespaceShape = regexp.MustCompile(`^[A-Za-z0-9]+(\.[A-Za-z0-9]+)+$`)

// registrations are the documents of everything served and of everything the
// subscription registered by itself. A namespace of which nothing is served has
// no resource types: its registration is remembered (Terraform registers a
// fixed list at its start), its resources are still refused.
func (p *Provider) registrations(ctx context.Context, req *provider.Request) ([]registration, error) {
	said := map[string]scope.Registration{}
	var order []scope.Registration
	if subscription := where(req); subscription != "" {
		err := p.Store.View(ctx, func(tx store.Tx) (err error) {
			order, err = scope.Registrations(tx, subscription)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read registrations: %w", err)
		}
	}
	for _, r := range order {
		said[strings.ToLower(r.Namespace)] = r
	}
	var out []registration
	for _, served := range p.Registry.Providers() {
		doc := document(req.Shape, where(req), served.Namespace(), served.Types())
		key := strings.ToLower(served.Namespace())
		if r, ok := said[key]; ok && !r.Registered {
			doc.RegistrationState = "Unregistered"
		}
		delete(said, key)
		out = append(out, doc)
	}
	for _, r := range order {
		if _, left := said[strings.ToLower(r.Namespace)]; !left {
			continue
		}
		doc := document(req.Shape, where(req), r.Namespace, nil)
		if !r.Registered {
			doc.RegistrationState = "Unregistered"
		}
		out = append(out, doc)
	}
	return out, nil
}

func document(shape, subscription, ns string, types []provider.ResourceType) registration {
	doc := registration{ID: "/providers/" + ns, Namespace: ns, ResourceTypes: []registrationType{}}
	if subscription != "" {
		doc.ID = "/subscriptions/" + subscription + doc.ID
		doc.RegistrationState = "Registered"
		doc.RegistrationPolicy = "RegistrationRequired"
		if ns == namespace {
			doc.RegistrationPolicy = "RegistrationFree"
		}
	}
	for _, t := range types {
		rt := registrationType{ResourceType: t.Type, Locations: append([]string{}, t.Locations...), APIVersions: append([]string{}, t.APIVersions...), Capabilities: t.Capabilities}
		if rt.Capabilities == "" {
			rt.Capabilities = "None"
		}
		if shape >= "2020" {
			rt.DefaultAPIVersion = provider.NewestStable(t.APIVersions)
		}
		doc.ResourceTypes = append(doc.ResourceTypes, rt)
	}
	return doc
}

// where is the subscription of a request, "" at the tenant.
func where(req *provider.Request) string {
	if first := req.ID.Segments[0]; strings.EqualFold(first.Type, "subscriptions") {
		return strings.ToLower(first.Name)
	}
	return ""
}

func (p *Provider) listProviders(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	page, err := parsePage(req)
	if err != nil {
		return nil, err
	}
	all, err := p.registrations(ctx, req)
	if err != nil {
		return nil, err
	}
	key := func(r registration) string { return strings.ToLower(r.Namespace) }
	slices.SortFunc(all, func(a, b registration) int { return strings.Compare(key(a), key(b)) })
	return provider.OK(paged(req, page, all, key))
}

func (p *Provider) getProvider(ctx context.Context, req *provider.Request) (*provider.Response, error) {
	all, err := p.registrations(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, doc := range all {
		if strings.EqualFold(doc.Namespace, req.ID.Name()) {
			return provider.OK(doc)
		}
	}
	return nil, azerr.InvalidResourceNamespace(req.ID.Name())
}

func (p *Provider) setRegistration(ctx context.Context, req *provider.Request, registered bool) (*provider.Response, error) {
	ns := req.ID.Name()
	if !namespaceShape.MatchString(ns) || len(ns) > 100 {
		return nil, azerr.InvalidResourceNamespace(ns)
	}
	if strings.EqualFold(ns, namespace) {
		return p.getProvider(ctx, req) // always there
	}
	for _, served := range p.Registry.Providers() {
		if !strings.EqualFold(served.Namespace(), ns) {
			continue
		}
		ns = served.Namespace()
		if registered {
			break
		}
		left, err := served.Resources(ctx, where(req), "")
		if err != nil {
			return nil, fmt.Errorf("list resources of %s: %w", ns, err)
		}
		if len(left) > 0 {
			return nil, azerr.Conflict(fmt.Sprintf("Cannot unregister the namespace '%s' because the subscription has resources of it. Please delete them first.", ns))
		}
	}
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		return scope.PutRegistration(tx, where(req), scope.Registration{Namespace: ns, Registered: registered})
	})
	if err != nil {
		return nil, fmt.Errorf("store registration of %s: %w", ns, err)
	}
	return p.getProvider(ctx, req)
}
