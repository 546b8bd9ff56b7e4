package armtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/deploy"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/rp/authorization"
	"github.com/kustos-io/kustos/internal/rp/managedidentity"
	"github.com/kustos-io/kustos/internal/rp/management"
	"github.com/kustos-io/kustos/internal/rp/resources"
	"github.com/kustos-io/kustos/internal/rp/subscription"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

// Options change what New makes; the zero value is the server's default.
type Options struct {
	Store     store.Store
	Now       func() time.Time
	Limits    arm.Limits
	Providers []provider.Provider // registered before all others
	// Late makes providers that need the front door; they are registered last.
	Late func(*arm.Front) []provider.Provider
}

// House is one composed control plane.
type House struct {
	Front      *arm.Front
	Store      store.Store
	Operations *operations.Manager
	Directory  *directory.Directory
	Access     *authz.Engine
	Boot       directory.Bootstrap
	// Sub is "/subscriptions/{the first one}".
	Sub   string
	token string
}

// New composes a house; with a store that was used before it is a restart.
func New(t *testing.T, o Options) *House {
	t.Helper()
	if o.Store == nil {
		o.Store = memstore.New()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &House{Store: o.Store, Operations: operations.New(operations.Config{Store: o.Store, Now: o.Now})}
	t.Cleanup(h.Operations.Close)
	h.Access = authz.New(authz.Config{Store: h.Store, Now: o.Now})
	var err error
	if h.Directory, err = directory.Open(t.Context(), directory.Config{Store: h.Store, Authorizer: h.Access, Now: o.Now}); err != nil {
		t.Fatal(err)
	}
	if h.Boot, err = h.Directory.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Access.GrantOwner(t.Context(), h.Boot.SubscriptionID, h.Boot.ObjectID); err != nil {
		t.Fatal(err)
	}
	h.Access.SetHierarchy(scope.Hierarchy{TenantID: h.Boot.TenantID})
	if err := h.Access.GrantTenantOwner(t.Context(), h.Boot.ObjectID); err != nil {
		t.Fatal(err)
	}
	if err := h.Store.Update(t.Context(), func(tx store.Tx) error { return scope.EnsureSubscription(tx, h.Boot.SubscriptionID, "Kustos", o.Now()) }); err != nil {
		t.Fatal(err)
	}
	if err := h.Access.GrantDirectoryAdministrator(t.Context(), h.Boot.ObjectID); err != nil {
		t.Fatal(err)
	}
	h.Sub = "/subscriptions/" + h.Boot.SubscriptionID
	h.Front = arm.New(arm.Config{Store: h.Store, Verifier: h.Directory, Authorizer: h.Access, Now: o.Now, SubscriptionID: h.Boot.SubscriptionID, TenantID: h.Boot.TenantID, Limits: o.Limits})
	h.Front.SetDeployments(deploy.New(deploy.Config{Store: h.Store, Operations: h.Operations, Front: h.Front, Now: o.Now, TenantID: h.Boot.TenantID}))
	h.Front.Register(o.Providers...)
	h.Front.Register(
		managedidentity.New(managedidentity.Config{Store: h.Store, Identities: h.Directory, Assignments: h.Access, Front: h.Front, Now: o.Now}),
		authorization.New(authorization.Config{Engine: h.Access, Principals: h.Directory, Store: h.Store, Front: h.Front, TenantID: h.Boot.TenantID}),
		management.New(management.Config{Store: h.Store, Authorizer: h.Access, Assignments: h.Access, TenantID: h.Boot.TenantID, Now: o.Now}),
		subscription.New(subscription.Config{Store: h.Store, Authorizer: h.Access, Owners: h.Access, TenantID: h.Boot.TenantID, Now: o.Now}),
		resources.New(resources.Config{Store: h.Store, Authorizer: h.Access, Operations: h.Operations, Registry: h.Front, Dispatcher: h.Front, Assignments: h.Access,
			Now: o.Now, TenantID: h.Boot.TenantID}))
	if o.Late != nil {
		h.Front.Register(o.Late(h.Front)...)
	}
	if err := h.Operations.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.token = h.Token(t, h.Boot.ClientID, h.Boot.ClientSecret.Reveal())
	return h
}

// Token signs an application in for Resource Manager.
func (h *House) Token(t *testing.T, clientID, secret string) string {
	t.Helper()
	return h.tokenFor(t, clientID, secret, "https://management.azure.com")
}

func (h *House) tokenFor(t *testing.T, clientID, secret, audience string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}, "scope": {audience + "/.default"}}
	r := httptest.NewRequest("POST", "https://login.microsoftonline.com/"+h.Boot.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var body struct {
		Token string `json:"access_token"`
	}
	a := serve(t, h.Directory.LoginHandler(), r)
	if err := json.Unmarshal(a.Body, &body); err != nil || body.Token == "" {
		t.Fatalf("no token: %d %s", a.Status, a.Body)
	}
	return body.Token
}

