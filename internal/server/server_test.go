package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kustos-io/kustos/internal/server"
	"github.com/kustos-io/kustos/internal/store/memstore"
)

type userKey struct{}

// start serves echo planes: each answers "plane host path".
func start(t *testing.T) (*server.Server, *server.CA) {
	t.Helper()
	ca, err := server.OpenCA(t.Context(), memstore.New(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	plane := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, _ := r.Context().Value(userKey{}).(string)
			fmt.Fprintf(w, "%s %s %s %s", name, r.Host, r.URL.Path, user)
		})
	}
	s, err := server.Listen(server.Options{ProxyAddr: "127.0.0.1:0", DirectAddr: "127.0.0.1:0", CA: ca,
		Planes: server.Planes{Login: plane("login"), Graph: plane("graph"), ARM: plane("arm"), Vault: plane("vault"), Kusto: plane("kusto"), Identity: plane("imds"), IdentityEndpoint: plane("msi")},
		WithProxyUser: func(ctx context.Context, user, secret string) context.Context {
			return context.WithValue(ctx, userKey{}, user+":"+secret)
		},
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, ca
}

// throughProxy is a client that trusts only the local CA and uses the proxy for everything.
func throughProxy(t *testing.T, s *server.Server, ca *server.CA, user *url.Userinfo) *http.Client {
	t.Helper()
	tr := &http.Transport{
		Proxy:           http.ProxyURL(&url.URL{Scheme: "http", Host: s.ProxyAddr(), User: user}),
		TLSClientConfig: &tls.Config{RootCAs: ca.Pool()},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestProxyRoutesByHost(t *testing.T) {
	t.Parallel()
	s, ca := start(t)
	c := throughProxy(t, s, ca, nil)
	for in, want := range map[string]string{
		"https://login.microsoftonline.com/t/oauth2/v2.0/token":         "login login.microsoftonline.com /t/oauth2/v2.0/token ",
		"https://sts.windows.net/x":                                     "login sts.windows.net /x ",
		"https://graph.microsoft.com/v1.0/me":                           "graph graph.microsoft.com /v1.0/me ",
		"https://management.azure.com//subscriptions///x":               "arm management.azure.com /subscriptions/x ",
		"https://kv1.vault.azure.net//keys/k/":                          "vault kv1.vault.azure.net /keys/k/ ",
		"https://c1.westeurope.kusto.windows.net/v1/rest/mgmt":          "kusto c1.westeurope.kusto.windows.net /v1/rest/mgmt ",
		"https://ingest-c1.westeurope.kusto.windows.net/v1/rest/ingest": "kusto ingest-c1.westeurope.kusto.windows.net /v1/rest/ingest ",
	} {
		if status, got := get(t, c, in); status != 200 || got != want {
			t.Errorf("GET %s: %d %q, want %q", in, status, got, want)
		}
	}
}

func TestProxyRefusesUnknownHosts(t *testing.T) {
	t.Parallel()
	s, ca := start(t)
	c := throughProxy(t, s, ca, nil)
	for _, host := range []string{"example.com", "a.b.vault.azure.net", "vault.azure.net", "kusto.windows.net", "x.kusto.windows.net", "127.0.0.1", "169.254.169.254"} {
		if _, err := c.Get("https://" + host + "/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("CONNECT %s: %v, want 403 Forbidden", host, err)
		}
	}
	if status, _ := get(t, c, "http://example.com/"); status != http.StatusForbidden {
		t.Errorf("GET http://example.com/: %d, want 403", status)
	}
}

func TestIdentityEndpointGetsProxyUser(t *testing.T) {
	t.Parallel()
	s, ca := start(t)
	c := throughProxy(t, s, ca, url.UserPassword("id1", "s3"))
	status, got := get(t, c, "http://169.254.169.254/metadata/identity/oauth2/token?x=1")
	if want := "imds 169.254.169.254 /metadata/identity/oauth2/token id1:s3"; status != 200 || got != want {
		t.Errorf("%d %q, want %q", status, got, want)
	}
}

func TestIdentityEndpointOnLoopback(t *testing.T) {
	t.Parallel()
	s, ca := start(t)
	if status, got := get(t, http.DefaultClient, "http://"+s.ProxyAddr()+"/msi/token?x=1"); status != 200 || !strings.HasPrefix(got, "msi ") {
		t.Errorf("directly: %d %q", status, got)
	}
	// A client that sends even loopback addresses through the proxy.
	if status, got := get(t, throughProxy(t, s, ca, nil), "http://localhost.:8400/msi/token"); status != http.StatusForbidden {
		t.Errorf("another name: %d %q", status, got)
	}
	if status, _ := get(t, http.DefaultClient, "http://"+s.ProxyAddr()+"/other"); status != http.StatusBadRequest {
		t.Errorf("another path: %d", status)
	}
}

func TestAbsoluteFormHTTPS(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	conn, err := net.Dial("tcp", s.ProxyAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET https://management.azure.com/tenants HTTP/1.1\r\nHost: management.azure.com\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(body), "arm management.azure.com /tenants "; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestClusterListener(t *testing.T) {
	t.Parallel()
	s, ca := start(t)
	const host = "c1.westeurope.kusto.windows.net"
	ep, err := s.OpenCluster("c1", host)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.OpenCluster("c1", host)
	if err != nil || again != ep {
		t.Errorf("second OpenCluster = %v, %v; want %v", again, err, ep)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	defer tr.CloseIdleConnections()
	if _, got := get(t, &http.Client{Transport: tr}, ep.URL+"/v1/rest/mgmt"); got != "kusto "+host+" /v1/rest/mgmt " {
		t.Errorf("answer %q", got)
	}
	s.CloseCluster(host)
	if n := len(s.Clusters()); n != 0 {
		t.Errorf("%d listeners after CloseCluster", n)
	}
}

func TestClientNeverLeavesServedHosts(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	c := s.Client(nil)
	if _, got := get(t, c, "https://kv1.vault.azure.net/keys"); got != "vault kv1.vault.azure.net /keys " {
		t.Errorf("answer %q", got)
	}
	for _, u := range []string{"http://kv1.vault.azure.net/", "https://example.com/", "https://169.254.169.254/", "https://127.0.0.1/"} {
		if _, err := c.Get(u); err == nil {
			t.Errorf("GET %s was not refused", u)
		}
	}
}

// TestFromClient: only what our own client sends over its own connection is ours.
func TestFromClient(t *testing.T) {
	t.Parallel()
	ca, err := server.OpenCA(t.Context(), memstore.New(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Listen(server.Options{ProxyAddr: "127.0.0.1:0", DirectAddr: "127.0.0.1:0", CA: ca, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s.SetPlanes(server.Planes{Vault: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, s.FromClient(r.Context()))
	})})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	const u = "https://kv1.vault.azure.net/"
	own := s.Client(nil)
	proxied := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: s.ProxyAddr()}), TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	direct := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.DirectAddr())
	}}
	defer proxied.CloseIdleConnections()
	defer direct.CloseIdleConnections()
	for range 2 { // the second time over connections that are kept
		for _, c := range []struct {
			client *http.Client
			want   string
		}{{own, "true"}, {&http.Client{Transport: proxied}, "false"}, {&http.Client{Transport: direct}, "false"}} {
			if _, got := get(t, c.client, u); got != c.want {
				t.Errorf("from our client: %s, wanted %s", got, c.want)
			}
		}
	}
	if s.FromClient(t.Context()) {
		t.Error("a context without a connection is ours")
	}
}

func TestCA(t *testing.T) {
	t.Parallel()
	st := memstore.New()
	ca, err := server.OpenCA(t.Context(), st, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	again, err := server.OpenCA(t.Context(), st, time.Now)
	if err != nil || !bytes.Equal(ca.PEM(), again.PEM()) {
		t.Fatalf("the CA changed at the second start: %v", err)
	}
	block, _ := pem.Decode(ca.PEM())
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !cert.IsCA || !cert.PermittedDNSDomainsCritical {
		t.Fatalf("CA certificate %+v, %v", cert, err)
	}
	for host, ok := range map[string]bool{"kv.vault.azure.net": true, "localhost": true, "127.0.0.1": true, "example.com": false, "10.0.0.1": false} {
		leaf, err := ca.Leaf(host)
		if err != nil {
			t.Fatal(err)
		}
		_, err = leaf.Leaf.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: host})
		if (err == nil) != ok {
			t.Errorf("leaf for %s verifies: %v, want %v (%v)", host, err == nil, ok, err)
		}
	}
}

func TestProxyUserIgnoresJunk(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	for _, header := range []string{"", "Basic", "Basic !!", "Bearer " + base64.StdEncoding.EncodeToString([]byte("a:b"))} {
		req, err := http.NewRequest(http.MethodGet, "http://169.254.169.254/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Proxy-Authorization", header)
		tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: s.ProxyAddr()})}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		tr.CloseIdleConnections()
		if got, want := string(body), "imds 169.254.169.254 /x :"; got != want {
			t.Errorf("header %q: %q, want %q", header, got, want)
		}
	}
}

// Whoever speaks HTTP to the TLS port is told so.
func TestPlainRequestToTLSPort(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	conn, err := net.Dial("tcp", s.DirectAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusBadRequest {
		t.Fatalf("%v, %v", answer, err)
	}
}
