package kusto_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/arm"
	"github.com/kustos-io/kustos/internal/arm/operations"
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

// instance is the whole control plane and the vaults, as the server composes
// them, behind one TLS listener.
type instance struct {
	t            *testing.T
	ctx          context.Context // bounds the waiting
	client       *http.Client
	secret       directory.Bootstrap
	subscription string
	tokens       map[string]string
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	ctx := t.Context()
	s := memstore.New()
	log := slog.New(slog.DiscardHandler)
	access := authz.New(authz.Config{Store: s})
	dir, err := directory.Open(ctx, directory.Config{Store: s, Authorizer: access})
	if err != nil {
		t.Fatal(err)
	}
	boot, err := dir.Bootstrap(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := access.GrantOwner(ctx, boot.SubscriptionID, boot.ObjectID); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, func(tx store.Tx) error { return scope.EnsureSubscription(tx, boot.SubscriptionID, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	ops := operations.New(operations.Config{Store: s})
	vaults := vault.New(vault.Config{Store: s, Verifier: dir, Authorizer: access, Log: log, TenantID: dir.TenantID()})
	front := arm.New(arm.Config{Store: s, Verifier: dir, Authorizer: access, SubscriptionID: boot.SubscriptionID, TenantID: boot.TenantID})
	login, keys := dir.LoginHandler(), vaults.Handler()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.Host, keyvault.Suffix):
			keys.ServeHTTP(w, r)
		case r.Host == "management.azure.com":
			front.ServeHTTP(w, r)
		default:
			login.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // one certificate for every host of the test
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server.Listener.Addr().String())
		},
	}}
	customer := keyvault.New(keyvault.Config{Tokens: dir, Client: client})
	platform, err := envelope.NewPlatform(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := cluster.Open(ctx, cluster.Config{Dir: t.TempDir(), Store: s, Engine: launcher{}, ProbeInterval: 10 * time.Millisecond,
		Wrappers: envelope.Wrappers{Platform: platform, Customer: customer}})
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.StartAll(ctx); err != nil {
		t.Fatal(err)
	}
	reader := kusto.FirstPartyReader{Front: front, TenantID: boot.TenantID}
	clusters := kusto.New(kusto.Config{Store: s, Operations: ops, Runtime: runtime, Identities: dir, Users: reader, Principals: dir, Vaults: reader,
		Keys: customer, Authorizer: access, TenantID: boot.TenantID})
	front.Register(resources.New(resources.Config{Store: s, Authorizer: access, Operations: ops, Registry: front, Dispatcher: front, TenantID: boot.TenantID}),
		managedidentity.New(managedidentity.Config{Store: s, Identities: dir}), rpkeyvault.New(rpkeyvault.Config{Vault: vaults, Log: log}), clusters)
	t.Cleanup(func() {
		ops.Close()
		if err := runtime.Close(); err != nil {
			t.Error(err)
		}
	})
	waiting, stop := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	return &instance{t: t, ctx: waiting, client: client, secret: boot, subscription: "/subscriptions/" + boot.SubscriptionID, tokens: map[string]string{}}
}

