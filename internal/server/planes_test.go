package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/connection"
)

// composed is a composition whose planes are called in this process.
func composed(t *testing.T, cfg config.Config) *parts {
	t.Helper()
	in := mustOpen(t, cfg)
	cfg.ProxyAddr, cfg.DirectAddr = "127.0.0.1:0", "127.0.0.1:0"
	p, err := compose(t.Context(), cfg, in, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(errors.Join(err, in.close()))
	}
	ctx, stop := context.WithCancel(t.Context())
	p.upkeep.begin(ctx)
	t.Cleanup(func() { p.takeDown(t, stop) })
	return p
}

// takeDown ends a composition, once.
func (p *parts) takeDown(t *testing.T, stop context.CancelFunc) {
	t.Helper()
	p.upkeep.close()
	p.tenants.closeOperations()
	err := p.runtime.Close()
	stop()
	p.upkeep.wait()
	p.abandon()
	if err := errors.Join(err, p.in.close()); err != nil {
		t.Error(err)
	}
}

// way is how a principal of a tenant speaks.
type way struct {
	p *parts
	connection.Tenant
	tokens map[string]string
}

func (p *parts) as(t *tenant) *way { return &way{p, t.connection(), map[string]string{}} }

func (p *parts) do(t *testing.T, r *http.Request) (int, http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	p.server.router(w, r)
	return w.Code, w.Header(), w.Body.String()
}

// token signs in for an audience at an authority's segment.
func (w *way) token(t *testing.T, segment, audience string) string {
	t.Helper()
	if have := w.tokens[segment+audience]; have != "" {
		return have
	}
	form := url.Values{"client_id": {w.ClientID}, "client_secret": {w.ClientSecret}, "grant_type": {"client_credentials"}, "scope": {audience + "/.default"}}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.microsoftonline.com/"+segment+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, _, body := w.p.do(t, r)
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil || out.AccessToken == "" {
		t.Fatalf("no token at %s: %d %s", segment, status, body)
	}
	w.tokens[segment+audience] = out.AccessToken
	return out.AccessToken
}

const (
	forARM   = "https://management.azure.com"
	forVault = "https://vault.azure.net"
	forGraph = "https://graph.microsoft.com"
)

// call sends a request with a token for an audience, "" sends none.
func (w *way) call(t *testing.T, audience, method, address, body string) (int, http.Header, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, address, reader)
	if audience != "" {
		r.Header.Set("Authorization", "Bearer "+w.token(t, w.TenantID, audience))
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return w.p.do(t, r)
}

func (w *way) must(t *testing.T, audience, method, address, body string) string {
	t.Helper()
	status, _, answer := w.call(t, audience, method, address, body)
	if status >= 300 {
		t.Fatalf("%s %s: %d %s", method, address, status, answer)
	}
	return answer
}

func (w *way) vaultBody() string {
	return fmt.Sprintf(`{"location":"westeurope","properties":{"tenantId":%q,"sku":{"family":"A","name":"standard"},"enableSoftDelete":true,"enableRbacAuthorization":true,"accessPolicies":[]}}`, w.TenantID)
}

func errorOf(t *testing.T, body string) (code, message string) {
	t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("no error: %s", body)
	}
	return e.Error.Code, e.Error.Message
}

// values are the names that a list of ARM or Graph shows.
func values(t *testing.T, body, name string) (out []string) {
	t.Helper()
	var list struct{ Value []map[string]any }
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("no list: %s", body)
	}
	for _, v := range list.Value {
		out = append(out, fmt.Sprint(v[name]))
	}
	return out
}

func two(t *testing.T) (p *parts, a, b *way) {
	t.Helper()
	p = composed(t, testConfig(t))
	made, err := p.createTenant(t.Context(), "Contoso", "")
	if err != nil {
		t.Fatal(err)
	}
	if made.Domain != "contoso.onmicrosoft.com" {
		t.Errorf("domain %s", made.Domain)
	}
	return p, p.as(p.tenants.first()), p.as(made)
}
