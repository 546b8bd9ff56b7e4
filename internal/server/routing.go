package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/wire"
)

// planesOf are the planes of all tenants: each request goes to those of the
// tenant that it is for, which checks it as if there were no other. vaults and
// the runtime are shared.
func (p *parts) planesOf(vaults http.Handler) Planes {
	by := func(find func(*http.Request) (*tenant, error), plane func(Planes) http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t := p.tenants.first()
			if len(p.tenants.all()) > 1 {
				var err error
				if t, err = find(r); err != nil {
					r, info := wire.WithRequest(r)
					wire.SetCommonHeaders(w.Header(), info)
					wire.WriteError(w, r, p.log, err)
					return
				}
			}
			plane(t.planes).ServeHTTP(w, r)
		})
	}
	bearer := func(r *http.Request) (*tenant, error) { return p.tenants.ofToken(wire.BearerToken(r)), nil }
	return Planes{
		Login:            by(p.tenants.ofSignIn, func(t Planes) http.Handler { return t.Login }),
		Graph:            by(bearer, func(t Planes) http.Handler { return t.Graph }),
		ARM:              by(p.tenants.ofResource, func(t Planes) http.Handler { return t.ARM }),
		Kusto:            by(p.ofClusterHost, func(t Planes) http.Handler { return t.Kusto }),
		Identity:         by(p.tenants.ofIdentity, func(t Planes) http.Handler { return t.Identity }),
		IdentityEndpoint: by(p.tenants.ofIdentity, func(t Planes) http.Handler { return t.IdentityEndpoint }),
		Vault:            vaults,
	}
}

// ofResource is the tenant of a request to Resource Manager: whose the
// subscription is, which refuses a token of another tenant; outside of
// subscriptions the one that the token is from.
func (ts *tenants) ofResource(r *http.Request) (*tenant, error) {
	if subscription := arm.SubscriptionOf(r); subscription != "" {
		if t, err := ts.owner(r.Context(), subscription); t != nil || err != nil {
			return t, err
		}
	}
	return ts.ofToken(wire.BearerToken(r)), nil
}

// ofClusterHost is the tenant of the cluster whose data plane is called.
func (p *parts) ofClusterHost(r *http.Request) (*tenant, error) {
	if id, ok := p.runtime.ByHost(r.Host); ok {
		if t, err := p.tenants.ofCluster(r.Context(), id); t != nil || err != nil {
			return t, err
		}
	}
	return p.tenants.first(), nil
}

// ofIdentity is the tenant of the managed identity that a request speaks for.
func (ts *tenants) ofIdentity(r *http.Request) (*tenant, error) {
	return ts.firstThat(func(t *tenant) (bool, error) { return t.directory.HoldsIdentity(r) })
}

// firstThat is the first tenant that matches, else the first of all, which
// refuses what it does not know.
func (ts *tenants) firstThat(match func(*tenant) (bool, error)) (*tenant, error) {
	for _, t := range ts.all() {
		if ok, err := match(t); ok || err != nil {
			return t, err
		}
	}
	return ts.first(), nil
}

// ofSignIn is the tenant of a request to the sign-in host: the one that its
// path names or, when that stands for any tenant, where what it goes on with
// began, whose domain the person's name is under, or where the application is
// registered.
func (ts *tenants) ofSignIn(r *http.Request) (*tenant, error) {
	segment, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !directory.IsShared(segment) {
		return ts.firstThat(func(t *tenant) (bool, error) {
			return strings.EqualFold(segment, t.ID) || strings.EqualFold(segment, t.Domain), nil
		})
	}
	if kind, name, ok := strings.Cut(rest, "/"); ok && strings.EqualFold(kind, "userrealm") {
		return ts.ofPerson(name), nil
	}
	values, err := signInValues(r)
	if err != nil {
		return nil, err
	}
	for _, t := range ts.all() {
		if ok, err := t.directory.Continues(r.Context(), values); ok || err != nil {
			return t, err
		}
	}
	for _, name := range []string{values.Get("username"), values.Get("login_hint")} {
		if strings.Contains(name, "@") {
			return ts.ofPerson(name), nil
		}
	}
	return ts.ofApplication(r.Context(), values.Get("client_id"))
}

// ofPerson is the tenant of a user principal name.
func (ts *tenants) ofPerson(name string) *tenant {
	_, domain, _ := strings.Cut(name, "@")
	if t := ts.byDomain(domain); t != nil {
		return t
	}
	return ts.first()
}

// ofApplication is the tenant where an application is registered. Those that
// every tenant has, as az, are the first one's.
func (ts *tenants) ofApplication(ctx context.Context, appID string) (*tenant, error) {
	return ts.firstThat(func(t *tenant) (bool, error) { return t.directory.Registers(ctx, appID) })
}

// signInValues are the parameters of a request, of its query and of its form.
// The body can be read again. What is no form has none: the tenant refuses it.
func signInValues(r *http.Request) (url.Values, error) {
	values := r.URL.Query()
	if r.Method != http.MethodPost {
		return values, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, directory.MaxForm+1)) // one more, so that too long stays too long
	if err != nil {
		return nil, err
	}
	rest := r.Body
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), rest), rest}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return values, nil
	}
	for name, v := range form {
		values[name] = append(values[name], v...)
	}
	return values, nil
}
