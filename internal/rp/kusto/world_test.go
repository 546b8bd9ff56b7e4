package kusto

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm/operations"
	"github.com/kustos-io/kustos/internal/arm/provider"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

const (
	testSub    = "/subscriptions/0b1f6471-1bf0-4dda-aec3-000000000001"
	testGroup  = testSub + "/resourceGroups/rg1"
	testTenant = "0b1f6471-1bf0-4dda-aec3-00000000000f"
	testVault  = "https://vault1.vault.azure.net/"
)

// world is a provider with everything around it faked but the store and the operations.
type world struct {
	t       *testing.T
	p       *Provider
	store   store.Store
	ops     *operations.Manager
	runtime *fakeRuntime
	vaults  fakeVaults
	keys    *fakeKeys
	users   fakeUsers
	denied  map[string]bool
	removed []string // scopes whose role assignments were removed
	config  Config
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, store: memstore.New(), denied: map[string]bool{}, users: fakeUsers{}, vaults: fakeVaults{}}
	w.runtime = &fakeRuntime{clusters: map[string]*fakeCluster{}}
	w.keys = &fakeKeys{facts: map[string]KeyFacts{}, access: map[string]bool{}}
	w.config = Config{Store: w.store, Runtime: w.runtime, Identities: fakeIdentities{}, Users: w.users, Principals: fakePrincipals{}, Vaults: w.vaults, Keys: w.keys,
		Authorizer: w, Assignments: w, TenantID: testTenant, Now: func() time.Time { return time.Date(2026, 1, 6, 12, 0, 0, 0, time.UTC) }}
	for _, c := range change {
		c(&w.config)
	}
	w.restart()
	return w
}

// RemoveScope remembers the scope; operations run one after the other in these tests.
func (w *world) RemoveScope(_ store.Tx, scope string) error {
	w.removed = append(w.removed, scope)
	return nil
}

// restart makes a new provider and a new operations manager over the same store and runtime.
func (w *world) restart() {
	if w.ops != nil {
		w.ops.Close()
	}
	w.ops = operations.New(operations.Config{Store: w.store, Now: w.config.Now})
	w.t.Cleanup(w.ops.Close)
	c := w.config
	c.Operations = w.ops
	w.p = New(c)
}

func (w *world) Authorize(_ context.Context, _ authz.Principal, action, scope string) (authz.Decision, error) {
	return authz.Decision{Allowed: !w.denied[action]}, nil
}

func (w *world) AuthorizeData(context.Context, authz.Principal, string, string) (authz.Decision, error) {
	return authz.Decision{}, errors.New("not used")
}

// request builds what the front door would hand over.
func (w *world) request(method, path, version, body string) *provider.Request {
	w.t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := ids.Parse(u.Path)
	if err != nil {
		w.t.Fatal(err)
	}
	req := &provider.Request{Method: method, ID: id, APIVersion: version, Shape: version, Query: u.Query(), Header: http.Header{},
		BaseURL: "https://management.azure.com", Principal: authz.Principal{TenantID: testTenant, ObjectID: "11111111-0000-0000-0000-000000000001", AppID: "11111111-0000-0000-0000-000000000002", Name: "me"}}
	if body != "" {
		req.Body = json.RawMessage(body)
	}
	if method == http.MethodPost && len(id.Segments) > 1 && id.Name() == "" {
		req.Action = id.Segments[len(id.Segments)-1].Type
		req.ID.Segments = id.Segments[:len(id.Segments)-1]
	}
	return req
}

type answer struct {
	*provider.Response
	err  *azerr.Error
	text string
	json map[string]any
}

// do sends a request; the answer's body is decoded.
func (w *world) do(method, path, version, body string, header ...string) answer {
	w.t.Helper()
	req := w.request(method, path, version, body)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return w.answer(w.p.Handle(w.t.Context(), req))
}