// Principal makes an application with a service principal and returns its
// object id and a token; it has no rights.
func (h *House) Principal(t *testing.T, name string) (objectID, token string) {
	t.Helper()
	graph := h.tokenFor(t, h.Boot.ClientID, h.Boot.ClientSecret.Reveal(), "https://graph.microsoft.com")
	call := func(path string, body any) map[string]any {
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("POST", "https://graph.microsoft.com/v1.0"+path, strings.NewReader(string(data)))
		r.Header.Set("Authorization", "Bearer "+graph)
		r.Header.Set("Content-Type", "application/json")
		a := serve(t, h.Directory.GraphHandler(), r)
		if a.Status >= 300 {
			t.Fatalf("graph %s: %d %s", path, a.Status, a.Body)
		}
		return a.JSON
	}
	app := call("/applications", map[string]string{"displayName": name})
	principal := call("/servicePrincipals", map[string]any{"appId": app["appId"]})
	id, _ := app["id"].(string)
	password := call("/applications/"+id+"/addPassword", map[string]any{"passwordCredential": map[string]string{"displayName": "t"}})
	clientID, _ := app["appId"].(string)
	secret, _ := password["secretText"].(string)
	objectID, _ = principal["id"].(string)
	return objectID, h.Token(t, clientID, secret)
}

// Answer is one response.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	JSON   map[string]any
}

// Code is the error's code, "" for success.
func (a Answer) Code() string { return a.text("error", "code") }

// Message is the error's message.
func (a Answer) Message() string { return a.text("error", "message") }

func (a Answer) text(outer, inner string) string {
	m, _ := a.JSON[outer].(map[string]any)
	s, _ := m[inner].(string)
	return s
}

// Get follows member names into the body; nil when there is nothing.
func (a Answer) Get(names ...string) any {
	var v any = a.JSON
	for _, n := range names {
		m, _ := v.(map[string]any)
		v = m[n]
	}
	return v
}

// Names are the members "name" of a list, joined by blanks.
func (a Answer) Names() string {
	var out []string
	items, _ := a.JSON["value"].([]any)
	for _, item := range items {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

// Do sends a request as the first principal. target is a path with its query,
// or an absolute URL.
func (h *House) Do(t *testing.T, method, target, body string) Answer {
	t.Helper()
	return h.As(t, h.token, method, target, body)
}

// As is Do with another token.
func (h *House) As(t *testing.T, token, method, target, body string) Answer {
	t.Helper()
	return h.Send(t, token, method, target, body, nil)
}

// Send is As with more headers.
func (h *House) Send(t *testing.T, token, method, target, body string, header http.Header) Answer {
	t.Helper()
	target = "https://management.azure.com" + strings.TrimPrefix(target, "https://management.azure.com")
	r := httptest.NewRequest(method, strings.ReplaceAll(target, " ", "%20"), strings.NewReader(body))
	for k, v := range header {
		r.Header[k] = v
	}
	if token == "" {
		token = h.token
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return serve(t, h.Front, r)
}

func serve(t *testing.T, handler http.Handler, r *http.Request) Answer {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	data, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	a := Answer{Status: w.Code, Header: w.Result().Header, Body: data}
	_ = json.Unmarshal(data, &a.JSON) // an empty body has no members to look at
	return a
}

// Must is Do that ends the test unless the status is one of want.
func (h *House) Must(t *testing.T, method, target, body string, want ...int) Answer {
	t.Helper()
	a := h.Do(t, method, target, body)
	for _, w := range want {
		if a.Status == w {
			return a
		}
	}
	t.Fatalf("%s %s: %d %s, want %v", method, target, a.Status, a.Body, want)
	return a
}

// Ended waits for the operation that a polling URL of a names, and asks the URL.
func (h *House) Ended(t *testing.T, a Answer) Answer {
	t.Helper()
	target := a.Header.Get("Location")
	if target == "" {
		target = a.Header.Get("Azure-AsyncOperation")
	}
	u, err := url.Parse(target)
	if err != nil || target == "" {
		t.Fatalf("no polling url: %d %s (%v)", a.Status, a.Body, err)
	}
	if _, err := h.Operations.Wait(t.Context(), path.Base(u.Path)); err != nil {
		t.Fatal(err)
	}
	return h.Do(t, "GET", target, "")
}

// Group makes a resource group.
func (h *House) Group(t *testing.T, name string) {
	t.Helper()
	h.Must(t, "PUT", h.Sub+"/resourceGroups/"+name+"?api-version=2021-04-01", `{"location":"westeurope"}`, 200, 201)
}

// Identity makes a user-assigned identity and returns its id.
func (h *House) Identity(t *testing.T, group, name string) string {
	t.Helper()
	id := h.Sub + "/resourceGroups/" + group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + name
	h.Must(t, "PUT", id+"?api-version=2023-01-31", `{"location":"westeurope"}`, 200, 201)
	return id
}