func (in *instance) token(resource string) string {
	in.t.Helper()
	if tok := in.tokens[resource]; tok != "" {
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
	in.tokens[resource] = body.AccessToken
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

// The story of a key, with everything real but the engine.
func TestStoryOfAKey(t *testing.T) {
	t.Parallel()
	in := newInstance(t)
	group := in.subscription + "/resourceGroups/rg1"
	demo := group + "/providers/Microsoft.Kusto/clusters/demo1"
	const kustoAPI, seed, vaultAPI = "2023-08-15", "2019-09-07", "2022-07-01"
	in.must("PUT", group, "2021-04-01", `{"location":"westeurope"}`)
	in.must("PUT", demo, seed, `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2},"properties":{}}`)
	in.must("PATCH", demo, seed, `{"identity":{"type":"SystemAssigned"}}`)
	r := in.must("GET", demo, kustoAPI, "")
	id, _ := at(r.body, "identity.principalId").(string)
	if id == "" || at(r.body, "properties.state") != "Running" {
		t.Fatalf("cluster %v", r.body)
	}
	policy := func(object, keys string) string {
		return fmt.Sprintf(`{"tenantId":%q,"objectId":%q,"permissions":{"keys":[%s]}}`, in.secret.TenantID, object, keys)
	}
	mine := policy(in.secret.ObjectID, `"all"`)
	theirs := policy(id, `"wrapKey","unwrapKey","get","recover"`)
	vaultBody := func(location, protections, policies string) string {
		return fmt.Sprintf(`{"location":%q,"properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},%s"accessPolicies":[%s]}}`, location, in.secret.TenantID, protections, policies)
	}
	vaultPath := func(name string) string { return group + "/providers/Microsoft.KeyVault/vaults/" + name }
	const both = `"enableSoftDelete":true,"enablePurgeProtection":true,`
	in.must("PUT", vaultPath("kvgood"), vaultAPI, vaultBody("westeurope", both, mine+","+theirs))
	in.must("PUT", vaultPath("kvclosed"), vaultAPI, vaultBody("westeurope", both, mine))
	in.must("PUT", vaultPath("kvnopurge"), vaultAPI, vaultBody("westeurope", "", mine+","+theirs))
	in.must("PUT", vaultPath("kvnosoft"), "2018-02-14", vaultBody("westeurope", `"enableSoftDelete":false,`, mine+","+theirs))
	in.must("PUT", vaultPath("kvfar"), vaultAPI, vaultBody("eastus", both, mine+","+theirs))
	newKey := func(vault, name, body string) string {
		r := in.do("POST", "https://"+vault+".vault.azure.net/keys/"+name+"/create?api-version=7.4", body)
		kid, _ := at(r.body, "key.kid").(string)
		if kid == "" {
			t.Fatalf("key: %d %v", r.status, r.body)
		}
		return kid[strings.LastIndex(kid, "/")+1:]
	}
	v1 := newKey("kvgood", "key1", `{"kty":"RSA"}`)
	ec := newKey("kvgood", "ec", `{"kty":"EC"}`)
	signs := newKey("kvgood", "signs", `{"kty":"RSA","key_ops":["sign","verify"]}`)
	for _, v := range []string{"kvclosed", "kvnopurge", "kvnosoft", "kvfar"} {
		newKey(v, "key1", `{"kty":"RSA"}`)
	}
	key := func(uri, name, version string) string {
		return fmt.Sprintf(`{"properties":{"keyVaultProperties":{"keyVaultUri":%q,"keyName":%q,"keyVersion":%q}}}`, uri, name, version)
	}
	refusals := []struct{ uri, key, version, code, message string }{
		{"this is not an address", "key1", v1, "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvgood.vault.azure.net/", "ec", ec, "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvgood.vault.azure.net/", "signs", signs, "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvfar.vault.azure.net/", "key1", "", "InvalidKeyVaultProperties", "The provided KeyVaultProperties are invalid."},
		{"https://kvnone.vault.azure.net/", "key1", v1, "KeyVaultNotFound", "KeyVault 'https://kvnone.vault.azure.net/' was not found"},
		{"https://kvgood.vault.azure.net/", "nokey", v1, "KeyNotFound", "Key 'nokey' was not found in KeyVault 'https://kvgood.vault.azure.net/'"},
		{"https://kvclosed.vault.azure.net/", "key1", "", "IdentityDoesNotHaveAccessToKeyVault", "Cluster identity does not have access to KeyVault 'https://kvclosed.vault.azure.net/'"},
		{"https://kvnopurge.vault.azure.net", "key1", "", "KeyVaultNotPurgeProtected", "KeyVault 'https://kvnopurge.vault.azure.net' is not Purge Protected"},
		{"https://kvnosoft.vault.azure.net", "key1", "", "KeyVaultNotSoftDeleteEnabled", "KeyVault 'https://kvnosoft.vault.azure.net' is not Soft-Delete enabled"},
	}
	for _, c := range refusals {
		r, _, _ := in.arm("PATCH", demo, seed, key(c.uri, c.key, c.version))
		if r.status != 400 || r.code() != c.code || at(r.body, "error.message") != c.message {
			t.Errorf("%s: %d %v", c.code, r.status, r.body)
		}
	}
	in.must("PATCH", demo, seed, key("https://kvgood.vault.azure.net/", "key1", v1))
	if r := in.must("GET", demo, seed, ""); at(r.body, "properties.keyVaultProperties.keyVersion") != v1 || at(r.body, "properties.provisioningState") != "Succeeded" {
		t.Errorf("in force: %v", r.body)
	}
	in.must("PUT", demo+"/databases/db1", kustoAPI, `{"location":"westeurope","kind":"ReadWrite","properties":{}}`)
	in.must("PUT", demo+"/principalAssignments/me", kustoAPI, `{"properties":{"principalId":"`+in.secret.ClientID+`","principalType":"App","role":"AllDatabasesAdmin"}}`)

	// revoked: the cluster is suspended for the true reason, and comes back by itself
	enable := func(version string, on bool) {
		r := in.do("PATCH", "https://kvgood.vault.azure.net/keys/key1/"+version+"?api-version=7.4", fmt.Sprintf(`{"attributes":{"enabled":%t}}`, on))
		if r.status != 200 {
			t.Fatalf("enable: %d %v", r.status, r.body)
		}
	}
	enable(v1, false)
	p := in.until(demo, func(p map[string]any) bool { return p["state"] == "Stopped" })
	if reason, _ := p["stateReason"].(string); !strings.Contains(reason, "disabled") || !strings.Contains(reason, "IdentityDoesNotHaveAccessToKeyVault") || p["provisioningState"] != "Succeeded" {
		t.Errorf("suspended: %v", p)
	}
	if r, _, _ := in.arm("GET", demo+"/databases/db1", kustoAPI, ""); r.status != 400 || at(r.body, "error.message") != "Cannot fetch databases while resource is in state 'Stopped'." {
		t.Errorf("database while suspended: %d %v", r.status, r.body)
	}
	if r, _, _ := in.arm("PATCH", demo, kustoAPI, `{"properties":{"keyVaultProperties":{}}}`); r.status != 400 || r.code() != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("key off while suspended: %d %v", r.status, r.body)
	}
	if r, status, failure := in.arm("POST", demo+"/start", kustoAPI, ""); r.status != 202 || status != "Failed" || failure != "IdentityDoesNotHaveAccessToKeyVault" {
		t.Errorf("start while the key is away: %d %s %v", r.status, status, failure)
	}
	enable(v1, true)
	in.until(demo, func(p map[string]any) bool { return p["state"] == "Running" })

	// rotation, then following the newest version, then off
	v2 := newKey("kvgood", "key1", `{"kty":"RSA"}`)
	in.must("PATCH", demo, kustoAPI, key("https://kvgood.vault.azure.net/", "key1", v2))
	enable(v1, false)
	in.must("POST", demo+"/stop", kustoAPI, "")
	in.must("POST", demo+"/start", kustoAPI, "")
	in.must("PATCH", demo, kustoAPI, key("https://kvgood.vault.azure.net/", "key1", ""))
	if r := in.must("GET", demo, kustoAPI, ""); at(r.body, "properties.keyVaultProperties.keyVersion") != "" || at(r.body, "properties.state") != "Running" {
		t.Errorf("versionless: %v", r.body)
	}
	in.must("PATCH", demo, kustoAPI, `{"properties":{"keyVaultProperties":{}}}`)
	if r := in.do("DELETE", "https://kvgood.vault.azure.net/keys/key1?api-version=7.4", ""); r.status != 200 {
		t.Errorf("delete key: %d", r.status)
	}
	in.must("POST", demo+"/stop", kustoAPI, "")
	in.must("POST", demo+"/start", kustoAPI, "")
	in.must("DELETE", demo, kustoAPI, "")
	if r, _, _ := in.arm("GET", demo, kustoAPI, ""); r.status != 404 {
		t.Errorf("after delete: %d", r.status)
	}
}

// A cluster that is made under a user-assigned identity's key, in one request.
func TestStoryOfAUserIdentity(t *testing.T) {
	t.Parallel()
	in := newInstance(t)
	group := in.subscription + "/resourceGroups/rg1"
	in.must("PUT", group, "2021-04-01", `{"location":"westeurope"}`)
	mi := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id1"
	r := in.must("PUT", mi, "2023-01-31", `{"location":"westeurope"}`)
	id, _ := at(r.body, "properties.principalId").(string)
	in.must("PUT", group+"/providers/Microsoft.KeyVault/vaults/kvuser", "2022-07-01", fmt.Sprintf(`{"location":"westeurope","properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},
		"enablePurgeProtection":true,"accessPolicies":[{"tenantId":%q,"objectId":%q,"permissions":{"keys":["all"]}},{"tenantId":%q,"objectId":%q,"permissions":{"keys":["get","wrapKey","unwrapKey"]}}]}}`,
		in.secret.TenantID, in.secret.TenantID, in.secret.ObjectID, in.secret.TenantID, id))
	if r := in.do("POST", "https://kvuser.vault.azure.net/keys/key1/create?api-version=7.4", `{"kty":"RSA","key_size":3072}`); r.status != 200 {
		t.Fatalf("key: %d %v", r.status, r.body)
	}
	demo := group + "/providers/Microsoft.Kusto/clusters/demo2"
	in.must("PUT", demo, "2024-04-13", `{"location":"westeurope","sku":{"name":"Standard_E2ads_v5","tier":"Standard"},"identity":{"type":"UserAssigned","userAssignedIdentities":{"`+mi+`":{}}},
		"properties":{"keyVaultProperties":{"keyVaultUri":"https://kvuser.vault.azure.net/","keyName":"key1","userIdentity":"`+mi+`"}}}`)
	r = in.must("GET", demo, "2024-04-13", "")
	if at(r.body, "properties.state") != "Running" || at(r.body, "properties.keyVaultProperties.userIdentity") != mi || at(r.body, "identity.type") != "UserAssigned" {
		t.Fatalf("cluster %v", r.body)
	}
	in.must("DELETE", mi, "2023-01-31", "") // cannot be refused: it is a revocation
	p := in.until(demo, func(p map[string]any) bool { return p["state"] == "Stopped" })
	if reason, _ := p["stateReason"].(string); !strings.Contains(reason, "IdentityDoesNotHaveAccessToKeyVault") {
		t.Errorf("suspended: %v", p)
	}
	in.must("DELETE", demo, "2024-04-13", "")
}
