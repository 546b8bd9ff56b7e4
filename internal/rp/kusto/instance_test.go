package kusto_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/arm/scope"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/engine"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
	rpkeyvault "github.com/kustos-io/kustos/internal/rp/keyvault"
	"github.com/kustos-io/kustos/internal/rp/kusto"
	"github.com/kustos-io/kustos/internal/rp/managedidentity"
	"github.com/kustos-io/kustos/internal/rp/resources"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
	"github.com/kustos-io/kustos/internal/vault"
)

// child is an engine that is never asked anything: no table is made here.
type child struct {
	engine.Child
	once sync.Once
	done chan struct{}
}

func (c *child) Done() <-chan struct{}      { return c.done }
func (c *child) Close() error               { c.once.Do(func() { close(c.done) }); return nil }
func (c *child) Ping(context.Context) error { return nil }
func (c *child) Info() engine.Info          { return engine.Info{Version: "none"} }

type launcher struct{}

func (launcher) Launch(context.Context, engine.Config) (engine.Child, error) {
	return &child{done: make(chan struct{})}, nil
}

// tenant is a directory, and the vaults and the front door of its subscription.
type tenant struct {
	*directory.Directory
	store  store.Store
	access *authz.Engine
	boot   directory.Bootstrap
	ops    *operations.Manager
	vaults *vault.Service
	front  *arm.Front
}

func newTenant(t *testing.T, neighbours directory.Neighbours) *tenant {
	t.Helper()
	ctx := t.Context()
	x := &tenant{store: memstore.New()}
	x.access = authz.New(authz.Config{Store: x.store})
	var err error
	if x.Directory, err = directory.Open(ctx, directory.Config{Store: x.store, Authorizer: x.access, Neighbours: neighbours}); err != nil {
		t.Fatal(err)
	}
	if x.boot, err = x.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(x.access.GrantOwner(ctx, x.boot.SubscriptionID, x.boot.ObjectID), x.access.GrantDirectoryAdministrator(ctx, x.boot.ObjectID),
		x.store.Update(ctx, func(tx store.Tx) error {
			return scope.EnsureSubscription(tx, x.boot.SubscriptionID, "Kustos", time.Now())
		}))
	if err != nil {
		t.Fatal(err)
	}
	x.ops = operations.New(operations.Config{Store: x.store})
	x.vaults = vault.New(vault.Config{Store: x.store, Verifier: x, Authorizer: x.access, Log: slog.New(slog.DiscardHandler), TenantID: x.boot.TenantID})
	x.front = arm.New(arm.Config{Store: x.store, Verifier: x, Authorizer: x.access, SubscriptionID: x.boot.SubscriptionID, TenantID: x.boot.TenantID})
	return x
}

// providers are those of every tenant, and more.
func (x *tenant) providers(more ...provider.Provider) {
	x.front.Register(append([]provider.Provider{
		resources.New(resources.Config{Store: x.store, Authorizer: x.access, Operations: x.ops, Registry: x.front, Dispatcher: x.front, TenantID: x.boot.TenantID}),
		managedidentity.New(managedidentity.Config{Store: x.store, Identities: x.Directory}), rpkeyvault.New(rpkeyvault.Config{Vault: x.vaults, Log: slog.New(slog.DiscardHandler)}),
	}, more...)...)
}

func (x *tenant) reader() kusto.FirstPartyReader {
	return kusto.FirstPartyReader{Front: x.front, TenantID: x.boot.TenantID}
}

// instance is the whole control plane and the vaults, as the server composes
// them, behind one TLS listener. Clusters are the first tenant's.
type instance struct {
	t            *testing.T
	ctx          context.Context // bounds the waiting
	client       *http.Client
	tenants      []*tenant
	secret       directory.Bootstrap // of whom the requests are from
	subscription string
	tokens       map[string]string
}

