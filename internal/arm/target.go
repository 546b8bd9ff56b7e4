package arm

import (
	"context"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// target is where a request goes and what it needs to be admitted.
type target struct {
	provider provider.Provider // nil for deployments
	typ      provider.ResourceType
	// action and scope are what the caller must be allowed; action is "" for the
	// few lists that show only what the caller may see.
	action string
	scope  ids.ID
	// subscription and group are "" outside of one.
	subscription string
	group        string
	// own marks a route of ARM itself: errors print ARM's versions, and the
	// group named is the resource rather than its home.
	own bool
}

// resolve finds the provider and the type of req.ID and completes req.Action
// and req.Shape. version is the parsed req.APIVersion.
func (f *Front) resolve(ctx context.Context, req *provider.Request, v version) (target, error) {
	t := target{own: is(req.ID.Namespace, namespace)}
	t.subscription, t.group = home(req.ID)
	if t.subscription != "" {
		if !ids.IsGUID(t.subscription) {
			return t, azerr.InvalidSubscriptionID(t.subscription)
		}
		if err := f.checkSubscription(ctx, req, t.subscription); err != nil {
			return t, err
		}
	}
	p := f.byNamespace[strings.ToLower(req.ID.Namespace)]
	if p == nil && !(isDeployment(req) && f.deployments != nil) {
		return t, azerr.InvalidResourceNamespace(req.ID.Namespace)
	}
	if isDeployment(req) {
		if f.deployments == nil {
			return t, azerr.InvalidResourceType(req.ID.TypePath(), namespace, req.APIVersion, ownVersions())
		}
		t.typ = deploymentType(req.ID.TypePath())
	} else {
		t.provider = p
		var err error
		if t.typ, err = findType(p, req); err != nil {
			return t, err
		}
	}
	shape, ok := shapeFor(v, t.typ.APIVersions)
	if !ok && t.own {
		return t, azerr.InvalidAPIVersionParameter(req.APIVersion, ownVersions())
	}
	if !ok {
		return t, azerr.NoRegisteredProviderFound(requestLocation(req), req.APIVersion, t.typ.Type, t.typ.APIVersions, t.typ.Locations)
	}
	req.Shape = shape
	return t, t.require(req)
}

// home is the subscription and group an id lives in, "" where there is none.
func home(id ids.ID) (subscription, group string) {
	if id.Subscription != "" || !is(id.Namespace, namespace) || len(id.Segments) == 0 || !is(id.Segments[0].Type, "subscriptions") {
		return id.Subscription, id.ResourceGroup
	}
	if len(id.Segments) > 1 && is(id.Segments[1].Type, "resourceGroups") {
		group = id.Segments[1].Name
	}
	return id.Segments[0].Name, group
}

// isDeployment tells the requests that go to the deployment engine.
func isDeployment(req *provider.Request) bool {
	if !is(req.ID.Namespace, namespace) {
		return false
	}
	if len(req.ID.Segments) == 0 {
		return is(req.Action, "calculateTemplateHash")
	}
	return is(req.ID.Segments[0].Type, "deployments")
}

func deploymentType(path string) provider.ResourceType {
	if path == "" { // calculateTemplateHash
		path = "deployments"
	}
	return provider.ResourceType{Type: path, APIVersions: ownVersions()}
}

// findType looks the type up without case. A last segment without a name that
// is no type but declared as an action of the type above becomes req.Action.
func findType(p provider.Provider, req *provider.Request) (provider.ResourceType, error) {
	path := req.ID.TypePath()
	var supported []string
	for _, t := range p.Types() {
		if is(t.Type, path) {
			if open, ok := p.(provider.AnyTyped); ok { // what it lists is what it happens to have
				t, _ = open.AnyType(path)
			}
			return t, nil
		}
		supported = append(supported, t.APIVersions...)
	}
	if path == "" { // an action of the namespace: checkNameAvailability
		return provider.ResourceType{APIVersions: newestFirst(supported)}, nil
	}
	if last := len(req.ID.Segments) - 1; req.Action == "" {
		tail := req.ID.Segments[last]
		above := req.ID
		above.Segments = req.ID.Segments[:last]
		for _, t := range p.Types() {
			if !is(t.Type, above.TypePath()) {
				continue
			}
			name := tail.Type
			if tail.Name != "" {
				name += "/" + tail.Name
			}
			for _, a := range t.Actions {
				if is(a, name) {
					req.ID, req.Action = above, name
					return t, nil
				}
			}
		}
	}
	if open, ok := p.(provider.AnyTyped); ok && !(req.Method == http.MethodPost && req.Action == "") {
		if t, ok := open.AnyType(path); ok {
			return t, nil
		}
	}
	return provider.ResourceType{}, azerr.InvalidResourceType(path, req.ID.Namespace, req.APIVersion, newestFirst(supported))
}

// require sets the action and the scope that the caller needs.
func (t *target) require(req *provider.Request) error {
	typ := t.typ.Type
	ns := namespace
	if t.provider != nil {
		ns = t.provider.Namespace()
	}
	t.action = ns
	if typ != "" {
		t.action += "/" + typ
	}
	if req.Action != "" {
		t.action += "/" + req.Action
	}
	switch {
	case req.Method == http.MethodGet || req.Method == http.MethodHead:
		t.action += "/read"
	case req.Method == http.MethodPost && req.Action != "":
		t.action += "/action"
	case req.ID.IsCollection() || len(req.ID.Segments) == 0 || req.Action != "":
		return azerr.MethodNotAllowed(req.Method, ns+"/"+typ)
	case req.Method == http.MethodPut || req.Method == http.MethodPatch:
		t.action += "/write"
	case req.Method == http.MethodDelete:
		t.action += "/delete"
	default:
		return azerr.MethodNotAllowed(req.Method, ns+"/"+typ)
	}
	if is(typ, "subscriptions/providers") && req.Action != "" { // a right of the namespace concerned
		t.action = req.ID.Name() + "/" + req.Action + "/action"
	}
	t.scope = req.ID
	if t.own && len(req.ID.Segments) > 0 && is(req.ID.Segments[0].Type, "subscriptions") {
		t.scope = ids.ID{Subscription: t.subscription, ResourceGroup: t.group}
	} else if req.ID.IsCollection() {
		if parent, ok := req.ID.ParentResource(); ok {
			t.scope = parent
		} else {
			t.scope = req.ID.Scope()
		}
	}
	if t.own && t.showsOnlyOwn(req) || showsOnlyOwn(t.provider, req) {
		t.action = ""
	}
	return nil
}

// showsOnlyOwn are ARM's own reads that need no right of their own: the
// provider shows what the caller may see, the public registration documents,
// or the state of an operation whose id nobody can guess. The hash of a
// template is a sum over what the caller sent.
func (t *target) showsOnlyOwn(req *provider.Request) bool {
	if len(req.ID.Segments) == 0 && isDeployment(req) {
		return true
	}
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return false
	}
	switch strings.ToLower(t.typ.Type) {
	case "subscriptions":
		return req.ID.IsCollection()
	case "tenants", "providers", "subscriptions/operationresults":
		return true
	}
	return false
}

// showsOnlyOwn asks a provider the same about one of its requests.
func showsOnlyOwn(p provider.Provider, req *provider.Request) bool {
	guard, ok := p.(provider.SelfGuarding)
	return ok && guard.ShowsOnlyOwn(req)
}

// requestLocation is the location an error may print: the body's, else the
// group's.
func requestLocation(req *provider.Request) string {
	if l := bodyLocation(req.Body); l != "" {
		return string(ids.ParseLocation(l))
	}
	if req.GroupLocation != "" {
		return req.GroupLocation
	}
	return "null"
}