// answer decodes what the provider said.
func (w *world) answer(res *provider.Response, err error) answer {
	w.t.Helper()
	a := answer{Response: res, err: azerr.From(err)}
	if err != nil {
		if a.err.Status == 500 {
			w.t.Logf("%v", errors.Unwrap(a.err))
		}
		return a
	}
	if res.Body != nil {
		data, err := json.Marshal(res.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		a.text = string(data)
		if err := json.Unmarshal(data, &a.json); err != nil {
			w.t.Fatal(err)
		}
	}
	return a
}

// wait sends a request, which must be accepted, and waits for its operation.
func (w *world) wait(method, path, version, body string) (answer, operations.Operation) {
	w.t.Helper()
	a := w.do(method, path, version, body)
	if a.err != nil {
		w.t.Fatalf("%s %s: %v", method, path, a.err)
	}
	if a.OperationID == "" {
		return a, operations.Operation{Status: operations.Succeeded}
	}
	op, err := w.ops.Wait(w.t.Context(), a.OperationID)
	if err != nil {
		w.t.Fatal(err)
	}
	return a, op
}

// must is wait for an operation that has to succeed.
func (w *world) must(method, path, version, body string) answer {
	w.t.Helper()
	a, op := w.wait(method, path, version, body)
	if op.Status != operations.Succeeded {
		w.t.Fatalf("%s %s: %s %v", method, path, op.Status, op.Error)
	}
	return a
}

func clusterPath(name string) string {
	return testGroup + "/providers/Microsoft.Kusto/clusters/" + name
}

const (
	bodySKU   = `"sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2}`
	bodyPlain = `{"location":"westeurope",` + bodySKU + `,"properties":{}}`
)

// cluster makes a running cluster with a system identity.
func (w *world) cluster(name string) {
	w.t.Helper()
	w.must("PUT", clusterPath(name), v20230815, `{"location":"westeurope",`+bodySKU+`,"identity":{"type":"SystemAssigned"}}`)
}

func (w *world) get(name, version string) map[string]any {
	w.t.Helper()
	a := w.do("GET", clusterPath(name), version, "")
	if a.err != nil {
		w.t.Fatal(a.err)
	}
	return a.json
}

// dig reaches into nested objects: "properties.keyVaultProperties".
func dig(v map[string]any, path string) any {
	var at any = v
	for _, name := range strings.Split(path, ".") {
		o, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = o[name]
	}
	return at
}

func indent(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	return b.String()
}

// fakeIdentities keeps identities in the test's store, so that they live and die with the transaction.
type fakeIdentities struct{}

func (fakeIdentities) CreateIdentity(_ context.Context, tx store.Tx, name, resourceID string) (directory.ManagedIdentity, error) {
	n, err := store.GetJSON[int](tx, "fake", "count")
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return directory.ManagedIdentity{}, err
	}
	n++
	if err := store.PutJSON(tx, "fake", "count", n); err != nil {
		return directory.ManagedIdentity{}, err
	}
	m := directory.ManagedIdentity{ObjectID: fmt.Sprintf("aaaaaaaa-0000-0000-0000-%012d", n), ClientID: fmt.Sprintf("cccccccc-0000-0000-0000-%012d", n), TenantID: testTenant, Name: name, ResourceID: resourceID}
	return m, store.PutJSON(tx, "fake.identities", m.ObjectID, name)
}

func (fakeIdentities) MoveIdentity(_ context.Context, tx store.Tx, objectID, resourceID string) error {
	if _, err := tx.Get("fake.identities", objectID); err != nil {
		return directory.ErrNotFound
	}
	return store.PutJSON(tx, "fake.owners", objectID, resourceID)
}

func (fakeIdentities) DeleteIdentity(_ context.Context, tx store.Tx, objectID string) error {
	if err := tx.Delete("fake.identities", objectID); err != nil {
		return directory.ErrNotFound
	}
	return nil
}

func (w *world) identityExists(objectID string) bool {
	w.t.Helper()
	var there bool
	if err := w.store.View(w.t.Context(), func(tx store.Tx) (err error) {
		there, err = present(tx, "fake.identities", objectID)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return there
}

type fakeUsers map[string]ServicePrincipal

func (f fakeUsers) UserIdentity(_ context.Context, id ids.ID) (ServicePrincipal, bool, error) {
	m, ok := f[id.Key()]
	return m, ok, nil
}

type fakeVaults map[string]VaultFacts

func (f fakeVaults) VaultByName(_ context.Context, name string) (VaultFacts, bool, error) {
	v, ok := f[name]
	return v, ok, nil
}

// fakeKeys plays the vaults' data plane.
type fakeKeys struct {
	mu     sync.Mutex
	facts  map[string]KeyFacts // "vault uri without slash/key"
	access map[string]bool     // "vault uri without slash|object id[ as application in tenant]"
	broken error
	probe  error
	calls  []string
}

func (f *fakeKeys) Key(_ context.Context, kek envelope.KEK) (KeyFacts, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "get")
	if f.broken != nil {
		return KeyFacts{}, f.broken
	}
	who := kek.Identity.ObjectID
	if kek.Identity.FederatedClientID != "" {
		who += " as " + kek.Identity.FederatedClientID + " in " + kek.Identity.VaultTenantID
	}
	if !f.access[vaultKey(kek.VaultURI)+"|"+who] {
		return KeyFacts{}, &envelope.RevokedError{Code: "IdentityDoesNotHaveAccessToKeyVault", Reason: "403"}
	}
	facts, ok := f.facts[vaultKey(kek.VaultURI)+"/"+kek.KeyName]
	if !ok || kek.KeyVersion != "" && kek.KeyVersion != facts.Version {
		return KeyFacts{}, &envelope.RevokedError{Code: "KeyNotFound", Reason: "404"}
	}
	return facts, nil
}

func (f *fakeKeys) Probe(context.Context, envelope.KEK) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, "probe")
	return f.probe
}

type fakePrincipals struct{}

func (fakePrincipals) Lookup(_ context.Context, id string) (directory.Entry, error) {
	if id == knownApp || id == knownObject {
		return directory.Entry{ObjectID: knownObject, AppID: knownApp, Name: "known"}, nil
	}
	return directory.Entry{}, directory.ErrNotFound
}

const (
	knownApp    = "22222222-0000-0000-0000-000000000001"
	knownObject = "22222222-0000-0000-0000-000000000002"
)