func newInstance(t *testing.T, more ...string) *instance {
	t.Helper()
	in := &instance{t: t, tokens: map[string]string{}}
	neighbours := directory.NeighboursFunc(func() (all []*directory.Directory) {
		for _, x := range in.tenants {
			all = append(all, x.Directory)
		}
		return all
	})
	for range len(more) + 1 {
		in.tenants = append(in.tenants, newTenant(t, neighbours))
	}
	home := in.tenants[0]
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { in.serve(w, r, more) }))
	t.Cleanup(server.Close)
	in.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // one certificate for every host of the test
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server.Listener.Addr().String())
		},
	}}
	customer := keyvault.New(keyvault.Config{Tokens: home, Client: in.client})
	platform, err := envelope.NewPlatform(t.Context(), home.store)
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := cluster.Open(t.Context(), cluster.Config{Dir: t.TempDir(), Store: home.store, Engine: launcher{}, ProbeInterval: 10 * time.Millisecond,
		Wrappers: envelope.Wrappers{Platform: platform, Customer: customer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	vaults := kusto.VaultReaders(func() (all []kusto.VaultReader) {
		for _, x := range in.tenants {
			all = append(all, x.reader())
		}
		return all
	})
	home.providers(kusto.New(kusto.Config{Store: home.store, Operations: home.ops, Runtime: runtime, Identities: home, Users: home.reader(), Principals: home, Vaults: vaults,
		Keys: customer, Authorizer: home.access, TenantID: home.boot.TenantID}))
	for _, x := range in.tenants[1:] {
		x.providers()
	}
	t.Cleanup(func() {
		for _, x := range in.tenants {
			x.ops.Close()
		}
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	})
	var stop context.CancelFunc
	in.ctx, stop = context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(stop)
	in.as(0)
	return in
}

// as makes a tenant's first principal the one that sends the requests.
func (in *instance) as(n int) {
	in.secret = in.tenants[n].boot
	in.subscription = "/subscriptions/" + in.secret.SubscriptionID
}

// serve routes by host; then to the tenant that has the vault, by the names in
// vaults, that the path names, or that the caller's token is of.
func (in *instance) serve(w http.ResponseWriter, r *http.Request, vaults []string) {
	x := in.tenants[0]
	name, isVault := strings.CutSuffix(r.Host, keyvault.Suffix)
	switch n := slices.Index(vaults, name); {
	case isVault && n >= 0:
		x = in.tenants[n+1]
	case !isVault:
		for _, other := range in.tenants {
			_, err := other.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "https://management.azure.com", "https://graph.microsoft.com")
			if err == nil || strings.HasPrefix(r.URL.Path, "/"+other.boot.TenantID+"/") {
				x = other
			}
		}
	}
	switch {
	case isVault:
		x.vaults.Handler().ServeHTTP(w, r)
	case r.Host == "management.azure.com":
		x.front.ServeHTTP(w, r)
	case r.Host == "graph.microsoft.com":
		x.GraphHandler().ServeHTTP(w, r)
	default:
		x.LoginHandler().ServeHTTP(w, r)
	}
}

func (in *instance) token(resource string) string {
	in.t.Helper()
	if tok := in.tokens[in.secret.TenantID+resource]; tok != "" {
		return tok
	}
	form := fmt.Sprintf("grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s/.default", in.secret.ClientID, in.secret.ClientSecret.Reveal(), resource)
	res, err := in.client.Post("https://login.microsoftonline.com/"+in.secret.TenantID+"/oauth2/v2.0/token", "application/x-www-form-urlencoded", strings.NewReader(form))
	if err != nil {
		in.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.AccessToken == "" {
		in.t.Fatalf("token: %d %v", res.StatusCode, err)
	}
	in.tokens[in.secret.TenantID+resource] = body.AccessToken
	return body.AccessToken
}

type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func (r reply) code() any { return at(r.body, "error.code") }

func at(v any, path string) any {
	for _, name := range strings.Split(path, ".") {
		o, _ := v.(map[string]any)
		v = o[name]
	}
	return v
}

func (in *instance) do(method, url, body string) reply {
	in.t.Helper()
	resource := "https://management.azure.com"
	if strings.Contains(url, keyvault.Suffix) {
		resource = "https://vault.azure.net"
	} else if strings.HasPrefix(url, "https://graph.microsoft.com/") {
		resource = "https://graph.microsoft.com"
	}
	req, err := http.NewRequestWithContext(in.ctx, method, url, strings.NewReader(body))
	if err != nil {
		in.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+in.token(resource))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := in.client.Do(req)
	if err != nil {
		in.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		in.t.Fatal(err)
	}
	out := reply{status: res.StatusCode, header: res.Header}
	if len(bytes.TrimSpace(data)) > 0 {
		if err := json.Unmarshal(data, &out.body); err != nil {
			in.t.Fatalf("%s %s: %v in %q", method, url, err, data)
		}
	}
	return out
}

// arm sends a request to the front door and follows its operation to the end.
func (in *instance) arm(method, path, version, body string) (first reply, status string, failure any) {
	in.t.Helper()
	first = in.do(method, "https://management.azure.com"+path+"?api-version="+version, body)
	follow := first.header.Get("Azure-AsyncOperation")
	if first.status >= 400 || follow == "" {
		return first, "", nil
	}
	for in.ctx.Err() == nil {
		r := in.do("GET", follow, "")
		if r.status != 200 {
			in.t.Fatalf("poll: %d %v", r.status, r.body)
		}
		if s := r.body["status"]; s != "Running" {
			return first, s.(string), at(r.body, "error.code")
		}
	}
	in.t.Fatalf("%s %s: its operation does not end", method, path)
	return first, "", nil
}

func (in *instance) must(method, path, version, body string) reply {
	in.t.Helper()
	r, status, failure := in.arm(method, path, version, body)
	if r.status >= 400 || status != "" && status != "Succeeded" {
		in.t.Fatalf("%s %s: %d %v %s %v", method, path, r.status, r.body, status, failure)
	}
	return r
}

// until reads the cluster until ok; the test's own deadline ends it.
func (in *instance) until(path string, ok func(properties map[string]any) bool) map[string]any {
	in.t.Helper()
	for in.ctx.Err() == nil {
		r := in.do("GET", "https://management.azure.com"+path+"?api-version=2023-08-15", "")
		if p, _ := r.body["properties"].(map[string]any); ok(p) {
			return p
		}
	}
	in.t.Fatalf("%s: not reached", path)
	return nil
}
