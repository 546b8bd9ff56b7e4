package badinput_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kustos-io/kustos/internal/client"
)

func TestPlanes(t *testing.T) {
	t.Parallel()
	s := start(t)
	arm := func(path string) string { return client.ARM + path }
	put := s.group() + "/providers/Microsoft.Kusto/clusters/other"

	t.Run("malformed JSON", func(t *testing.T) {
		s.TB = t
		s.unchanged(func() {
			s.refused(s.send(client.ARM, "PUT", arm(put+"?api-version="+apiCluster), `{"location":`), 400, "InvalidRequestContent", "")
			s.refused(s.send(client.ARM, "PUT", arm(put+"?api-version="+apiCluster), `[]`), 400, "InvalidRequestContent", "")
			s.refused(s.send(client.ARM, "PUT", arm(s.group()+"x?api-version="+apiGroup), `{"location": 1}`), 400, "InvalidRequestContent", "")
			s.refused(s.send(client.ARM, "PUT", arm(s.vault()+"x?api-version="+apiVault), `{`), 400, "InvalidRequestContent", "")
			s.refused(s.send(client.Vault, "POST", "https://kvbadinput.vault.azure.net/keys/k/create?api-version=7.4", `{"kty":`), 400, "BadParameter", "")
			s.refused(s.send(client.Kusto, "POST", s.uri+"/v2/rest/query", `{"csl":`), 400, "General_BadRequest", "JSON")
			s.refused(s.send(client.Kusto, "POST", s.uri+"/v1/rest/mgmt", `"x"`), 400, "General_BadRequest", "JSON")
		})
	})
	t.Run("api-version", func(t *testing.T) {
		s.TB = t
		body := `{"location":"westeurope","sku":{"name":"Standard_D13_v2","tier":"Standard","capacity":2}}`
		s.unchanged(func() {
			s.refused(s.send(client.ARM, "PUT", arm(put), body), 400, "MissingApiVersionParameter", "")
			s.refused(s.send(client.ARM, "PUT", arm(put+"?api-version="), body), 400, "MissingApiVersionParameter", "")
			s.refused(s.send(client.ARM, "PUT", arm(put+"?api-version=soon"), body), 400, "InvalidApiVersionParameter", "soon")
			s.refused(s.send(client.ARM, "PUT", arm(put+"?api-version=2014-01-01"), body), 400, "NoRegisteredProviderFound", "2014-01-01")
			s.refused(s.send(client.ARM, "GET", arm(s.group()), nil), 400, "MissingApiVersionParameter", "")
			key := "https://kvbadinput.vault.azure.net/keys/k/create"
			s.refused(s.send(client.Vault, "POST", key, `{"kty":"RSA"}`), 400, "BadParameter", "api-version")
			s.refused(s.send(client.Vault, "POST", key+"?api-version=soon", `{"kty":"RSA"}`), 400, "BadParameter", "api-version")
			s.refused(s.send(client.Vault, "POST", key+"?api-version=1.0", `{"kty":"RSA"}`), 400, "BadParameter", "api-version")
		})
		s.refused(s.send(client.Vault, "GET", "https://kvbadinput.vault.azure.net/keys/k?api-version=7.4", nil), 404, "KeyNotFound", "")
	})
	t.Run("wrong audience", func(t *testing.T) {
		s.TB = t
		s.unchanged(func() {
			for _, audience := range []string{client.Vault, client.Kusto, client.Graph} {
				s.refused(s.send(audience, "DELETE", arm(s.cluster()+"?api-version="+apiCluster), nil), 401, "InvalidAuthenticationTokenAudience", "")
			}
			for _, audience := range []string{client.ARM, client.Kusto, client.Graph} {
				a := s.send(audience, "POST", "https://kvbadinput.vault.azure.net/keys/k/create?api-version=7.4", `{"kty":"RSA"}`)
				s.refused(a, 401, "Unauthorized", "")
				if !strings.Contains(a.Header.Get("WWW-Authenticate"), "https://vault.azure.net") {
					t.Error("no challenge:", a.Header)
				}
			}
			for _, audience := range []string{client.ARM, client.Vault, client.Graph} {
				for _, path := range []string{"/v2/rest/query", "/v1/rest/mgmt", "/v1/rest/ingest/db/T"} {
					if a := s.send(audience, "POST", s.uri+path, `{"db":"db","csl":".drop table T"}`); a.Status != 401 || len(a.Body) != 0 {
						t.Errorf("%s with a token for %s: %d %s", path, audience, a.Status, a.Body)
					}
				}
			}
			for _, audience := range []string{client.ARM, client.Vault, client.Kusto} {
				if a := s.send(audience, "POST", client.Graph+"/v1.0/applications", `{"displayName":"x"}`); a.Status != 401 {
					t.Errorf("Graph with a token for %s: %d %s", audience, a.Status, a.Body)
				}
			}
		})
	})
	t.Run("templates", func(t *testing.T) {
		s.TB = t
		address := arm(s.group() + "/providers/Microsoft.Resources/deployments/bad?api-version=" + apiGroup)
		deployment := func(template string) string {
			return `{"properties":{"mode":"Incremental","template":` + template + `}}`
		}
		resource := func(name, location string) string {
			return `{"$schema":"https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#","contentVersion":"1.0.0.0","resources":[{
				"type":"Microsoft.ManagedIdentity/userAssignedIdentities","apiVersion":"2023-01-31","name":"` + name + `","location":"` + location + `"}]}`
		}
		s.unchanged(func() {
			s.refused(s.send(client.ARM, "PUT", address, deployment(resource("[frobnicate('x')]", "westeurope"))), 400, "InvalidTemplate", "frobnicate")
			s.refused(s.send(client.ARM, "PUT", address, deployment(resource("[concat('x']", "westeurope"))), 400, "InvalidTemplate", "")
			s.refused(s.send(client.ARM, "PUT", address, deployment(`{"resources": 1}`)), 400, "InvalidRequestContent", "$schema")
			s.refused(s.send(client.ARM, "PUT", address, deployment(`"text"`)), 400, "InvalidRequestContent", "Error converting value")
			s.refused(s.send(client.ARM, "PUT", address, deployment(resource("identity", "the moon"))), 400, "InvalidTemplateDeployment", "See inner errors")
			s.refused(s.send(client.ARM, "PUT", address, deployment(resource("identity", ""))), 400, "InvalidTemplateDeployment", "See inner errors")
			s.refused(s.send(client.ARM, "PUT", address, deployment(resource("no name", "westeurope"))), 400, "InvalidTemplateDeployment", "See inner errors")
			s.refused(s.send(client.ARM, "PUT", address, deployment(resource("x", strings.Repeat("w", 5<<20)))), 413, "RequestContentTooLarge", "4194304")
			s.refused(s.send(client.ARM, "POST", strings.Replace(address, "?", "/validate?", 1), deployment(resource("[frobnicate('x')]", "westeurope"))), 400, "InvalidTemplate", "frobnicate")
		})
	})
	t.Run("vault addresses", func(t *testing.T) {
		s.TB = t
		s.vaultAddresses()
	})
}

