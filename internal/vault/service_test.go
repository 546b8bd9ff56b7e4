package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

const (
	testSub    = "0b1f6471-1bf0-4dda-aec3-111122223333"
	testTenant = "11111111-2222-4333-8444-555555555555"
	owner      = "aaaaaaaa-0000-4000-8000-000000000001"
	stranger   = "aaaaaaaa-0000-4000-8000-000000000002"
	challenge  = `Bearer authorization="https://login.microsoftonline.com/` + testTenant + `", resource="https://vault.azure.net"`
)

// fixture is a service over an empty store; the caller's object id is the token.
type fixture struct {
	testing.TB
	*Service
	handler http.Handler
	store   store.Store
	log     *bytes.Buffer

	mu    sync.Mutex
	clock time.Time
	roles map[string]bool // "oid action scope" in lower case
	// audiences are what the last token was checked for.
	audiences []string
	// unassigned are the scopes whose role assignments were removed.
	unassigned []string
}

func (f *fixture) RemoveScope(_ store.Tx, scope string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unassigned = append(f.unassigned, strings.ToLower(scope))
	return nil
}

// Verify takes "{oid}" as the token of a principal of the test tenant.
func (f *fixture) Verify(_ context.Context, token string, audiences ...string) (authz.Principal, error) {
	f.mu.Lock()
	f.audiences = audiences
	f.mu.Unlock()
	switch token {
	case "wrong-audience":
		return authz.Principal{}, &directory.TokenError{Kind: directory.Audience, Found: "https://management.azure.com", Expected: strings.Join(audiences, ", ")}
	case "wrong-issuer":
		return authz.Principal{}, &directory.TokenError{Kind: directory.Issuer, Found: "https://sts.windows.net/u/", Expected: "https://sts.windows.net/t/"}
	case "expired":
		return authz.Principal{}, &directory.TokenError{Kind: directory.Expired}
	case "tampered":
		return authz.Principal{}, &directory.TokenError{Kind: directory.Signature}
	case "broken-store":
		return authz.Principal{}, errors.New("store is closed")
	case "other-tenant":
		return authz.Principal{TenantID: stranger, ObjectID: owner}, nil
	case "person":
		return authz.Principal{TenantID: testTenant, ObjectID: stranger, ClientAppID: "az", UPN: "ann@example.com", Issuer: "https://sts.windows.net/" + testTenant + "/"}, nil
	case "cluster":
		return authz.Principal{TenantID: testTenant, ObjectID: owner, Identity: "/subscriptions/" + testSub + "/resourceGroups/g/providers/Microsoft.Kusto/clusters/c"}, nil
	}
	return authz.Principal{TenantID: testTenant, ObjectID: token, AppID: "app-" + token[:8], Issuer: "https://sts.windows.net/" + testTenant + "/"}, nil
}

func (f *fixture) Authorize(context.Context, authz.Principal, string, string) (authz.Decision, error) {
	return authz.Decision{}, nil
}

func (f *fixture) AuthorizeData(_ context.Context, p authz.Principal, action, scope string) (authz.Decision, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := strings.ToLower(scope); s != ""; s = s[:max(0, strings.LastIndexByte(s, '/'))] {
		if f.roles[strings.ToLower(p.ObjectID+" "+action+" ")+s] {
			return authz.Decision{Allowed: true}, nil
		}
	}
	return authz.Decision{}, nil
}

func (f *fixture) moved(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = f.clock.Add(d)
}

func setup(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{TB: t, store: memstore.New(), log: &bytes.Buffer{}, clock: time.Date(2030, 5, 17, 10, 30, 0, 0, time.UTC), roles: map[string]bool{}}
	f.Service = New(Config{Store: f.store, Verifier: f, Authorizer: f, Assignments: f, TenantID: testTenant,
		Log: slog.New(slog.NewTextHandler(&lockedWriter{w: f.log}, nil)), Now: func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.clock
		}})
	f.handler = f.Handler()
	return f
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func vaultID(name string) ids.ID {
	id, err := ids.Parse("/subscriptions/" + testSub + "/resourceGroups/g/providers/Microsoft.KeyVault/vaults/" + name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return id
}

// vault makes a vault in which the owner may do everything.
func (f *fixture) vault(name string, change func(*Input)) {
	f.Helper()
	tenant := testTenant
	in := Input{TenantID: &tenant, SKU: &SKU{"A", "standard"}, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all")}}
	if change != nil {
		change(&in)
	}
	if _, _, err := f.Put(f.Context(), Write{ID: vaultID(name), APIVersion: "2022-07-01", Location: "westeurope", Input: in}); err != nil {
		f.Fatal(err)
	}
}

func grant(oid, keys, secrets string) AccessPolicy {
	return AccessPolicy{TenantID: testTenant, ObjectID: oid, Permissions: Permissions{Keys: strings.Fields(keys), Secrets: strings.Fields(secrets)}}
}

func ptr[T any](v T) *T { return &v }

type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (a answer) code() (code, inner, message string) {
	e, _ := a.body["error"].(map[string]any)
	code, _ = e["code"].(string)
	message, _ = e["message"].(string)
	if i, ok := e["innererror"].(map[string]any); ok {
		inner, _ = i["code"].(string)
	}
	return code, inner, message
}

// at walks maps: a.at("key", "kid").
func (a answer) at(path ...string) any {
	var v any = a.body
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func (a answer) str(path ...string) string {
	s, _ := a.at(path...).(string)
	return s
}

// version is the version id of a key bundle.
func (a answer) version() string {
	kid := a.str("key", "kid")
	return kid[strings.LastIndexByte(kid, '/')+1:]
}

// as sends a request to a vault with a token; body is JSON text or a value.
func (f *fixture) as(token, method, vault, path string, body any) answer {
	f.Helper()
	var r io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			f.Fatal(err)
		}
		r = bytes.NewReader(data)
	}
	if !strings.Contains(path, "api-version") && !strings.Contains(path, "api%2Dversion") && !strings.HasSuffix(path, "?") {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		path += sep + "api-version=7.4"
	}
	req := httptest.NewRequest(method, "https://"+vault+".vault.azure.net"+path, r)
	req.RemoteAddr = "127.0.0.1:5555"
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, req)
	a := answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			f.Fatalf("%s %s: not JSON: %s", method, path, w.Body)
		}
	}
	return a
}

func (f *fixture) do(method, vault, path string, body any) answer {
	f.Helper()
	return f.as(owner, method, vault, path, body)
}

func (f *fixture) must(method, vault, path string, body any) answer {
	f.Helper()
	a := f.do(method, vault, path, body)
	if a.status != http.StatusOK {
		f.Fatalf("%s %s: %d %s", method, path, a.status, a.text)
	}
	return a
}

func (a answer) is(t testing.TB, status int, code, inner string) {
	t.Helper()
	if c, i, _ := a.code(); a.status != status || c != code || i != inner {
		t.Errorf("wanted %d %s %s, got %d %s", status, code, inner, a.status, a.text)
	}
}

// text64 is base64url of s.
func text64(s []byte) string {
	b, err := binary(s).MarshalText()
	if err != nil {
		panic(fmt.Sprintf("BUG: %v", err))
	}
	return string(b)
}

func bytes64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := decodeBinary("value", &s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