// vaultAddresses puts every kind of address that is no vault into
// keyVaultProperties. Nothing may be contacted: a listener counts.
func (s *server) vaultAddresses() {
	var contacted atomic.Int64
	listen := func(network, address string) string {
		l, err := net.Listen(network, address)
		if err != nil {
			s.Skipf("no listener on %s: %v", address, err)
		}
		s.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				contacted.Add(1)
				fmt.Fprint(conn, "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://kvbadinput.vault.azure.net/\r\nContent-Length: 0\r\n\r\n")
				conn.Close()
			}
		}()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			s.Fatal(err)
		}
		return port
	}
	port := listen("tcp4", "127.0.0.1:0")
	port6 := listen("tcp6", "[::1]:0")
	s.unchanged(func() {
		for _, address := range []string{
			"https://127.0.0.1:" + port, "https://localhost:" + port, "https://[::1]:" + port6, "https://2130706433:" + port, "https://127.1:" + port, "https://0x7f.0.0.1:" + port,
			"https://kvbadinput.vault.azure.net@127.0.0.1:" + port, "https://127.0.0.1:" + port + "/.vault.azure.net", "https://127.0.0.1:" + port + "#.vault.azure.net",
			"https://127.0.0.1:" + port + "?x=.vault.azure.net", "https://127.0.0.1:" + port + `\.vault.azure.net`, "http://127.0.0.1:" + port, "//127.0.0.1:" + port,
			"https://169.254.169.254", "http://169.254.169.254/metadata/identity/oauth2/token", "https://metadata.google.internal",
			"http://kvbadinput.vault.azure.net", "https://kvbadinput.vault.azure.net:" + port, "https://kvbadinput.vault.azure.net/keys", "https://user:pw@kvbadinput.vault.azure.net",
			"https://a.kvbadinput.vault.azure.net", "https://vault.azure.net", "https://.vault.azure.net", "https://kvbadinput.vault.azure.net.example.org", "https://kvbadinput-vault.azure.net",
			"https://kvbadinput.vault.azure.net%2f@127.0.0.1:" + port, "https://kvbadinput.vault.azure.net ", "https://\u2024vault.azure.net", "file:///etc/passwd", "", "x", "javascript:0",
		} {
			body := map[string]any{"properties": map[string]any{"keyVaultProperties": map[string]string{"keyVaultUri": address, "keyName": "k", "keyVersion": "0123456789abcdef0123456789abcdef"}}}
			a := s.send(client.ARM, http.MethodPatch, client.ARM+s.cluster()+"?api-version="+apiCluster, body)
			if a.Status != 400 {
				s.Errorf("%q: %d %s", address, a.Status, a.Body)
			}
		}
	})
	if n := contacted.Load(); n != 0 {
		s.Errorf("a listener that is no vault was contacted %d times", n)
	}
}
